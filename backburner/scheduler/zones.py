"""Time zones: their names, and when their offset from UTC changes."""

from __future__ import annotations

import functools
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import TZPATH, ZoneInfo, ZoneInfoNotFoundError, available_timezones

from backburner.errors import InvalidSchedule
from backburner.model.clock import SECOND, from_micros

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Change", "Zone", "database_version", "first_instant", "local", "wall_time", "zone"]

_DAY = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WALL_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - what a clock on the wall reads
#: Zones kept ready: more than there are.
_KEPT = 1_024
#: Names an error offers.
_OFFERED = 3
#: These follow the machine, or count leap seconds: two nodes would not agree.
_REFUSED = ("localtime", "posixrules", "posix/", "right/")


class Change(NamedTuple):
    """A change of a zone's offset. In whole seconds: since 1970 UTC, and of offset.

    The clock on the wall goes from ``at + before`` to ``at + after``: forward over a gap, or back for an overlap.
    """

    at: int
    before: int
    after: int


class Zone:
    """One time zone. Moments are whole seconds since 1970 UTC; a wall time is what its clock then reads, as seconds too.

    Cheap to ask: what was found of a year is kept.
    """

    __slots__ = ("_info", "_years", "name")

    def __init__(self, name: str, info: ZoneInfo) -> None:
        self.name = name
        self._info = info
        self._years: dict[int, tuple[Change, ...]] = {}

    def offset(self, moment: int) -> int:
        """Return by how many seconds its clock is ahead of UTC at a moment."""
        offset = (_EPOCH + timedelta(seconds=moment)).astimezone(self._info).utcoffset()
        return 0 if offset is None else offset.days * _DAY + offset.seconds

    def changes(self, since: int, until: int) -> Iterator[Change]:
        """Go through the changes after one moment, up to another and with it, in order."""
        for year in range(_year(since), _year(until) + 1):
            for change in self._changes_of(year):
                if since < change.at <= until:
                    yield change

    def _changes_of(self, year: int) -> tuple[Change, ...]:
        """Return the changes of a year of UTC: each day's begin is compared with the next, zoneinfo tells no more."""
        found = self._years.get(year)
        if found is None:
            first, end = (_seconds(datetime(each, 1, 1, tzinfo=UTC)) for each in (year, year + 1))
            # One second early: a change at the very begin of the year is one of this year.
            marks = [first - 1, *range(first - 1 + _DAY, end - 1, _DAY), end - 1]
            offsets = [self.offset(mark) for mark in marks]
            found = tuple(
                self._change_between(marks[index], marks[index + 1])
                for index in range(len(marks) - 1)
                if offsets[index] != offsets[index + 1]
            )
            self._years[year] = found
        return found

    def _change_between(self, low: int, high: int) -> Change:
        before, after = self.offset(low), self.offset(high)
        while high - low > 1:
            middle = (low + high) // 2
            if self.offset(middle) == before:
                low = middle
            else:
                high = middle
        return Change(high, before, after)


@functools.lru_cache(_KEPT)
def zone(name: str) -> Zone:
    """Return the zone of a name of the tz database; raises `InvalidSchedule`, which offers the nearest names."""
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidSchedule(f'tz takes the name of a time zone, such as "Europe/Berlin", not {name!r}', part="tz")
    try:
        info = None if name.startswith(_REFUSED) else ZoneInfo(name)
    # A folder of the database is an OSError, a file that is none of its zones a ValueError.
    except (ZoneInfoNotFoundError, ValueError, OSError):
        info = None
    if info is None:
        raise InvalidSchedule(f"tz={name!r} is not a time zone of the tz database: {_advice(name)}", part="tz")
    return Zone(name, info)


def local(moment: int, tz: str) -> datetime:
    """Return what the clocks of a zone read at a moment (microseconds), as a naive `datetime`."""
    return from_micros(moment + zone(tz).offset(moment // SECOND) * SECOND).replace(tzinfo=None)


def wall_time(wall: int) -> datetime:
    """Return a wall time as a naive `datetime`."""
    return _WALL_EPOCH + timedelta(seconds=wall)


def first_instant(day: date, tz: str) -> int:
    """Return the first moment (microseconds) at which the clocks of a zone read that day, or later where they skip it."""
    place = zone(tz)
    wall = (day - _EPOCH.date()).days * _DAY
    # No offset is as much as a day.
    begin = wall - _DAY
    offset = place.offset(begin)
    for change in place.changes(begin, wall + _DAY):
        if wall - offset < change.at:
            break
        begin, offset = change.at, change.after
    return max(begin, wall - offset) * SECOND


def database_version() -> str:
    """Return the version of the tz database that is in use, such as ``2026a``; empty where it is not known."""
    for folder in TZPATH:
        try:
            with (Path(folder) / "tzdata.zi").open(encoding="utf-8") as file:
                word, _, version = file.readline().strip().removeprefix("# ").partition(" ")
        except OSError:
            continue
        if word == "version":
            return version
    try:
        version = getattr(import_module("tzdata"), "IANA_VERSION", "")
    except ModuleNotFoundError:
        return ""
    return version if isinstance(version, str) else ""


def _advice(name: str) -> str:
    known = {each for each in available_timezones() if not each.startswith(_REFUSED)}
    wanted = name.strip().replace(" ", "_").casefold()
    # As people write it: in other letters, or the city alone.
    near = sorted(each for each in known if wanted in (each.casefold(), each.rpartition("/")[2].casefold()))
    if not near:
        folded = {each.casefold(): each for each in sorted(known)}
        near = [folded[each] for each in get_close_matches(wanted, folded, _OFFERED)]
    if not near:
        return 'write one such as "Europe/Berlin", "America/New_York" or "UTC"'
    return "did you mean " + " or ".join(map(repr, near[:_OFFERED])) + "?"


def _year(moment: int) -> int:
    return (_EPOCH + timedelta(seconds=moment)).year


def _seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1)
