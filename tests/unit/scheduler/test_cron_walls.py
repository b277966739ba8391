"""The calendar: croniter reads every expression that is let through as a plain reading of it does."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backburner.scheduler.cron import Reading, read
from backburner.scheduler.walls import Walls, walls
from tests.unit.scheduler.walker import DAY, DAYS, MONTHS, Expression, seconds

calm = settings(deadline=None, max_examples=100)


@st.composite
def spans(draw: st.DrawFn, low: int, high: int, names: tuple[str, ...] = ()) -> str:
    """A number, a range, or steps, as a field from ``low`` to ``high`` has them."""

    def word(number: int) -> str:
        return draw(st.sampled_from([str(number), names[number - low]])) if number - low < len(names) else str(number)

    first = draw(st.integers(low, high))
    kind = draw(st.sampled_from(("one", "range", "stepped", "all stepped", "from")))
    if kind == "range":
        last = draw(st.integers(low, high).filter(lambda last: last != first and {first, last} != {0, 7}))
        return f"{word(first)}-{word(last)}"
    if kind == "stepped" and first + 1 < high:
        last = draw(st.integers(first + 1, high).filter(lambda last: {first, last} != {0, 7}))
        return f"{word(first)}-{word(last)}/{draw(st.integers(1, last - first))}"
    if kind == "all stepped":
        return f"*/{draw(st.integers(1, (6 if high == 7 else high) - low))}"
    if kind == "from" and first < (6 if high == 7 else high):
        return f"{word(first)}/{draw(st.integers(1, (6 if high == 7 else high) - first))}"
    return word(first)


def lists(low: int, high: int, names: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    """Any field."""
    return st.just("*") | st.lists(spans(low, high, names), min_size=1, max_size=3).map(",".join)


#: Days that are said by the month, and by the week.
by_month = (
    st.just("*")
    | st.just("?")
    | st.lists(st.just("L") | spans(1, 31), min_size=1, max_size=3).map(",".join)
    | st.integers(1, 31).map(lambda day: f"{day}W")
)
weekdays = st.integers(0, 7).map(str)
by_week = (
    st.just("*")
    | st.just("?")
    | lists(0, 7, DAYS)
    | st.lists(
        st.tuples(weekdays | st.sampled_from(DAYS), st.integers(1, 5)).map(lambda nth: f"{nth[0]}#{nth[1]}")
        | weekdays.map(lambda day: f"L{day}"),
        min_size=1,
        max_size=3,
    ).map(",".join)
)
#: One kind of day is said; or both are, as plain numbers, of which either is enough.
days = (
    st.tuples(by_month, st.sampled_from("*?"))
    | st.tuples(st.sampled_from("*?"), by_week)
    | st.tuples(st.integers(1, 28).map(str) | st.just("L"), st.sampled_from(DAYS))
)


@st.composite
def expressions(draw: st.DrawFn) -> str:
    """Any expression that is let through, but for those that can never be, and those with an H."""
    day, week = draw(days)
    month = "*" if day not in ("*", "?") else draw(lists(1, 12, MONTHS))
    return f"{draw(lists(0, 59))} {draw(lists(0, 23))} {day} {month} {week}"


@given(expressions(), st.integers(seconds(2023), seconds(2030)))
@example("0 0 31W 2 *", seconds(2026))
@example("0 0 1W * *", seconds(2026))
@example("0 0 29 2 *", seconds(2097))
@example("0 0 * 2 5#5", seconds(2025))
@example("0 22-2 * * sat-mon", seconds(2026))
@example("0 0 25-5 nov-feb *", seconds(2026))
@calm
def test_croniter_reads_it_as_it_is_written(text: str, start: int) -> None:
    """Each wall time croniter finds is the next one that a plain reading of the expression names."""
    found, plain = walls(text, seconds=False, seed=None), Expression(text)
    for _ in range(4):
        expected = plain.first(start)
        assert found.first(start) == expected
        start = expected + 1


@given(lists(0, 59), lists(0, 59), st.integers(seconds(2023), seconds(2030)))
@calm
def test_seconds_come_first(second: str, minute: str, start: int) -> None:
    """With seconds the first field is the second, and the others follow."""
    text = f"{second} {minute} * * * *"
    found, plain = walls(text, seconds=True, seed=None), Expression(text, seconds=True)
    for _ in range(4):
        expected = plain.first(start)
        assert found.first(start) == expected
        start = expected + 1


@given(expressions())
@calm
def test_what_begins_with_a_star_follows_elapsed_time(text: str) -> None:
    """An expression follows elapsed time where its minute or its hour has an item that begins with a star."""
    assert read(text, seconds=False).elapsed == Expression(text).elapsed


@pytest.mark.parametrize("far", [seconds(2200), seconds(2254), -seconds(2200), -(2**33)])
def test_centuries_are_no_matter(far: int) -> None:
    """A wall time is found exactly two centuries from now, and before 1970."""
    assert walls("7 3 * * *", seconds=False, seed=None).first(far - far % DAY) == far - far % DAY + 3 * 3600 + 7 * 60


def test_what_croniter_finds_no_day_for_has_none() -> None:
    """Where croniter gives up, which no expression that is let through makes it do, there is no wall time."""
    never = Reading("0 0 31 2 *", seconds=False, elapsed=False, spread=False)
    assert Walls(never, None).first(0) is None
