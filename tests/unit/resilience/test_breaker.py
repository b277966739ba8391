"""Circuit breakers."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backburner.errors import InvalidOption, PayloadNotReadable
from backburner.model.clock import SECOND
from backburner.model.lane import Limit
from backburner.resilience.backoff import constant, decorrelated, exponential
from backburner.resilience.breaker import Breaker, BreakerState, Phase, advance, decode, encode, limit
from backburner.resilience.tally import Tally

#: A busy machine is no failure.
calm = settings(deadline=None)
#: Today, in microseconds.
TODAY = 1_790_000_000 * SECOND
NOTHING = Tally()
STRIPE = Breaker("stripe")

#: Where each phase may go in one step, besides staying.
LEGAL = {
    Phase.CLOSED: {Phase.OPEN},
    Phase.OPEN: {Phase.HALF_OPEN},
    Phase.HALF_OPEN: {Phase.OPEN, Phase.CLOSING},
    Phase.CLOSING: {Phase.OPEN, Phase.CLOSED},
}


def ok(number: int) -> Tally:
    """Return the tally of so many runs that succeeded."""
    return Tally(number)


def failed(number: int) -> Tally:
    """Return the tally of so many runs that failed."""
    return Tally(number, number)


class Played:
    """A breaker to which things happen, a second after the other unless told otherwise."""

    def __init__(self, policy: Breaker = STRIPE) -> None:
        self.policy = policy
        self.state = BreakerState()
        self.now = TODAY
        self.random = Random(7)

    def see(self, tally: Tally = NOTHING, after: float = 1) -> Phase:
        """Let time pass and runs end; return the phase."""
        self.now += round(after * SECOND)
        self.state = advance(self.policy, self.state, tally, self.now, self.random)
        return self.state.phase

    def until(self) -> Phase:
        """Let time pass to the moment when that alone changes the state."""
        assert self.state.until is not None
        return self.see(after=(self.state.until - self.now) / SECOND)

    @property
    def slots(self) -> int | None:
        return limit(self.policy, self.state).slots


tallies = st.builds(
    lambda calls, failures, slow: Tally(calls, min(calls, failures), min(calls, slow)),
    st.integers(0, 60),
    st.integers(0, 60),
    st.integers(0, 60),
)
breakers = st.builds(
    Breaker,
    st.just("x"),
    ratio=st.floats(0.01, 1),
    calls=st.integers(1, 40),
    window=st.integers(1, 100),
    slow=st.sampled_from([None, 3]),
    slow_ratio=st.floats(0.01, 1),
    open=st.sampled_from([constant(1), exponential(30, factor=2, cap=600, jitter="full"), decorrelated(3)]),
    probes=st.integers(1, 10),
)
histories = st.lists(st.tuples(st.integers(-3 * SECOND, 90 * SECOND), tallies), max_size=60)


@calm
@given(breakers, histories, st.integers())
def test_only_legal_transitions_one_at_a_time(policy: Breaker, history: list[tuple[int, Tally]], seed: int) -> None:
    """Whatever happens, the phases follow each other as they may, and each has the limit that is its own."""
    state, now, random = BreakerState(), TODAY, Random(seed)
    for passed, tally in history:
        now += passed
        after = advance(policy, state, tally, now, random)
        assert after.phase is state.phase or after.phase in LEGAL[state.phase]
        slots = limit(policy, after).slots
        match after.phase:
            case Phase.CLOSED:
                assert (slots, after.until) == (None, None)
                assert len(after.buckets) <= 13
            case Phase.OPEN:
                assert slots == 0
                assert after.until is not None
                assert after.since < after.until <= after.since + policy.open.bounds(10**6)[1]
            case Phase.HALF_OPEN:
                assert (slots, after.until) == (policy.probes, None)
            case Phase.CLOSING:
                assert slots in {policy.probes * ramp for ramp in (2, 4, 8, 16, 32, 64)}
                assert after.until is not None
        assert after.counts_from <= max(now, state.counts_from)
        state = after


@calm
@given(breakers, histories, st.integers())
def test_the_same_moment_with_nothing_new_changes_nothing(
    policy: Breaker, history: list[tuple[int, Tally]], seed: int
) -> None:
    """A node that looks again, and nothing has ended, need not write."""
    state, now, random = BreakerState(), TODAY, Random(seed)
    for passed, tally in history:
        now += passed
        state = advance(policy, state, tally, now, random)
        assert advance(policy, state, NOTHING, now, random) is state


@calm
@given(breakers, histories, st.integers())
def test_a_state_comes_back_equal(policy: Breaker, history: list[tuple[int, Tally]], seed: int) -> None:
    """What is stored as JSON is read as it was."""
    state, now, random = BreakerState(), TODAY, Random(seed)
    for passed, tally in history:
        now += passed
        state = advance(policy, state, tally, now, random)
        assert decode(encode(state)) == state


@calm
@given(breakers, histories, st.integers())
def test_the_same_random_numbers_give_the_same_states(
    policy: Breaker, history: list[tuple[int, Tally]], seed: int
) -> None:
    """Pure: nothing but what is passed in decides."""
    ends = []
    for random in (Random(seed), Random(seed)):
        state, now = BreakerState(), TODAY
        for passed, tally in history:
            now += passed
            state = advance(policy, state, tally, now, random)
        ends.append(state)
    assert ends[0] == ends[1]


def test_it_opens_when_half_of_twenty_calls_fail() -> None:
    """By default, the tenth failure of twenty calls opens it; nineteen calls say nothing yet."""
    breaker = Played()
    assert breaker.see(failed(9)) is Phase.CLOSED
    assert breaker.see(ok(10)) is Phase.CLOSED
    assert breaker.slots is None
    assert breaker.see(failed(1)) is Phase.OPEN
    assert breaker.slots == 0


def test_a_smaller_share_of_failures_is_borne() -> None:
    """Below the ratio it stays closed, however long."""
    breaker = Played()
    for _ in range(500):
        assert breaker.see(Tally(10, 4)) is Phase.CLOSED


def test_what_is_older_than_the_window_is_forgotten() -> None:
    """Failures of a minute ago do not count."""
    breaker = Played()
    breaker.see(failed(19))
    assert breaker.see(failed(1), after=61) is Phase.CLOSED
    assert breaker.see(ok(18)) is Phase.CLOSED
    assert breaker.see(Tally(1, 1)) is Phase.CLOSED


def test_the_window_sees_eleven_twelfths_of_its_length_at_least() -> None:
    """It is cut into twelve, and the oldest slice goes whole."""
    breaker = Played()
    breaker.see(failed(19))
    assert breaker.see(failed(1), after=55) is Phase.OPEN


def test_slow_calls_open_it_too() -> None:
    """A dependency that answers late is as bad as one that does not."""
    breaker = Played(Breaker("stripe", slow=3, slow_ratio=0.8))
    assert breaker.see(Tally(19, 0, 15)) is Phase.CLOSED
    assert breaker.see(Tally(1, 0, 1)) is Phase.OPEN


def opened() -> Played:
    """Return a breaker that has just opened."""
    breaker = Played()
    assert breaker.see(failed(20)) is Phase.OPEN
    return breaker


def test_open_it_waits_for_thirty_seconds_then_probes() -> None:
    """± a tenth; what still ends meanwhile began before and says nothing."""
    breaker = opened()
    assert breaker.state.until is not None
    assert 27 * SECOND <= breaker.state.until - breaker.now <= 33 * SECOND
    assert breaker.see(ok(100)) is Phase.OPEN
    assert breaker.until() is Phase.HALF_OPEN
    assert breaker.slots == 3
    assert breaker.state.counts_from == breaker.now


def test_probes_wait_for_no_time() -> None:
    """Half-open, only what probes say changes anything: no jobs, no probes."""
    breaker = opened()
    breaker.until()
    assert breaker.state.until is None
    assert breaker.see(after=10**6) is Phase.HALF_OPEN


def test_three_probes_that_succeed_begin_the_ramp() -> None:
    """One by one or at once."""
    breaker = opened()
    breaker.until()
    assert [breaker.see(ok(1)) for _ in range(3)] == [Phase.HALF_OPEN, Phase.HALF_OPEN, Phase.CLOSING]
    assert breaker.slots == 6


def test_probes_that_fail_open_it_as_soon_as_that_is_certain() -> None:
    """Two of three are half of them already; one is not, but then a fourth has to succeed."""
    breaker = opened()
    breaker.until()
    assert breaker.see(failed(2)) is Phase.OPEN
    breaker.until()
    assert breaker.see(failed(1)) is Phase.HALF_OPEN
    assert breaker.see(ok(2)) is Phase.HALF_OPEN
    assert breaker.see(ok(1)) is Phase.CLOSING


def test_each_opening_in_a_row_lasts_twice_as_long_up_to_ten_minutes() -> None:
    """The backoff is the one calculator's, by the number of openings."""
    breaker = opened()
    for number, expected in enumerate((30, 60, 120, 240, 480, 600, 600), 1):
        assert breaker.state.openings == number
        assert breaker.state.until is not None
        assert 0.89 * expected * SECOND <= breaker.state.until - breaker.now <= 1.11 * expected * SECOND
        breaker.until()
        assert breaker.see(failed(3)) is Phase.OPEN


def test_the_ramp_doubles_as_successes_come_and_ends_closed() -> None:
    """6, 12, … 192: each step as soon as so many have succeeded."""
    breaker = opened()
    breaker.until()
    breaker.see(ok(3))
    slots: list[int | None] = []
    while breaker.state.phase is Phase.CLOSING:
        slots.append(breaker.slots)
        assert breaker.slots is not None
        breaker.see(ok(breaker.slots), after=0.01)
    assert slots == [6, 12, 24, 48, 96, 192]
    assert (breaker.state.phase, breaker.slots) == (Phase.CLOSED, None)


def test_the_ramp_goes_on_after_five_seconds_where_jobs_are_few_or_long() -> None:
    """Time takes a step as well, one a look."""
    breaker = opened()
    breaker.until()
    breaker.see(ok(3))
    assert breaker.see(after=4.9) is Phase.CLOSING
    assert breaker.slots == 6
    breaker.see(after=0.1)
    assert breaker.slots == 12
    breaker.see(after=3600)
    assert breaker.slots == 24


def test_a_ramp_that_fails_opens_it_again_for_longer() -> None:
    """Half of the step's slots; of a wide step, no more than open it when closed."""
    breaker = opened()
    breaker.until()
    breaker.see(ok(3))
    assert breaker.see(failed(2)) is Phase.CLOSING
    assert breaker.see(failed(1)) is Phase.OPEN
    assert breaker.state.openings == 2
    breaker.until()
    breaker.see(ok(3))
    while breaker.slots != 96:
        breaker.see(after=5)
    assert breaker.see(failed(9)) is Phase.CLOSING
    assert breaker.see(failed(1)) is Phase.OPEN


def closed_again() -> Played:
    """Return a breaker that was open twice in a row and has just closed."""
    breaker = opened()
    breaker.until()
    breaker.see(failed(3))
    breaker.until()
    breaker.see(ok(3))
    while breaker.state.phase is Phase.CLOSING:
        breaker.see(after=5)
    return breaker


def test_a_window_that_stays_closed_ends_the_row_of_openings() -> None:
    """Soon after it closed, the next opening is the third in a row; a minute later it is a first one."""
    soon, later = closed_again(), closed_again()
    soon.see(failed(20), after=59)
    later.see(failed(20), after=60)
    assert (soon.state.openings, later.state.openings) == (3, 1)


def test_closed_again_it_begins_with_an_empty_window() -> None:
    """What opened it is not held against it twice."""
    assert closed_again().state.buckets == ()


def test_runs_count_from_the_probes_on() -> None:
    """A run that began in the ramp and ends when it is closed still tells; one from before the probes does not."""
    breaker = opened()
    breaker.until()
    probed = breaker.now
    breaker.see(ok(3))
    while breaker.state.phase is Phase.CLOSING:
        assert breaker.state.counts_from == probed
        breaker.see(after=5)
    assert breaker.state.counts_from == probed


def test_a_clock_that_goes_back_forgets_what_lies_ahead() -> None:
    """Slices of the window from a later time than now are dropped, so that none stays for ever."""
    breaker = Played()
    breaker.see(failed(19))
    assert breaker.see(failed(1), after=-3600) is Phase.CLOSED
    assert len(breaker.state.buckets) == 1


def test_what_counts_is_what_the_nearest_class_says() -> None:
    """As in retry rules; what does not count says nothing at all, not even that the dependency is well."""
    policy = Breaker("stripe", failures=OSError, ignore=(FileNotFoundError,), slow=timedelta(seconds=3))
    assert policy.counts(ConnectionResetError)
    assert not policy.counts(FileNotFoundError)
    assert not policy.counts(ValueError)
    assert policy.tally(None, SECOND) == Tally(1, 0, 0)
    assert policy.tally(None, 3 * SECOND) == Tally(1, 0, 0)
    assert policy.tally(None, 3 * SECOND + 1) == Tally(1, 0, 1)
    assert policy.tally(OSError, 9 * SECOND) == Tally(1, 1, 1)
    assert policy.tally(ValueError, 9 * SECOND) == Tally()
    assert STRIPE.counts(ValueError)
    assert not STRIPE.counts(KeyboardInterrupt)
    assert STRIPE.tally(None, 10**15) == Tally(1, 0, 0)


def test_closed_there_is_no_limit_at_all() -> None:
    """A breaker in peace costs its lane nothing."""
    assert limit(STRIPE, BreakerState()) == Limit()


def test_fields_of_a_newer_version_are_left_out() -> None:
    """Nodes of two versions share one cell."""
    state = opened().state
    newer = {**msgspec.to_builtins(state), "mood": "grim", "seen": [1, 0, 0, 9]}
    assert decode(msgspec.json.encode(newer).decode()) == msgspec.structs.replace(state, seen=ok(1))


@pytest.mark.parametrize("text", ["", "[]", '{"phase": "ajar"}', '{"since": "today"}'])
def test_an_unreadable_state_says_so(text: str) -> None:
    """A cell that holds something else is a payload that cannot be read."""
    with pytest.raises(PayloadNotReadable, match="breaker state"):
        decode(text)


@pytest.mark.parametrize(
    ("options", "guilty"),
    [
        ({"name": ""}, "breaker"),
        ({"ratio": 0}, "ratio"),
        ({"ratio": 50}, "ratio"),
        ({"ratio": float("nan")}, "ratio"),
        ({"ratio": True}, "ratio"),
        ({"slow_ratio": 1.5}, "slow_ratio"),
        ({"calls": 0}, "calls"),
        ({"calls": 2.0}, "calls"),
        ({"probes": 0}, "probes"),
        ({"probes": 10**6}, "probes"),
        ({"window": 0.5}, "window"),
        ({"window": "60"}, "window"),
        ({"slow": 0}, "slow"),
        ({"slow": -1}, "slow"),
        ({"open": 30}, "open"),
        ({"open": constant(0)}, "open"),
        ({"failures": "OSError"}, "failures"),
        ({"ignore": (OSError, int)}, "ignore"),
        ({"failures": OSError, "ignore": (OSError,)}, "ignore"),
    ],
    ids=str,
)
def test_impossible_breakers_are_refused(options: dict[str, Any], guilty: str) -> None:
    """A policy that makes no sense is refused where it is written, naming the option."""
    with pytest.raises(InvalidOption) as refused:
        Breaker(**{"name": "stripe", **options})
    assert refused.value.option == guilty


def test_a_percentage_is_answered_with_a_share() -> None:
    """The refusal says how to mend it."""
    with pytest.raises(InvalidOption, match=r"0\.5 is half of the calls"):
        Breaker("stripe", ratio=50)
