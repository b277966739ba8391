"""The moments that a trigger names.

Moments are microseconds since 1970 UTC; none is named that is further than 285 years from then.
"""

from __future__ import annotations

import functools
import math
from heapq import merge
from itertools import product
from typing import TYPE_CHECKING, NamedTuple, Protocol

from backburner.model.clock import LONGEST, SECOND, instant
from backburner.scheduler.cronticks import CronTicks
from backburner.scheduler.notes import note
from backburner.scheduler.triggers import AllOf, AnyOf, At, Cron, Every, leaves
from backburner.scheduler.zones import local, wall_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from backburner.scheduler.triggers import Trigger

__all__ = ["Occurrence", "Timetable", "timetable"]

#: Timetables kept ready.
_KEPT = 2_048
#: How often triggers that are to meet may miss each other: less than half a second's work.
_LEAPS = 10_000
#: Ways to take one of each "either" inside of a "both" that are looked at apart.
_WAYS = 64


class Occurrence(NamedTuple):
    """What comes next, for people to look at."""

    #: The moment; None: it does not run, and the note says why.
    tick: int | None
    #: What the clock reads there, or is written to read: naive.
    local: datetime
    #: Where that clock hangs.
    zone: str
    #: What a change of the clocks does to it; empty where none does.
    note: str


class _Ticks(Protocol):
    def after(self, moment: int) -> int | None:
        """Return the first tick strictly after a moment; None: there is none."""
        ...

    def upcoming(self, moment: int) -> Iterator[tuple[int, Occurrence]]:
        """Go through what comes after a moment, each with when that is."""
        ...


class Timetable:
    """The moments of one trigger. Any thread may ask."""

    __slots__ = ("_ticks", "_trigger")

    def __init__(self, trigger: Trigger, seed: str | None, tz: str) -> None:
        self._trigger = trigger
        self._ticks = _ticks(trigger, seed, tz)

    def after(self, moment: int) -> int | None:
        """Return the first tick strictly after a moment; None: there will be none.

        Triggers joined by ``&`` that have missed each other 10,000 times running are taken never to meet.
        """
        if moment >= LONGEST:
            return None
        tick = self._ticks.after(max(moment, -LONGEST))
        return None if tick is None or tick > LONGEST else tick

    def ever(self, moment: int) -> bool:
        """Return whether there is any tick at all: after a moment, or at one that an `At` names."""
        named = [instant(leaf.moment) - 1 for leaf in leaves(self._trigger) if isinstance(leaf, At)]
        return self.after(min([moment, *named])) is not None

    def upcoming(self, moment: int) -> Iterator[Occurrence]:
        """Go through what comes after a moment: ticks, strictly increasing, and among them what does not run, and why.

        Of triggers joined by ``&`` only what runs is told.
        """
        for _, occurrence in self._ticks.upcoming(min(max(moment, -LONGEST), LONGEST)):
            if occurrence.tick is not None and occurrence.tick > LONGEST:
                return
            yield occurrence


def timetable(trigger: Trigger, name: str, tz: str) -> Timetable:
    """Return the moments of a trigger; it is kept, so asking again costs nothing.

    ``name`` is the schedule's, from which each ``H`` is drawn, by every process alike; ``tz`` is the zone where the
    trigger names none. Raises `InvalidSchedule` for a zone that is unknown here.
    """
    spread = any(isinstance(leaf, Cron) and leaf.spread for leaf in leaves(trigger))
    # Without an H, schedules of one trigger share one.
    return _kept(trigger, name if spread else None, tz)


@functools.lru_cache(_KEPT)
def _kept(trigger: Trigger, seed: str | None, tz: str) -> Timetable:
    return Timetable(trigger, seed, tz)


# ---- one trigger ---------------------------------------------------------------------------------------------------


class _CronTimes:
    def __init__(self, cron: Cron, seed: str | None, tz: str) -> None:
        self._cron = CronTicks(cron, seed=seed, tz=tz)

    def after(self, moment: int) -> int | None:
        return self._cron.after(moment)

    def upcoming(self, moment: int) -> Iterator[tuple[int, Occurrence]]:
        for hit in self._cron.hits(moment // SECOND):
            tick = None if hit.tick is None else hit.tick * SECOND
            when = hit.change.at * SECOND if tick is None and hit.change is not None else tick or 0
            yield when, Occurrence(tick, wall_time(hit.wall), self._cron.zone.name, note(self._cron, hit))


class _EveryTimes:
    """Moments an interval apart; also those that several intervals have in common."""

    def __init__(self, interval: int, begin: int | None, tz: str) -> None:
        self._interval = interval
        self._begin = begin
        self._tz = tz

    def after(self, moment: int) -> int | None:
        if self._begin is None:
            return moment + self._interval - moment % self._interval
        if moment < self._begin:
            return self._begin
        return moment + self._interval - (moment - self._begin) % self._interval

    def upcoming(self, moment: int) -> Iterator[tuple[int, Occurrence]]:
        return _plain(self.after, moment, self._tz)


class _AtTime:
    def __init__(self, moment: int, tz: str) -> None:
        self._moment = moment
        self._tz = tz

    def after(self, moment: int) -> int | None:
        return self._moment if moment < self._moment else None

    def upcoming(self, moment: int) -> Iterator[tuple[int, Occurrence]]:
        return _plain(self.after, moment, self._tz)


# ---- several -------------------------------------------------------------------------------------------------------


class _AnyTimes:
    def __init__(self, parts: Iterable[_Ticks]) -> None:
        self._parts = tuple(parts)

    def after(self, moment: int) -> int | None:
        return min((tick for part in self._parts if (tick := part.after(moment)) is not None), default=None)

    def upcoming(self, moment: int) -> Iterator[tuple[int, Occurrence]]:
        pending: tuple[int, Occurrence] | None = None
        for when, occurrence in merge(*(part.upcoming(moment) for part in self._parts), key=lambda each: each[0]):
            tick = occurrence.tick
            if pending is not None and tick is not None and tick == pending[1].tick:
                # Named by several, it runs once; what there is to say of it is kept.
                if occurrence.note and not pending[1].note:
                    pending = when, occurrence
                continue
            if pending is not None:
                yield pending
            pending = when, occurrence
        if pending is not None:
            yield pending


class _AllTimes:
    def __init__(self, parts: Iterable[_Ticks]) -> None:
        self._parts = tuple(parts)

    def after(self, moment: int) -> int | None:
        for _ in range(_LEAPS):
            ticks: list[int] = []
            latest = moment
            for part in self._parts:
                # Nothing before the latest of the others counts, so each leaps over what cannot be common.
                tick = part.after(max(moment, latest - 1))
                if tick is None or tick > LONGEST:
                    return None
                latest = max(latest, tick)
                ticks.append(tick)
            if min(ticks) == latest:
                return latest
            moment = latest - 1
        return None

    def upcoming(self, moment: int) -> Iterator[tuple[int, Occurrence]]:
        tick = self.after(moment)
        while tick is not None:
            told = [next(part.upcoming(tick - 1))[1] for part in self._parts]
            same = [each for each in told if each.tick == tick]
            # The first that has something to say.
            yield tick, next((each for each in same if each.note), same[0])
            tick = self.after(tick)


class _Never:
    def after(self, moment: int) -> int | None:  # noqa: ARG002 - whichever
        return None

    def upcoming(self, moment: int) -> Iterator[tuple[int, Occurrence]]:  # noqa: ARG002 - whichever
        return iter(())


# ---- making --------------------------------------------------------------------------------------------------------


def _ticks(trigger: Trigger, seed: str | None, tz: str) -> _Ticks:
    if isinstance(trigger, Cron):
        return _CronTimes(trigger, seed, tz)
    if isinstance(trigger, Every):
        return _EveryTimes(trigger.interval, None if trigger.start is None else instant(trigger.start), tz)
    if isinstance(trigger, At):
        return _AtTime(instant(trigger.moment), tz)
    if isinstance(trigger, AnyOf):
        return _AnyTimes(_ticks(part, seed, tz) for part in trigger.triggers)
    return _all_of(trigger, seed, tz)


def _all_of(trigger: AllOf, seed: str | None, tz: str) -> _Ticks:
    """Return what several name."""
    choices = [part.triggers if isinstance(part, AnyOf) else (part,) for part in trigger.triggers]
    ways = math.prod(map(len, choices))
    if 1 < ways <= _WAYS:
        # "a and (b or c)" is "a and b, or a and c", each of which is searched at the pace of the rarer.
        return _AnyTimes(_all_of(AllOf(way), seed, tz) for way in product(*choices))
    intervals = [part for part in trigger.triggers if isinstance(part, Every)]
    others = [_ticks(part, seed, tz) for part in trigger.triggers if not isinstance(part, Every)]
    if not intervals:
        return _AllTimes(others)
    common = _common(intervals, tz)
    if common is None:
        return _Never()
    return _AllTimes([common, *others]) if others else common


def _common(intervals: Sequence[Every], tz: str) -> _Ticks | None:
    """Return what intervals have in common, by arithmetic: they may meet once in a million ticks, or never (None)."""
    step, phase = 1, 0
    for every in intervals:
        interval, remainder = every.interval, 0 if every.start is None else instant(every.start)
        shared = math.gcd(step, interval)
        if (remainder - phase) % shared:
            return None
        # The next of the one progression that is in the other too (the Chinese remainder theorem).
        leap = (remainder - phase) // shared * pow(step // shared, -1, interval // shared) % (interval // shared)
        phase, step = phase + leap * step, math.lcm(step, interval)
    starts = [instant(every.start) for every in intervals if every.start is not None]
    # With no start, from before any moment there is.
    begin = max(starts, default=-LONGEST)
    return _EveryTimes(step, begin + (phase - begin) % step, tz)


def _plain(after: Callable[[int], int | None], moment: int, tz: str) -> Iterator[tuple[int, Occurrence]]:
    tick = after(moment)
    while tick is not None and tick <= LONGEST:
        yield tick, Occurrence(tick, local(tick, tz), tz, "")
        tick = after(tick)
