"""`backburner schedules show`."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

import click

from backburner.cli import completing
from backburner.cli.render import Mode, json_option, mode
from backburner.cli.schedules.coming import coming
from backburner.cli.schedules.description import describe
from backburner.cli.schedules.desk import desk
from backburner.cli.schedules.record import read_row
from backburner.cli.store import url_option
from backburner.scheduler.agenda import agenda

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.cli.schedules.coming import Coming

__all__ = ["command"]

#: Lines of the ledger, and moments to come.
_SHOWN = 5


@click.command("show")
@click.argument("name", shell_complete=completing.schedules)
@json_option
@url_option
def command(*, name: str, as_json: bool, url: str | None) -> None:
    """Show one schedule: when it is due, what holds then, its job, the last five ticks and the next."""
    asyncio.run(_show(name, mode(as_json=as_json), url))


async def _show(name: str, how: Mode, url: str | None) -> None:
    async with desk(url) as opened:
        row = await read_row(opened, name)
        ledger = await opened.schedules.ticks(name=name, limit=_SHOWN)
    record = row.record
    following: Sequence[Coming] = ()
    if row.rule is not None and row.state != "retired":
        days = agenda(name, record.rule)
        # What is overdue is decided upon first; of a pause it is passed over.
        start = row.now if record.next_tick is None or record.paused else min(row.now, record.next_tick - 1)
        following = coming(days, islice(days.upcoming(start), _SHOWN))
    describe(row, ledger.ticks, following, how)
