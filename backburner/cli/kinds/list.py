"""`backburner kinds list`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.controls import controls
from backburner.cli.exits import Exit, Failed
from backburner.cli.kinds.record import KINDS, read_kinds
from backburner.cli.render import Mode, json_option, listing, mode, page
from backburner.cli.store import url_option

__all__ = ["command"]


@click.command("list")
@json_option
@url_option
def command(*, as_json: bool, url: str | None) -> None:
    """List kinds: those that live nodes know, that are paused, or whose jobs wait for a node that knows them.

    Piped, a line is: name, state (active, paused, unserved: no live node knows it), live nodes that know it, until when
    it is paused, who paused it, why. Exits with 3 if there is none.
    """
    asyncio.run(_list(mode(as_json=as_json), url))


async def _list(how: Mode, url: str | None) -> None:
    async with controls(url) as opened:
        found = await read_kinds(opened)
    if not await listing(how, page(found), KINDS):
        raise Failed("no live node knows a kind, none is paused, and no job waits for one", Exit.NOTHING)
