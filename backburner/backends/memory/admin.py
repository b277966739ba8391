"""Bounded changes, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.content import refuse_events
from backburner.backends.expediting import answer_of
from backburner.backends.memory import pruning, restoring
from backburner.backends.memory.letters import purge, replay
from backburner.backends.memory.telling import tell
from backburner.model.job import CANCELLED, GROUP_CANCELLED, JobState
from backburner.ports.backend import Hint
from backburner.ports.jobs import CancelAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.memory.connection import Connection
    from backburner.backends.memory.row import Row
    from backburner.model.event import NewEvent
    from backburner.model.job import JobImage
    from backburner.model.operation import OperationRecord
    from backburner.ports.jobs import Disposed, ExpediteAnswer, Keep, Letter, Restored

__all__ = ["MemoryJobAdmin"]


class MemoryJobAdmin:
    """A `JobAdmin`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def cancel(
        self, ids: Sequence[str], reason: str = CANCELLED, events: Sequence[NewEvent] = ()
    ) -> CancelAnswer:
        """Cancel the pending, ask for the running, leave the ended."""
        database = self._connection.writing()
        refuse_events(events)
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
                if database.log.asked:
                    tell(database, "job.cancelled", row, now, reason=reason)
                if row.job.unique is not None:
                    database.let_through(row.job.unique.key, now)
            elif row.state is JobState.RUNNING:
                if row.asked is None or row.asked == GROUP_CANCELLED:
                    row.asked = reason
                asked.append(job_id)
            else:
                ended.append(job_id)
        if cancelled or asked:
            database.log.append(events, now)
        database.changed(self._connection, Hint.CONTROL)
        return CancelAnswer(
            now=now, cancelled=tuple(cancelled), asked=tuple(asked), ended=tuple(ended), missing=tuple(missing)
        )

    async def expedite(self, ids: Sequence[str], events: Sequence[NewEvent] = ()) -> ExpediteAnswer:
        """Have pending jobs of the line that are due later be due now."""
        database = self._connection.writing()
        refuse_events(events)
        now = self._connection.clock.now()
        rows = {job_id: row for job_id in ids if (row := database.jobs.get(job_id)) is not None}
        found = {job_id: _word_of(row, now) for job_id, row in rows.items()}
        for job_id, word in found.items():
            if word == "expedited":
                row = rows[job_id]
                database.leave(row)
                row.due_at = now
                database.stand(row, "", now)
        answer = answer_of(ids, found, now)
        if answer.expedited:
            database.log.append(events, now)
            database.changed(self._connection, Hint.JOBS)
        return answer

    async def prune(self, keep: Keep, limit: int) -> int:
        """Delete ended jobs whose time has passed."""
        database = self._connection.writing()
        return pruning.prune(database, keep, limit, self._connection.clock.now())

    async def release(self, limit: int) -> int:
        """Let the first through at each gate whose key is free, and open lanes that have room."""
        database = self._connection.writing()
        now = self._connection.clock.now()
        released = 0
        for key in database.keys.waited_for():
            if released >= limit:
                break
            released += database.let_through(key, now)
        released += database.lanes.release(limit, now)
        if released:
            database.changed(self._connection, Hint.JOBS)
        return released

    async def replay(self, letters: Sequence[Letter], operation: OperationRecord | None = None) -> Disposed:
        """Bring dead letters back."""
        database = self._connection.writing()
        disposed = replay(database, letters, operation, self._connection.clock.now())
        database.changed(self._connection, Hint.JOBS)
        return disposed

    async def purge(self, letters: Sequence[Letter], operation: OperationRecord | None = None) -> Disposed:
        """Delete dead letters and their history."""
        return purge(self._connection.writing(), letters, operation, self._connection.clock.now())

    async def restore(self, jobs: Sequence[JobImage]) -> Restored:
        """Store jobs as they were in another store."""
        database = self._connection.writing()
        restored = restoring.restore(database, jobs, self._connection.clock.now())
        database.changed(self._connection, Hint.JOBS)
        return restored


def _word_of(row: Row, now: int) -> str:
    """Return how a job answers to being brought forward."""
    if row.state is JobState.RUNNING:
        return "running"
    if row.state is not JobState.PENDING:
        return "ended"
    if row.gate:
        return "gated"
    return "expedited" if row.due_at > now else "due"
