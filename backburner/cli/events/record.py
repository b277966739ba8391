"""An event, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from backburner.cli.render import View
from backburner.cli.times import iso
from backburner.codec.marks import masked
from backburner.events.carrying import parted
from backburner.events.event import cursor_of
from backburner.model.clock import SECOND

if TYPE_CHECKING:
    from backburner.model.event import EventRecord

__all__ = ["EVENTS", "Logged"]

_encode = msgspec.json.Encoder().encode


class Logged(NamedTuple):
    """An event, and the name of the log that it stands in."""

    log: str
    record: EventRecord

    @property
    def cursor(self) -> str:
        """Its place."""
        return cursor_of(self.log, self.record.number)


def _shown(record: EventRecord) -> str:
    data, _ = parted(record.data)
    return masked(data)


def _second(at: int) -> str:
    return iso(at - at % SECOND).replace(".000", "")


def _short(data: str) -> str:
    """Write data in a line: ``kind=charge attempt=2``; where all of it is secret, only that is left to be said."""
    fields: object = msgspec.json.decode(data)
    if not isinstance(fields, dict):
        return _word(fields)
    return " ".join(f"{name}={_word(value)}" for name, value in cast("dict[str, Any]", fields).items())


def _word(value: object) -> str:
    return value if isinstance(value, str) else _encode(value).decode()


def _cells(event: Logged) -> tuple[str, ...]:
    record = event.record
    return (_second(record.time), record.name, record.subject, _short(_shown(record)))


def _fields(event: Logged) -> tuple[str, ...]:
    record = event.record
    return (event.cursor, iso(record.time), record.name, record.subject, _shown(record))


def _value(event: Logged) -> dict[str, object]:
    record = event.record
    return {
        "id": event.cursor if record.id is None else record.id,
        "cursor": event.cursor,
        "name": record.name,
        "subject": record.subject,
        "time": iso(record.time),
        "data": msgspec.Raw(_shown(record).encode()),
    }


EVENTS: View[Logged] = View(titles=("TIME", "EVENT", "SUBJECT", "DATA"), cells=_cells, fields=_fields, value=_value)
