"""Rates: how many may start when."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backburner.errors import InvalidOption
from backburner.model.clock import SECOND
from backburner.model.lane import Algorithm, Meter, Rate
from backburner.resilience.rates import (
    GRAMMAR,
    check_rate,
    deposited,
    interval,
    next_at,
    parse_rate,
    permits,
    rate,
    rate_text,
    spent,
)

MINUTE = 60 * SECOND
DAY = 86_400 * SECOND

#: A busy machine is no failure.
calm = settings(deadline=None)
#: Today, in microseconds.
TODAY = 1_790_000_000 * SECOND


@st.composite
def rates(draw: st.DrawFn, *algorithms: Algorithm) -> Rate:
    """Any rate that stores keep; small numbers, so that windows meet."""
    limit = draw(st.integers(1, 12))
    return check_rate(
        Rate(
            limit=limit,
            period=draw(st.integers(limit, 200)),
            algorithm=draw(st.sampled_from(algorithms or tuple(Algorithm))),
            burst=draw(st.integers(1, 5)),
        )
    )


#: How much time passes before each asking, and how many want to start.
askings = st.lists(st.tuples(st.integers(0, 150), st.integers(1, 15)), max_size=40)
meters = st.builds(Meter, st.integers(TODAY - 500, TODAY + 500), st.integers(0, 15), st.integers(0, 15))


def play(kept: Rate, asked: list[tuple[int, int]]) -> list[tuple[int, Meter]]:
    """Start whoever may; return when each started, and the meter after it."""
    now, meter, started = TODAY, Meter(), []
    for passed, wanted in asked:
        now += passed
        for _ in range(min(wanted, permits(kept, meter, now))):
            meter = spent(kept, meter, now, 1)
            started.append((now, meter))
    return started


@calm
@given(rates(Algorithm.GCRA), askings)
def test_gcra_never_lets_more_through_than_the_burst_and_the_time_give(
    kept: Rate, asked: list[tuple[int, int]]
) -> None:
    """In any stretch of time start at most the burst and one an interval; with a burst of one, the limit a period."""
    starts = [moment for moment, _ in play(kept, asked)]
    for first in range(len(starts)):
        for last in range(first, len(starts)):
            length = starts[last] - starts[first]
            assert last - first + 1 <= kept.burst + length // interval(kept)
            if length < kept.period:
                assert last - first + 1 <= kept.limit + kept.burst - 1


@calm
@given(rates(Algorithm.FIXED, Algorithm.SLIDING), askings)
def test_no_window_of_the_clock_holds_more_than_the_limit(kept: Rate, asked: list[tuple[int, int]]) -> None:
    """Fixed or sliding, a window of the clock sees at most the limit start."""
    windows = Counter(moment // kept.period for moment, _ in play(kept, asked))
    assert all(number <= kept.limit for number in windows.values())


@calm
@given(rates(Algorithm.SLIDING), askings)
def test_a_sliding_window_holds_no_more_than_the_limit_by_its_estimate(
    kept: Rate, asked: list[tuple[int, int]]
) -> None:
    """This window and the share of the last that is in sight come to the limit at most."""
    for moment, meter in play(kept, asked):
        in_sight = meter.mark + kept.period - moment
        assert meter.count * kept.period + meter.previous * in_sight <= kept.limit * kept.period


@calm
@given(rates(), askings)
def test_many_at_once_are_as_many_one_by_one(kept: Rate, asked: list[tuple[int, int]]) -> None:
    """Spending n is spending one n times, so a store may write a batch as one."""
    now, one, many = TODAY, Meter(), Meter()
    for passed, wanted in asked:
        now += passed
        number = min(wanted, permits(kept, many, now))
        many = spent(kept, many, now, number) if number else many
        for _ in range(number):
            one = spent(kept, one, now, 1)
        assert one == many


@calm
@given(rates(Algorithm.GCRA, Algorithm.FIXED), meters)
def test_next_at_is_the_first_moment_with_a_permit(kept: Rate, meter: Meter) -> None:
    """Of any meter, one from before the rate was changed too: a permit then, and none a microsecond before."""
    moment = next_at(kept, meter, TODAY)
    assert permits(kept, meter, moment) > 0
    assert moment == TODAY or (moment > TODAY and permits(kept, meter, moment - 1) == 0)


@calm
@given(rates(Algorithm.SLIDING), meters)
def test_next_at_of_a_sliding_window_is_never_late_and_gets_there(kept: Rate, meter: Meter) -> None:
    """No permit comes before it; who looks again then has one at the third look at the latest."""
    now = TODAY
    for _ in range(3):
        moment = next_at(kept, meter, now)
        if moment == now:
            break
        assert moment > now
        assert permits(kept, meter, moment - 1) == 0
        now = moment
    assert permits(kept, meter, now) > 0


@calm
@given(rates(), meters, st.integers(0, 1000))
def test_time_alone_takes_no_permit_and_a_clock_going_back_gives_none(kept: Rate, meter: Meter, passed: int) -> None:
    """Permits only grow with time: so a clock that goes back never lets through more."""
    assert permits(kept, meter, TODAY) <= permits(kept, meter, TODAY + passed)


@calm
@given(rates(), askings, st.integers(1, 1000), st.integers(1, 15))
def test_what_was_spent_stays_spent_when_the_clock_goes_back(
    kept: Rate, asked: list[tuple[int, int]], back: int, number: int
) -> None:
    """Spending by a clock that went back leaves no more, then or later, than spending before it did."""
    played = play(kept, asked)
    now, meter = played[-1] if played else (TODAY, Meter(TODAY))
    behind = spent(kept, meter, now - back, number)
    for moment in (now - back, now, now + kept.period // 2):
        assert permits(kept, behind, moment) <= permits(kept, meter, moment)
    if kept.algorithm is not Algorithm.GCRA or meter.mark >= now:
        assert behind == spent(kept, meter, now, number)


@calm
@given(rates(Algorithm.GCRA), meters, st.integers(0, 500), st.integers(0, 20))
def test_a_deposit_never_fills_above_the_burst(kept: Rate, meter: Meter, deposit: int, number: int) -> None:
    """Deposits give permits back, never more than the burst; beyond that they are gone, not saved up."""
    meter = deposited(meter, deposit, number)
    before = permits(kept, meter, TODAY)
    assert before <= kept.burst
    assert permits(kept, spent(kept, meter, TODAY, before), TODAY) == 0


def test_deposits_without_end_stay_in_every_stores_numbers() -> None:
    """A year of first attempts and no retry: the mark does not run away below what stores can hold."""
    meter = Meter(TODAY)
    for _ in range(10):
        meter = deposited(meter, DAY, 10**9)
    assert meter.mark == 0
    assert permits(Rate(limit=1, period=DAY, burst=3), meter, TODAY) == 3


def test_a_shorter_or_longer_period_turns_at_the_clocks_next_window() -> None:
    """A meter from before the period was changed holds nobody beyond the window it is in now."""
    # 100/hour was used up at half past eleven at night; now it is 100/day.
    half_past = DAY * 20_000 - 1800 * SECOND
    meter = Meter(half_past - 1800 * SECOND, 100, 0)
    assert next_at(Rate(limit=100, period=DAY, algorithm=Algorithm.FIXED), meter, half_past) == DAY * 20_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100/minute", Rate(limit=100, period=MINUTE)),
        ("100/minutes", Rate(limit=100, period=MINUTE)),
        ("5/s", Rate(limit=5, period=SECOND)),
        (" 5 / sec ", Rate(limit=5, period=SECOND)),
        ("10/30s", Rate(limit=10, period=30 * SECOND)),
        ("10/30", Rate(limit=10, period=30 * SECOND)),
        ("1/1h30m", Rate(limit=1, period=90 * MINUTE)),
        ("3/ms", Rate(limit=3, period=1000)),
        ("7/h", Rate(limit=7, period=60 * MINUTE)),
        ("1000/day", Rate(limit=1000, period=DAY)),
        ("1000/days fixed", Rate(limit=1000, period=DAY, algorithm=Algorithm.FIXED)),
        ("100/minute sliding", Rate(limit=100, period=MINUTE, algorithm=Algorithm.SLIDING)),
        ("100/minute leaky", Rate(limit=100, period=MINUTE)),
        ("100/minute burst 20", Rate(limit=100, period=MINUTE, burst=20)),
    ],
)
def test_a_rate_is_read_as_people_write_it(text: str, expected: Rate) -> None:
    """A number, a slash, a unit or a duration; then a burst or a kind of window."""
    assert parse_rate(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "100",
        "/minute",
        "100/",
        "100 per minute",
        "100/fortnight",
        "-1/s",
        "1.5/s",
        "0/s",
        "5/s burst",
        "5/s burst 0",
        "5/s fixed burst 3",
        "5/s twice",
        "٣/s",
        "5/s\x00",
        "9" * 17 + "/s",
    ],
)
def test_what_is_no_rate_is_refused_with_the_grammar(text: str) -> None:
    """The refusal shows how to write one, and names the option."""
    with pytest.raises(InvalidOption) as refused:
        parse_rate(text)
    assert GRAMMAR in str(refused.value)
    assert refused.value.option == "rate"


@pytest.mark.parametrize("text", ["5/0s", "2000000/s", "1000000/day", "1/s burst 9999999999"])
def test_a_rate_that_stores_could_not_keep_is_refused(text: str) -> None:
    """More than one start a microsecond, or numbers that some store would round."""
    with pytest.raises(InvalidOption) as refused:
        parse_rate(text)
    assert refused.value.option == "rate"


def test_a_rate_is_made_of_numbers_too() -> None:
    """`rate` checks as the grammar does."""
    assert rate(100, 60) == parse_rate("100/minute")
    assert rate(100, 60, burst=20) == parse_rate("100/minute burst 20")
    assert rate(100, 60, algorithm="leaky") == parse_rate("100/minute leaky")
    assert rate(100, 60, algorithm="sliding") == parse_rate("100/minute sliding")
    with pytest.raises(InvalidOption, match="gcra, leaky, fixed, sliding"):
        rate(1, 1, algorithm="bucket")
    with pytest.raises(InvalidOption, match="no burst"):
        rate(1, 1, algorithm="fixed", burst=2)
    with pytest.raises(InvalidOption, match="whole number"):
        rate(1, 1, burst=True)
    with pytest.raises(InvalidOption, match="negative"):
        rate(1, -1)


@calm
@given(st.integers(1, 10**6), st.integers(1, 10**10))
def test_an_interval_is_never_too_short(limit: int, period: int) -> None:
    """So many intervals as the limit are no less than the period."""
    if limit <= period:
        assert interval(Rate(limit=limit, period=period)) * limit >= period


@calm
@given(rates())
def test_a_rate_is_written_as_it_is_read(kept: Rate) -> None:
    """The text of a rate is read as the same; windows have no burst."""
    if kept.algorithm is not Algorithm.GCRA:
        kept = Rate(limit=kept.limit, period=kept.period, algorithm=kept.algorithm)
    assert parse_rate(rate_text(kept)) == kept


@pytest.mark.parametrize(
    "text", ["100/minute", "5/second", "10/30s", "1000/day fixed", "7/hour sliding", "9/1m30s burst 4"]
)
def test_a_rate_is_written_as_people_do(text: str) -> None:
    """Whole units go by their names, other periods by a duration."""
    assert rate_text(parse_rate(text)) == text
