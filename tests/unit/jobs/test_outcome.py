"""How runs end, as a table: from what happened to what is written down."""

from __future__ import annotations

import re
from asyncio import CancelledError
from dataclasses import dataclass
from json import JSONDecodeError

import pytest

from backburner.errors import PayloadNotReadable, ProcessDied
from backburner.jobs import outcome
from backburner.jobs.run import Why
from backburner.jobs.signals import Cancel, Reject, Retry, Snooze
from backburner.model.clock import from_micros
from backburner.model.fingerprint import poison, qualified
from backburner.model.job import SUSPECT_GATE, Cause, Ending, JobState, Recovered
from backburner.resilience.backoff import constant
from backburner.resilience.retry import RetryPolicy, encode
from tests.unit.jobs.told import SECOND, claim, job, seeded

NOW = 1_790_000_000 * SECOND
POLICY = RetryPolicy(attempts=3, backoff=constant(7, jitter="none"), reject=KeyError, snooze=BlockingIOError)


@dataclass(frozen=True, kw_only=True)
class Case:
    """An exception, the failures before it, and what becomes of the job."""

    error: BaseException
    failures: int = 0
    state: JobState
    ending: Ending
    delay: int = 0
    reason: str | None = None
    failed: int = 1


RAISED = {
    "a failure is tried again after the backoff": Case(
        error=ValueError("no"), state=JobState.PENDING, ending=Ending.FAILED, delay=7 * SECOND
    ),
    "the last attempt's failure is a death": Case(
        error=ValueError("no"), failures=2, state=JobState.DEAD, ending=Ending.FAILED, reason="exhausted"
    ),
    "a rejected class is a death at once": Case(
        error=KeyError("k"), state=JobState.DEAD, ending=Ending.REJECTED, reason="rejected: KeyError"
    ),
    "a snoozed class costs nothing, also on the last attempt": Case(
        error=BlockingIOError(), failures=2, state=JobState.PENDING, ending=Ending.SNOOZED, delay=7 * SECOND, failed=0
    ),
    "Retry chooses its own delay": Case(
        error=Retry(delay=2), state=JobState.PENDING, ending=Ending.FAILED, delay=2 * SECOND
    ),
    "Retry without a delay takes the backoff": Case(
        error=Retry("later"), state=JobState.PENDING, ending=Ending.FAILED, delay=7 * SECOND
    ),
    "Retry does not outlast the attempts": Case(
        error=Retry(delay=2), failures=2, state=JobState.DEAD, ending=Ending.FAILED, reason="exhausted"
    ),
    "Snooze costs no attempt, however many there were": Case(
        error=Snooze(5), failures=2, state=JobState.PENDING, ending=Ending.SNOOZED, delay=5 * SECOND, failed=0
    ),
    "Reject is a death at once": Case(
        error=Reject("bad data"), state=JobState.DEAD, ending=Ending.REJECTED, reason="rejected: bad data"
    ),
    "Cancel ends the job as cancelled": Case(
        error=Cancel("moot"), state=JobState.CANCELLED, ending=Ending.CANCELLED, reason="moot", failed=0
    ),
    "Cancel without a word is still cancelled": Case(
        error=Cancel(), state=JobState.CANCELLED, ending=Ending.CANCELLED, reason="cancelled", failed=0
    ),
    "SystemExit is a failure": Case(
        error=SystemExit(2), state=JobState.PENDING, ending=Ending.FAILED, delay=7 * SECOND
    ),
}


@pytest.mark.parametrize("case", RAISED.values(), ids=RAISED.keys())
def test_a_run_that_raised(case: Case) -> None:
    """What a run raises decides its end, by the table."""
    end = outcome.raised(claim("a", failures=case.failures, token=4), case.error, POLICY, seeded(), now=NOW)
    assert (end.id, end.token) == ("a", 4)
    assert (end.state, end.ending, end.delay, end.reason, end.failed) == (
        case.state,
        case.ending,
        case.delay,
        case.reason,
        case.failed,
    )
    assert end.crashed == end.interrupted == 0
    assert not end.unstarted


class Busy(Exception):
    """The other side wants to be asked again in a minute."""

    retry_after = 60


@pytest.mark.parametrize(
    ("policy", "least", "most"),
    [
        (POLICY, 60, 60),
        (RetryPolicy(attempts=3, backoff=constant(3600, jitter="none")), 3600, 3600),
        (RetryPolicy(attempts=3, backoff=constant(10, jitter=0.5)), 60, 70),
        (RetryPolicy(attempts=3, backoff=constant(10, jitter="full"), snooze=Busy), 60, 70),
    ],
)
def test_retry_after_is_a_floor(policy: RetryPolicy, least: int, most: int) -> None:
    """Of a failure or a snooze the delay is never shorter; a longer backoff stays, and jitter is added on top."""
    end = outcome.raised(claim("a"), Busy(), policy, seeded(), now=NOW)
    assert least * SECOND <= end.delay <= most * SECOND


def test_retry_after_by_a_date_is_counted_from_now() -> None:
    """As an HTTP date; also of a run that was told to end."""
    busy = Busy()
    busy.__dict__["retry_after"] = from_micros(NOW + 30 * SECOND)
    assert outcome.raised(claim("a"), busy, POLICY, seeded(), now=NOW).delay == 30 * SECOND
    assert outcome.ended(claim("a"), Why.TIMEOUT, busy, POLICY, seeded(), now=NOW).delay == 30 * SECOND


def test_retry_after_spares_no_attempt() -> None:
    """It says when, not whether."""
    assert outcome.raised(claim("a", failures=2), Busy(), POLICY, seeded(), now=NOW).state is JobState.DEAD


def test_a_failure_keeps_its_error() -> None:
    """A failure is written with type, message, traceback and fingerprint, and with the delay chosen."""
    with pytest.raises(ValueError, match="no route") as caught:
        raise ValueError("no route")
    end = outcome.raised(claim("a"), caught.value, POLICY, seeded(), now=NOW)
    assert (end.error, end.message, end.backoff) == ("ValueError", "no route", 7 * SECOND)
    assert "test_a_failure_keeps_its_error" in end.traceback
    assert len(end.fingerprint) == 12


@pytest.mark.parametrize("crashes", [0, 1, 2, 3])
def test_a_suspect_waits_at_its_gate(crashes: int) -> None:
    """Whatever sends a job back to wait, one that crashed twice waits at the gate of suspects, others in the line."""
    gate = SUSPECT_GATE if crashes >= 2 else ""
    one = claim("a", crashes=crashes)
    ends = [
        outcome.given_back(one),
        outcome.interrupted(one, "stop"),
        outcome.raised(one, ValueError(), POLICY, seeded(), now=NOW),
        outcome.raised(one, Snooze(1), POLICY, seeded(), now=NOW),
    ]
    assert [end.gate for end in ends] == [gate] * 4


def test_given_back_counts_nothing() -> None:
    """A claim given back is as if it had not been claimed: no attempt, no record."""
    end = outcome.given_back(claim("a"))
    assert (end.state, end.unstarted, end.ending) == (JobState.PENDING, True, None)
    assert end.failed == end.crashed == end.interrupted == end.delay == 0


def test_an_interruption_is_counted_apart() -> None:
    """An interrupted run is due again at once, and neither a failure nor a crash."""
    end = outcome.interrupted(claim("a"), "deploy")
    assert (end.state, end.delay, end.ending, end.message) == (JobState.PENDING, 0, Ending.INTERRUPTED, "deploy")
    assert (end.interrupted, end.failed, end.crashed) == (1, 0, 0)


@pytest.mark.parametrize(
    ("why", "error", "state", "ending"),
    [
        (Why.CANCEL, ValueError(), JobState.PENDING, Ending.CANCELLED),
        (Why.CANCEL, Snooze(1), JobState.PENDING, Ending.CANCELLED),
        (Why.TIMEOUT, TimeoutError(), JobState.PENDING, Ending.FAILED),
        (Why.TIMEOUT, Snooze(1), JobState.PENDING, Ending.SNOOZED),
        (Why.SHUTDOWN, ValueError(), JobState.PENDING, Ending.INTERRUPTED),
        (Why.SHUTDOWN, Reject("moot"), JobState.DEAD, Ending.REJECTED),
    ],
)
def test_a_run_told_to_end(why: Why, error: Exception, state: JobState, ending: Ending) -> None:
    """A person's cancel outranks what the run says; the run's own word outranks a timeout and a stop.

    A cancelled run is settled as pending, uncounted: the store makes it cancelled while that is still asked for.
    """
    end = outcome.ended(claim("a"), why, error, POLICY, seeded(), now=NOW)
    assert (end.state, end.ending) == (state, ending)
    if why is Why.CANCEL:
        assert (end.failed, end.interrupted, end.delay, end.reason) == (0, 0, 0, None)


@pytest.mark.parametrize(
    ("crashes", "state", "gate"),
    [(0, JobState.PENDING, ""), (1, JobState.PENDING, SUSPECT_GATE), (2, JobState.DEAD, ""), (5, JobState.DEAD, "")],
)
def test_crashes_convict_nobody_in_company(crashes: int, state: JobState, gate: str) -> None:
    """The first crash returns a job to the line, the second makes it a suspect, the third, alone, is poison."""
    end = outcome.recovered(Recovered(claim=claim("a", crashes=crashes), cause=Cause.LAPSED, node="n1"))
    assert (end.state, end.gate, end.crashed, end.ending) == (state, gate, 1, Ending.CRASHED)
    assert end.reason == ("poison" if state is JobState.DEAD else None)
    assert (end.error, end.fingerprint) == (("Poison", poison("work")) if state is JobState.DEAD else ("", ""))
    assert "n1" in end.message
    assert end.failed == end.interrupted == 0


def test_what_its_breaker_held_back_never_ran() -> None:
    """Given back while it waited for a thread, a run is uncharged, and due again when its lane is sure to be shut."""
    end = outcome.ended(claim("a"), Why.HELD, CancelledError(), POLICY, seeded(), now=NOW)
    assert (end.state, end.unstarted, end.delay) == (JobState.PENDING, True, SECOND)
    assert (end.failed, end.interrupted, end.crashed) == (0, 0, 0)


def test_poison_is_grouped_by_its_kind() -> None:
    """Letters of one kind share a fingerprint, which is like that of any other failure; another kind has another."""
    ends = [
        outcome.recovered(Recovered(claim=claim("a", kind, crashes=2), cause=Cause.LAPSED, node=node))
        for kind, node in (("one", "n1"), ("one", "n2"), ("two", "n1"))
    ]
    assert ends[0].fingerprint == ends[1].fingerprint != ends[2].fingerprint
    assert all(re.fullmatch("[0-9a-f]{12}", end.fingerprint or "") for end in ends)


def test_a_cancelled_job_whose_node_died_is_the_stores_to_cancel() -> None:
    """A lapsed job that was to be cancelled is settled as pending, whatever its crashes: it is no poison."""
    end = outcome.recovered(Recovered(claim=claim("a", crashes=2), cause=Cause.LAPSED, node="n1", cancel=True))
    assert (end.state, end.reason, end.crashed, end.gate) == (JobState.PENDING, None, 1, SUSPECT_GATE)


def test_a_process_that_died_is_a_crash_of_its_job_alone() -> None:
    """A run whose own process died is charged with a crash, and is poison when it had crashed twice before."""
    first = outcome.raised(claim("a"), ProcessDied("killed by SIGKILL"), POLICY, seeded(), now=NOW)
    third = outcome.raised(claim("a", crashes=2), ProcessDied("killed by SIGKILL"), POLICY, seeded(), now=NOW)
    assert (first.state, first.crashed, first.failed, first.message) == (JobState.PENDING, 1, 0, "killed by SIGKILL")
    assert (third.state, third.reason, third.crashed) == (JobState.DEAD, "poison", 1)


def test_a_misfit_remembers_every_signature_that_was_tried() -> None:
    """Each node that cannot read a payload adds its signature to the gate; the order in which they tried is no matter."""
    error = PayloadNotReadable("work: number is no int", path="number")
    first = outcome.misfit(claim("a"), error, "s2")
    second = outcome.misfit(claim("a", gate=first.gate), error, "s1")
    third = outcome.misfit(claim("a", gate=second.gate), error, "s3")
    assert [end.gate for end in (first, second, third)] == [
        "misfit:work:s2",
        "misfit:work:s1,s2",
        "misfit:work:s1,s2,s3",
    ]
    assert outcome.misfit(claim("a", gate=second.gate), error, "s1").gate == second.gate
    assert outcome.misfit(claim("a", gate="suspect"), error, "s1").gate == "misfit:work:s1"
    assert (first.state, first.ending, first.message) == (JobState.PENDING, Ending.MISFIT, "work: number is no int")


def test_follow_ups_go_with_a_completion_only() -> None:
    """What a run was to be followed by is stored with its completion and dropped with any other end; progress stays."""
    follow_ups = (job("next"),)
    done = outcome.with_effects(outcome.completed(claim("a"), "1"), follow_ups, (3, 4))
    failed = outcome.with_effects(
        outcome.raised(claim("a"), ValueError(), POLICY, seeded(), now=NOW), follow_ups, (3, 4)
    )
    assert (done.jobs, done.progress) == (follow_ups, (3, 4))
    assert (failed.jobs, failed.progress) == ((), (3, 4))
    plain = outcome.completed(claim("a"), "1")
    assert outcome.with_effects(plain, (), None) is plain


def test_an_expired_job_was_never_started() -> None:
    """An expired job is cancelled, reason expired; a claim to run it gives its attempt back, a recovery took none."""
    claimed = outcome.expired(claim("a"))
    found = outcome.recovered(Recovered(claim=claim("a", attempt=0), cause=Cause.EXPIRED))
    for end in (claimed, found):
        assert (end.state, end.reason, end.crashed) == (JobState.CANCELLED, "expired", 0)
    assert (claimed.unstarted, found.unstarted) == (True, False)


def test_a_refused_result_is_a_death_and_says_so() -> None:
    """A result that the store refuses ends its job as dead with the refusal; any other end keeps its state."""
    completed = outcome.unwritable(outcome.completed(claim("a"), "1"), "not text")
    assert (completed.state, completed.result, completed.message) == (JobState.DEAD, None, "not text")
    failed = outcome.unwritable(outcome.raised(claim("a"), ValueError("\ud800"), POLICY, seeded(), now=NOW), "not text")
    assert (failed.state, failed.delay, failed.failed) == (JobState.PENDING, 7 * SECOND, 1)
    assert (failed.traceback, failed.message) == ("", "not text")


def test_a_jobs_own_policy_comes_first() -> None:
    """The policy a job was stored with decides; without one the declared."""
    own = RetryPolicy(attempts=1, backoff=constant(0))
    assert outcome.policy_of(claim("a", retry=encode(own)), POLICY) == own
    assert outcome.policy_of(claim("a"), POLICY) is POLICY


@pytest.mark.parametrize("text", ["plain", "nul \x00", "lone \ud800", "é" * 5000, "\U0001f525" * 2000])
def test_every_text_is_made_storable(text: str) -> None:
    """Any text becomes one that every store takes, its end kept within the limit."""
    kept = outcome.storable(text, 64)
    assert "\x00" not in kept
    assert len(kept.encode()) <= 64 + 2 * text.count("\x00")
    assert kept.isprintable()


def test_errors_of_ours_are_named_as_users_import_them() -> None:
    """`Reject` is told as `backburner.Reject`, wherever it lives; others by their module, Python's own by their name."""
    assert qualified(Reject("no")) == "backburner.Reject"
    assert qualified(JSONDecodeError("no", "", 0)) == "json.decoder.JSONDecodeError"
    assert qualified(ValueError()) == "ValueError"
