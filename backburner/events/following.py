"""Reading the log of events from code: ``async for event in bb.events(…)``."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from backburner.errors import EventsGone, InvalidOption, NotRunning, StoreError, SubscriptionNotFound
from backburner.events.event import cursor_of, event_of, number_of
from backburner.model.clock import SECOND
from backburner.model.event import NewSubscription
from backburner.model.names import check_name
from backburner.ports.events import LOOKED_AT, Confirmation
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from backburner.events.bell import Bell
    from backburner.events.event import Event
    from backburner.model.clock import Clock
    from backburner.model.event import SubscriptionRecord
    from backburner.ports.events import EventReader, EventStore, Received

__all__ = ["Following"]

#: Events that are read at once, and confirmed together.
BATCH = 100
#: Seconds after which a reader looks although nothing rang, and confirms although there is more.
LOOK = 1.0
#: Seconds between two looks: many writes are followed by one.
PAUSE = 0.02
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
        loop: asyncio.AbstractEventLoop,
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
        self._loop = loop
        #: When the subscription was made, by the store's clock: another moment is another subscription.
        self._created_at = 0
        self._removed = False
        #: Where the subscription stands, and the last event that its reader is done with.
        self._cursor = self._done = 0
        self._confirmed_at = clock.monotonic()

    async def events(self) -> AsyncGenerator[Event]:
        """Yield events as they come, each confirmed once the next is asked for; ends only when it is closed.

        Raises `InvalidCursor`, `InvalidOption`, `EventsGone`, `SubscriptionNotFound`, `StoreError`, and `NotRunning` once
        the engine stops.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise NotRunning("the engine runs on another event loop than this: read its events there")
        after = await self._start()
        staying: asyncio.Task[None] | None = None
        try:
            entered = await self._enter(after)
            self._created_at = entered.created_at
            staying = asyncio.create_task(self._stay(), name="backburner.reader")
            self._cursor = self._done = entered.cursor
            while True:
                heard = self._bell.rung
                received, log = await self._pull()
                self._cursor = self._done = received.cursor
                for record in received.events:
                    if self._subject is None or record.subject == self._subject:
                        yield event_of(log, record)
                    self._done = record.number
                    if self._late and not await self._confirm():
                        break
                else:
                    far = received.upto - received.cursor >= LOOKED_AT
                    self._done = received.upto
                    if self._done > self._cursor and (received.events or far or self._late):
                        await self._confirm()
                    if not far and len(received.events) < BATCH:
                        await self._rest(heard)
        finally:
            if staying is not None:
                staying.cancel()
            await to_the_end(self._leave())

    async def _start(self) -> int | None:
        """Return the number to begin after; raises `InvalidCursor`, and `InvalidOption` for a handler's subscription."""
        known = await self._reader.subscriptions()
        if any(each.name == self._name and each.kind is not None for each in known.subscriptions):
            raise InvalidOption(
                f"subscription {self._name!r} is a handler's, whose events go to its jobs; choose another name",
                option="subscription",
            )
        return None if self._after is None else number_of(self._after, known.log, known.last)

    async def _enter(self, after: int | None) -> SubscriptionRecord:
        answer = await self._store.subscribe(
            NewSubscription(name=self._name, patterns=self._patterns, ttl=self._ttl, after=after)
        )
        return answer.subscription

    async def _stay(self) -> None:
        """Enter the subscription anew while it is read, however long its reader takes over an event."""
        while not self._bell.closed:
            over = asyncio.Event()
            timer = self._clock.call_later(self._ttl / SECOND / RENEWALS, over.set)
            try:
                await over.wait()
            finally:
                timer.cancel()
            with suppress(StoreError):
                # Made by this very call, it was gone before.
                if (await self._enter(None)).created_at != self._created_at:
                    self._removed = True

    async def _pull(self) -> tuple[Received, str]:
        if self._bell.closed:
            raise NotRunning("the engine stopped while its events were read")
        pulled = await self._store.pull([self._name], limit=BATCH)
        if self._removed or not pulled.received:
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

    @property
    def _late(self) -> bool:
        return self._clock.monotonic() - self._confirmed_at >= LOOK

    async def _confirm(self) -> bool:
        """Move the subscription on; False: another reader of its name has, so that it is to be asked where it stands."""
        answer = await self._store.confirm((Confirmation(name=self._name, cursor=self._cursor, upto=self._done),))
        self._cursor = self._done
        self._confirmed_at = self._clock.monotonic()
        return answer.groups != (None,)

    async def _rest(self, heard: int) -> None:
        """Wait until there may be more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PAUSE):
                await asyncio.Event().wait()
        await self._bell.wait(heard, LOOK)

    async def _leave(self) -> None:
        # Should the store be out of reach: a nameless reader is forgotten after a while, and what a named one was done
        # with is handed to it again.
        with suppress(StoreError):
            if self._nameless:
                await self._store.unsubscribe(self._name)
            elif self._done > self._cursor:
                await self._confirm()
