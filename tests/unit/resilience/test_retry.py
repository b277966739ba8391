"""Retry policies."""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backburner.errors import InvalidOption, PayloadNotReadable, UnknownRetryPolicy
from backburner.model.clock import SECOND
from backburner.model.duration import about
from backburner.resilience import retry
from backburner.resilience.backoff import Backoff, constant, decorrelated, exponential
from backburner.resilience.retry import LOOP_BACKOFF, POLICIES, RetryPolicy, Verdict, decide, decode, encode, policy

HOUR = 3600 * SECOND


def test_the_standard_policy_outlasts_a_night() -> None:
    """`standard` spreads its ten attempts over 7.5 to 15 hours."""
    standard = policy("standard")
    assert standard.attempts == 10
    bounds = [standard.backoff.bounds(failures) for failures in range(1, 10)]
    assert 7.4 * HOUR <= sum(low for low, _ in bounds) <= 7.6 * HOUR
    assert 14.8 * HOUR <= sum(high for _, high in bounds) <= 15.2 * HOUR


@pytest.mark.parametrize(
    ("name", "attempts", "first", "last"),
    [("standard", 10, 10, 6 * 3600), ("conservative", 4, 60, 3600), ("aggressive", 25, 1, 3600), ("none", 1, 0, 0)],
)
def test_the_named_policies(name: str, attempts: int, first: int, last: int) -> None:
    """The named policies have the numbers the documentation gives: attempts, first delay, cap."""
    known = policy(name)
    assert (known.name, known.attempts) == (name, attempts)
    assert (known.backoff.bounds(1)[1], known.backoff.bounds(99)[1]) == (first * SECOND, last * SECOND)


def test_a_loop_that_fails_waits_a_moment_and_at_most_ten_seconds() -> None:
    """The loops' own backoff never storms and never sleeps long."""
    assert LOOP_BACKOFF.bounds(1) == (SECOND // 20, SECOND // 10)
    assert LOOP_BACKOFF.bounds(10**6) == (5 * SECOND, 10 * SECOND)


def test_a_policy_of_ones_own_is_taken_as_it_is() -> None:
    """`policy` answers a RetryPolicy unchanged."""
    own = RetryPolicy(attempts=3, backoff=constant(1))
    assert policy(own) is own


def test_an_unknown_policy_is_refused_with_the_nearest_name() -> None:
    """A slip of the pen is answered with the name that was meant."""
    with pytest.raises(UnknownRetryPolicy, match='did you mean "standard"') as refused:
        policy("standart")
    assert refused.value.option == "retry"
    with pytest.raises(UnknownRetryPolicy, match="standard, conservative, aggressive, none"):
        policy("xyz")


def test_what_is_no_policy_is_refused() -> None:
    """A number is no policy."""
    with pytest.raises(InvalidOption, match="neither"):
        policy(3)  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.integers(1, 50), st.integers(1, 100))
def test_the_last_attempt_is_the_last(attempts: int, failures: int) -> None:
    """Failures below the limit are tried again; at the limit the job is out of attempts."""
    own = RetryPolicy(attempts=attempts, backoff=constant(1))
    expected = Verdict.RETRY if failures < attempts else Verdict.EXHAUSTED
    assert decide(own, failures, ValueError) is expected


def test_without_a_limit_no_failure_is_the_last() -> None:
    """``attempts=None`` tries for ever."""
    assert decide(RetryPolicy(attempts=None, backoff=constant(1)), 10**9, ValueError) is Verdict.RETRY


def test_the_nearest_class_named_decides() -> None:
    """Of the classes an exception has, the most special one that a rule names decides."""
    own = RetryPolicy(
        attempts=5, backoff=constant(1), reject=OSError, retry=(ConnectionError,), snooze=(BrokenPipeError,)
    )
    assert decide(own, 1, PermissionError) is Verdict.REJECT
    assert decide(own, 1, ConnectionResetError) is Verdict.RETRY
    assert decide(own, 1, BrokenPipeError) is Verdict.SNOOZE


def test_who_says_what_to_retry_says_what_not_to() -> None:
    """With ``retry=`` given, an exception that no rule names is rejected; without, it is retried."""
    assert decide(RetryPolicy(attempts=5, backoff=constant(1), retry=OSError), 1, ValueError) is Verdict.REJECT
    assert decide(RetryPolicy(attempts=5, backoff=constant(1), reject=OSError), 1, ValueError) is Verdict.RETRY


def test_a_snooze_and_a_rejection_outrank_the_count() -> None:
    """Neither is a failure too many: a snooze goes on, a rejection says why."""
    own = RetryPolicy(attempts=1, backoff=constant(1), snooze=OSError, reject=ValueError)
    assert decide(own, 1, OSError) is Verdict.SNOOZE
    assert decide(own, 1, ValueError) is Verdict.REJECT


@pytest.mark.parametrize("name", list(POLICIES))
def test_a_named_policy_is_stored_by_its_name(name: str) -> None:
    """A named policy is stored as its name, so a better one of that name reaches jobs stored before."""
    assert encode(policy(name)) == f'"{name}"'
    assert decode(f'"{name}"') is policy(name)


@pytest.mark.parametrize("backoff", [constant(0), decorrelated(2), exponential(1, jitter=0.25)], ids=str)
def test_a_policy_of_ones_own_is_stored_by_its_numbers(backoff: Backoff) -> None:
    """Numbers come back equal."""
    for attempts in (None, 1, 7):
        own = RetryPolicy(attempts=attempts, backoff=backoff, name="mine")
        assert decode(encode(own)) == own


def test_a_policy_that_borrows_a_name_is_stored_by_its_numbers() -> None:
    """Only the policy that a name stands for is stored as that name."""
    own = RetryPolicy(attempts=2, backoff=constant(1), name="standard")
    assert decode(encode(own)) == own


def test_rules_cannot_be_stored() -> None:
    """Exception classes belong to the declaration, and the refusal says so."""
    with pytest.raises(InvalidOption, match="declare the policy on the job") as refused:
        encode(RetryPolicy(attempts=2, backoff=constant(1), reject=ValueError))
    assert refused.value.option == "retry"


@pytest.mark.parametrize(
    "text",
    ['"gone"', "{", "7", '{"attempts": 0, "backoff": {"strategy": "constant", "base": 1, "cap": 1}}', "{}"],
)
def test_an_unreadable_stored_policy_says_so(text: str) -> None:
    """A stored policy that this code does not know, or that makes no sense, is a payload that cannot be read."""
    with pytest.raises(PayloadNotReadable, match="retry policy"):
        decode(text)


@pytest.mark.parametrize(
    ("options", "guilty"),
    [
        ({"attempts": 0}, "attempts"),
        ({"attempts": True}, "attempts"),
        ({"attempts": 2.0}, "attempts"),
        ({"backoff": 10}, "backoff"),
        ({"retry": "OSError"}, "retry"),
        ({"reject": (OSError, int)}, "reject"),
        ({"snooze": KeyboardInterrupt}, "snooze"),
        ({"retry": OSError, "snooze": (OSError,)}, "snooze"),
    ],
    ids=str,
)
def test_impossible_policies_are_refused(options: dict[str, Any], guilty: str) -> None:
    """A policy that makes no sense is refused where it is written, naming the option."""
    with pytest.raises(InvalidOption) as refused:
        RetryPolicy(**{"attempts": 3, "backoff": constant(1), **options})
    assert refused.value.option == guilty


@pytest.mark.parametrize("name", list(POLICIES))
def test_the_documented_tables_are_the_calculators(name: str) -> None:
    """Each named policy's row in the module's docstring: attempts, delays, what they come to."""
    row = next(line for line in (retry.__doc__ or "").splitlines() if line.startswith(f"{name} "))
    _, attempts, *rest = re.split(r"\s{2,}", row)
    bounds = [POLICIES[name].backoff.bounds(failures) for failures in range(1, int(attempts))]
    assert int(attempts) == POLICIES[name].attempts
    delays = [(about(high), len(list(same))) for high, same in groupby(high for _, high in bounds)]
    shown = " ".join(text if count == 1 else f"{text} ({count} times)" for text, count in delays)
    sums = [about(sum(side)) for side in zip(*bounds, strict=True)]
    assert rest == ([shown, " to ".join(sums)] if bounds else [])
