"""Follows a log of events, and asks for what it follows meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from backburner.cli.events.options import KEPT
from backburner.cli.events.record import Logged
from backburner.cli.exits import Exit, Failed
from backburner.cli.piping import check_reader
from backburner.cli.render import note
from backburner.errors import EventsGone, StoreError
from backburner.events.event import cursor_of, number_of
from backburner.jobs.identity import Identity
from backburner.model.clock import SECOND
from backburner.model.event import ALL, NewSubscription
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from backburner.cli.events.log import Log
    from backburner.model.clock import Clock
    from backburner.ports.events import Subscribed

__all__ = ["Follower"]

#: Events a page.
_PAGE = 500
#: Seconds between two looks.
PAUSE = 0.5
#: Microseconds for which the store remembers who asked, should nobody be left to take it back.
TTL = 120 * SECOND
#: Its subscription is entered anew so many times in that.
_RENEWALS = 8


class Follower:
    """Reads what comes, under a subscription of its own that says who asks: ``tail:host-pid-random``.

    Where the store may not be written to, it reads what others asked for.
    """

    def __init__(
        self, opened: Log, patterns: tuple[str, ...], *, subject: str | None, since: int | None, clock: Clock
    ) -> None:
        self._log = opened
        self._patterns = patterns
        self._subject = subject
        self._since = since
        self._clock = clock
        self.name = f"tail:{Identity().id}"
        self._log_name = ""
        #: The number up to which all was seen; None: it begins where the log does.
        self._at: int | None = None
        #: When its subscription was first entered, by the store's clock; None: it has none.
        self._first_entered: int | None = None
        self._entered_at = 0.0

    @asynccontextmanager
    async def asking(self, after: str | None = None) -> AsyncGenerator[None]:
        """Ask for the events in the block: those to come, or all behind a cursor, or since the moment that was given.

        Raises `InvalidCursor`. Should the store fail, a person is told how to go on from there.
        """
        try:
            await self._begin(after)
            yield
        except StoreError:
            if self._at is not None:
                note(f"--after {self._cursor} goes on from here")
            raise
        finally:
            # Should the store be out of reach, it forgets it after a while; where it takes no writes, there is none.
            with suppress(StoreError):
                await to_the_end(self._log.unsubscribe(self.name))

    async def pages(self) -> AsyncIterator[Sequence[Logged]]:
        """Bring what comes, by its number; ends only by an error: `EventsGone`, `StoreError`, or a lost subscription."""
        patterns = () if ALL in self._patterns else self._patterns
        while True:
            page = await self._log.read(
                patterns=patterns, subject=self._subject, since=self._since, after=self._at, limit=_PAGE
            )
            if self._at is not None and page.pruned > self._at:
                gone = cursor_of(page.log, page.pruned)
                raise EventsGone(
                    f"events up to {gone} have been deleted, their time being over: --after {gone} goes on behind them",
                    after=gone,
                )
            if page.events:
                yield [Logged(page.log, record) for record in page.events]
            self._at = page.upto
            if page.end:
                await self._pause()
                check_reader()
            await self._renew()

    @property
    def _cursor(self) -> str:
        return cursor_of(self._log_name, self._at or 0)

    async def _begin(self, after: str | None) -> None:
        known = await self._log.subscriptions()
        self._log_name = known.log
        if after is not None:
            self._at = number_of(after, known.log, known.last)
        entered = await self._enter()
        if after is None and self._since is None:
            self._at = known.last if entered is None else entered.last
        asked = ", ".join(self._patterns)
        if entered is None:
            note(
                f"{self._log.address} cannot be written to from here: this shows what is stored of {asked}, since others "
                f"ask for it, or always ({', '.join(KEPT)}); Ctrl-C ends it"
            )
        else:
            self._first_entered = entered.subscription.created_at
            note(f"asking for {asked} as {self.name}; Ctrl-C ends it")

    async def _enter(self) -> Subscribed | None:
        self._entered_at = self._clock.monotonic()
        return await self._log.subscribe(
            NewSubscription(name=self.name, patterns=self._patterns, ttl=TTL, after=self._at)
        )

    async def _renew(self) -> None:
        """Enter the subscription anew where it is time; the command ends where it was gone meanwhile."""
        if self._first_entered is None or self._clock.monotonic() - self._entered_at < TTL / SECOND / _RENEWALS:
            return
        entered = await self._enter()
        if entered is None or entered.subscription.created_at != self._first_entered:
            raise Failed(
                f"subscription {self.name} was removed, or forgotten while nothing was read for long: not all events "
                f"since then may have been stored; --after {self._cursor} goes on from here",
                Exit.PARTLY,
            )

    async def _pause(self) -> None:
        over = asyncio.Event()
        timer = self._clock.call_later(PAUSE, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()
