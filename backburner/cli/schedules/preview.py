"""`backburner schedules preview`."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

import click

from backburner import config
from backburner.cli import completing
from backburner.cli.exits import Exit, Failed
from backburner.cli.moments import past
from backburner.cli.reading import reading
from backburner.cli.render import Mode, json_option, listing, mode, note, one, page
from backburner.cli.schedules.coming import COMING, Coming, coming
from backburner.cli.schedules.desk import desk
from backburner.cli.schedules.record import read_row
from backburner.cli.schedules.timing import Timing, timing_options
from backburner.cli.store import url_option
from backburner.cli.times import Moment, moment
from backburner.model.clock import SystemClock
from backburner.scheduler.agenda import Agenda, agenda
from backburner.scheduler.rule import make_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["command"]

_MOST = 10_000


@click.command("preview")
@click.argument("name", required=False, shell_complete=completing.schedules)
@timing_options
@click.option(
    *("-n", "--count"), metavar="N", type=click.IntRange(1, _MOST), default=10, show_default=True, help="How many."
)
@click.option(
    "--since",
    metavar="MOMENT",
    callback=reading(moment),
    help="After which moment: 2026-03-28, 6h (ago).  [default: now]",
)
@json_option
@url_option
def command(
    *, name: str | None, timing: Timing, count: int, since: Moment | None, as_json: bool, url: str | None
) -> None:
    """Show what comes next: of the schedule NAME, or of --cron, --every or --at without any store.

    Where a change of the clocks touches a time, a note says what will happen: it does not exist that day, or comes twice.
    With --cron, NAME is only what an H is drawn from. Piped, a line is: tick (empty: it does not run), what the clock on
    the wall reads, zone, when it fires (the tick, later by its jitter), note. Exits with 3 if nothing comes.
    """
    how = mode(as_json=as_json)
    if timing.given:
        found = _imagined(name, timing, count, since)
    elif name is None:
        raise click.UsageError("preview what? NAME, or --cron EXPRESSION, --every 5m, --at MOMENT")
    else:
        timing.check_alone()
        found = asyncio.run(_stored(name, count, since, url))
    asyncio.run(_write(how, found))
    if not found:
        raise Failed("nothing comes any more", Exit.NOTHING)


async def _write(how: Mode, found: Sequence[Coming]) -> None:
    if how is Mode.TABLE:
        # Whole sentences, of which a table would cut the end off.
        one(how, None, [tuple(filter(None, COMING.cells(each))) for each in found])
    else:
        await listing(how, page(found), COMING)


def _imagined(name: str | None, timing: Timing, count: int, since: Moment | None) -> Sequence[Coming]:
    now = SystemClock().now()
    trigger = timing.trigger(now, None)
    if name is None and timing.spread(trigger):
        raise click.UsageError("an H is drawn from the schedule's name: say that too, preview NAME --cron …")
    rule = make_rule(trigger, {}, tz=timing.tz or config.time_zone(), now=now)
    return _coming(
        Agenda(name or "", rule), now, since if since is None else past("since", since, now, timing.zone), count
    )


async def _stored(name: str, count: int, since: Moment | None, url: str | None) -> Sequence[Coming]:
    async with desk(url) as opened:
        row = await read_row(opened, name)
    if row.state in {"paused", "retired"}:
        note(f"{name} is {row.state}{row.pause if row.state == 'paused' else ''}: it does not fire meanwhile")
    return _coming(
        agenda(name, row.record.rule), row.now, since if since is None else past("since", since, row.now), count
    )


def _coming(days: Agenda, now: int, since: int | None, count: int) -> Sequence[Coming]:
    return coming(days, islice(days.upcoming(now if since is None else since - 1), count))
