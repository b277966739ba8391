"""What schedules did: the lines of their ledgers."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.model.schedule import TickRecord

__all__ = ["Ledger"]


class Ledger:
    """The lines of all ledgers. A line is never changed, and goes only when its time has passed."""

    __slots__ = ("_by_age", "_lines")

    def __init__(self) -> None:
        self._lines: dict[str, TickRecord] = {}
        #: A heap of when each was written, and its id.
        self._by_age: list[tuple[int, str]] = []

    def write(self, tick: TickRecord) -> None:
        """Write a line, unless there is one of its id."""
        if tick.id not in self._lines:
            self._lines[tick.id] = tick
            heapq.heappush(self._by_age, (tick.at, tick.id))

    def prune(self, before: int, limit: int) -> int:
        """Delete the oldest lines, written by that moment, at most so many; return how many they were."""
        deleted = 0
        while deleted < limit and self._by_age and self._by_age[0][0] <= before:
            _, tick_id = heapq.heappop(self._by_age)
            del self._lines[tick_id]
            deleted += 1
        return deleted

    def __iter__(self) -> Iterator[TickRecord]:
        """Go through the lines, in no order."""
        return iter(self._lines.values())
