"""Reads of events and of who asks for them, in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.ports.events import LOOKED_AT, EventPage, Subscriptions

if TYPE_CHECKING:
    from collections.abc import Collection

    from backburner.backends.postgres.session import Session

__all__ = ["PostgresEventReader"]

_encode = msgspec.json.Encoder().encode
_decode_page = msgspec.json.Decoder(EventPage).decode
_decode_subscriptions = msgspec.json.Decoder(Subscriptions).decode


class PostgresEventReader:
    """An `EventReader`. On a store opened for writing, what is committed gets its number first."""

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
        session = self._session
        document = {
            "now": session.now,
            "seal": session.writes,
            "patterns": [*patterns] or None,
            "subject": subject,
            "since": since,
            "until": until,
            "after": after,
            "newest": newest,
            "limit": limit,
            "looked": LOOKED_AT,
        }
        return _decode_page(await session.call(session.reads, "read_events", _encode(document)))

    async def subscriptions(self) -> Subscriptions:
        """Return all subscriptions, by name."""
        session = self._session
        document = _encode({"now": session.now, "seal": session.writes})
        return _decode_subscriptions(await session.call(session.reads, "list_subscriptions", document))
