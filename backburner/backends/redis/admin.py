"""Bounded changes, in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backburner.backends.content import image_flaw, letter_flaw
from backburner.backends.expediting import answer_of
from backburner.backends.redis import packing, sending
from backburner.errors import StoreRefused
from backburner.model.job import CANCELLED
from backburner.ports.jobs import CancelAnswer, Disposed, Restored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.redis.session import Session
    from backburner.model.event import NewEvent
    from backburner.model.job import JobImage
    from backburner.model.operation import OperationRecord
    from backburner.ports.jobs import ExpediteAnswer, Keep, Letter

__all__ = ["RedisJobAdmin"]


class RedisJobAdmin:
    """A `JobAdmin`: every verb is one script, or several of one if it would keep the server too long."""

    __slots__ = ("_keys_after", "_lanes_after", "_session")

    def __init__(self, session: Session) -> None:
        self._session = session
        #: The gates of unique keys and of lanes are gone through from where the last release ended: behind these.
        self._keys_after = b""
        self._lanes_after = b""

    async def cancel(
        self, ids: Sequence[str], reason: str = CANCELLED, events: Sequence[NewEvent] = ()
    ) -> CancelAnswer:
        """Cancel the pending, ask for the running, leave the ended."""
        asked = list(dict.fromkeys(ids))
        now, *found = await self._run("cancel", reason, sending.pack(asked), sending.events(events))
        by_answer: dict[bytes, list[str]] = {b"c": [], b"a": [], b"e": [], b"": []}
        for job_id, what in zip(asked, found, strict=True):
            by_answer[what].append(job_id)
        return CancelAnswer(
            now=packing.number(now),
            cancelled=tuple(by_answer[b"c"]),
            asked=tuple(by_answer[b"a"]),
            ended=tuple(by_answer[b"e"]),
            missing=tuple(by_answer[b""]),
        )

    async def expedite(self, ids: Sequence[str], events: Sequence[NewEvent] = ()) -> ExpediteAnswer:
        """Have pending jobs of the line that are due later be due now."""
        asked = list(dict.fromkeys(ids))
        now, *found = await self._run("expedite", sending.events(events), sending.pack(asked))
        words = {job_id: what.decode() for job_id, what in zip(asked, found, strict=True) if what}
        return answer_of(asked, words, packing.number(now))

    async def prune(self, keep: Keep, limit: int) -> int:
        """Delete ended jobs and their history, operations, lines of ledgers, events, whose time has passed."""
        keys = self._session.keys
        kept = (keep.completed, keep.cancelled, keep.dead, keep.ticks, keep.events)
        times = ["" if time is None else time for time in kept]
        others = (keys.ticks, keys.ledger, keys.lines, keys.aging, keys.subscriptions)
        changed = 0
        again = True
        while again:
            args = (max(0, limit - changed), *times)
            some, again = await self._session.scripts.run(
                "prune", (*keys.tables, *keys.locking, *others, *keys.operating), args
            )
            changed += some
        return changed

    async def release(self, limit: int) -> int:
        """Let the first through at each gate whose key is free, and open lanes that have room."""
        released: int
        answer = await self._run("release", max(0, limit), self._keys_after, self._lanes_after)
        released, self._keys_after, self._lanes_after = answer
        return released

    async def replay(self, letters: Sequence[Letter], operation: OperationRecord | None = None) -> Disposed:
        """Bring dead letters back."""
        for each in letters:
            flaw = letter_flaw(each)
            if flaw is not None:
                raise StoreRefused(f"Job {each.id!r} cannot be replayed: {flaw}", stored="no", job_id=each.id)
        return await self._dispose("replay", letters, operation)

    async def purge(self, letters: Sequence[Letter], operation: OperationRecord | None = None) -> Disposed:
        """Delete dead letters and their history."""
        return await self._dispose("purge", letters, operation)

    async def _dispose(self, verb: str, letters: Sequence[Letter], operation: OperationRecord | None) -> Disposed:
        keys = self._session.keys
        named = dict.fromkeys(each.id for each in letters)
        first = {each.id: each for each in reversed(letters)}
        args = [arg for job_id in named for arg in sending.letter(first[job_id])]
        now, outrun, *said = await self._session.scripts.run(
            verb, (*keys.tables, *keys.operating), (b"" if operation is None else sending.operation(operation), *args)
        )
        ids = [*named]
        found: list[tuple[str, bytes]] = [(ids[int(at)], what) for at, what in zip(said[::2], said[1::2], strict=True)]
        return Disposed(
            now=packing.number(now),
            missed=tuple(job_id for job_id, what in found if not what),
            kept={job_id: what.decode() for job_id, what in found if what},
            outrun=bool(outrun),
        )

    async def restore(self, jobs: Sequence[JobImage]) -> Restored:
        """Store jobs as they were in another store."""
        for image in jobs:
            flaw = image_flaw(image) or sending.counter_flaw(image)
            if flaw is not None:
                job_id = image.record.id
                raise StoreRefused(f"Job {job_id!r} cannot be restored: {flaw}", stored="no", job_id=job_id)
        now, *said = await self._run("restore", *(arg for image in jobs for arg in sending.image(image)))
        found: list[tuple[str, bytes]] = [
            (jobs[int(at)].record.id, what) for at, what in zip(said[::2], said[1::2], strict=True)
        ]
        return Restored(
            now=packing.number(now),
            known=tuple(job_id for job_id, what in found if not what),
            holders={job_id: what.decode() for job_id, what in found if what},
        )

    async def _run(self, name: str, *args: str | bytes | int) -> Any:  # noqa: ANN401 - whatever the script answers
        return await self._session.scripts.run(name, self._session.keys.tables, args)
