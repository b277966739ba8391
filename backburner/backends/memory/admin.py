"""Bounded changes, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.model.job import JobState
from backburner.ports.backend import Hint
from backburner.ports.jobs import CancelAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.memory.connection import Connection
    from backburner.ports.jobs import Keep

__all__ = ["MemoryJobAdmin"]


class MemoryJobAdmin:
    """A `JobAdmin`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def cancel(self, ids: Sequence[str]) -> CancelAnswer:
        """Cancel the pending, ask for the running, leave the ended."""
        database = self._connection.writing()
        now = self._connection.clock.now()
        cancelled: list[str] = []
        asked: list[str] = []
        ended: list[str] = []
        missing: list[str] = []
        for job_id in dict.fromkeys(ids):
            row = database.jobs.get(job_id)
            if row is None:
                missing.append(job_id)
            elif row.state is JobState.PENDING:
                database.leave(row)
                database.end(row, JobState.CANCELLED, "cancelled", now)
                cancelled.append(job_id)
            elif row.state is JobState.RUNNING:
                row.cancel = True
                asked.append(job_id)
            else:
                ended.append(job_id)
        database.changed(self._connection, Hint.CONTROL)
        return CancelAnswer(
            now=now, cancelled=tuple(cancelled), asked=tuple(asked), ended=tuple(ended), missing=tuple(missing)
        )

    async def prune(self, keep: Keep, limit: int) -> int:
        """Delete ended jobs whose time has passed."""
        database = self._connection.writing()
        now = self._connection.clock.now()
        kept = {
            JobState.COMPLETED: keep.completed,
            JobState.CANCELLED: keep.cancelled,
            JobState.DEAD: keep.dead,
        }
        pruned = 0
        for state, time in kept.items():
            line = database.ended[state]
            while time is not None and pruned < limit and (head := line.head()) is not None and head[0] <= now - time:
                database.delete(head[3])
                pruned += 1
        return pruned
