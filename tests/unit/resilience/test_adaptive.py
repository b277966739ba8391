"""Adaptive concurrency."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backburner.errors import InvalidOption, PayloadNotReadable
from backburner.model.clock import SECOND
from backburner.model.lane import Limit
from backburner.resilience.adaptive import Adaptive, AdaptiveState, advance, begin, decode, encode, limit
from backburner.resilience.tally import Tally

#: A busy machine is no failure.
calm = settings(deadline=None)
#: Today, in microseconds.
TODAY = 1_790_000_000 * SECOND

tallies = st.builds(
    lambda calls, failures, slow: Tally(calls, min(calls, failures), min(calls, slow)),
    st.integers(0, 60),
    st.integers(0, 60),
    st.integers(0, 60),
)
policies = st.builds(
    Adaptive,
    least=st.integers(1, 20),
    most=st.integers(20, 300),
    target=st.sampled_from([None, 0.5]),
    decrease=st.floats(0.1, 0.9),
    tolerance=st.floats(0, 0.9),
    window=st.integers(1, 100),
)
histories = st.lists(st.tuples(st.integers(-3 * SECOND, 90 * SECOND), tallies, st.booleans()), max_size=60)


@calm
@given(policies, histories)
def test_slots_stay_in_bounds_and_move_as_they_may(policy: Adaptive, history: list[tuple[int, Tally, bool]]) -> None:
    """They gain one at a time, and only if used; they lose by the factor; they never leave least and most."""
    state, now = begin(policy), TODAY
    for passed, tally, used in history:
        now += passed
        after = advance(policy, state, tally, now, used=used)
        assert policy.least <= after.slots <= policy.most
        if after.slots > state.slots:
            assert used
            assert after.slots == state.slots + 1
        elif after.slots < state.slots:
            assert after.slots == max(policy.least, int(state.slots * policy.decrease))
            assert after.counts_from == now
        assert limit(policy, after) == Limit(slots=after.slots)
        assert (after.until is None) == (after.seen.calls == 0)
        assert advance(policy, after, Tally(), now, used=used) is after
        assert decode(encode(after)) == after
        state = after


def rounds(policy: Adaptive, state: AdaptiveState, capacity: int, number: int) -> list[int]:
    """Play a dependency that bears so many calls at once and answers the others late; return the slots after each."""
    slots: list[int] = []
    now = TODAY
    for _ in range(number):
        now += SECOND
        calls = max(state.slots, 10)
        late = calls - calls * capacity // state.slots if state.slots > capacity else 0
        state = advance(policy, state, Tally(calls, 0, late), now, used=True)
        slots.append(state.slots)
    return slots


def test_slots_find_what_the_dependency_bears() -> None:
    """A saw's teeth between half of what it bears and a little more, from above and from below."""
    policy = Adaptive(target=0.5, most=500)
    for start in (1, 500):
        found = rounds(policy, AdaptiveState(slots=start), 40, 400)[100:]
        assert min(found) >= 20
        assert 40 <= max(found) <= 48


def test_a_dead_dependency_is_left_alone_within_a_few_rounds() -> None:
    """A hundred slots come to one by the failures of less than three dozen runs."""
    policy = Adaptive()
    state, failures = AdaptiveState(slots=100), 0
    while state.slots > 1:
        state = advance(policy, state, Tally(1, 1), TODAY, used=True)
        failures += 1
    assert failures <= 35


def test_what_is_not_used_does_not_grow() -> None:
    """An idle night does not make a limit of a hundred."""
    policy = Adaptive()
    state = begin(policy)
    for _ in range(1000):
        state = advance(policy, state, Tally(10), TODAY, used=False)
    assert state.slots == 10


def test_a_tenth_may_fail() -> None:
    """One of ten is borne, two of ten are not, and the decision falls as soon as it is certain."""
    policy = Adaptive()
    state = advance(policy, begin(policy), Tally(9, 1), TODAY, used=True)
    assert advance(policy, state, Tally(1), TODAY, used=True).slots == 11
    assert advance(policy, state, Tally(1, 1), TODAY, used=True).slots == 5
    assert advance(policy, begin(policy), Tally(2, 2), TODAY, used=True).slots == 5


def test_where_jobs_are_long_a_round_ends_by_time() -> None:
    """A minute after its first run ended, with what there is; with nothing at all there is no round."""
    policy = Adaptive()
    state = advance(policy, begin(policy), Tally(1), TODAY, used=True)
    assert state.until == TODAY + 60 * SECOND
    assert advance(policy, state, Tally(), state.until - 1, used=True) is state
    assert advance(policy, state, Tally(), state.until, used=True) == AdaptiveState(slots=11)
    assert begin(policy).until is None


def test_the_start_lies_within_the_bounds() -> None:
    """Ten, or the nearest that may be, or what is said."""
    assert begin(Adaptive()).slots == 10
    assert begin(Adaptive(most=4)).slots == 4
    assert begin(Adaptive(least=20)).slots == 20
    assert begin(Adaptive(start=33)).slots == 33


def test_bounds_that_were_changed_hold_at_once() -> None:
    """A state from before a deploy is read within the new bounds."""
    assert limit(Adaptive(most=5), AdaptiveState(slots=80)) == Limit(slots=5)


def test_what_counts_and_what_is_slow() -> None:
    """As of a breaker."""
    policy = Adaptive(target=0.5, failures=OSError, ignore=FileNotFoundError)
    assert policy.tally(None, SECOND) == Tally(1, 0, 1)
    assert policy.tally(ConnectionError, 1) == Tally(1, 1, 0)
    assert policy.tally(FileNotFoundError, SECOND) == Tally()
    assert not policy.counts(ValueError)


@pytest.mark.parametrize("text", ["", "{}", '{"slots": "many"}'])
def test_an_unreadable_state_says_so(text: str) -> None:
    """A cell that holds something else is a payload that cannot be read."""
    with pytest.raises(PayloadNotReadable, match="adaptive state"):
        decode(text)


@pytest.mark.parametrize(
    ("options", "guilty"),
    [
        ({"least": 0}, "least"),
        ({"least": 5, "most": 4}, "least"),
        ({"most": 2.0}, "most"),
        ({"start": 0}, "start"),
        ({"start": 101}, "start"),
        ({"target": 0}, "target"),
        ({"target": "1s"}, "target"),
        ({"decrease": 1}, "decrease"),
        ({"decrease": 0}, "decrease"),
        ({"tolerance": 1}, "tolerance"),
        ({"tolerance": -1}, "tolerance"),
        ({"window": 0}, "window"),
        ({"failures": "OSError"}, "failures"),
        ({"failures": OSError, "ignore": OSError}, "ignore"),
    ],
    ids=str,
)
def test_impossible_policies_are_refused(options: dict[str, Any], guilty: str) -> None:
    """A policy that makes no sense is refused where it is written, naming the option."""
    with pytest.raises(InvalidOption) as refused:
        Adaptive(**options)
    assert refused.value.option == guilty
