"""Moments: as people give them to options, and as they are shown."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from backburner.model.clock import SECOND, from_micros, instant
from backburner.model.duration import about, meant, parse

if TYPE_CHECKING:
    from datetime import tzinfo

__all__ = ["Moment", "ago", "iso", "moment", "near"]

_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment as it was written; what it means may depend on now."""

    text: str
    #: Microseconds before now, a time of day (its latest passing), or an instant.
    means: int | time | datetime

    def at(self, now: int, zone: tzinfo | None = None) -> int:
        """Return the instant it means, seen from the store's now; where it says no zone, in this one, else in local time."""
        match self.means:
            case int(before):
                return now - before
            case time() as clock:
                here = from_micros(now).astimezone(zone)
                passing = here.replace(
                    tzinfo=None, hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=0
                )
                if passing > here.replace(tzinfo=None):
                    passing -= timedelta(days=1)
                return _instant(passing, zone)
            case day:
                return _instant(day, zone)

    def next(self, now: int, zone: tzinfo | None = None) -> int:
        """Return the instant it means where what is ahead is meant: of a time of day the next passing."""
        if not isinstance(self.means, time):
            return self.at(now, zone)
        passed = from_micros(self.at(now, zone)).astimezone(zone).replace(tzinfo=None)
        return _instant(passed + timedelta(days=1), zone)

    @property
    def spoken(self) -> bool:
        """Whether it left a zone or a day open, so that a person should be told what was understood."""
        return isinstance(self.means, time) or (isinstance(self.means, datetime) and self.means.tzinfo is None)


def moment(text: str) -> Moment:
    """Read ``6h`` (ago), ``23:00`` (its latest passing, local time), ``2026-11-21`` or ``2026-11-21T03:04Z``."""
    for read in (_clock, _day, parse):
        with suppress(ValueError):
            return Moment(text, read(text))
    raise ValueError(
        f"{text!r} is no moment{meant(text)}; write 6h (ago), 23:00 (local time), 2026-11-21 or 2026-11-21T03:04Z"
    )


def iso(at: int | None) -> str:
    """Write an instant in UTC, to the millisecond: texts of one width, which sort as the moments do."""
    if at is None:
        return ""
    return from_micros(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ago(at: int, now: int) -> str:
    """Write how far off an instant is: ``2h3m ago``, ``in 30s``; milliseconds only below one second."""
    apart = abs(now - at)
    told = about(apart if apart < SECOND else apart - apart % SECOND)
    return f"{told} ago" if at <= now else f"in {told}"


def near(at: int, now: int) -> str:
    """Write an instant for a person, in UTC: ``02:22`` within a day of now, else with its day."""
    day = timedelta(days=1)
    form = "%H:%M" if abs(from_micros(now) - from_micros(at)) < day else "%Y-%m-%d %H:%M"
    return from_micros(at).strftime(form)


def _instant(day: datetime, zone: tzinfo | None) -> int:
    if day.tzinfo is None and zone is not None:
        day = day.replace(tzinfo=zone)
    return instant(day.astimezone(UTC))


def _clock(text: str) -> time:
    if not _CLOCK.fullmatch(text):
        raise ValueError(text)
    return time.fromisoformat(text.zfill(5) if text.count(":") == 1 else text.zfill(8))


def _day(text: str) -> datetime:
    day = datetime.fromisoformat(text)
    if not MINYEAR < day.year < MAXYEAR:
        # In another zone it may be beyond all years.
        raise ValueError(text)
    return day
