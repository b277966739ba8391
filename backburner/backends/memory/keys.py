"""Unique keys: who holds each, and who waits at its gate."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from backburner.backends.memory.place import Place
from backburner.model.job import UNIQUE_GATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.backends.memory.row import Row

__all__ = ["Keys", "holds"]


class Keys:
    """The rows that have a unique key. Whether one holds its key is worked out from the row itself."""

    __slots__ = ("_rows", "_waiting")

    def __init__(self) -> None:
        #: The rows that hold a key or may come to hold it, by key and id; those at its gate are not among them.
        self._rows: defaultdict[str, dict[str, Row]] = defaultdict(dict)
        #: Those at each key's gate, over all queues.
        self._waiting: defaultdict[str, Place] = defaultdict(Place)

    def enter(self, row: Row) -> None:
        """Take note of a row that may hold a key, or come to."""
        unique = row.job.unique
        if unique is not None:
            self._rows[unique.key][row.job.id] = row

    def forget(self, row: Row) -> None:
        """Strike a row that is deleted, has ended and holds its key no more, or stands at the key's gate."""
        unique = row.job.unique
        if unique is None or unique.key not in self._rows:
            return
        rows = self._rows[unique.key]
        rows.pop(row.job.id, None)
        if not rows:
            del self._rows[unique.key]

    def holder(self, key: str, now: int, *, beside: str = "") -> str | None:
        """Return the id of the row that holds a key, the first where several do; ``beside`` does not count."""
        rows = [*self._rows.get(key, {}).values()]
        holders = [row for row in rows if holds(row, now)]
        if len(holders) < len(rows):
            for row in rows:
                if row.ended_at is not None and not holds(row, now):
                    self.forget(row)
        return min((row.job.id for row in holders if row.job.id != beside), default=None)

    def place(self, gate: str) -> Place:
        """Return where the rows at a key's gate stand."""
        return self._waiting[gate]

    def first(self, key: str, now: int) -> Row | None:
        """Return the first at a key's gate; None where nobody waits, or the key is held."""
        place = self._waiting.get(UNIQUE_GATE + key)
        if place is None:
            return None
        if place.empty:
            del self._waiting[UNIQUE_GATE + key]
            return None
        if self.holder(key, now) is not None:
            return None
        return next(head[3] for line in place.lines if (head := line.head()) is not None)

    def standing(self) -> Iterator[tuple[str, int]]:
        """Go through those who stand at keys' gates: the queue of one, and 1."""
        for place in self._waiting.values():
            yield from ((entry[3].job.queue, 1) for line in place.lines for entry in line)

    def waited_for(self) -> list[str]:
        """Return the keys that somebody may wait for."""
        return [gate.removeprefix(UNIQUE_GATE) for gate in self._waiting]


def holds(row: Row, now: int) -> bool:
    """Tell whether a row holds its unique key."""
    unique = row.job.unique
    if unique is None or row.gate == UNIQUE_GATE + unique.key:
        return False
    return row.state in unique.states or (unique.period is not None and now < row.created_at + unique.period)
