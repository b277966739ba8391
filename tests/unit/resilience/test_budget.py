"""Retry budgets and bulkheads."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backburner.errors import InvalidOption
from backburner.model.clock import SECOND
from backburner.model.lane import Limit, Meter, Rate
from backburner.resilience.budget import Budget
from backburner.resilience.bulkhead import Bulkhead
from backburner.resilience.rates import deposited, permits, rate, spent

#: A busy machine is no failure.
calm = settings(deadline=None)
#: Today, in microseconds.
TODAY = 1_790_000_000 * SECOND

budgets = st.builds(
    Budget,
    st.just("x"),
    ratio=st.floats(0, 1),
    reserve=st.sampled_from(["1/s", "7/minute", "10/30s", "1000/s", "3/day"]),
    capacity=st.integers(1, 300),
)
#: How much time passes, how many first attempts are made then, and how many retries want to.
histories = st.lists(
    st.tuples(st.integers(0, 20 * SECOND), st.integers(0, 100), st.integers(0, 100)), min_size=1, max_size=60
)


class Played:
    """A budget in use, as a store keeps it."""

    def __init__(self, budget: Budget) -> None:
        limit = budget.limit()
        assert limit.rate is not None
        assert limit.deposit is not None
        self.rate, self.deposit = limit.rate, limit.deposit
        self.meter = Meter()

    def run(self, now: int, first: int, retries: int) -> int:
        """Make first attempts, and as many of the retries as may run; return their number."""
        self.meter = deposited(self.meter, self.deposit, first)
        through = min(retries, permits(self.rate, self.meter, now))
        self.meter = spent(self.rate, self.meter, now, through) if through else self.meter
        return through


@calm
@given(budgets, histories)
def test_retries_never_pass_capacity_reserve_and_share(budget: Budget, history: list[tuple[int, int, int]]) -> None:
    """In any stretch of time: capacity, the reserve's by time, and the share of the first attempts made in it."""
    played, now, told = Played(budget), TODAY, []
    for passed, first, retries in history:
        now += passed
        told.append((now, first, played.run(now, first, retries)))
    for begin in range(len(told)):
        through = firsts = 0
        for moment, first, retried in told[begin:]:
            firsts += first
            through += retried
            reserve = Fraction((moment - told[begin][0]) * played.rate.limit, played.rate.period)
            assert through <= budget.capacity + reserve + Fraction(budget.ratio) * firsts


@calm
@given(budgets, histories)
def test_what_a_budget_withholds_it_lets_through_in_time(budget: Budget, history: list[tuple[int, int, int]]) -> None:
    """However it was used, once it is left alone for long enough a whole capacity may run."""
    played, now = Played(budget), TODAY
    for passed, first, retries in history:
        now += passed
        played.run(now, first, retries)
    full = now + budget.capacity * played.rate.period
    assert played.run(full, 0, 10**6) == budget.capacity


def test_claims_of_a_hundred_keep_their_fifth() -> None:
    """By default, with work in batches of a hundred, a fifth of them may be retries, and none of it is lost."""
    played, now = Played(Budget("stripe")), TODAY
    assert played.run(now, 0, 1000) == 100
    for _ in range(50):
        now += 1000
        assert played.run(now, 100, 1000) in {20, 21}


def test_a_small_capacity_halves_the_share_of_such_claims() -> None:
    """Which is why the default is no ten."""
    played, now = Played(Budget("stripe", capacity=10)), TODAY
    played.run(now, 0, 1000)
    assert played.run(now + 1000, 100, 1000) == 10


def test_with_no_new_work_the_reserve_drains_the_retries() -> None:
    """One a second, so that a queue at rest ends all the same."""
    played = Played(Budget("stripe"))
    played.run(TODAY, 0, 1000)
    assert sum(played.run(TODAY + second * SECOND, 0, 1000) for second in range(1, 3601)) == 3600


def test_the_limit_is_a_token_bucket_with_deposits() -> None:
    """The numbers a lane is given: a fifth of the second that one retry costs."""
    assert Budget("stripe").limit() == Limit(rate=Rate(limit=1, period=SECOND, burst=100), deposit=SECOND // 5)
    assert Budget("stripe", ratio=0, reserve=rate(6, 60)).limit() == Limit(
        rate=Rate(limit=6, period=60 * SECOND, burst=100), deposit=0
    )


@pytest.mark.parametrize(
    ("options", "guilty"),
    [
        ({"name": ""}, "budget"),
        ({"ratio": 20}, "ratio"),
        ({"ratio": -0.1}, "ratio"),
        ({"ratio": True}, "ratio"),
        ({"capacity": 0}, "capacity"),
        ({"capacity": 1.5}, "capacity"),
        ({"reserve": "often"}, "rate"),
        ({"reserve": "0/s"}, "rate"),
        ({"reserve": "1/s burst 5"}, "reserve"),
        ({"reserve": "10/s fixed"}, "reserve"),
        ({"reserve": "2000/s"}, "reserve"),
        ({"reserve": 1}, "reserve"),
        ({"reserve": "1/day", "capacity": 10**6}, "rate"),
    ],
    ids=str,
)
def test_impossible_budgets_are_refused(options: dict[str, Any], guilty: str) -> None:
    """A policy that makes no sense is refused where it is written, naming the option."""
    with pytest.raises(InvalidOption) as refused:
        Budget(**{"name": "stripe", **options})
    assert refused.value.option == guilty


def test_a_bulkhead_is_so_many_slots() -> None:
    """Ten by default."""
    assert Bulkhead("pdf").limit() == Limit(slots=10)
    assert Bulkhead("pdf", slots=2).limit() == Limit(slots=2)


@pytest.mark.parametrize(("options", "guilty"), [({"slots": 0}, "slots"), ({"slots": "4"}, "slots")], ids=str)
def test_impossible_bulkheads_are_refused(options: dict[str, Any], guilty: str) -> None:
    """No slots at all is a pause."""
    with pytest.raises(InvalidOption) as refused:
        Bulkhead("pdf", **options)
    assert refused.value.option == guilty
