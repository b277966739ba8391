"""The job store, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.sqlite.asking import find_asked
from backburner.backends.sqlite.claiming import claim
from backburner.backends.sqlite.inserting import insert
from backburner.backends.sqlite.recovering import recover
from backburner.backends.sqlite.settling import settle
from backburner.backends.sqlite.steps import run
from backburner.errors import LeaseLost
from backburner.ports.jobs import Settled

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from backburner.backends.sqlite.session import Session
    from backburner.backends.sqlite.steps import Steps
    from backburner.backends.sqlite.transactions import SqliteTransactions
    from backburner.model.job import NewJob, Settlement
    from backburner.ports.jobs import Birth, ClaimBatch, ClaimRequest, Enqueued, Recovery

__all__ = ["SqliteJobStore"]


class SqliteJobStore:
    """A `JobStore`: every verb is one unit of the writer, or of a caller's own transaction."""

    __slots__ = ("_session", "_transactions")

    def __init__(self, session: Session, transactions: SqliteTransactions) -> None:
        self._session = session
        self._transactions = transactions

    async def enqueue(
        self, groups: Sequence[Sequence[NewJob]], birth: Birth | None = None, tx: object = None
    ) -> Enqueued:
        """Store groups of jobs."""
        session = self._session
        if tx is not None:
            return await self._transactions.join(
                tx, lambda now: insert(groups, None, alive=False, joined=True, now=now)
            )

        def work(connection: sqlite3.Connection) -> Enqueued:
            alive = birth is not None and session.locks.holds(birth.node)
            return run(connection, insert(groups, birth, alive=alive, now=session.clock.now()))

        return await session.write(work)

    async def claim(self, request: ClaimRequest) -> ClaimBatch:
        """Hand over due jobs."""

        def work(connection: sqlite3.Connection) -> ClaimBatch:
            self._require_lease(request.node)
            asked = run(connection, find_asked())
            return claim(connection, request, self._session.clock.now(), asked)

        return await self._session.write(work)

    async def settle(
        self, node: str, settlements: Sequence[Settlement], claim: ClaimRequest | None = None, tx: object = None
    ) -> Settled:
        """Write how claims ended; then, in the same transaction, claim."""
        request = claim
        if tx is not None:
            return await self._transactions.join(tx, lambda now: _settle_alone(node, settlements, now))

        def work(connection: sqlite3.Connection) -> Settled:
            return self._settle(connection, node, settlements, request)

        return await self._session.write(work)

    async def recover(self, node: str, limit: int) -> Recovery:
        """Hand this node, under new tokens, jobs to settle that it is not to run."""
        session = self._session

        def work(connection: sqlite3.Connection) -> Recovery:
            return recover(connection, session.locks, node, limit=limit, now=session.clock.now())

        return await session.write(work)

    def _settle(
        self,
        connection: sqlite3.Connection,
        node: str,
        settlements: Sequence[Settlement],
        request: ClaimRequest | None,
    ) -> Settled:
        now = self._session.clock.now()
        if request is not None:
            self._require_lease(request.node)
        asked = run(connection, find_asked())
        outcome = run(connection, settle(node, settlements, now, asked))
        batch = None if request is None else claim(connection, request, now, asked)
        return Settled(now=now, stale=outcome.stale, cancelled=outcome.cancelled, let_in=outcome.let_in, batch=batch)

    def _require_lease(self, node: str) -> None:
        if not self._session.locks.holds(node):
            raise LeaseLost(
                f"Node {node} holds no lock beside {self._session.place.path}: publish it under a new id", stored="no"
            )


def _settle_alone(node: str, settlements: Sequence[Settlement], now: int) -> Steps[Settled]:
    asked = yield from find_asked()
    outcome = yield from settle(node, settlements, now, asked, joined=True)
    return Settled(now=now, stale=outcome.stale, cancelled=outcome.cancelled, let_in=outcome.let_in)
