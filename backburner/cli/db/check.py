"""`backburner db check`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.db.steps import schema_json
from backburner.cli.exits import Exit
from backburner.cli.render import Mode, json_option, mode, note, one
from backburner.cli.store import connected, url_option

__all__ = ["command"]


@click.command("check")
@json_option
@url_option
def command(*, as_json: bool, url: str | None) -> None:
    """Check that the store is there, can be read, and has the schema that this backburner wants.

    Exits with 4 if it cannot be read, with 5 if its schema is another. Changes nothing.
    """
    asyncio.run(_check(mode(as_json=as_json), url))


async def _check(how: Mode, url: str | None) -> None:
    async with connected(url) as backend:
        state = await backend.schema.state()
        address, durability = backend.address, backend.durability
    fields = [
        ("store", address),
        ("durability", durability),
        ("schema", str(state.current)),
        ("wanted", str(state.wanted)),
        ("pending", str(len(state.pending))),
    ]
    one(how, {**schema_json(address, state), "durability": durability}, fields)
    if state.pending:
        note("run `backburner db upgrade`")
        raise click.exceptions.Exit(Exit.SCHEMA)
