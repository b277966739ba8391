"""Ticks against a walker over every real minute, two days either side of each change of the clocks.

Everywhere and always (`make check-zones`) where BACKBURNER_TEST_ZONES is ``all``; else some zones by a fixed draw, and
the odd ones.
"""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

import pytest

from backburner.model.clock import SECOND
from backburner.scheduler.timetable import timetable
from backburner.scheduler.triggers import Cron, OnGap, OnOverlap
from backburner.scheduler.zones import zone
from tests.unit.scheduler.walker import DAY, Expression, changes, seconds, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERYWHERE = os.environ.get("BACKBURNER_TEST_ZONES") == "all"
#: Zones of the ordinary run, beside the odd ones: so many whose clocks are set, and so many others.
MOVING, STILL = 14, 2

ZONES = sorted(available_timezones() - {"localtime"})
ODD = (
    "Africa/Casablanca",
    "America/New_York",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Pacific/Apia",
)

FIXED = (
    "30 2 * * *",
    "30 1 * * *",
    "45 1 * * *",
    "0 0 * * *",
    "0 2 * * 0",
    "0,15,30 0-3 * * *",
    "59 23 * * *",
    "5-50/9 1,2 * * *",
    "0 9 * * mon-fri",
    "0 0 L * *",
    "15 0-23 * * sat-mon",
)
ELAPSED = (
    "*/20 * * * *",
    "*/7 1-3 * * *",
    "*/20 2 * * *",
    "15 */2 * * *",
    "*/10 2 * * *",
    "0 * * * *",
    "17 */5 * * *",
    "*/45,50 0-2 * * *",
)
POLICIES: tuple[tuple[OnGap, OnOverlap], ...] = (("run_after", "first"), ("skip", "second"), ("run_after", "both"))


def some() -> list[str]:
    """Return a few zones, always the same of one database."""
    shuffled = random.Random(6).sample(ZONES, len(ZONES))
    months = [datetime(2024, month, 1, tzinfo=UTC) for month in range(1, 13)]
    moving = [name for name in shuffled if len({month.astimezone(ZoneInfo(name)).utcoffset() for month in months}) > 1]
    return [*moving[:MOVING], *[name for name in shuffled if name not in moving][:STILL]]


def ticks(cron: Cron, zone: str, begin: int, end: int) -> Iterator[int]:
    """Return the ticks after one moment up to another, in seconds."""
    found = timetable(cron, "any", zone)
    moment = found.after(begin * SECOND)
    while moment is not None and moment <= end * SECOND:
        assert moment % SECOND == 0
        yield moment // SECOND
        moment = found.after(moment)


def check(text: str, zone: str, change: int, on_gap: OnGap, on_overlap: OnOverlap) -> None:
    """Compare the ticks about a change of the clocks with the walker's, and what is previewed with the ticks."""
    begin, end = change - 2 * DAY, change + 2 * DAY
    cron = Cron(text, tz=zone, on_gap=on_gap, on_overlap=on_overlap)
    what = f"{text} in {zone} about {change}, {on_gap}, {on_overlap}"
    found = list(ticks(cron, "UTC", begin, end))
    assert found == walk(text, zone, begin, end, on_gap=on_gap, on_overlap=on_overlap), what
    upcoming = (each.tick for each in timetable(cron, "any", "UTC").upcoming(begin * SECOND) if each.tick is not None)
    assert [each // SECOND for each in takewhile(lambda tick: tick <= end * SECOND, upcoming)] == found, what


def check_all(zone: str, moments: list[int]) -> None:
    """Compare every expression by every policy."""
    for change in moments:
        for text in FIXED:
            for on_gap, on_overlap in POLICIES:
                check(text, zone, change, on_gap, on_overlap)
        for text in ELAPSED:
            check(text, zone, change, "skip", "first")


@pytest.mark.parametrize("name", ODD)
def test_the_odd_zones_run_as_their_clocks_do(name: str) -> None:
    """In zones whose clocks are set in odd ways, each tick is the one that walking over the real minutes finds."""
    year = seconds(2026)
    moments = list(changes(name, year, seconds(2027))) or [year]
    check_all(name, moments[:2])


@pytest.mark.parametrize(
    ("name", "year", "month", "day", "from_to"),
    [
        pytest.param("Pacific/Apia", 2011, 12, 30, (-10, 14), id="Apia skips a day"),
        pytest.param("Asia/Kathmandu", 1986, 1, 1, (5.5, 5.75), id="Kathmandu's quarter of an hour"),
        pytest.param("Asia/Beirut", 2024, 3, 31, (2, 3), id="Beirut's midnight"),
        pytest.param("Antarctica/Troll", 2025, 3, 30, (0, 2), id="Troll's two hours forward"),
        pytest.param("Antarctica/Troll", 2025, 10, 26, (2, 0), id="Troll's two hours back"),
        pytest.param("Australia/Lord_Howe", 2025, 4, 6, (11, 10.5), id="Lord Howe's half hour back"),
        pytest.param("Africa/Casablanca", 2025, 2, 23, (1, 0), id="Casablanca's Ramadan"),
        pytest.param("America/Caracas", 2007, 12, 9, (-4, -4.5), id="Caracas' half hour back"),
        pytest.param("Asia/Pyongyang", 2018, 5, 4, (8.5, 9), id="Pyongyang's half hour forward"),
    ],
)
def test_the_oddest_changes_there_were(
    name: str, year: int, month: int, day: int, from_to: tuple[float, float]
) -> None:
    """Where a zone skipped a day, or was set by a quarter of an hour, each tick is the one that walking finds."""
    about = seconds(year, month, day)
    (change,) = zone(name).changes(about - DAY, about + DAY)
    assert (change.before / 3600, change.after / 3600) == from_to
    check_all(name, [change.at])


@pytest.mark.parametrize("name", ZONES if EVERYWHERE else some())
def test_zones_run_as_their_clocks_do(name: str) -> None:
    """About each change of the clocks from 2024 to 2028, each tick is the one that walking over the real minutes finds."""
    drawn = random.Random(name)
    first, last = seconds(2024), seconds(2029 if EVERYWHERE else 2025)
    moments = list(changes(name, first, last))
    assert [change.at for change in zone(name).changes(first, last - 1)] == moments
    moments = moments or [drawn.randrange(first, last, DAY)]
    if EVERYWHERE:
        check_all(name, moments)
        return
    for change in moments:
        for text in drawn.sample(FIXED, 3):
            check(text, name, change, *drawn.choice(POLICIES))
        for text in drawn.sample(ELAPSED, 2):
            check(text, name, change, "skip", "first")


@pytest.mark.parametrize("text", [*FIXED, *ELAPSED])
def test_the_oracle_tells_fixed_times_from_elapsed_ones(text: str) -> None:
    """What begins with a star follows elapsed time, by the oracle's own reading."""
    assert Expression(text).elapsed == (text in ELAPSED)
