"""Bounded changes, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.memory import pruning
from backburner.model.job import CANCELLED, GROUP_CANCELLED, JobState
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

    async def cancel(self, ids: Sequence[str], reason: str = CANCELLED) -> CancelAnswer:
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
                database.end(row, JobState.CANCELLED, reason, now)
                cancelled.append(job_id)
                if row.job.unique is not None:
                    database.let_through(row.job.unique.key, now)
            elif row.state is JobState.RUNNING:
                if row.asked is None or row.asked == GROUP_CANCELLED:
                    row.asked = reason
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
        return pruning.prune(database, keep, limit, self._connection.clock.now())

    async def release(self, limit: int) -> int:
        """Let the first through at each gate whose key is free."""
        database = self._connection.writing()
        now = self._connection.clock.now()
        released = 0
        for key in database.keys.waited_for():
            if released >= limit:
                break
            released += database.let_through(key, now)
        if released:
            database.changed(self._connection, Hint.JOBS)
        return released
