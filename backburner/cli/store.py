"""The one place where the command line opens a store."""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from backburner import config
from backburner.backends import urls
from backburner.cli.exits import Exit, Failed
from backburner.cli.render import note
from backburner.errors import SchemaTooNew, SchemaTooOld, StoreMissing
from backburner.model.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from backburner.ports.backend import Backend

__all__ = ["apart_by", "connected", "given", "looked_for", "opened", "steps_apart", "unopened", "url_option"]

#: Seconds a command waits for the store to take a write.
_WRITE_TIMEOUT = 5.0

#: Where a store is looked for that nobody named.
_DEFAULT = "neither --url nor BACKBURNER_URL is set, so it was looked for in the current directory"

url_option = click.option(
    "--url",
    metavar="URL",
    help="The store; - reads it from stdin, so that a password shows in no process list.  "
    "[default: BACKBURNER_URL, else sqlite:///backburner.db]",
)


def given(url: str | None) -> str | None:
    """Return the URL itself where - stands for the next line of stdin; for commands that need it more than once.

    The command ends where it is empty: nobody means the default by that.
    """
    if url == "-":
        url = sys.stdin.readline().strip()
        if not url:
            raise Failed("--url - reads the URL from stdin, which has none", Exit.REFUSED)
    if url is not None and not url.strip():
        raise Failed(
            "--url is empty: name the store, or leave it out for BACKBURNER_URL, else sqlite:///backburner.db",
            Exit.REFUSED,
        )
    return url


@contextmanager
def looked_for(url: str | None) -> Generator[None]:
    """Say of a store that is not there who named it, unless the command line did."""
    try:
        yield
    except StoreMissing as error:
        if url is not None:
            raise
        said = "BACKBURNER_URL names it" if os.environ.get("BACKBURNER_URL", "").strip() else _DEFAULT
        raise StoreMissing(f"{error}; {said}", stored="no") from error


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
        with looked_for(url):
            await backend.open(create=create, write=write)
        yield backend
    finally:
        await backend.close()


@asynccontextmanager
async def opened(url: str | None, *, write: bool = False, exact: bool = False) -> AsyncGenerator[Backend]:
    """Open a store for the block; neither creates nor migrates.

    Without ``write`` a read-only file, a copy or a role without rights will do, and a schema that is one step older or
    newer than this program's, which a person is told; not where it is to be ``exact``.
    """
    async with connected(url, write=write) as backend:
        apart = await steps_apart(backend, exact=write or exact)
        with apart_by(apart, backend):
            yield backend


async def steps_apart(backend: Backend, *, exact: bool) -> int:
    """Return how many steps an open store's schema is ahead of this program's (less than 0: behind), and say so.

    Raises `SchemaTooOld`, or what `Schema.state` raises, where that is more than one, or any and it is to be ``exact``.
    """
    leeway = 0 if exact else 1
    try:
        state = await backend.schema.state()
    except SchemaTooNew as error:
        if error.ahead is None or error.ahead > leeway:
            raise
        note(f"{error}; until then some of what is read may be left out")
        return error.ahead
    behind = len(state.pending)
    if not behind:
        return 0
    told = f"{backend.address} has schema {state.current}, this backburner wants {state.wanted}"
    if behind > leeway or not state.current:
        raise SchemaTooOld(f"{told}: run `backburner db upgrade`", stored="no")
    note(f"{told}: `backburner db upgrade`; until then it is only read")
    return -behind


@contextmanager
def apart_by(steps: int, backend: Backend) -> Generator[None]:
    """Say of what cannot be read in the block that the store's schema is so many steps ahead, or behind."""
    try:
        yield
    except (SchemaTooOld, msgspec.ValidationError) as error:
        if steps > 0:
            raise SchemaTooNew(
                f"{backend.address}: its newer schema has changed what this command reads: upgrade this backburner",
                stored="no",
                ahead=steps,
            ) from error
        if steps < 0:
            raise SchemaTooOld(
                f"{backend.address}: its older schema lacks what this command reads: run `backburner db upgrade`",
                stored="no",
            ) from error
        raise
