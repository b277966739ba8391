"""What jobs came to in a test."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from backburner.model.job import Ending, JobState
from backburner.ports.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Generator

    from backburner.model.job import Claim, JobRecord, Settlement

__all__ = ["Record"]

FAILURES = frozenset({"retrying", "dead"})


class Record(Telemetry):
    """Keeps how claims ended, and what runs raised: of that the store has only words."""

    guarded = False

    def __init__(self) -> None:
        self.settled_count = 0
        #: How each claim ended: a final state, ``retrying``, ``snoozed`` or ``interrupted``; and what a failure raised.
        self.outcomes: list[tuple[str, Exception | None]] = []
        #: By job, what its last run raised.
        self.errors: dict[str, Exception] = {}

    @contextmanager
    def running(self, claim: Claim) -> Generator[None]:
        """Keep what a run raises."""
        self.errors.pop(claim.id, None)
        try:
            yield
        except Exception as error:
            self.errors[claim.id] = error
            raise

    def settled(self, job: Claim | JobRecord, settlement: Settlement) -> None:
        """Keep how a claim ended; what was noted while it goes on is no end."""
        self.settled_count += 1
        if settlement.state is not JobState.RUNNING:
            outcome = _outcome(settlement)
            error = self.errors.get(job.id) if outcome in FAILURES else None
            self.outcomes.append((outcome, error))


def _outcome(settlement: Settlement) -> str:
    if settlement.state is not JobState.PENDING:
        return settlement.state.value
    match settlement.ending:
        case Ending.FAILED | Ending.CRASHED:
            return "retrying"
        case Ending.SNOOZED:
            return "snoozed"
        case _:
            return "interrupted"
