"""The roles that hold jobs, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.memory import claiming, inserting, recovering, settling
from backburner.ports.backend import Hint
from backburner.ports.jobs import Enqueued, Recovery, Settled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.memory.connection import Connection
    from backburner.model.job import NewJob, Settlement
    from backburner.ports.jobs import Birth, ClaimBatch, ClaimRequest

__all__ = ["MemoryJobStore"]


class MemoryJobStore:
    """A `JobStore`. Each verb is one step of the loop."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def enqueue(
        self, groups: Sequence[Sequence[NewJob]], birth: Birth | None = None, tx: object = None
    ) -> Enqueued:
        """Store groups of jobs."""
        self._connection.refuse(tx)
        database = self._connection.writing()
        now = self._connection.clock.now()
        answers = tuple([inserting.insert(database, group, birth, now) for group in groups])
        database.changed(self._connection, Hint.JOBS)
        return Enqueued(now, answers)

    async def claim(self, request: ClaimRequest) -> ClaimBatch:
        """Hand over due jobs."""
        database = self._connection.writing()
        now = self._connection.clock.now()
        claiming.require_lease(database, request.node, now)
        return claiming.claim(database, request, now)

    async def settle(
        self, node: str, settlements: Sequence[Settlement], claim: ClaimRequest | None = None, tx: object = None
    ) -> Settled:
        """Write how claims ended; then, in the same step, claim."""
        self._connection.refuse(tx)
        database = self._connection.writing()
        now = self._connection.clock.now()
        # Whatever refuses does so before anything is written.
        settling.refuse_flawed(settlements, now)
        if claim is not None:
            claiming.require_lease(database, claim.node, now)
        stale, cancelled, let_in = settling.settle(database, node, settlements, now)
        batch = None if claim is None else claiming.claim(database, claim, now)
        database.changed(self._connection, Hint.JOBS)
        return Settled(now=now, stale=stale, cancelled=cancelled, let_in=let_in, batch=batch)

    async def recover(self, node: str, limit: int) -> Recovery:
        """Hand over jobs to settle."""
        database = self._connection.writing()
        now = self._connection.clock.now()
        return Recovery(now, recovering.recover(database, node, limit, now))
