"""Reads of events and subscriptions, in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.redis import recording
from backburner.backends.redis.following import STEP, Names, fetch
from backburner.model.event import ALL
from backburner.ports.events import LOOKED_AT, EventPage, Subscriptions

if TYPE_CHECKING:
    from collections.abc import Collection

    from backburner.backends.redis.session import Session
    from backburner.model.event import EventRecord

__all__ = ["RedisEventReader"]


class RedisEventReader:
    """An `EventReader`. Events are found by number; what else is asked for is looked at here, in steps."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def read(
        self,
        *,
        patterns: Collection[str] = (),
        subject: str | None = None,
        since: int | None = None,
        until: int | None = None,
        after: int | None = None,
        newest: bool = False,
        limit: int,
    ) -> EventPage:
        """Return events that match, by number, those above ``after``; with ``newest`` down from below it."""
        names = Names(patterns or (ALL,))

        def fits(event: EventRecord) -> bool:
            return (
                (subject is None or event.subject == subject)
                and (since is None or event.time >= since)
                and (until is None or event.time < until)
                and names.wants(event.name)
            )

        found: list[EventRecord] = []
        at = after if newest or after is not None else 0
        left, step = LOOKED_AT, min(STEP, max(1, limit))
        while True:
            stretch = await fetch(self._session, at, min(step, left), down=newest)
            at = stretch.last + 1 if at is None else at
            for event in reversed(stretch.events) if newest else stretch.events:
                if len(found) >= limit:
                    break
                at = event.number
                if fits(event):
                    found.append(event)
            if len(found) < limit:
                at = min(at, stretch.first) if newest else max(at, stretch.final)
            end = at <= stretch.pruned + 1 if newest else at >= stretch.last
            left, step = left - len(stretch.events), STEP
            if end or left <= 0 or len(found) >= limit:
                return EventPage(
                    now=stretch.now,
                    log=stretch.log,
                    events=tuple(found),
                    upto=at,
                    end=end,
                    pruned=stretch.pruned,
                    last=stretch.last,
                )

    async def subscriptions(self) -> Subscriptions:
        """Return all subscriptions."""
        keys = self._session.keys
        now, log, last, *found = await self._session.scripts.read(
            "read_subscriptions", (keys.meta, keys.subscriptions), ("all",)
        )
        kept = (
            recording.subscription(name.decode(), value) for name, value in zip(found[::2], found[1::2], strict=True)
        )
        by_name = tuple(sorted(kept, key=lambda subscription: subscription.name))
        return Subscriptions(now=now, log=log.decode(), last=last, subscriptions=by_name)
