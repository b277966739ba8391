"""Durations as people write them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backburner.model.clock import SECOND
from backburner.model.duration import about, parse, short

_HOUR = 3600 * SECOND


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", 30 * SECOND),
        ("15m", 15 * 60 * SECOND),
        ("2h", 2 * _HOUR),
        ("7d", 7 * 24 * _HOUR),
        ("500ms", SECOND // 2),
        ("3us", 3),
        ("1h30m", _HOUR * 3 // 2),
        ("1d2h3m4s5ms6us", 26 * _HOUR + 184 * SECOND + 5006),
        ("1.5h", _HOUR * 3 // 2),
        ("90", 90 * SECOND),
        ("0.25", SECOND // 4),
        ("0", 0),
        (" 30s ", 30 * SECOND),
    ],
)
def test_grammar(text: str, expected: int) -> None:
    """A duration is numbers with units; a plain number is seconds."""
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", " ", "s", "-3s", "3 s", "1e3", "nan", "inf", "3x", "3s4", "30m1h", "1s1s", "1,5s", "٣s", "3S"]
)
def test_refusals(text: str) -> None:
    """What is no duration is refused with its text and the way to write one."""
    with pytest.raises(ValueError, match="write it like 500ms, 30s") as caught:
        parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5 minutes", "5m"),
        ("1 Hour", "1h"),
        ("3 s", "3s"),
        ("2w", "14d"),
        ("1 week ago", "7d"),
        ("10min", "10m"),
        ("3S", "3s"),
        ("250msec", "250ms"),
    ],
)
def test_units_of_others(text: str, expected: str) -> None:
    """Of what others write as a duration it is said how it is written here."""
    with pytest.raises(ValueError, match=re.escape(f"{text!r} is not a duration (did you mean {expected}?); write")):
        parse(text)
    assert parse(expected)


@pytest.mark.parametrize("text", ["104250d", "9000000001", "9" * 21 + "s", "1." + "0" * 30 + "s"])
def test_longest(text: str) -> None:
    """A duration that no store could add to its now is refused, however it is written."""
    with pytest.raises(ValueError, match=r"285 years|digits"):
        parse(text)


@given(st.integers(min_value=0, max_value=9_000_000_000_000_000))
def test_round_trip(duration: int) -> None:
    """The short text of a duration reads back as exactly that duration."""
    assert parse(short(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "exact", "rough"),
    [
        (0, "0s", "0s"),
        (5, "5us", "0s"),
        (1_234_567, "1s234ms567us", "1s234ms"),
        (59_999_999, "59s999ms999us", "59s"),
        (90_061 * SECOND, "1d1h1m1s", "1d1h"),
        (_HOUR + 1, "1h1us", "1h"),
        (-90 * SECOND, "-1m30s", "-1m30s"),
    ],
)
def test_texts(duration: int, exact: str, rough: str) -> None:
    """`short` is exact, `about` names the two longest units."""
    assert (short(duration), about(duration)) == (exact, rough)
