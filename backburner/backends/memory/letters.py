"""Dead letters, brought back or deleted as they were found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.content import letter_flaw
from backburner.backends.memory.keys import holds
from backburner.backends.memory.operations import advance
from backburner.backends.memory.pruning import let_children_go
from backburner.backends.memory.telling import tell
from backburner.errors import StoreRefused
from backburner.model.job import JobState
from backburner.ports.jobs import Disposed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backburner.backends.memory.database import MemoryDatabase
    from backburner.backends.memory.row import Row
    from backburner.model.operation import OperationRecord
    from backburner.ports.jobs import Letter

__all__ = ["purge", "replay"]


def replay(
    database: MemoryDatabase, letters: Sequence[Letter], operation: OperationRecord | None, now: int
) -> Disposed:
    """Bring letters back; raises `StoreRefused` before any is."""
    for letter in letters:
        flaw = letter_flaw(letter)
        if flaw is not None:
            raise StoreRefused(f"Job {letter.id!r} cannot be replayed: {flaw}", stored="no", job_id=letter.id)
    return _dispose(database, letters, operation, now, _bring_back)


def purge(database: MemoryDatabase, letters: Sequence[Letter], operation: OperationRecord | None, now: int) -> Disposed:
    """Delete letters and their history."""
    return _dispose(database, letters, operation, now, _delete)


def _dispose(
    database: MemoryDatabase,
    letters: Sequence[Letter],
    operation: OperationRecord | None,
    now: int,
    deal: Callable[[MemoryDatabase, Row, Letter, int], str | None],
) -> Disposed:
    """Deal with each letter that is as it was found; ``deal`` answers the job that keeps one from it, if any does."""
    if operation is not None:
        stored = database.operations.get(operation.id)
        if stored is None or stored.version != operation.version:
            return Disposed(now=now, outrun=True)
    missed: list[str] = []
    kept: dict[str, str] = {}
    # Of two alike the first counts.
    asked = {letter.id: letter for letter in reversed(letters)}
    for letter_id in dict.fromkeys(letter.id for letter in letters):
        row = database.jobs.get(letter_id)
        if row is None or row.state is not JobState.DEAD or row.token != asked[letter_id].token:
            missed.append(letter_id)
        elif (keeper := deal(database, row, asked[letter_id], now)) is not None:
            kept[letter_id] = keeper
    if operation is not None:
        done = len(asked) - len(missed) - len(kept)
        advance(database, operation, now, done=done, kept=len(kept), missed=len(missed))
    return Disposed(now=now, missed=tuple(missed), kept=kept)


def _bring_back(database: MemoryDatabase, row: Row, letter: Letter, now: int) -> str | None:
    unique = row.job.unique
    if unique is not None and holds(msgspec.structs.replace(row, state=JobState.PENDING, gate=letter.gate), now):
        holder = database.keys.holder(unique.key, now, beside=letter.id)
        if holder is not None:
            return holder
    database.lift(row)
    del database.letters[letter.id]
    args = row.job.args if letter.args is None else letter.args
    retry = row.job.retry if letter.retry is None else letter.retry
    row.job = msgspec.structs.replace(row.job, args=args, retry=retry)
    row.due_at = now
    row.failures = 0
    row.expires_at = row.backoff = row.result = row.reason = row.ended_at = None
    # While it was dead it may have been forgotten among those that hold its key.
    database.keys.enter(row)
    database.stand_anew(row, letter.gate, now)
    if database.log.asked:
        tell(database, "job.replayed", row, now)
    return None


def _delete(database: MemoryDatabase, row: Row, letter: Letter, now: int) -> str | None:
    del letter
    parent = None if row.job.parent is None else database.jobs.get(row.job.parent)
    if parent is not None and parent.ended_at is None:
        # Run again, it would store its child anew.
        return parent.job.id
    let_children_go(database, row.job.id, len(database.children.get(row.job.id, ())), now)
    database.delete(row)
    if database.log.asked:
        tell(database, "job.purged", row, now, reason="purged")
    return None
