"""`backburner schedules resume`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.render import Mode, json_option, listing, mode, page
from backburner.cli.schedules.desk import desk
from backburner.cli.schedules.record import SCHEDULES, read_row
from backburner.cli.store import url_option

__all__ = ["command"]


@click.command("resume")
@click.argument("name")
@json_option
@url_option
def command(*, name: str, as_json: bool, url: str | None) -> None:
    """Have a schedule store jobs again, from its next tick on; `schedules backfill` makes good what was skipped.

    A line is as in `schedules list`.
    """
    asyncio.run(_resume(name, mode(as_json=as_json), url))


async def _resume(name: str, how: Mode, url: str | None) -> None:
    async with desk(url, write=True) as opened:
        await opened.schedules.resume(name)
        await listing(how, page([await read_row(opened, name)]), SCHEDULES)
