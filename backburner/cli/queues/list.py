"""`backburner queues list`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.controls import controls
from backburner.cli.exits import Exit, Failed
from backburner.cli.queues.record import QUEUES, read_queues
from backburner.cli.render import Mode, json_option, listing, mode, page
from backburner.cli.store import url_option

__all__ = ["command"]


@click.command("list")
@json_option
@url_option
def command(*, as_json: bool, url: str | None) -> None:
    """List queues: those that live nodes have, that something is set for, or that jobs wait, run or died in.

    Piped, a line is: name, state (active, paused, unserved: no live node takes its jobs), live nodes, running (also on
    nodes that died since), slots of those live nodes together, slots a node where they are set, rate, until when it is
    paused, who set it, why. Exits with 3 if there is none.
    """
    asyncio.run(_list(mode(as_json=as_json), url))


async def _list(how: Mode, url: str | None) -> None:
    async with controls(url) as opened:
        found = await read_queues(opened)
    if not await listing(how, page(found), QUEUES):
        raise Failed("no live node has a queue, nothing is set for any, and no job is in one", Exit.NOTHING)
