"""Claims on their way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.content import settlement_flaw
from backburner.backends.memory.inserting import follow
from backburner.backends.memory.telling import tell_settled
from backburner.errors import StoreRefused
from backburner.model.job import CANCELLED, Attempt, JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.memory.database import MemoryDatabase
    from backburner.backends.memory.row import Row
    from backburner.model.job import Ending, NewJob, Settlement

__all__ = ["refuse_flawed", "settle"]

_RUNNING = JobState.RUNNING
_PENDING = JobState.PENDING


def refuse_flawed(settlements: Sequence[Settlement], now: int) -> None:
    """Raise `StoreRefused` if a settlement cannot be stored, before any is."""
    for settlement in settlements:
        flaw = settlement_flaw(settlement, now)
        if flaw is not None:
            raise StoreRefused(
                f"The end of job {settlement.id} cannot be stored: {flaw}", stored="no", job_id=settlement.id
            )


def settle(
    database: MemoryDatabase, node: str, settlements: Sequence[Settlement], now: int
) -> tuple[tuple[str, ...], dict[str, str], int]:
    """Apply settlements; return the stale ids, those cancelled instead of pending, with the reason, and how many came in."""
    stale: list[str] = []
    cancelled: dict[str, str] = {}
    freed: list[str] = []
    following: list[NewJob] = []
    # The lanes that open since a run of theirs ended or lent its slot.
    opened: set[str] = set()
    jobs = database.jobs
    for settlement in settlements:
        row = jobs.get(settlement.id)
        if row is None or row.token != settlement.token or row.node != node:
            stale.append(settlement.id)
            continue
        # Under the same token but no longer running, it was applied before.
        if row.state is _RUNNING:
            if settlement.state is _RUNNING:
                _note(database, row, settlement, opened, now)
                continue
            if row.job.lanes:
                opened.update(database.lanes.leave(row, now))
            _apply(database, row, settlement, now)
            if settlement.jobs:
                following += settlement.jobs
        if row.job.unique is not None and settlement.state is not _RUNNING:
            freed.append(row.job.unique.key)
        if settlement.state is _PENDING and row.state is JobState.CANCELLED:
            cancelled[settlement.id] = row.reason or CANCELLED
    # Who waits for a key comes before the follow-up of the one that held it.
    let_in = len(opened) + sum([database.let_through(key, now) for key in dict.fromkeys(freed)])
    if following:
        follow(database, following, now)
    return tuple(stale), cancelled, let_in


def _note(database: MemoryDatabase, row: Row, settlement: Settlement, opened: set[str], now: int) -> None:
    if settlement.progress is not None:
        row.progress = settlement.progress
    if settlement.checkpoint is not None:
        row.checkpoint = settlement.checkpoint
    if settlement.lent is not None and settlement.lent is not row.lent:
        row.lent = settlement.lent
        if row.lent:
            opened.update(database.lanes.leave(row, now))
        else:
            # It goes on, above the limit if need be.
            database.lanes.hold(row)


def _apply(database: MemoryDatabase, row: Row, settlement: Settlement, now: int) -> None:
    attempt = row.attempt
    database.release(row)
    row.lent = False
    if settlement.progress is not None:
        row.progress = settlement.progress
    if settlement.checkpoint is not None:
        row.checkpoint = settlement.checkpoint
    ending = settlement.ending
    if ending is not None:
        _write_down(database, row, settlement, ending, now)
    row.failures += settlement.failed
    row.crashes += settlement.crashed
    row.interruptions += settlement.interrupted
    # One that expired while it waited has no number to give back.
    row.attempt = max(0, row.attempt - settlement.unstarted)
    row.cause = row.lapsed_on = None
    asked, row.asked = row.asked, None
    if settlement.state is not _PENDING:
        row.result = settlement.result
        database.end(row, settlement.state, settlement.reason, now)
    elif asked is not None:
        database.end(row, JobState.CANCELLED, asked, now)
    else:
        if settlement.backoff is not None:
            row.backoff = settlement.backoff
        row.due_at = now + max(0, settlement.delay)
        database.stand(row, settlement.gate, now)
    if database.log.asked:
        tell_settled(database, row, settlement, attempt, now)


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
