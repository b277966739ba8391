"""An oracle that knows nothing of how backburner finds ticks: it looks at every real minute, and at a clock on the wall."""

from __future__ import annotations

import calendar
import functools
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTE = 60
HOUR = 3_600
DAY = 86_400
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - what a clock on the wall reads

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
NAMES = {name: at for at, name in enumerate(MONTHS, 1)} | {name: at for at, name in enumerate(DAYS)}


def weekday(day: date) -> int:
    """Return the day of the week as crons count it, from Sunday."""
    return day.isoweekday() % 7


class Expression:
    """A cron expression, read in the plainest way: what a minute must be is a set of numbers."""

    def __init__(self, text: str, *, seconds: bool = False) -> None:
        fields = text.lower().split()
        fields = fields if seconds else ["0", *fields]
        self.second = numbers(fields[0], 0, 59)
        self.minute = numbers(fields[1], 0, 59)
        self.hour = numbers(fields[2], 0, 23)
        self.day, self.month, self.week = fields[3], numbers(fields[4], 1, 12), fields[5]
        self.elapsed = any(
            item.startswith("*") for field in fields[0 if seconds else 1 : 3] for item in field.split(",")
        )
        self.times = sorted(h * HOUR + m * MINUTE + s for h in self.hour for m in self.minute for s in self.second)
        self.has_day = functools.cache(self._has_day)
        self._times = frozenset(self.times)

    def has(self, wall: int) -> bool:
        """Whether it names this wall time."""
        return wall % DAY in self._times and self.has_day(wall // DAY)

    def first(self, wall: int) -> int:
        """Return the first wall time from this one on, day by day."""
        day = wall // DAY
        while True:
            if self.has_day(day):
                for time in self.times:
                    if day * DAY + time >= wall:
                        return day * DAY + time
            day += 1

    def _has_day(self, number: int) -> bool:
        day = EPOCH.date() + timedelta(days=number)
        if day.month not in self.month:
            return False
        any_day, any_week = self.day in "*?", self.week in "*?"
        month = any_day or any(in_month(item, day) for item in self.day.split(","))
        week = any_week or any(in_week(item, day) for item in self.week.split(","))
        return month and week if any_day or any_week else month or week


def numbers(text: str, low: int, high: int) -> set[int]:
    """Return the numbers of a list of ranges and steps."""
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        begin, _, end = span.partition("-")
        first = low if begin == "*" else number(begin)
        last = high if begin == "*" or (step and not end) else number(end or begin)
        each = first
        while True:
            found.add(each)
            if each == last:
                break
            for _ in range(int(step or 1)):
                if each == last:
                    break
                each = low if each == high else each + 1
            else:
                continue
            break
    return found


def number(word: str) -> int:
    """Return what a number or a name stands for."""
    return NAMES[word] if word in NAMES else int(word)


def in_month(item: str, day: date) -> bool:
    """Whether an item of the day of month names this day."""
    length = calendar.monthrange(day.year, day.month)[1]
    if item == "l":
        return day.day == length
    if item.endswith("w"):
        wanted = min(int(item[:-1]), length)
        weekdays = [each for each in range(1, length + 1) if weekday(day.replace(day=each)) in range(1, 6)]
        # No two weekdays are as near, but about a weekend at either end of the month, where only one is left.
        return day.day == min(weekdays, key=lambda each: abs(each - wanted))
    return day.day in numbers(item, 1, 31)


def in_week(item: str, day: date) -> bool:
    """Whether an item of the day of week names this day."""
    length = calendar.monthrange(day.year, day.month)[1]
    if item.startswith("l"):
        return weekday(day) == int(item[1:]) % 7 and day.day > length - 7
    if "#" in item:
        name, _, nth = item.partition("#")
        return weekday(day) == number(name) % 7 and (day.day - 1) // 7 + 1 == int(nth)
    return weekday(day) in {each % 7 for each in numbers(item, 0, 7 if "7" in item.partition("/")[0] else 6)}


@functools.lru_cache(64)
def clock(zone: str, begin: int, end: int) -> list[tuple[int, int]]:
    """Return each real minute between two moments, with what the clock on the wall then reads."""
    info = ZoneInfo(zone)
    minutes: list[tuple[int, int]] = []
    for moment in range(begin, end + 1, MINUTE):
        shown = datetime.fromtimestamp(moment, info).replace(tzinfo=None)
        minutes.append((moment, (shown - EPOCH) // timedelta(seconds=1)))
    return minutes


def walk(text: str, zone: str, begin: int, end: int, *, on_gap: str, on_overlap: str) -> list[int]:
    """Return the ticks after one moment up to another, by looking at every minute between them."""
    expression = Expression(text)
    minutes = clock(zone, begin, end)
    shown = [(moment, wall) for moment, wall in minutes if expression.has(wall)]
    if expression.elapsed:
        return [moment for moment, _ in shown if moment > begin]
    times: dict[int, list[int]] = {}
    for moment, wall in shown:
        times.setdefault(wall, []).append(moment)
    which = {"first": slice(0, 1), "second": slice(-1, None), "both": slice(None)}[on_overlap]
    ticks = {moment for moments in times.values() for moment in moments[which]}
    if on_gap == "run_after":
        ticks |= {
            moment
            for (_, before), (moment, wall) in pairwise(minutes)
            if any(expression.has(left_out) for left_out in range(before + MINUTE, wall, MINUTE))
        }
    return sorted(moment for moment in ticks if moment > begin)


def changes(zone: str, begin: int, end: int) -> Iterator[int]:
    """Go through the moments, to the second, at which the clocks of a zone are set: hour by hour."""
    info = ZoneInfo(zone)

    def offset(moment: int) -> timedelta | None:
        return datetime.fromtimestamp(moment, info).utcoffset()

    for hour in range(begin, end, HOUR):
        if offset(hour) != offset(hour + HOUR):
            yield next(each for each in range(hour, hour + HOUR) if offset(each + 1) != offset(hour)) + 1


def seconds(year: int, month: int = 1, day: int = 1) -> int:
    """Return a day's begin in UTC, as seconds since 1970."""
    return int(datetime(year, month, day, tzinfo=UTC).timestamp())
