"""Following the log: what subscriptions have before them, and pages of events; looked at here, fetched in steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.redis import recording
from backburner.model.event import EventRecord, patterns_of
from backburner.ports.events import LOOKED_AT, Received

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from backburner.backends.redis.session import Session
    from backburner.model.event import SubscriptionRecord

__all__ = ["STEP", "Follower", "Names", "Stretch", "fetch", "follow"]

#: Events fetched by one script: a fraction of a millisecond.
STEP = 500


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Some events of the log, by number, and how the log was when they were fetched."""

    now: int
    log: str
    last: int
    pruned: int
    #: The numbers of the first and the last that was looked for; where there was none, the last is below the first.
    first: int
    final: int
    events: tuple[EventRecord, ...]


async def fetch(session: Session, after: int | None, few: int, *, down: bool = False) -> Stretch:
    """Fetch at most ``few`` events behind a number; ``down``: before it (None: the newest)."""
    keys = session.keys
    now, log, last, pruned, first, values = await session.scripts.read(
        "read_events", (keys.meta, keys.events), ("" if after is None else after, few, "down" if down else "")
    )
    events = tuple(recording.event(number, value) for number, value in enumerate(values, first) if value is not None)
    return Stretch(
        now=now,
        log=log.decode(),
        last=last,
        pruned=pruned,
        first=first,
        final=first + len(values) - 1,
        events=events,
    )


class Names:
    """Which names some patterns ask for; each name is looked at once."""

    __slots__ = ("_known", "_patterns")

    def __init__(self, patterns: Collection[str]) -> None:
        self._patterns = frozenset(patterns)
        self._known: dict[str, bool] = {}

    def wants(self, name: str) -> bool:
        """Tell whether one of them asks for a name."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = not self._patterns.isdisjoint(patterns_of(name))
        return known


class Follower:
    """A subscription on its way through the log."""

    __slots__ = ("_events", "_left", "_limit", "_lost", "_names", "_record", "at", "done")

    def __init__(self, record: SubscriptionRecord, limit: int) -> None:
        self._record = record
        self._limit = limit
        #: Events that it may still look at.
        self._left = LOOKED_AT
        self._names = Names(record.patterns)
        self._events: list[EventRecord] = []
        self._lost: int | None = None
        #: The number of the last event it has looked at.
        self.at = record.cursor
        self.done = limit <= 0

    def see(self, stretch: Stretch) -> None:
        """Look at some events, those behind where it is; what is missing before them was deleted."""
        if stretch.pruned > self.at:
            self._lost = self.at = stretch.pruned
        for event in stretch.events:
            if event.number > self.at:
                self._look_at(event)
            if self.done:
                return
        self.at = max(self.at, stretch.final)

    def _look_at(self, event: EventRecord) -> None:
        self.at = event.number
        self._left -= 1
        if self._names.wants(event.name):
            self._events.append(event)
        self.done = self._left == 0 or len(self._events) >= self._limit

    def received(self) -> Received:
        """Return what the subscription has before it."""
        return Received(
            name=self._record.name,
            cursor=self._record.cursor,
            upto=self.at,
            events=tuple(self._events),
            lost=self._lost,
        )


async def follow(session: Session, followers: Sequence[Follower], last: int, *, few: int) -> None:
    """Bring followers as far as each goes; ``last`` is the number of the newest event. At first ``few``, then in steps."""
    step = min(STEP, max(1, few))
    while True:
        behind = [follower for follower in followers if not follower.done and follower.at < last]
        if not behind:
            return
        start = min(follower.at for follower in behind)
        stretch = await fetch(session, start, step)
        for follower in behind:
            follower.see(stretch)
        last, step = stretch.last, STEP
