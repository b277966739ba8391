"""Rows in order of a moment and their id."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.backends.memory.row import Row

__all__ = ["Entry", "Line"]

#: A moment, the row's id, the stamp that tells leftovers, the row. Stamps are unique, so rows are never compared.
Entry = tuple[int, str, int, "Row"]

#: So many leftovers are not worth sweeping.
_CLUTTER = 64


class Line:
    """A sorted line with lazy removal: a row leaves by changing its stamp, its entry goes when it is met.

    What arrives in order, as most does, is appended to a deque; the rest goes to a heap. Leftovers are swept once they
    outnumber the living, so a line never takes more than twice the room of what it holds.
    """

    __slots__ = ("_heap", "_ordered", "live")

    def __init__(self) -> None:
        self._ordered: deque[Entry] = deque()
        self._heap: list[Entry] = []
        #: How many rows stand here.
        self.live = 0

    def put(self, entry: Entry, now: int) -> None:
        """Add a row; its stamp is the entry's."""
        self.live += 1
        ordered = self._ordered
        # A moment to come would stand in the way of all that arrive before it.
        if entry[0] <= now and (not ordered or ordered[-1] < entry):
            ordered.append(entry)
        else:
            heapq.heappush(self._heap, entry)

    def head(self) -> Entry | None:
        """Return the first entry; it stays."""
        ordered, heap = self._ordered, self._heap
        while ordered and ordered[0][3].stamp != ordered[0][2]:
            ordered.popleft()
        while heap and heap[0][3].stamp != heap[0][2]:
            heapq.heappop(heap)
        if ordered and heap:
            return min(ordered[0], heap[0])
        return ordered[0] if ordered else heap[0] if heap else None

    def left(self) -> None:
        """Take note that a row of this line has changed its stamp."""
        self.live -= 1
        if len(self._ordered) + len(self._heap) > 2 * self.live + _CLUTTER:
            self._ordered = deque(entry for entry in self._ordered if entry[3].stamp == entry[2])
            self._heap = [entry for entry in self._heap if entry[3].stamp == entry[2]]
            heapq.heapify(self._heap)

    def since(self, moment: int) -> Iterator[Entry]:
        """Go through the living entries of that moment and of later ones, in no order."""
        for entry in reversed(self._ordered):
            if entry[0] < moment:
                break
            if entry[3].stamp == entry[2]:
                yield entry
        yield from (entry for entry in self._heap if entry[0] >= moment and entry[3].stamp == entry[2])

    def __iter__(self) -> Iterator[Entry]:
        """Go through the living entries, in no order."""
        for entries in (self._ordered, self._heap):
            yield from (entry for entry in entries if entry[3].stamp == entry[2])
