"""Bounded changes, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.expediting import answer_of
from backburner.backends.sqlite import telling
from backburner.backends.sqlite.appending import carry
from backburner.backends.sqlite.asking import find_asked
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.keys import Gates, let_through
from backburner.backends.sqlite.letters import purge, replay
from backburner.backends.sqlite.opening import Round, forget, release
from backburner.backends.sqlite.pruning import prune
from backburner.backends.sqlite.restoring import restore
from backburner.backends.sqlite.statements import load
from backburner.backends.sqlite.steps import run
from backburner.model.job import CANCELLED, GROUP_CANCELLED
from backburner.ports.jobs import CancelAnswer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from backburner.backends.sqlite.session import Session
    from backburner.model.event import NewEvent
    from backburner.model.job import JobImage
    from backburner.model.operation import OperationRecord
    from backburner.ports.jobs import Disposed, ExpediteAnswer, Keep, Letter, Restored

__all__ = ["SqliteJobAdmin"]

_STANDING = load("standing")
_CANCEL_PENDING = load("cancel_pending")
_CANCEL_RUNNING = load("cancel_running")
_EXPEDITABLE = load("expeditable")
_EXPEDITE = load("expedite")

_decode_standing = msgspec.json.Decoder(list[tuple[str, str, str | None, int, int, str | None]]).decode
_decode_words = msgspec.json.Decoder(dict[str, str]).decode


class SqliteJobAdmin:
    """A `JobAdmin`."""

    __slots__ = ("_gates", "_kept", "_session", "_standing")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._gates = Gates()
        #: The lanes where jobs stand, and those that something is kept of.
        self._standing = Round("names_of_lanes")
        self._kept = Round("next_lanes")

    async def cancel(
        self, ids: Sequence[str], reason: str = CANCELLED, events: Sequence[NewEvent] = ()
    ) -> CancelAnswer:
        """Cancel the pending, ask for the running, leave the ended."""

        def work(connection: sqlite3.Connection) -> CancelAnswer:
            answer = _cancel(connection, ids, reason, self._session.clock.now())
            if answer.cancelled or answer.asked:
                carry(connection, events, answer.now)
            return answer

        return await self._session.write(work)

    async def expedite(self, ids: Sequence[str], events: Sequence[NewEvent] = ()) -> ExpediteAnswer:
        """Have pending jobs of the line that are due later be due now."""

        def work(connection: sqlite3.Connection) -> ExpediteAnswer:
            now = self._session.clock.now()
            (found,) = connection.execute(_EXPEDITABLE, {"ids": to_json(ids), "now": now}).fetchone()
            answer = answer_of(ids, _decode_words(found), now)
            if answer.expedited:
                connection.execute(_EXPEDITE, {"ids": to_json(answer.expedited), "now": now})
                carry(connection, events, now)
            return answer

        return await self._session.write(work)

    async def prune(self, keep: Keep, limit: int) -> int:
        """Delete ended jobs, and their history, whose time has passed."""

        def work(connection: sqlite3.Connection) -> int:
            now = self._session.clock.now()
            lanes = self._kept.go_on(connection, limit)
            if lanes:
                forget(connection, lanes, now)
            return prune(connection, keep, limit, now)

        return await self._session.write(work)

    async def release(self, limit: int) -> int:
        """Let jobs through whose unique key has come free by the passing of time; open lanes that have room."""

        def work(connection: sqlite3.Connection) -> int:
            now = self._session.clock.now()
            released = run(connection, self._gates.release(limit, now))
            lanes = self._standing.go_on(connection, limit)
            return released + (release(connection, lanes, now) if lanes else 0)

        return await self._session.write(work)

    async def replay(self, letters: Sequence[Letter], operation: OperationRecord | None = None) -> Disposed:
        """Bring dead letters back."""
        session = self._session
        return await session.write(lambda connection: replay(connection, letters, operation, session.clock.now()))

    async def purge(self, letters: Sequence[Letter], operation: OperationRecord | None = None) -> Disposed:
        """Delete dead letters and their history."""
        session = self._session
        return await session.write(lambda connection: purge(connection, letters, operation, session.clock.now()))

    async def restore(self, jobs: Sequence[JobImage]) -> Restored:
        """Store jobs as they were in another store."""
        return await self._session.write(lambda connection: restore(connection, jobs, self._session.clock.now()))


def _cancel(connection: sqlite3.Connection, ids: Sequence[str], reason: str, now: int) -> CancelAnswer:
    asked = list(dict.fromkeys(ids))
    (rows,) = connection.execute(_STANDING, {"ids": to_json(asked)}).fetchone()
    states = {job_id: state for job_id, state, *_ in _decode_standing(rows)}
    pending = tuple(job_id for job_id in asked if states.get(job_id) == "pending")
    running = tuple(job_id for job_id in asked if states.get(job_id) == "running")
    if pending:
        asked_for = run(connection, find_asked())
        run(connection, telling.of_cancelled(pending, reason, asked_for, now))
        connection.execute(_CANCEL_PENDING, {"ids": to_json(pending), "reason": reason, "now": now})
        run(connection, let_through(pending, now))
    if running:
        connection.execute(_CANCEL_RUNNING, {"ids": to_json(running), "reason": reason, "group": GROUP_CANCELLED})
    return CancelAnswer(
        now=now,
        cancelled=pending,
        asked=running,
        ended=tuple(job_id for job_id in asked if states.get(job_id, "pending") not in {"pending", "running"}),
        missing=tuple(job_id for job_id in asked if job_id not in states),
    )
