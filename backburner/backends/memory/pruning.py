"""Ended jobs whose time has passed, and what else nobody needs any more; children are kept for their parents."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from backburner.backends.memory.telling import tell
from backburner.model.job import JobState

if TYPE_CHECKING:
    from backburner.backends.memory.database import MemoryDatabase
    from backburner.ports.jobs import Keep

__all__ = ["let_children_go", "prune"]


def prune(database: MemoryDatabase, keep: Keep, limit: int, now: int) -> int:
    """Delete what need not be kept; return how many rows changed: at most ``limit``, and subscriptions."""
    kept = {JobState.COMPLETED: keep.completed, JobState.CANCELLED: keep.cancelled, JobState.DEAD: keep.dead}
    changed = 0
    more = True
    # What a parent lets go may stand in a line that was gone through before.
    while more:
        more = False
        for state, time in kept.items():
            line = database.ended[state]
            while time is not None and changed < limit and (head := line.head()) is not None and head[0] <= now - time:
                more = True
                changed += _pass(database, head[3].job.id, limit - changed, now)
    if keep.dead is not None:
        changed += _forget_operations(database, now - keep.dead, limit - changed)
    if keep.ticks is not None:
        changed += database.ledger.prune(now - keep.ticks, limit - changed)
    if keep.events is not None:
        changed += database.log.prune(now - keep.events, limit - changed)
    changed += database.log.forget(now)
    database.lanes.prune(limit, now)
    database.leases.tidy(now)
    return changed


def _forget_operations(database: MemoryDatabase, before: int, limit: int) -> int:
    operations = database.operations.values()
    ended = [operation.id for operation in operations if not operation.active and operation.changed_at <= before]
    for operation_id in ended[:limit]:
        del database.operations[operation_id]
    return len(ended[:limit])


def _pass(database: MemoryDatabase, job_id: str, limit: int, now: int) -> int:
    """Let a job go whose own time has passed; return how many rows changed."""
    changed = let_children_go(database, job_id, limit, now)
    if changed == limit:
        return changed
    row = database.jobs[job_id]
    if row.job.parent is not None and row.job.parent in database.jobs:
        # It is filed again once that lets it go.
        database.lift(row)
        return changed
    database.delete(row)
    if database.log.asked and row.state is JobState.DEAD:
        tell(database, "job.purged", row, now, reason="retention")
    return changed + 1


def let_children_go(database: MemoryDatabase, parent: str, limit: int, now: int) -> int:
    """Let at most so many children of a job be nobody's from now on; return how many there were."""
    children = database.children.get(parent)
    if children is None:
        return 0
    gone = [*islice(children.values(), limit)]
    for row in gone:
        del children[row.job.id]
        row.job = msgspec.structs.replace(row.job, parent=None)
        if row.ended_at is not None and not row.stamp:
            database.file(row, now)
    if not children:
        del database.children[parent]
    return len(gone)
