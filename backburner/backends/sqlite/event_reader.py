"""Reads of events and of who asks for them, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.filtering import Filtered
from backburner.backends.sqlite.statements import load
from backburner.model.event import EventRecord, SubscriptionRecord
from backburner.ports.events import LOOKED_AT, EventPage, Subscriptions

if TYPE_CHECKING:
    from collections.abc import Collection

    from backburner.backends.sqlite.session import Session

__all__ = ["SqliteEventReader"]

#: Which events are looked at, by the name of the parameter that is compared.
_LOOKED: Final = {"subject": "subject = :subject", "above": "number > :above", "below": "number < :below"}
_READ: Final = Filtered("read_events", _LOOKED)
_READ_NEWEST: Final = Filtered("read_newest_events", _LOOKED)
_SUBSCRIPTIONS: Final = load("subscriptions")

_decode_events = msgspec.json.Decoder(tuple[EventRecord, ...]).decode
_decode_subscriptions = msgspec.json.Decoder(tuple[SubscriptionRecord, ...]).decode


class SqliteEventReader:
    """An `EventReader`: each read is one statement that answers one row, on a connection that cannot write."""

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
        """Return events above ``after``, by number, or with ``newest`` those below it, the newest first."""
        now = self._session.clock.now()
        given = {
            "subject": subject,
            "above": None if newest else after,
            "below": after if newest else None,
            "patterns": to_json([*patterns]) if patterns else None,
            "since": since,
            "until": until,
            "page": limit,
            "looked": LOOKED_AT,
        }
        statement = _READ_NEWEST if newest else _READ
        ((log, pruned, last, found, reached),) = await self._session.reads.all(statement.text(given), given)
        events = _decode_events(found)
        page = events[:limit]
        # All that there is was looked at: up to the last event, or down to the first.
        border = min(pruned, last if after is None else after) if newest else max(last, after or 0)
        upto = border if reached is None else reached
        if len(events) > limit:
            upto = page[-1].number
        end = len(events) <= limit and (upto <= pruned + 1 if newest else upto >= last)
        return EventPage(now=now, log=log, events=page, upto=upto, end=end, pruned=pruned, last=last)

    async def subscriptions(self) -> Subscriptions:
        """Return all subscriptions, by name."""
        now = self._session.clock.now()
        ((log, last, found),) = await self._session.reads.all(_SUBSCRIPTIONS)
        return Subscriptions(now=now, log=log, last=last, subscriptions=_decode_subscriptions(found))
