"""`backburner schedules ticks`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from backburner.cli import completing
from backburner.cli.exits import Exit, Failed
from backburner.cli.moments import past
from backburner.cli.reading import each, reading
from backburner.cli.render import Mode, json_option, listing, mode, note
from backburner.cli.schedules.desk import Desk, desk
from backburner.cli.schedules.tick import TICKS
from backburner.cli.store import url_option
from backburner.cli.times import Moment, moment
from backburner.model.schedule import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backburner.model.schedule import TickRecord

__all__ = ["command"]

#: Lines a page.
_PAGE = 500


@click.command("ticks")
@click.argument("name", required=False, shell_complete=completing.schedules)
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    type=click.Choice([outcome.value for outcome in Outcome]),
    callback=each(Outcome),
    help="What became of them; may be repeated.",
)
@click.option("--since", metavar="MOMENT", callback=reading(moment), help="Ticks at or after: 6h (ago), 23:00.")
@click.option("--until", metavar="MOMENT", callback=reading(moment), help="Ticks before.")
@click.option("--limit", metavar="N", type=click.IntRange(min=1), default=100, show_default=True, help="The newest N.")
@json_option
@url_option
def command(
    *,
    name: str | None,
    outcomes: tuple[Outcome, ...],
    since: Moment | None,
    until: Moment | None,
    limit: int,
    as_json: bool,
    url: str | None,
) -> None:
    """List what became of ticks, the last decided first: of all schedules, or of one, even if it was removed.

    A line may tell of several in a row that were skipped for one reason. LATE is how much later than it was to fire a
    tick was decided upon. Piped, a line is: schedule, tick, the last of several, how many (0: very many, not counted),
    outcome, why it was skipped (missed, merged: a later one fired in its place, overlap, unique, paused, changed), the
    job that was stored or stood in the way, late, decided, by whom it was asked for, what for. Exits with 3 if there is
    none.
    """
    asyncio.run(_ticks(name, outcomes, (since, until), limit, mode(as_json=as_json), url=url))


async def _ticks(
    name: str | None,
    outcomes: tuple[Outcome, ...],
    between: tuple[Moment | None, Moment | None],
    limit: int,
    how: Mode,
    *,
    url: str | None,
) -> None:
    async with desk(url) as opened:
        now = await opened.now() if any(between) else 0
        since, until = (
            given if given is None else past(option, given, now)
            for option, given in zip(("since", "until"), between, strict=True)
        )
        found = _Found(opened, name, outcomes, (since, until), limit)
        view = TICKS if name is None else replace(TICKS, spare=(0, 3))
        count = await listing(how, found.pages(), view)
        if not count and name is not None and not any((outcomes, *between)):
            await opened.schedules.get(name)
    if not count:
        raise Failed("no tick matches", Exit.NOTHING)
    if found.more:
        note(f"the newest {count:,}; there are more: --limit")


class _Found:
    """The lines that were asked for, and whether there are more."""

    def __init__(
        self,
        opened: Desk,
        name: str | None,
        outcomes: tuple[Outcome, ...],
        between: tuple[int | None, int | None],
        limit: int,
    ) -> None:
        self._schedules = opened.schedules
        self._name = name
        self._outcomes = outcomes
        self._between = between
        self._left = limit
        self.more = False

    async def pages(self) -> AsyncIterator[tuple[TickRecord, ...]]:
        after: str | None = None
        since, until = self._between
        while self._left:
            page = await self._schedules.ticks(
                name=self._name,
                outcomes=self._outcomes,
                since=since,
                until=until,
                limit=min(self._left, _PAGE),
                after=after,
            )
            yield page.ticks
            after = page.after
            self._left -= len(page.ticks)
            self.more = after is not None
            if after is None:
                return
