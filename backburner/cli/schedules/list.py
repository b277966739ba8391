"""`backburner schedules list`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli import completing
from backburner.cli.exits import Exit, Failed
from backburner.cli.render import Mode, json_option, listing, mode
from backburner.cli.schedules.desk import desk
from backburner.cli.schedules.record import SCHEDULES, read_rows
from backburner.cli.store import url_option

__all__ = ["command"]


@click.command("list")
@click.option("--kind", shell_complete=completing.kinds, help="Only those whose jobs are of this kind.")
@json_option
@url_option
def command(*, kind: str | None, as_json: bool, url: str | None) -> None:
    """List schedules, by name: those in code, and those that people put.

    LAST is the last tick that was decided upon, NEXT the next, LAG by how much that is overdue. Piped, a line is: name,
    kind, when, state (active, paused, retired: no living node declares it, ended: it has no tick any more), code or put
    (by a person), last, next, lag, overlap, when a job was last stored, that job, until when it is paused, by whom, why,
    and what its jobs wait for. Exits with 3 if there is none.
    """
    asyncio.run(_list(kind, mode(as_json=as_json), url))


async def _list(kind: str | None, how: Mode, url: str | None) -> None:
    async with desk(url) as opened:
        count = await listing(how, read_rows(opened, kind), SCHEDULES)
    if not count:
        raise Failed("there is no schedule" if kind is None else f"no schedule is of kind {kind}", Exit.NOTHING)
