"""Events on their way in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.asking import find_asked
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.failures import is_content, why_refused
from backburner.backends.sqlite.statements import load
from backburner.backends.sqlite.steps import run
from backburner.errors import StoreRefused

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from backburner.backends.sqlite.asking import Asked
    from backburner.backends.sqlite.steps import Steps
    from backburner.model.event import NewEvent

__all__ = ["append", "carry", "write_events"]

_KNOWN = load("known_events")
_WRITE = load("write_events")

_decode_ids = msgspec.json.Decoder(set[str]).decode


def carry(connection: sqlite3.Connection, events: Sequence[NewEvent], now: int) -> None:
    """Store events in the step of the change that they tell of; raises `StoreRefused` for content."""
    if events:
        run(connection, append(events, now))


def append(events: Sequence[NewEvent], now: int) -> Steps[int]:
    """Store events that are asked for, or kept; return how many. Raises `StoreRefused` for content."""
    asked = yield from find_asked()
    try:
        return (yield from write_events(events, asked, now))
    except Exception as error:
        if not is_content(error):
            raise
        raise StoreRefused(f"An event cannot be stored: {why_refused(error)}", stored="no") from error


def write_events(events: Iterable[NewEvent], asked: Asked, now: int) -> Steps[int]:
    """Store events that are asked for, or kept, all or none; return how many.

    What cannot be stored is refused also where nobody asks for it: that is not to depend on who listens.
    """
    given = [*events]
    rows = [(each.name, each.subject, each.data, each.id) for each in given]
    written = to_json(rows)
    fresh = [row for row, each in zip(rows, given, strict=True) if each.kept or asked.wants(each.name)]
    ids = [event_id for *_, event_id in fresh if event_id is not None]
    if ids:
        # Looked up rather than left to the insert: a caller's connection does not tell how many rows that wrote.
        (found,) = yield _KNOWN, {"ids": to_json(ids)}
        fresh = _first_of_each(fresh, _decode_ids(found))
    if fresh:
        yield _WRITE, {"events": written if len(fresh) == len(rows) else to_json(fresh), "now": now}
    return len(fresh)


def _first_of_each(
    rows: Iterable[tuple[str, str, str, str | None]], known: set[str]
) -> list[tuple[str, str, str, str | None]]:
    """Return those without an id, and the first of each id that is not known."""
    fresh: list[tuple[str, str, str, str | None]] = []
    for row in rows:
        event_id = row[-1]
        if event_id is not None:
            if event_id in known:
                continue
            known.add(event_id)
        fresh.append(row)
    return fresh
