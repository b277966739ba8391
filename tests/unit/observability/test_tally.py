"""What is counted of the engine's work."""

from __future__ import annotations

import msgspec
import pytest

from backburner.model.clock import SECOND
from backburner.model.job import Ending, JobState
from backburner.observability.tally import OTHER, OUTCOMES, RUN_BOUNDS, WAIT_BOUNDS, Series, Tally
from backburner.ports.telemetry import Hooks, Signal
from tests.unit.observability.measuring import claim, new_job, settlement


@pytest.fixture
def tally() -> Tally:
    """Count from zero."""
    return Tally()


def counted(tally: Tally) -> Series:
    """Return what was counted of the one kind and queue there are."""
    (((kind, queue), series),) = tally.series()
    assert (kind, queue) == ("send", "mail")
    return series


def test_it_asks_for_no_more_than_it_counts(tally: Tally) -> None:
    """Runs are not surrounded, and nothing travels with jobs: what it does not define costs nothing."""
    hooks = Hooks()
    hooks.add(tally)
    assert {name for name in Hooks.__slots__ if getattr(hooks, name)} == {"stored", "ended", "settled", "signal"}


def test_stored_jobs_are_counted_by_kind_and_queue(tally: Tally) -> None:
    """Each job of a write counts under its own kind and queue."""
    tally.stored([new_job(), new_job(), new_job("resize", "slow")])
    assert {labels: series.stored for labels, series in tally.series()} == {("send", "mail"): 2, ("resize", "slow"): 1}


def test_a_run_counts_in_the_bucket_of_its_length(tally: Tally) -> None:
    """A bound belongs to the bucket below it; what is longer than all has a bucket of its own."""
    for seconds in (0.0, RUN_BOUNDS[0], RUN_BOUNDS[0] + 0.001, RUN_BOUNDS[-1] + 1):
        tally.ended(claim(), settlement(), seconds)
    run = counted(tally).run
    assert (run.counts[0], run.counts[1], run.counts[-1], sum(run.counts)) == (2, 1, 1, 4)
    assert run.sum == pytest.approx(2 * RUN_BOUNDS[0] + 0.001 + RUN_BOUNDS[-1] + 1)


def test_waiting_is_from_due_to_claimed(tally: Tally) -> None:
    """How long a job had been due when it was claimed; a claim at birth has not waited."""
    tally.ended(claim(waited=2 * SECOND), settlement(), 0.1)
    tally.ended(claim(waited=-5), settlement(), 0.1)
    waited = counted(tally).waited
    assert waited.sum == 2.0
    assert waited.counts[0] == 1
    assert waited.counts[WAIT_BOUNDS.index(5.0)] == 1


def test_a_run_without_a_settlement_took_its_time_all_the_same(tally: Tally) -> None:
    """A lost claim's run is a run."""
    tally.ended(claim(), None, 0.1)
    assert sum(counted(tally).run.counts) == 1


@pytest.mark.parametrize(
    ("state", "ending", "reason", "outcome"),
    [
        (JobState.COMPLETED, None, None, "completed"),
        (JobState.DEAD, Ending.FAILED, "exhausted", "dead"),
        (JobState.DEAD, Ending.REJECTED, "rejected", "dead"),
        (JobState.DEAD, Ending.CRASHED, "poison", "dead"),
        (JobState.CANCELLED, Ending.CANCELLED, "cancelled", "cancelled"),
        (JobState.CANCELLED, None, "expired", "expired"),
        (JobState.PENDING, Ending.FAILED, None, "retry"),
        (JobState.PENDING, Ending.SNOOZED, None, "snoozed"),
        (JobState.PENDING, Ending.INTERRUPTED, None, "interrupted"),
        (JobState.PENDING, Ending.CRASHED, None, "crashed"),
        (JobState.PENDING, Ending.MISFIT, None, "misfit"),
        (JobState.PENDING, Ending.CANCELLED, None, "released"),
        (JobState.PENDING, None, None, "released"),
    ],
)
def test_every_end_has_an_outcome(
    tally: Tally, state: JobState, ending: Ending | None, reason: str | None, outcome: str
) -> None:
    """Each way to settle a claim counts as one outcome, of a fixed set."""
    tally.settled(claim(), msgspec.structs.replace(settlement(state), ending=ending, reason=reason))
    assert outcome in OUTCOMES
    assert {name: count for name, count in counted(tally).outcomes.items() if count} == {outcome: 1}


def test_what_alerts_ask_for_is_there_at_zero(tally: Tally) -> None:
    """The first failure of a kind is an increase, not a new series."""
    tally.stored([new_job()])
    assert counted(tally).outcomes == {"completed": 0, "retry": 0, "dead": 0}


def test_a_lost_claim_is_known_by_its_signal(tally: Tally) -> None:
    """Nobody here settles a lost claim; its signal says that it is lost."""
    tally.signal(Signal.JOB_LOST, None, {"id": "j1", "kind": "send", "queue": "mail", "attempt": 1})
    assert counted(tally).outcomes["lost"] == 1
    assert tally.signals()[Signal.JOB_LOST] == 1


def test_signals_are_counted_by_name(tally: Tally) -> None:
    """Every signal is there from the first, at zero."""
    assert dict(tally.signals()) == dict.fromkeys(Signal, 0)
    tally.signal(Signal.LOOP_FAILED, ValueError("no"), {"loop": "claimer"})
    assert tally.signals()[Signal.LOOP_FAILED] == 1


def test_kinds_beyond_the_cap_are_counted_together() -> None:
    """However many kinds there are, there are no more series than the cap and one more."""
    tally = Tally(most=2)
    for number in range(10):
        tally.stored([new_job(f"kind-{number}", f"queue-{number}")])
        tally.settled(claim(f"kind-{number}", f"queue-{number}"), settlement())
    found = dict(tally.series())
    assert list(found) == [("kind-0", "queue-0"), ("kind-1", "queue-1"), (OTHER, OTHER)]
    assert (found[OTHER, OTHER].stored, found[OTHER, OTHER].outcomes["completed"]) == (8, 8)
