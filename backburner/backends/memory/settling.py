"""Claims on their way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.memory.content import settlement_flaw
from backburner.errors import StoreRefused
from backburner.model.job import Attempt, JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.memory.database import MemoryDatabase
    from backburner.backends.memory.row import Row
    from backburner.model.job import Ending, Settlement

__all__ = ["refuse_flawed", "settle"]

_RUNNING = JobState.RUNNING
_PENDING = JobState.PENDING


def refuse_flawed(settlements: Sequence[Settlement], now: int) -> None:
    """Raise `StoreRefused` if a settlement cannot be stored, before any is."""
    for settlement in settlements:
        flaw = settlement_flaw(settlement, now)
        if flaw is not None:
            raise StoreRefused(f"The settlement of job {settlement.id}: {flaw}", stored="no", job_id=settlement.id)


def settle(
    database: MemoryDatabase, node: str, settlements: Sequence[Settlement], now: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Apply settlements; return the stale ids, and those cancelled instead of pending."""
    stale: list[str] = []
    cancelled: list[str] = []
    jobs = database.jobs
    for settlement in settlements:
        row = jobs.get(settlement.id)
        if row is None or row.token != settlement.token or row.node != node:
            stale.append(settlement.id)
            continue
        # Under the same token but no longer running, it was applied before.
        if row.state is _RUNNING:
            _apply(database, row, settlement, now)
        if settlement.state is _PENDING and row.state is JobState.CANCELLED:
            cancelled.append(settlement.id)
    return tuple(stale), tuple(cancelled)


def _apply(database: MemoryDatabase, row: Row, settlement: Settlement, now: int) -> None:
    database.release(row)
    ending = settlement.ending
    if ending is not None:
        _write_down(database, row, settlement, ending, now)
    row.failures += settlement.failed
    row.crashes += settlement.crashed
    row.interruptions += settlement.interrupted
    row.attempt -= settlement.unstarted
    row.cause = row.lapsed_on = None
    asked, row.cancel = row.cancel, False
    if settlement.state is not _PENDING:
        row.result = settlement.result
        database.end(row, settlement.state, settlement.reason, now)
    elif asked:
        database.end(row, JobState.CANCELLED, "cancelled", now)
    else:
        if settlement.backoff is not None:
            row.backoff = settlement.backoff
        row.due_at = now + max(0, settlement.delay)
        database.stand(row, settlement.gate, now)


def _write_down(database: MemoryDatabase, row: Row, settlement: Settlement, ending: Ending, now: int) -> None:
    """Keep what is left of an attempt that did not complete."""
    if settlement.error:
        row.error = settlement.error
        row.message = settlement.message
        row.fingerprint = settlement.fingerprint
    attempt = Attempt(
        attempt=row.attempt,
        ending=ending,
        node=row.lapsed_on or row.node or "",
        started_at=now if row.started_at is None else row.started_at,
        ended_at=now,
        error=settlement.error,
        message=settlement.message,
        traceback=settlement.traceback,
        fingerprint=settlement.fingerprint,
    )
    database.history.setdefault(row.job.id, []).append(attempt)
