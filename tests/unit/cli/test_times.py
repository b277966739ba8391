"""Moments, as people give them and as they are shown."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from backburner.cli.times import ago, iso, moment
from backburner.model.clock import SECOND, instant

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOW = instant(datetime(2026, 11, 21, 3, 4, tzinfo=UTC))


@pytest.fixture
def in_delhi(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand in a zone five and a half hours east of Greenwich."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_delhi")
@pytest.mark.parametrize(
    ("text", "expected", "spoken"),
    [
        ("6h", datetime(2026, 11, 20, 21, 4, tzinfo=UTC), False),
        ("90", datetime(2026, 11, 21, 3, 2, 30, tzinfo=UTC), False),
        ("2026-11-21T01:00Z", datetime(2026, 11, 21, 1, tzinfo=UTC), False),
        ("2026-11-21T01:00+02:00", datetime(2026, 11, 21, 1, tzinfo=timezone(timedelta(hours=2))), False),
        ("2026-11-21", datetime(2026, 11, 20, 18, 30, tzinfo=UTC), True),
        ("8:30", datetime(2026, 11, 21, 3, tzinfo=UTC), True),
        ("08:40:30", datetime(2026, 11, 20, 3, 10, 30, tzinfo=UTC), True),
    ],
)
def test_moments(text: str, expected: datetime, spoken: bool) -> None:  # noqa: FBT001 - a table's column
    """A moment is so long ago, a time of day's latest passing, or a date; without a zone it is local and spoken."""
    meant = moment(text)
    assert (meant.at(_NOW), meant.spoken) == (instant(expected), spoken)


@pytest.mark.usefixtures("in_delhi")
@pytest.mark.parametrize(
    ("text", "latest", "following"),
    [
        ("4:00", (2026, 11, 21, 3), (2026, 11, 22, 3)),
        ("04:05", (2026, 11, 20, 3, 5), (2026, 11, 21, 3, 5)),
        ("2026-07-01", (2026, 6, 30, 22), (2026, 6, 30, 22)),
        ("2026-11-21T01:00Z", (2026, 11, 21, 1), (2026, 11, 21, 1)),
        ("6h", (2026, 11, 20, 21, 4), (2026, 11, 20, 21, 4)),
    ],
)
def test_moments_in_a_zone(text: str, latest: tuple[int, ...], following: tuple[int, ...]) -> None:
    """Where a zone is meant, what says none is read by that one's clock, and not by the machine's."""
    berlin = ZoneInfo("Europe/Berlin")
    meant = moment(text)
    for found, expected in ((meant.at(_NOW, berlin), latest), (meant.next(_NOW, berlin), following)):
        assert found == instant(datetime(*expected, tzinfo=UTC))  # type: ignore[misc, arg-type]


@pytest.mark.usefixtures("in_delhi")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8:30", datetime(2026, 11, 22, 3, tzinfo=UTC)),
        ("08:34", datetime(2026, 11, 22, 3, 4, tzinfo=UTC)),
        ("08:40:30", datetime(2026, 11, 21, 3, 10, 30, tzinfo=UTC)),
        ("2026-11-21T01:00Z", datetime(2026, 11, 21, 1, tzinfo=UTC)),
    ],
)
def test_moments_ahead(text: str, expected: datetime) -> None:
    """Where an end is meant, a time of day is its next passing."""
    assert moment(text).next(_NOW) == instant(expected)


@pytest.mark.parametrize(
    "text", ["", "soon", "25:00", "2026-13-01", "-6h", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"]
)
def test_no_moments(text: str) -> None:
    """Anything else is refused with the way to write one."""
    with pytest.raises(ValueError, match="is no moment; write 6h"):
        moment(text)


def test_shown() -> None:
    """Instants are shown in UTC, in one width, and how far off they are."""
    assert iso(_NOW + 5000) == "2026-11-21T03:04:00.005Z"
    assert iso(None) == ""
    assert ago(_NOW - 90 * SECOND, _NOW) == "1m30s ago"
    assert ago(_NOW + 90 * SECOND, _NOW) == "in 1m30s"
    assert ago(_NOW - 2 * SECOND - 509_000, _NOW) == "2s ago"
    assert ago(_NOW - 24_000, _NOW) == "24ms ago"
