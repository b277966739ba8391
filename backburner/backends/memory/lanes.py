"""Lanes: whom they refuse, who runs in them, who stands at their gates, and when they open.

A claim asks `Lanes.refusing` of each job that names lanes; one that is refused by none `Lanes.enter` counts in, until
`Lanes.leave` counts it out; one that is refused is parked, and stands at the lane's gate until the lane opens. Nothing
else ever looks at those who stand there, so a job that waits costs nothing.

A lane where jobs stand has at most one moment at which it opens. The steps that make room (a run that ends, another
limit) only bring that moment forward; letting in is left to the next claim, in `backburner.backends.memory.opening`.
"""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING, Final

from backburner.backends.memory.line import Line
from backburner.backends.memory.usage import Usage
from backburner.model.lane import LANE_GATE, Limit, LimitRecord, limit_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.backends.memory.row import Row
    from backburner.model.job import NewJob
    from backburner.model.lane import Rate

__all__ = ["Lane", "Lanes", "room"]

_NO_LIMIT: Final = Limit()
#: So many leftovers among the moments are not worth sweeping.
_CLUTTER = 64


class Lane:
    """One lane that is in use: jobs run in it, stand at it, or have used some of its rate."""

    __slots__ = ("holders", "lines", "opens_at", "usage")

    def __init__(self) -> None:
        #: The ids of the runs that count against its slots.
        self.holders: set[str] = set()
        self.usage = Usage()
        #: Those who stand at its gate, by queue and priority.
        self.lines: dict[str, dict[int, Line]] = {}
        #: None: not by time.
        self.opens_at: int | None = None

    @property
    def parked(self) -> bool:
        """Somebody stands here."""
        return any(line.live for lines in self.lines.values() for line in lines.values())


def room(lane: Lane, limit: Limit, now: int) -> int | None:
    """Return how many more a lane has room for; None is any number."""
    free = [] if limit.slots is None else [limit.slots - len(lane.holders)]
    if limit.rate is not None:
        free.append(lane.usage.permits(limit.rate, now))
    return max(0, min(free)) if free else None


class Lanes:
    """The limits, and the lanes in use by name."""

    __slots__ = ("_in_use", "_limits", "_moments")

    def __init__(self) -> None:
        self._limits: dict[str, LimitRecord] = {}
        self._in_use: dict[str, Lane] = {}
        #: A heap of when lanes open; one that is not the lane's own moment any more is a leftover.
        self._moments: list[tuple[int, str]] = []

    # ---- limits ------------------------------------------------------------------------------------------------------

    def limits(self) -> list[LimitRecord]:
        """Return the limits that are declared or set, by name."""
        return [record for _, record in sorted(self._limits.items())]

    def limit(self, name: str) -> Limit:
        """Return what a lane allows."""
        record = self._limits.get(limit_of(name))
        return _NO_LIMIT if record is None else record.limit

    def record(self, name: str) -> LimitRecord:
        """Return what is declared and set under a limit's name."""
        return self._limits.get(name) or LimitRecord(name=name)

    def write(self, record: LimitRecord, now: int) -> None:
        """Write what is declared and set under a limit's name; if another limit holds by that, its lanes open."""
        before = self.record(record.name).limit
        if record.declared is None and record.override is None:
            self._limits.pop(record.name, None)
        else:
            self._limits[record.name] = record
        if record.limit != before:
            for name, lane in self._in_use.items():
                if limit_of(name) == record.name:
                    lane.usage.change(record.limit.rate)
                    if lane.parked:
                        self.open_at(name, now)

    # ---- who runs ----------------------------------------------------------------------------------------------------

    def refusing(self, row: Row, now: int) -> str | None:
        """Return the first of a row's lanes that refuses it; None where none does."""
        return next((name for name in row.job.lanes if not self._admits(name, row, now)), None)

    def _admits(self, name: str, row: Row, now: int) -> bool:
        limit, lane = self.limit(name), self._in_use.get(name)
        if limit.slots is not None and limit.slots <= (0 if lane is None else len(lane.holders)):
            return False
        rate = _rate_for(limit, row)
        return rate is None or lane is None or lane.usage.permits(rate, now) > 0

    def enter(self, row: Row, now: int) -> None:
        """Count in a row that none of its lanes refused and whose attempt has begun."""
        self.hold(row)
        for name in dict.fromkeys(row.job.lanes):
            limit = self.limit(name)
            rate = _rate_for(limit, row)
            if rate is not None:
                self.use(name).usage.spend(rate, now)
            if limit.deposit is not None and row.attempt == 1:
                self._deposit(name, limit.deposit, now)

    def hold(self, row: Row) -> None:
        """Count a run against the slots of its lanes, of those that have slots now."""
        for name in row.job.lanes:
            if self.limit(name).slots is not None:
                self.use(name).holders.add(row.job.id)

    def leave(self, row: Row, now: int) -> list[str]:
        """Count a run out that has ended, or lends its slot; return the lanes where jobs stand that open for that."""
        opened: list[str] = []
        for name in row.job.lanes:
            lane = self._in_use.get(name)
            if lane is not None and row.job.id in lane.holders:
                lane.holders.remove(row.job.id)
                if lane.parked:
                    self.open_at(name, now)
                    opened.append(name)
                else:
                    self.tidy(name, now)
        return opened

    def _deposit(self, name: str, amount: int, now: int) -> None:
        """Take in a budget's deposit; one that is not in use is full."""
        lane, rate = self._in_use.get(name), self.limit(name).rate
        if lane is not None:
            lane.usage.deposit(amount)
            if lane.opens_at is not None and rate is not None:
                self.open_at(name, lane.usage.next_at(rate, now))

    # ---- who stands --------------------------------------------------------------------------------------------------

    def line(self, gate: str, queue: str, priority: int) -> Line:
        """Return where those of a queue and priority stand at a lane's gate."""
        lines = self.use(gate.removeprefix(LANE_GATE)).lines.setdefault(queue, {})
        line = lines.get(priority)
        if line is None:
            line = lines[priority] = Line()
        return line

    def standing(self) -> Iterator[tuple[str, int]]:
        """Go through those who stand at lanes' gates: a queue, and how many of it."""
        for lane in self._in_use.values():
            yield from ((queue, line.live) for queue, lines in lane.lines.items() for line in lines.values())

    def gate(self, job: NewJob) -> str:
        """Return the gate of the first of a new job's lanes where others stand; empty where nobody does.

        A budget's is not among them: it refuses no first attempt, and lives on those.
        """
        for name in job.lanes:
            lane = self._in_use.get(name)
            if lane is not None and lane.parked and self.limit(name).deposit is None:
                return LANE_GATE + name
        return ""

    def refused(self, row: Row, name: str, now: int) -> None:
        """See to it that who was refused is let in: by time where a permit is wanting, else by whoever makes room.

        The lanes asked before had room for him, which he leaves to those who stand there.
        """
        limit, lane = self.limit(name), self.use(name)
        if limit.rate is not None and (limit.slots is None or len(lane.holders) < limit.slots):
            self.open_at(name, lane.usage.next_at(limit.rate, now))
        for before in row.job.lanes[: row.job.lanes.index(name)]:
            if self.get(before).parked:
                self.open_at(before, now)

    # ---- when lanes open ---------------------------------------------------------------------------------------------

    def open_at(self, name: str, moment: int) -> bool:
        """Open a lane at that moment; False where it opens by then already."""
        lane = self.use(name)
        if lane.opens_at is not None and lane.opens_at <= moment:
            return False
        lane.opens_at = moment
        heapq.heappush(self._moments, (moment, name))
        if len(self._moments) > 2 * len(self._in_use) + _CLUTTER:
            self._moments = [(lane.opens_at, name) for name, lane in self._in_use.items() if lane.opens_at is not None]
            heapq.heapify(self._moments)
        return True

    def next_opening(self) -> tuple[int, str] | None:
        """Return the moment of the lane that opens first, and its name; None where time opens none."""
        moments = self._moments
        while moments and self._moment(moments[0][1]) != moments[0][0]:
            heapq.heappop(moments)
        return moments[0] if moments else None

    def _moment(self, name: str) -> int | None:
        lane = self._in_use.get(name)
        return None if lane is None else lane.opens_at

    def release(self, number: int, now: int) -> int:
        """Look at some lanes, in turn; return how many opened since there is room for those who stand there."""
        opened = 0
        for name, lane in self._turn(number):
            if lane.parked and room(lane, self.limit(name), now) != 0:
                opened += self.open_at(name, now)
        return opened

    # ---- which lanes are in use --------------------------------------------------------------------------------------

    def get(self, name: str) -> Lane:
        """Return a lane to read; one that is not in use is as good as new."""
        return self._in_use.get(name) or Lane()

    def use(self, name: str) -> Lane:
        """Return a lane to change."""
        lane = self._in_use.get(name)
        if lane is None:
            lane = self._in_use[name] = Lane()
        return lane

    def tidy(self, name: str, now: int) -> bool:
        """Forget a lane that nobody uses any more; tell whether it was so."""
        lane = self._in_use[name]
        if lane.holders or lane.parked or not lane.usage.full(now):
            return False
        del self._in_use[name]
        return True

    def prune(self, number: int, now: int) -> None:
        """Look at some lanes, in turn, and forget those that nobody uses any more."""
        for name, _ in self._turn(number):
            self.tidy(name, now)

    def _turn(self, number: int) -> Iterator[tuple[str, Lane]]:
        """Go through some lanes, and put them behind all others."""
        for name in [*islice(self._in_use, number)]:
            lane = self._in_use[name] = self._in_use.pop(name)
            yield name, lane


def _rate_for(limit: Limit, row: Row) -> Rate | None:
    """Return the rate of which a row has to take a permit: a budget asks only those that have failed."""
    return None if limit.deposit is not None and not row.failures else limit.rate
