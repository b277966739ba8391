"""The backoff calculator."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backburner.errors import InvalidOption
from backburner.model.clock import SECOND
from backburner.resilience.backoff import (
    Backoff,
    Jitter,
    Strategy,
    constant,
    decorrelated,
    exponential,
    fibonacci,
    linear,
    polynomial,
)

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = 3600

#: A busy machine is no failure.
calm = settings(deadline=None)


def seeded(seed: int) -> Random:
    """Return random numbers that a test can repeat."""
    return Random(seed)


jitters: st.SearchStrategy[Jitter] = st.one_of(st.sampled_from(["none", "full", "equal"]), st.floats(0, 1))
counts = st.one_of(st.integers(1, 100), st.just(10**6), st.just(10**400))


@st.composite
def backoffs(draw: st.DrawFn) -> Backoff:
    """Any backoff that can be made."""
    base = draw(st.integers(1, 10**12))
    strategy = draw(st.sampled_from(Strategy))
    return Backoff(
        strategy=strategy,
        base=base,
        cap=base if strategy is Strategy.CONSTANT else draw(st.integers(base, 9 * 10**15)),
        factor=draw(st.one_of(st.just(1), st.floats(1, 1000))),
        jitter="none" if strategy is Strategy.DECORRELATED else draw(jitters),
    )


def limit(backoff: Backoff) -> int:
    """Return the longest delay a backoff may answer."""
    share = 0 if isinstance(backoff.jitter, str) else backoff.jitter
    return backoff.cap + round(backoff.cap * share)


@calm
@given(backoffs(), counts, st.integers())
def test_every_delay_lies_within_its_bounds(backoff: Backoff, failures: int, seed: int) -> None:
    """A delay is a whole number of microseconds, never negative, within `bounds`, which lie within the cap."""
    low, high = backoff.bounds(failures)
    assert 0 <= low <= high <= limit(backoff)
    delay = backoff.delay(failures, random=seeded(seed))
    assert type(delay) is int
    assert low <= delay <= high


@calm
@given(backoffs(), st.integers(1, 200))
def test_bounds_never_shrink(backoff: Backoff, failures: int) -> None:
    """One more failure never means a shorter wait."""
    low, high = backoff.bounds(failures)
    later_low, later_high = backoff.bounds(failures + 1)
    assert low <= later_low
    assert high <= later_high


@pytest.mark.parametrize("jitter", ["full", "equal", 0.2])
@pytest.mark.parametrize("make", [linear, exponential, polynomial, fibonacci])
def test_jitter_stays_alive_at_the_cap(make: Callable[..., Backoff], jitter: Jitter) -> None:
    """After so many failures that the curve is flat, delays still spread over the jitter's whole range."""
    backoff = make(1, cap=100, jitter=jitter)
    low, high = backoff.bounds(10**6)
    random = seeded(7)
    delays = [backoff.delay(10**6, random=random) for _ in range(500)]
    assert len(set(delays)) > 490
    assert max(delays) - min(delays) > 0.9 * (high - low)


def test_decorrelated_keeps_its_jitter_at_the_cap() -> None:
    """A hundred jobs whose last delay was the cap do not come back together."""
    backoff = decorrelated(1, cap=100)
    random = seeded(7)
    delays = {backoff.delay(50, previous=100 * SECOND, random=random) for _ in range(100)}
    assert len(delays) == 100
    assert max(delays) <= 100 * SECOND


@calm
@given(st.integers(0, 10**12), st.integers())
def test_decorrelated_grows_from_the_previous_delay(previous: int, seed: int) -> None:
    """Its next delay lies between the base and factor times the one before."""
    backoff = decorrelated(1, factor=3, cap=10**7)
    delay = backoff.delay(9, previous=previous, random=seeded(seed))
    assert SECOND <= delay <= max(3 * SECOND, 3 * previous)


def test_decorrelated_stays_within_the_bounds_it_lists() -> None:
    """A whole chain of its delays, each from the one before, lies within `bounds`."""
    backoff = decorrelated(1, factor=2, cap=60)
    random = seeded(3)
    previous: int | None = None
    for failures in range(1, 50):
        previous = backoff.delay(failures, previous=previous, random=random)
        low, high = backoff.bounds(failures)
        assert low <= previous <= high


@calm
@given(backoffs(), counts, st.integers(0, 10**15), st.integers())
def test_a_floor_is_never_undercut(backoff: Backoff, failures: int, floor: int, seed: int) -> None:
    """What the other side asked for is waited for, and the jitter comes on top of it."""
    low, high = backoff.bounds(failures)
    delay = backoff.delay(failures, random=seeded(seed), floor=floor)
    assert floor <= delay <= max(low, floor) + high - low


def test_jitter_spreads_those_who_got_the_same_floor() -> None:
    """A thousand callers told "come back in an hour" do not come back in the same moment."""
    backoff = exponential(10, jitter="equal")
    random = seeded(1)
    delays = {backoff.delay(1, random=random, floor=HOUR * SECOND) for _ in range(1000)}
    assert min(delays) >= HOUR * SECOND
    assert len(delays) > 990


@calm
@given(backoffs(), counts, st.integers())
def test_a_seed_reproduces_its_delays(backoff: Backoff, failures: int, seed: int) -> None:
    """The same random numbers give the same delays."""
    first, second = seeded(seed), seeded(seed)
    assert backoff.delay(failures, random=first) == backoff.delay(failures, random=second)


@pytest.mark.parametrize(
    ("backoff", "seconds"),
    [
        (constant(7, jitter="none"), [7, 7, 7, 7, 7, 7]),
        (linear(2, cap=9, jitter="none"), [2, 4, 6, 8, 9, 9]),
        (exponential(10, factor=3, cap=1000, jitter="none"), [10, 30, 90, 270, 810, 1000]),
        (polynomial(1, power=2, cap=30, jitter="none"), [1, 4, 9, 16, 25, 30]),
        (fibonacci(1, cap=7, jitter="none"), [1, 1, 2, 3, 5, 7]),
        (exponential(timedelta(milliseconds=1), factor=1, jitter="none"), [0.001] * 6),
    ],
)
def test_the_curves(backoff: Backoff, seconds: list[float]) -> None:
    """Each strategy follows the curve its name promises, in microseconds, from the first failure on."""
    random = seeded(0)
    assert [backoff.delay(n, random=random) for n in range(1, 7)] == [round(s * SECOND) for s in seconds]


@pytest.mark.parametrize(
    ("jitter", "low", "high"),
    [("none", 100, 100), ("full", 0, 100), ("equal", 50, 100), (0.1, 90, 110), (1, 0, 200)],
)
def test_the_jitters(jitter: Jitter, low: float, high: float) -> None:
    """Each jitter spreads a delay as documented."""
    assert constant(100, jitter=jitter).bounds(1) == (low * SECOND, high * SECOND)


@pytest.mark.parametrize(
    ("make", "option"),
    [
        pytest.param(lambda: constant(-1), "base", id="negative"),
        pytest.param(lambda: constant(float("nan")), "base", id="nan"),
        pytest.param(lambda: constant(10**11), "base", id="longer than 285 years"),
        pytest.param(lambda: constant("1"), "base", id="text"),  # type: ignore[arg-type]
        pytest.param(lambda: constant(True), "base", id="bool"),  # noqa: FBT003 - the mistake under test
        pytest.param(lambda: linear(0), "base", id="zero that should grow"),
        pytest.param(lambda: linear(timedelta(hours=2), cap=timedelta(hours=1)), "base", id="above the cap"),
        pytest.param(lambda: linear(cap=float("inf")), "cap", id="endless"),
        pytest.param(lambda: exponential(factor=0.5), "factor", id="shrinking"),
        pytest.param(lambda: exponential(factor=float("nan")), "factor", id="nan factor"),
        pytest.param(lambda: polynomial(power=10**6), "power", id="steep"),
        pytest.param(lambda: decorrelated(factor=0), "factor", id="zero factor"),
        pytest.param(lambda: fibonacci(jitter="some"), "jitter", id="unknown word"),  # type: ignore[arg-type]
        pytest.param(lambda: fibonacci(jitter=1.5), "jitter", id="above one"),
        pytest.param(lambda: fibonacci(jitter=-0.1), "jitter", id="negative share"),
        pytest.param(lambda: fibonacci(jitter=True), "jitter", id="bool share"),
    ],
)
def test_impossible_numbers_are_refused(make: Callable[[], Backoff], option: str) -> None:
    """A number that makes no delay is refused where it is written, naming the option."""
    with pytest.raises(InvalidOption, match=option) as refused:
        make()
    assert refused.value.option == option
