"""Reads of schedules and of their ledgers, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.filtering import Filtered
from backburner.backends.sqlite.statements import load
from backburner.model.schedule import ScheduleRecord, TickRecord
from backburner.ports.schedules import Schedules, Ticks

if TYPE_CHECKING:
    from collections.abc import Collection

    from backburner.backends.sqlite.session import Session
    from backburner.model.schedule import Outcome

__all__ = ["SqliteScheduleReader"]

_GET = load("schedules")
#: Each with its conditions, by the name of the parameter that is compared.
_FIND: Final = Filtered(
    "find_schedules",
    {"after": "name > :after", "declared": "declared = :declared", "kind": "kind = :kind"},
)
_TICKS: Final = Filtered(
    "find_ticks",
    {
        "schedule": "schedule = :schedule",
        "after": "id < :after",
        "since": "last >= :since",
        "until": "tick < :until",
        "outcomes": "outcome IN (SELECT value FROM json_each(:outcomes))",
    },
)

_decode_schedules = msgspec.json.Decoder(tuple[ScheduleRecord, ...]).decode
_decode_ticks = msgspec.json.Decoder(tuple[TickRecord, ...]).decode


class SqliteScheduleReader:
    """A `ScheduleReader`: each read is one statement that answers one row, on a connection that cannot write."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, names: Collection[str]) -> Schedules:
        """Return those of these names that exist, in one page."""
        now = self._session.clock.now()
        found = await self._session.reads.one(_GET, {"names": to_json([*names])})
        return Schedules(now, _decode_schedules(found))

    async def find(
        self, *, declared: bool | None = None, kind: str | None = None, limit: int, after: str | None = None
    ) -> Schedules:
        """Return schedules by name, those after ``after``."""
        now = self._session.clock.now()
        # One more than asked for tells whether there is a next page.
        given = {"declared": declared, "kind": kind, "after": after, "limit": limit + 1}
        found = _decode_schedules(await self._session.reads.one(_FIND.text(given), given))
        page = found[:limit]
        return Schedules(now, page, page[-1].name if page and len(found) > limit else None)

    async def ticks(
        self,
        *,
        schedule: str | None = None,
        outcomes: Collection[Outcome] = (),
        since: int | None = None,
        until: int | None = None,
        limit: int,
        after: str | None = None,
    ) -> Ticks:
        """Return lines of the ledger, the greatest id first, those below ``after``."""
        now = self._session.clock.now()
        given = {
            "schedule": schedule,
            "outcomes": to_json([*outcomes]) if outcomes else None,
            "since": since,
            "until": until,
            "after": after,
            "limit": limit + 1,
        }
        found = _decode_ticks(await self._session.reads.one(_TICKS.text(given), given))
        page = found[:limit]
        return Ticks(now, page, page[-1].id if page and len(found) > limit else None)
