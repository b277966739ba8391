"""An event as people and their code have it; and cursors, which name a place in one store's log."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from backburner.errors import InvalidCursor
from backburner.events.carrying import parted
from backburner.model.clock import from_micros

if TYPE_CHECKING:
    from backburner.model.event import EventRecord

__all__ = ["Event", "cursor_of", "event_of", "number_of"]

_CURSOR = re.compile(r"([0-9a-z]{1,32})-(\d{1,18})")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened."""

    #: The publisher's, else the cursor: of two deliveries of one event it is the same.
    id: str
    #: Dotted, such as ``order.paid``.
    name: str
    #: What it tells of: ``order/42``; of the engine's ``job.`` events the job's id.
    subject: str
    #: When it was written, by the store's clock; aware, UTC.
    time: datetime
    data: dict[str, Any]
    #: Its place in the store's log: reading goes on after it.
    cursor: str
    #: What travelled with it from whoever published it: a trace, a correlation id. Its handlers' jobs carry it on.
    headers: dict[str, str] = {}


def event_of(log: str, record: EventRecord) -> Event:
    """Return an event as it was read from a log."""
    cursor = cursor_of(log, record.number)
    data, headers = parted(record.data)
    return Event(
        id=cursor if record.id is None else record.id,
        name=record.name,
        subject=record.subject,
        time=from_micros(record.time),
        data=msgspec.json.decode(data, type=dict[str, Any]),
        cursor=cursor,
        headers=headers,
    )


def cursor_of(log: str, number: int) -> str:
    """Return the cursor of a place in a log."""
    return f"{log}-{number}"


def number_of(cursor: str, log: str, last: int) -> int:
    """Return the number that a cursor names in a log whose newest event has the number ``last``.

    Raises `InvalidCursor` for what is none, is of another store, or lies ahead.
    """
    found = _CURSOR.fullmatch(str(cursor))
    if found is None:
        raise InvalidCursor(f"{cursor!r} is no cursor; one is {cursor_of(log, last)!r}, as Event.cursor has it")
    if found[1] != log:
        raise InvalidCursor(
            f"cursor {cursor!r} is of another store: those of this one begin with {log + '-'!r}; read from its start, "
            f"{cursor_of(log, 0)!r}, or from now on, without a cursor"
        )
    number = int(found[2])
    if number > last:
        raise InvalidCursor(
            f"cursor {cursor!r} lies ahead of this store's newest event, {cursor_of(log, last)!r}, as after an older "
            "copy of it was brought back: go on from an earlier one"
        )
    return number
