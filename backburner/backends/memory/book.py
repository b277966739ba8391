"""Schedules by name, and in the order they are due."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.model.schedule import ScheduleRecord

__all__ = ["ScheduleBook"]

#: So many leftovers are not worth sweeping.
_CLUTTER = 64


class ScheduleBook:
    """The schedules. Those that are due are found without a look at the others."""

    __slots__ = ("_due", "_names", "_schedules")

    def __init__(self) -> None:
        self._schedules: dict[str, ScheduleRecord] = {}
        #: A heap of when and who; an entry that is not its schedule's own moment any more is a leftover.
        self._due: list[tuple[int, str]] = []
        #: In order; None until somebody asks.
        self._names: list[str] | None = None

    def get(self, name: str) -> ScheduleRecord | None:
        """Return the schedule of a name; None where there is none."""
        return self._schedules.get(name)

    def write(self, schedule: ScheduleRecord) -> None:
        """Write a schedule in place of what is there under its name."""
        before = self._schedules.get(schedule.name)
        self._schedules[schedule.name] = schedule
        if before is None:
            self._names = None
        if schedule.due_at is not None and (before is None or before.due_at != schedule.due_at):
            heapq.heappush(self._due, (schedule.due_at, schedule.name))
        self._sweep()

    def delete(self, name: str) -> None:
        """Delete a schedule that is there."""
        del self._schedules[name]
        self._names = None
        self._sweep()

    def _sweep(self) -> None:
        if len(self._due) > 2 * len(self._schedules) + _CLUTTER:
            self._due = [(one.due_at, one.name) for one in self._schedules.values() if one.due_at is not None]
            heapq.heapify(self._due)

    def first(self, number: int, now: int) -> list[ScheduleRecord]:
        """Return the schedules that are due first, by their moment and name; of those that are due later only one."""
        found: list[ScheduleRecord] = []
        looked_at: list[tuple[int, str]] = []
        while self._due and len(found) < number:
            entry = heapq.heappop(self._due)
            schedule = self._schedules.get(entry[1])
            # A moment that a schedule came back to stands here twice; so it comes to be here once.
            if schedule is not None and schedule.due_at == entry[0] and entry not in looked_at[-1:]:
                found.append(schedule)
                looked_at.append(entry)
                if entry[0] > now:
                    break
        for entry in looked_at:
            heapq.heappush(self._due, entry)
        return found

    def above(self, after: str | None) -> Iterator[ScheduleRecord]:
        """Go through the schedules whose names come after this one, by name."""
        if self._names is None:
            self._names = sorted(self._schedules)
        start = 0 if after is None else bisect_right(self._names, after)
        return (self._schedules[self._names[at]] for at in range(start, len(self._names)))
