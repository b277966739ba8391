"""`backburner events list`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from backburner.cli.events.log import Log, log
from backburner.cli.events.options import KEPT, event_options, instant, unasked
from backburner.cli.events.record import EVENTS, Logged
from backburner.cli.exits import Exit, Failed
from backburner.cli.reading import reading
from backburner.cli.render import Mode, json_option, listing, mode, note
from backburner.cli.store import url_option
from backburner.cli.times import Moment, moment
from backburner.events.event import cursor_of, number_of
from backburner.events.naming import check_patterns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

__all__ = ["command"]

#: Events a page.
_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the options say."""

    #: Empty: all.
    patterns: tuple[str, ...]
    subject: str | None
    since: Moment | None
    until: Moment | None
    after: str | None
    limit: int


@click.command("list")
@event_options
@click.option("--until", metavar="MOMENT", callback=reading(moment), help="Written before.")
@click.option("--limit", metavar="N", type=click.IntRange(min=1), default=100, show_default=True, help="The newest N.")
@json_option
@url_option
def command(
    *,
    names: tuple[str, ...],
    subject: str | None,
    since: Moment | None,
    after: str | None,
    until: Moment | None,
    limit: int,
    as_json: bool,
    url: str | None,
) -> None:
    """List events that are stored, newest first.

    Stored is what a subscription asks for (`events subscriptions`), and always what people did: --name 'operator.*' is
    the audit, with who and why. Piped, a line is: cursor, time, name, subject, data as JSON. Exits with 3 if there is
    none.
    """
    asked = _Asked(
        patterns=check_patterns(names) if names else (),
        subject=subject,
        since=since,
        until=until,
        after=after,
        limit=limit,
    )
    asyncio.run(_list(asked, mode(as_json=as_json), url))


async def _list(asked: _Asked, how: Mode, url: str | None) -> None:
    async with log(url) as opened:
        known = await opened.subscriptions()
        between = (instant("since", asked.since, known.now), instant("until", asked.until, known.now))
        after = 0 if asked.after is None else number_of(asked.after, known.log, known.last)
        found = _Found(opened, asked, between, after)
        count = await listing(how, found.pages(), EVENTS)
    if asked.after is not None and found.pruned > after:
        note(f"events up to {cursor_of(known.log, found.pruned)} have been deleted, their time being over")
    said = unasked(asked.patterns, known)
    if said:
        note(said)
    if not count:
        rule = "" if said else f"; stored are {', '.join(KEPT)} and what a subscription asks for"
        raise Failed(f"no event matches{rule}", Exit.NOTHING)
    if found.more:
        note(f"the newest {count:,}; there are more: --limit")


class _Found:
    """The events that were asked for, and whether there are more."""

    def __init__(self, opened: Log, asked: _Asked, between: tuple[int | None, int | None], after: int) -> None:
        self._log = opened
        self._asked = asked
        self._between = between
        self._after = after
        self.more = False
        #: The greatest number that was deleted.
        self.pruned = 0

    async def pages(self) -> AsyncIterator[Sequence[Logged]]:
        left, at = self._asked.limit, None
        since, until = self._between
        while True:
            page = await self._log.read(
                patterns=self._asked.patterns,
                subject=self._asked.subject,
                since=since,
                until=until,
                after=at,
                newest=True,
                # One more tells whether there are more.
                limit=min(left + 1, _PAGE),
            )
            self.pruned = page.pruned
            events = [Logged(page.log, record) for record in page.events if record.number > self._after]
            yield events[:left]
            self.more = len(events) > left
            left -= len(events)
            at = page.upto
            if self.more or page.end or at <= self._after:
                return
