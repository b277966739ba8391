"""Reading the log of events from code: ``async for event in bb.events(…)``."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from backburner.errors import EventsGone, InvalidOption, StoreError, SubscriptionNotFound
from backburner.events.event import cursor_of, event_of, number_of
from backburner.model.clock import SECOND
from backburner.model.event import NewSubscription
from backburner.model.names import check_name
from backburner.ports.events import Confirmation
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from backburner.events.bell import Bell
    from backburner.events.event import Event
    from backburner.model.clock import Clock
    from backburner.ports.events import EventReader, EventStore, Received, Subscribed

__all__ = ["Following"]

#: Events that are read at once, and confirmed together.
BATCH = 100
#: Seconds after which a reader looks although nothing rang.
LOOK = 1.0
#: Events that were not asked for, or seconds, after which the subscription is moved on past them.
SKIPPED = 1_000
STANDING = 10.0
#: Microseconds for which a nameless reader that died is remembered.
NAMELESS = 10 * 60 * SECOND
#: A subscription is entered anew so many times in its ttl, so that it is not forgotten.
RENEWALS = 8


class Following:
    """One reader of the log, under a subscription of its own."""

    def __init__(
        self,
        store: EventStore,
        reader: EventReader,
        bell: Bell,
        *,
        patterns: tuple[str, ...],
        subject: str | None,
        subscription: str | None,
        after: str | None,
        ttl: int,
        clock: Clock,
    ) -> None:
        self._store = store
        self._reader = reader
        self._bell = bell
        self._patterns = patterns
        self._subject = subject
        self._nameless = subscription is None
        self._name = (
            f"reader:{secrets.token_hex(8)}" if subscription is None else check_name(subscription, "subscription")
        )
        self._after = after
        self._ttl = NAMELESS if self._nameless else ttl
        self._clock = clock
        self._entered_at = 0.0
        #: Where the subscription stands, and the last event that its reader is done with.
        self._cursor = self._done = 0
        self._moved_at = clock.monotonic()

    async def events(self) -> AsyncGenerator[Event]:
        """Yield events as they come, each confirmed once the next is asked for; ends only when it is closed."""
        entered = await self._enter(await self._start())
        self._cursor = self._done = entered.subscription.cursor
        try:
            while True:
                received, log = await self._pull()
                self._cursor = self._done = received.cursor
                for record in received.events:
                    if self._subject is None or record.subject == self._subject:
                        yield event_of(log, record)
                    self._done = record.number
                if received.events or received.upto - received.cursor >= SKIPPED or self._stood_for() > STANDING:
                    self._done = received.upto
                if self._done > self._cursor:
                    await self._confirm()
                if len(received.events) < BATCH:
                    await self._bell.wait(LOOK)
        finally:
            await to_the_end(self._leave())

    def _stood_for(self) -> float:
        """Return for how many seconds the subscription has not been moved on."""
        return self._clock.monotonic() - self._moved_at

    async def _start(self) -> int | None:
        """Return the number to begin after; raises `InvalidCursor`, and `InvalidOption` for a handler's subscription."""
        known = await self._reader.subscriptions()
        if any(each.name == self._name and each.kind is not None for each in known.subscriptions):
            raise InvalidOption(
                f"subscription {self._name!r} is a handler's, whose events go to its jobs; choose another name",
                option="subscription",
            )
        return None if self._after is None else number_of(self._after, known.log, known.last)

    async def _enter(self, after: int | None) -> Subscribed:
        self._entered_at = self._clock.monotonic()
        return await self._store.subscribe(
            NewSubscription(name=self._name, patterns=self._patterns, ttl=self._ttl, after=after)
        )

    async def _pull(self) -> tuple[Received, str]:
        if self._clock.monotonic() - self._entered_at > self._ttl / SECOND / RENEWALS:
            await self._enter(None)
        pulled = await self._store.pull([self._name], limit=BATCH)
        if not pulled.received:
            raise SubscriptionNotFound(
                f"subscription {self._name!r} was removed while it was read; read again to enter it anew, from now on"
            )
        (received,) = pulled.received
        if received.lost is not None:
            after = cursor_of(pulled.log, received.lost)
            raise EventsGone(
                f"subscription {self._name!r} stands at {cursor_of(pulled.log, received.cursor)!r}, and events up to "
                f"{after!r} have been deleted since: go on with after={after!r}, and keep events for longer "
                '(keep={"events": …})',
                after=after,
            )
        return received, pulled.log

    async def _confirm(self) -> None:
        # Outrun, it stands where another reader of its name has moved it, and goes on from there.
        await self._store.confirm((Confirmation(name=self._name, cursor=self._cursor, upto=self._done),))
        self._cursor = self._done
        self._moved_at = self._clock.monotonic()

    async def _leave(self) -> None:
        # Should the store be out of reach: a nameless reader is forgotten after a while, and what a named one was done
        # with is handed to it again.
        with suppress(StoreError):
            if self._nameless:
                await self._store.unsubscribe(self._name)
            elif self._done > self._cursor:
                await self._confirm()
