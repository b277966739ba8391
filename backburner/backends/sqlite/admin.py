"""Bounded changes, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.keys import Gates, let_through
from backburner.backends.sqlite.pruning import prune
from backburner.backends.sqlite.statements import load
from backburner.backends.sqlite.steps import run
from backburner.model.job import CANCELLED, GROUP_CANCELLED
from backburner.ports.jobs import CancelAnswer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from backburner.backends.sqlite.session import Session
    from backburner.ports.jobs import Keep

__all__ = ["SqliteJobAdmin"]

_STANDING = load("standing")
_CANCEL_PENDING = load("cancel_pending")
_CANCEL_RUNNING = load("cancel_running")

_decode_standing = msgspec.json.Decoder(list[tuple[str, str, str | None, int, int, str | None]]).decode


class SqliteJobAdmin:
    """A `JobAdmin`."""

    __slots__ = ("_gates", "_session")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._gates = Gates()

    async def cancel(self, ids: Sequence[str], reason: str = CANCELLED) -> CancelAnswer:
        """Cancel the pending, ask for the running, leave the ended."""
        return await self._session.write(lambda connection: _cancel(connection, ids, reason, self._session.clock.now()))

    async def prune(self, keep: Keep, limit: int) -> int:
        """Delete ended jobs, and their history, whose time has passed."""
        return await self._session.write(lambda connection: prune(connection, keep, limit, self._session.clock.now()))

    async def release(self, limit: int) -> int:
        """Let jobs through whose unique key has come free by the passing of time."""
        session = self._session
        return await session.write(lambda connection: run(connection, self._gates.release(limit, session.clock.now())))


def _cancel(connection: sqlite3.Connection, ids: Sequence[str], reason: str, now: int) -> CancelAnswer:
    asked = list(dict.fromkeys(ids))
    (rows,) = connection.execute(_STANDING, {"ids": to_json(asked)}).fetchone()
    states = {job_id: state for job_id, state, *_ in _decode_standing(rows)}
    pending = tuple(job_id for job_id in asked if states.get(job_id) == "pending")
    running = tuple(job_id for job_id in asked if states.get(job_id) == "running")
    if pending:
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
