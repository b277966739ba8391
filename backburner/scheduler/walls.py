"""The wall times that a cron expression names, without any time zone."""

from __future__ import annotations

import functools
from bisect import bisect_left
from threading import Lock
from typing import TYPE_CHECKING

from backburner.scheduler.cron import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.scheduler.cron import Reading

__all__ = ["Walls", "walls"]

_DAY = 86_400
#: Expressions kept ready.
_KEPT = 2_048
#: Days of one expression whose next is remembered.
_DAYS = 128


class Walls:
    """The wall times of an expression, as seconds since a naive 1970. Any thread may ask.

    croniter reads the expression and knows its days; the time of a day is looked up in what it has read. A croniter that
    is asked for each time walks the calendar to it, fifty times as slow.
    """

    __slots__ = ("_bad_date", "_days", "_hours", "_lock", "_minutes", "_next_day", "_seconds")

    def __init__(self, reading: Reading, seed: str | None) -> None:
        # It takes a while to load, and an app that only declares schedules never needs it.
        from croniter import CroniterBadDateError, croniter  # noqa: PLC0415

        self._bad_date = CroniterBadDateError
        drawn_from = None if seed is None else seed.encode()
        expanded, _ = croniter.expand(reading.text, hash_id=drawn_from, second_at_beginning=reading.seconds)
        minute, hour, *days = expanded
        self._minutes, self._hours = _numbers(minute, 60), _numbers(hour, 24)
        self._seconds = _numbers(days[3], 60) if reading.seconds else (0,)
        # Midnight of each day it names.
        self._days = croniter(" ".join(["0", "0", *reading.text.split()[-3:]]), 0, hash_id=drawn_from)
        self._lock = Lock()
        daily = all(field == ["*"] for field in days[:3])
        self._next_day = _itself if daily else functools.lru_cache(_DAYS)(self._ask)

    def first(self, wall: int) -> int | None:
        """Return the first wall time from this one on; None where there is none in the next fifty years."""
        day, time = divmod(wall, _DAY)
        found = self._next_day(day)
        if found == day:
            later = self._time(time)
            if later is not None:
                return day * _DAY + later
            found = self._next_day(day + 1)
        return None if found is None else found * _DAY + (self._time(0) or 0)

    def _time(self, time: int) -> int | None:
        """Return the first time of day from this one on, in seconds; None where the day has no more."""
        hours, minutes, seconds = self._hours, self._minutes, self._seconds
        hour, rest = divmod(time, 3_600)
        minute, second = divmod(rest, 60)
        at = bisect_left(hours, hour)
        if at == len(hours):
            return None
        if hours[at] == hour:
            of = bisect_left(minutes, minute)
            if of < len(minutes) and minutes[of] == minute:
                to = bisect_left(seconds, second)
                if to < len(seconds):
                    return hour * 3_600 + minute * 60 + seconds[to]
                of += 1
            if of < len(minutes):
                return hour * 3_600 + minutes[of] * 60 + seconds[0]
            at += 1
        return hours[at] * 3_600 + minutes[0] * 60 + seconds[0] if at < len(hours) else None

    def _ask(self, day: int) -> int | None:
        """Return the first day from this one on, counted from 1970."""
        with self._lock:
            try:
                # It answers what comes after.
                return int(self._days.get_next(float, start_time=float(day * _DAY - 1))) // _DAY
            except self._bad_date:
                return None


@functools.lru_cache(_KEPT)
def walls(expression: str, *, seconds: bool, seed: str | None) -> Walls:
    """Return the wall times of an expression; ``seed`` is what an ``H`` is drawn from. Raises `InvalidSchedule`."""
    return Walls(read(expression, seconds=seconds), seed)


def _numbers(field: Sequence[int | str], count: int) -> tuple[int, ...]:
    """Return the numbers of a field as croniter has read it, in order."""
    return tuple(range(count)) if field == ["*"] else tuple(sorted(each for each in field if isinstance(each, int)))


def _itself(day: int) -> int | None:
    return day
