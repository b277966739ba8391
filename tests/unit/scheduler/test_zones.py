"""Time zones: their names, their changes, and the database they come from."""

from __future__ import annotations

import importlib
import re
import sys
from datetime import date, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backburner.errors import InvalidSchedule
from backburner.model.clock import SECOND
from backburner.scheduler import zones
from backburner.scheduler.zones import Change, database_version, first_instant, local, zone
from tests.unit.scheduler.walker import DAY, HOUR, seconds

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("Europe/Berlni", "'Europe/Berlin'"),
        ("europe/berlin", "'Europe/Berlin'"),
        ("Berlin", "'Europe/Berlin'"),
        ("New York", "'America/New_York'"),
        ("America/New York", "'America/New_York'"),
        ("Europe", "'Europe/"),
        ("localtime", "such as"),
        ("right/Europe/Berlin", "'Europe/Berlin'"),
        ("UTC+2", "UTC"),
        ("Mars/Olympus", "or"),
        ("", "such as"),
        ("../../etc/passwd", "such as"),
        ("/etc/localtime", "such as"),
        ("tzdata.zi", "such as"),
        ("nul\0", "such as"),
        ("x" * 5000, "such as"),
        ("\ud800", "such as"),
    ],
    ids=lambda each: repr(each)[:30],
)
def test_an_unknown_zone_is_refused_with_the_nearest_names(name: str, offered: str) -> None:
    """Whatever is no zone of the database is refused, and the names most like it are offered."""
    with pytest.raises(InvalidSchedule) as refused:
        zone(name)
    assert offered in str(refused.value)
    assert refused.value.part == "tz"


def test_a_zone_is_given_by_its_name() -> None:
    """What is no text is refused as such."""
    given: Any = 1
    with pytest.raises(InvalidSchedule, match="name of a time zone"):
        zone(given)


def test_changes_are_found_to_the_second() -> None:
    """A zone's changes stand in order, each with the offset before and after; its begin is excluded, its end is not."""
    berlin = zone("Europe/Berlin")
    spring, autumn = Change(1774746000, 3600, 7200), Change(1792890000, 7200, 3600)
    assert list(berlin.changes(seconds(2026), seconds(2027))) == [spring, autumn]
    assert list(berlin.changes(spring.at - 1, spring.at)) == [spring]
    assert list(berlin.changes(spring.at, autumn.at - 1)) == []
    assert list(zone("UTC").changes(0, seconds(2200))) == []
    assert [berlin.offset(spring.at - 1), berlin.offset(spring.at)] == [3600, 7200]


def test_a_change_at_the_turn_of_a_year_is_found_once() -> None:
    """Years are looked through one by one; a change at or near the first moment of one in UTC is one of one year."""
    new_year = seconds(1969)
    assert list(zone("Antarctica/Casey").changes(new_year - DAY, new_year + DAY)) == [Change(new_year, 0, 28_800)]
    new_year = seconds(1975)
    assert list(zone("Africa/Bissau").changes(new_year - DAY, new_year + DAY)) == [Change(new_year + HOUR, -3_600, 0)]
    new_year = seconds(2010)
    assert list(zone("Asia/Dhaka").changes(new_year - DAY, new_year + DAY)) == [
        Change(new_year - 7 * HOUR, 25_200, 21_600)
    ]


@given(
    st.sampled_from(("Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu")),
    st.integers(seconds(1980), seconds(2040)),
)
@settings(deadline=None)
def test_local_time_is_what_zoneinfo_says(name: str, moment: int) -> None:
    """What a clock reads is what the standard library says it does."""
    expected = datetime.fromtimestamp(moment, ZoneInfo(name)).replace(tzinfo=None)
    assert local(moment * SECOND, name) == expected


@pytest.mark.parametrize(
    ("name", "day", "reads"),
    [
        ("UTC", date(2026, 3, 29), datetime(2026, 3, 29)),  # noqa: DTZ001 - what a clock reads
        ("Europe/Berlin", date(2026, 3, 30), datetime(2026, 3, 30)),  # noqa: DTZ001 - what a clock reads
        ("America/New_York", date(2026, 11, 1), datetime(2026, 11, 1)),  # noqa: DTZ001 - what a clock reads
        ("Asia/Beirut", date(2026, 3, 29), datetime(2026, 3, 29, 1)),  # noqa: DTZ001 - what a clock reads
        ("Pacific/Apia", date(2011, 12, 30), datetime(2011, 12, 31)),  # noqa: DTZ001 - what a clock reads
        ("Pacific/Apia", date(2011, 12, 31), datetime(2011, 12, 31)),  # noqa: DTZ001 - what a clock reads
        ("Pacific/Kiritimati", date(1994, 12, 31), datetime(1995, 1, 1)),  # noqa: DTZ001 - what a clock reads
    ],
)
def test_a_day_begins_when_its_clock_first_reads_it(name: str, day: date, reads: datetime) -> None:
    """The first moment of a day is midnight, the end of a gap over midnight, or the next day where it is left out."""
    first = first_instant(day, name)
    assert local(first, name) == reads
    assert local(first - SECOND, name).date() < day


@given(
    st.sampled_from(("Europe/Berlin", "America/Havana", "America/Asuncion", "Pacific/Apia", "Africa/Cairo")),
    st.dates(date(1975, 1, 1), date(2035, 1, 1)),
)
@settings(deadline=None)
def test_no_moment_of_a_day_is_before_its_first(name: str, day: date) -> None:
    """At a day's first moment the clock reads that day or a later one, and it did not a second before."""
    first = first_instant(day, name)
    assert local(first, name).date() >= day
    assert local(first - SECOND, name).date() < day


def test_the_version_of_the_database_is_known() -> None:
    """The version is a year and a letter, wherever the zones come from."""
    assert re.fullmatch(r"20\d\d[a-z]", database_version())


def test_the_version_is_that_of_the_files_that_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of the system come before the package, as they do for zoneinfo; a file that says nothing is passed over."""
    named, unnamed = tmp_path / "named", tmp_path / "unnamed"
    for folder, text in ((named, "# version 2031c\nR A 1\n"), (unnamed, "R A 1\n")):
        folder.mkdir()
        (folder / "tzdata.zi").write_text(text)
    monkeypatch.setattr(zones, "TZPATH", (str(tmp_path / "none"), str(unnamed), str(named)))
    assert database_version() == "2031c"
    monkeypatch.setattr(zones, "TZPATH", ())
    assert database_version() == importlib.import_module("tzdata").IANA_VERSION
    assert version("tzdata").startswith(database_version()[:4])


def test_a_machine_without_zone_files_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is neither, the version is empty."""
    missing: Any = None
    monkeypatch.setitem(sys.modules, "tzdata", missing)
    monkeypatch.setattr(zones, "TZPATH", ())
    assert database_version() == ""
