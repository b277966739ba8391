"""When the wall times of a cron expression come, in a zone whose clocks are set forward and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from backburner.model.clock import LONGEST, SECOND
from backburner.scheduler.cron import read
from backburner.scheduler.walls import walls
from backburner.scheduler.zones import zone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.scheduler.triggers import Cron
    from backburner.scheduler.zones import Change

__all__ = ["CronTicks", "Hit"]

#: Clocks are never set by more: a change within so many seconds may touch a wall time.
_NEAR = 2 * 86_400
_LATEST = LONGEST // SECOND


class Hit(NamedTuple):
    """A wall time of the expression, and what becomes of it. In whole seconds."""

    #: The moment it runs at; None: it does not run.
    tick: int | None
    #: What it reads on the wall, as the expression has it.
    wall: int
    #: The change of the clocks that leaves it out, or brings it twice.
    change: Change | None = None


class CronTicks:
    """The ticks of one `Cron` in one zone.

    Between two changes a zone's clock runs evenly, and wall times become moments by one offset. It is walked from one such
    span to the next, along with the wall times, so a yearly expression costs no more than two changes a year do.
    """

    def __init__(self, cron: Cron, *, seed: str | None, tz: str) -> None:
        self.zone = zone(cron.tz or tz)
        self.walls = walls(cron.expression, seconds=cron.seconds, seed=seed)
        elapsed = read(cron.expression, seconds=cron.seconds).elapsed
        self.elapsed = elapsed
        self.runs_after_gap = not elapsed and cron.on_gap == "run_after"
        #: Which of two: elapsed time knows no difference.
        self.which = "both" if elapsed else cron.on_overlap

    def after(self, moment: int) -> int | None:
        """Return the first tick strictly after a moment, in microseconds."""
        for hit in self.hits(moment // SECOND):
            if hit.tick is not None:
                return hit.tick * SECOND
        return None

    def hits(self, moment: int) -> Iterator[Hit]:
        """Go through the wall times that come after a moment, in whole seconds, with those that do not run.

        Of those that one gap leaves out only the first is told: they have one fate.
        """
        offset = self.zone.offset(moment)
        last = next(iter(reversed([*self.zone.changes(moment - _NEAR, moment)])), None)
        start = moment + offset + 1
        if last is not None and self.which == "first":
            # In the second pass of an overlap, what the first had is over.
            start = max(start, last.at + last.before)
        found = self.walls.first(start)
        at = moment
        while found is not None and found - offset <= _LATEST:
            change = next(self.zone.changes(at, found - offset + _NEAR), None)
            if change is None or found < self._end(change):
                yield Hit(found - offset, found, _twice(found, last) or _twice(found, change))
                start = found + 1
                found = self.walls.first(start)
                continue
            begin = self._begin(change)
            if change.after > change.before:
                ran = found < begin and self.runs_after_gap
                if found < begin:
                    yield Hit(change.at if ran else None, found, change)
                # What comes right with the end of the gap is the same tick.
                begin += ran
                if found < begin:
                    start = begin
                    found = self.walls.first(start)
            elif begin < start:
                start = begin
                found = self.walls.first(start)
            at, offset, last = change.at, change.after, change

    def _end(self, change: Change) -> int:
        """Return the wall time up to which those before a change run."""
        return change.at + (min(change.before, change.after) if self.which == "second" else change.before)

    def _begin(self, change: Change) -> int:
        """Return the wall time from which those after a change run."""
        return change.at + (max(change.before, change.after) if self.which == "first" else change.after)


def _twice(wall: int, change: Change | None) -> Change | None:
    """Return the change, if it brings this wall time twice."""
    return change if change is not None and change.at + change.after <= wall < change.at + change.before else None
