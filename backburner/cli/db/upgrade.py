"""`backburner db upgrade`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.db.steps import schema_json, step_fields
from backburner.cli.render import Mode, json_option, mode, note, one
from backburner.cli.store import connected, url_option

__all__ = ["command"]


@click.command("upgrade")
@json_option
@url_option
def command(*, as_json: bool, url: str | None) -> None:
    """Create the store if there is none, and apply the steps its schema lacks.

    Safe to run from any number of places at once: each step is applied once.
    """
    asyncio.run(_upgrade(mode(as_json=as_json), url))


async def _upgrade(how: Mode, url: str | None) -> None:
    async with connected(url, create=True, write=True) as backend:
        before = await backend.schema.upgrade()
        address = backend.address
    one(how, schema_json(address, before), step_fields(before.pending))
    note(f"{address}: schema {before.current} → {before.wanted}" if before.pending else f"{address}: up to date")
