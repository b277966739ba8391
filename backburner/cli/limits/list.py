"""`backburner limits list`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.controls import controls
from backburner.cli.exits import Exit, Failed
from backburner.cli.limits.record import LIMITS, read_limits
from backburner.cli.render import Mode, json_option, listing, mode, page
from backburner.cli.store import url_option

__all__ = ["command"]


@click.command("list")
@json_option
@url_option
def command(*, as_json: bool, url: str | None) -> None:
    """List the limits of lanes: what the code declares, what is set in its place, and how much of it is used.

    Piped, a line is: name, declared, set, running of slots (empty where none runs, or where each key is counted apart),
    when its rate has a permit again (empty where it has one), who set it, why. Exits with 3 if there is none.
    """
    asyncio.run(_list(mode(as_json=as_json), url))


async def _list(how: Mode, url: str | None) -> None:
    async with controls(url) as opened:
        found = await read_limits(opened)
    if not await listing(how, page(found), LIMITS):
        raise Failed("no node has declared a limit yet", Exit.NOTHING)
