"""The one place where the command line opens a store."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backburner import config
from backburner.backends import urls
from backburner.cli.exits import Exit, Failed
from backburner.errors import SchemaTooOld
from backburner.model.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from backburner.ports.backend import Backend

__all__ = ["check_schema", "connected", "given", "opened", "unopened", "url_option"]

#: Seconds a command waits for the store to take a write.
_WRITE_TIMEOUT = 5.0

url_option = click.option(
    "--url",
    metavar="URL",
    help="The store; - reads it from stdin, so that a password shows in no process list.  "
    "[default: BACKBURNER_URL, else sqlite:///backburner.db]",
)


def given(url: str | None) -> str | None:
    """Return the URL itself where - stands for the next line of stdin; for commands that need it more than once."""
    return sys.stdin.readline().strip() if url == "-" else url


def unopened(url: str | None) -> Backend:
    """Return the backend that the command's URL names, not opened yet."""
    store = urls.parse(config.store_url(given(url)), base=Path.cwd())
    if store.scheme == "memory":
        raise Failed("a memory store lives inside its own process; nothing can be seen from here", Exit.REFUSED)
    return urls.connect(store, clock=SystemClock(), write_timeout=_WRITE_TIMEOUT)


@asynccontextmanager
async def connected(url: str | None, *, create: bool = False, write: bool = False) -> AsyncGenerator[Backend]:
    """Open the store for the block, whatever its schema."""
    backend = unopened(url)
    try:
        await backend.open(create=create, write=write)
        yield backend
    finally:
        await backend.close()


@asynccontextmanager
async def opened(url: str | None, *, write: bool = False) -> AsyncGenerator[Backend]:
    """Open a store whose schema is current for the block; neither creates nor migrates.

    Without ``write`` a read-only file, a copy or a role without rights will do.
    """
    async with connected(url, write=write) as backend:
        await check_schema(backend)
        yield backend


async def check_schema(backend: Backend) -> None:
    """Raise `SchemaTooOld`, or what `Schema.state` raises, unless an open store's schema is current."""
    state = await backend.schema.state()
    if state.pending:
        raise SchemaTooOld(
            f"{backend.address} has schema {state.current}, this backburner wants {state.wanted}: "
            "run `backburner db upgrade`"
        )
