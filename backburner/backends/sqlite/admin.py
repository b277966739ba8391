"""Bounded changes, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.statements import load
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
_PRUNABLE = load("prunable")
_FORGET = load("forget")
_DELETE = load("delete")

_decode_standing = msgspec.json.Decoder(list[tuple[str, str, str | None, int, int]]).decode
_decode_seqs = msgspec.json.Decoder(list[int]).decode


class SqliteJobAdmin:
    """A `JobAdmin`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def cancel(self, ids: Sequence[str]) -> CancelAnswer:
        """Cancel the pending, ask for the running, leave the ended."""
        return await self._session.write(lambda connection: _cancel(connection, ids, self._session.clock.now()))

    async def prune(self, keep: Keep, limit: int) -> int:
        """Delete ended jobs, and their history, whose time has passed."""
        return await self._session.write(lambda connection: _prune(connection, keep, limit, self._session.clock.now()))


def _cancel(connection: sqlite3.Connection, ids: Sequence[str], now: int) -> CancelAnswer:
    asked = list(dict.fromkeys(ids))
    (rows,) = connection.execute(_STANDING, {"ids": to_json(asked)}).fetchone()
    states = {job_id: state for job_id, state, *_ in _decode_standing(rows)}
    pending = tuple(job_id for job_id in asked if states.get(job_id) == "pending")
    running = tuple(job_id for job_id in asked if states.get(job_id) == "running")
    if pending:
        connection.execute(_CANCEL_PENDING, {"ids": to_json(pending), "now": now})
    if running:
        connection.execute(_CANCEL_RUNNING, {"ids": to_json(running)})
    return CancelAnswer(
        now=now,
        cancelled=pending,
        asked=running,
        ended=tuple(job_id for job_id in asked if states.get(job_id, "pending") not in {"pending", "running"}),
        missing=tuple(job_id for job_id in asked if job_id not in states),
    )


def _prune(connection: sqlite3.Connection, keep: Keep, limit: int, now: int) -> int:
    lengths = {"completed": keep.completed, "cancelled": keep.cancelled, "dead": keep.dead}
    before = {state: None if length is None else now - length for state, length in lengths.items()}
    (seqs,) = connection.execute(_PRUNABLE, {**before, "limit": max(0, limit)}).fetchone()
    count = len(_decode_seqs(seqs))
    if count:
        connection.execute(_FORGET, {"seqs": seqs})
        connection.execute(_DELETE, {"seqs": seqs})
    return count
