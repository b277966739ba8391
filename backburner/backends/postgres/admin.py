"""Bounded changes, in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.content import image_flaw, letter_flaw
from backburner.backends.expediting import answer_of
from backburner.backends.postgres.appending import documents_of
from backburner.errors import StoreRefused
from backburner.model.job import CANCELLED
from backburner.ports.jobs import CancelAnswer, Disposed, Restored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.postgres.session import Session
    from backburner.model.event import NewEvent
    from backburner.model.job import JobImage
    from backburner.model.operation import OperationRecord
    from backburner.ports.jobs import ExpediteAnswer, Keep, Letter

__all__ = ["PostgresJobAdmin"]


class _Released(msgspec.Struct):
    released: int
    #: The key that the next release begins after.
    after: str
    #: The lane that it begins after.
    after_lane: str


class _Pruned(msgspec.Struct):
    changed: int
    #: The lane that the next prune begins after.
    after_lane: str


class _Expedited(msgspec.Struct):
    now: int
    #: By id, under what each is answered.
    found: dict[str, str]


_encode = msgspec.json.Encoder().encode
_decode_cancelled = msgspec.json.Decoder(CancelAnswer).decode
_decode_expedited = msgspec.json.Decoder(_Expedited).decode
_decode_disposed = msgspec.json.Decoder(Disposed).decode
_decode_released = msgspec.json.Decoder(_Released).decode
_decode_pruned = msgspec.json.Decoder(_Pruned).decode
_decode_restored = msgspec.json.Decoder(Restored).decode


class PostgresJobAdmin:
    """A `JobAdmin`."""

    __slots__ = ("_after", "_after_lane", "_pruned", "_session")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._after = ""
        self._after_lane = ""
        self._pruned = ""

    async def cancel(
        self, ids: Sequence[str], reason: str = CANCELLED, events: Sequence[NewEvent] = ()
    ) -> CancelAnswer:
        """Cancel the pending, ask for the running, leave the ended."""
        session = self._session
        asked = list(dict.fromkeys(ids))
        document = _encode({"now": session.now, "ids": asked, "reason": reason, "events": documents_of(events)})
        found = _decode_cancelled(await session.call(session.intake, "cancel", document))
        named = frozenset((*found.cancelled, *found.asked, *found.ended, *found.busy))
        return msgspec.structs.replace(found, missing=tuple(each for each in asked if each not in named))

    async def expedite(self, ids: Sequence[str], events: Sequence[NewEvent] = ()) -> ExpediteAnswer:
        """Have pending jobs of the line that are due later be due now."""
        session = self._session
        document = _encode({"now": session.now, "ids": [*dict.fromkeys(ids)], "events": documents_of(events)})
        answer = _decode_expedited(await session.call(session.intake, "expedite", document))
        return answer_of(ids, answer.found, answer.now)

    async def prune(self, keep: Keep, limit: int) -> int:
        """Delete ended jobs, operations and lines of ledgers whose time has passed, and what is left of lanes."""
        session = self._session
        document = _encode(
            {
                "now": session.now,
                "limit": limit,
                "after_lane": self._pruned,
                **msgspec.structs.asdict(keep),
            }
        )
        found = _decode_pruned(await session.call(session.runs, "prune", document))
        self._pruned = found.after_lane
        return found.changed

    async def release(self, limit: int) -> int:
        """Let jobs through whose unique key has come free otherwise, and open lanes that have room."""
        session = self._session
        document = _encode({"now": session.now, "limit": limit, "after": self._after, "after_lane": self._after_lane})
        found = _decode_released(await session.call(session.runs, "release", document))
        self._after, self._after_lane = found.after, found.after_lane
        return found.released

    async def replay(self, letters: Sequence[Letter], operation: OperationRecord | None = None) -> Disposed:
        """Bring dead letters back."""
        return await self._dispose("replay", letters, operation)

    async def purge(self, letters: Sequence[Letter], operation: OperationRecord | None = None) -> Disposed:
        """Delete dead letters and their history."""
        return await self._dispose("purge", letters, operation)

    async def restore(self, jobs: Sequence[JobImage]) -> Restored:
        """Store jobs as they were in another store."""
        session = self._session
        for job in jobs:
            flaw = image_flaw(job)
            if flaw is not None:
                raise StoreRefused(f"Job {job.record.id!r} cannot be stored: {flaw}", stored="no", job_id=job.record.id)
        document = _encode({"now": session.now, "jobs": jobs})
        return _decode_restored(await session.call(session.intake, "restore", document))

    async def _dispose(self, verb: str, letters: Sequence[Letter], operation: OperationRecord | None) -> Disposed:
        session = self._session
        for letter in letters:
            flaw = letter_flaw(letter)
            if flaw is not None:
                raise StoreRefused(f"Letter {letter.id!r} cannot be stored: {flaw}", stored="no", job_id=letter.id)
        document: dict[str, object] = {"now": session.now, "letters": letters}
        if operation is not None:
            document["operation"] = {name: getattr(operation, name) for name in ("id", "version", "state", "active")}
        return _decode_disposed(await session.call(session.intake, verb, _encode(document)))
