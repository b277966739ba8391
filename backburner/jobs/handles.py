"""All handles of one engine: what ends here is told at once, all the rest is read together."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from backburner.errors import JobNotFound, NotRunning
from backburner.jobs.handle import Final, JobHandle
from backburner.jobs.loop import Loop
from backburner.jobs.status import JobStatus, status_of
from backburner.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backburner.jobs.definition import Definition
    from backburner.jobs.kit import Kit
    from backburner.ports.jobs import JobReader

__all__ = ["Handles"]

#: Seconds between reads while somebody waits and no hint comes.
POLL = 1.0
#: Ids in one read.
BATCH = 1_000

_FINAL = frozenset({JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD})


class Handles:
    """Makes handles and ends them.

    One batched read a node, on a hint, else each second, and only while somebody waits. A job has one handle here,
    however often it is asked for.
    """

    def __init__(
        self,
        reader: JobReader,
        cancel: Callable[[str], Awaitable[bool]],
        *,
        kit: Kit,
    ) -> None:
        self._reader = reader
        self._cancel = cancel
        self._known: WeakValueDictionary[str, JobHandle[object]] = WeakValueDictionary()
        self._watched: dict[str, JobHandle[object]] = {}
        self._loop = Loop("handles", self._step, kit=kit)
        self._open = False

    def start(self) -> None:
        """Begin."""
        self._open = True
        self._loop.start()

    async def stop(self) -> None:
        """End; whoever waits is told that the engine stopped."""
        self._open = False
        await self._loop.stop()
        watched, self._watched = self._watched, {}
        for handle in watched.values():
            handle.fail(NotRunning("the engine stopped while this handle was awaited; the job itself goes on"))

    def handle(self, job_id: str, definition: Definition) -> JobHandle[object]:
        """Return the handle of a job."""
        handle = self._known.get(job_id)
        if handle is None:
            handle = self._known[job_id] = JobHandle(job_id, definition, self)
        return handle

    def ended(self, job_id: str, final: Final) -> None:
        """Tell the handle of a job that ended, if anyone holds it."""
        handle = self._known.get(job_id)
        if handle is not None:
            self._watched.pop(job_id, None)
            handle.end(final)

    def hint(self) -> None:
        """Jobs may have ended elsewhere."""
        if self._watched:
            self._loop.wake()

    # ---- what a handle asks ------------------------------------------------------------------------------------

    def watch(self, handle: JobHandle[object], /) -> None:
        """Read the job now, and again until it has ended."""
        if not self._open:
            raise NotRunning
        self._watched[handle.id] = handle
        self._loop.wake()

    async def status(self, job_id: str, /) -> JobStatus:
        """Read a job; raises `JobNotFound`."""
        if not self._open:
            raise NotRunning
        page = await self._reader.get((job_id,))
        if not page.jobs:
            raise JobNotFound(f"the store has no job {job_id}", job_id=job_id)
        return status_of(page.jobs[0], page.now)

    async def cancel(self, job_id: str, /) -> bool:
        """Cancel a job."""
        return await self._cancel(job_id)

    async def _step(self) -> float | None:
        self._forget_unawaited()
        if not self._watched:
            return None
        ids = tuple(self._watched)
        for start in range(0, len(ids), BATCH):
            await self._read(ids[start : start + BATCH])
        return POLL if self._watched else None

    async def _read(self, ids: tuple[str, ...]) -> None:
        missing = set(ids)
        for record in (await self._reader.get(ids)).jobs:
            missing.discard(record.id)
            if record.state in _FINAL:
                final = Final(record.state, record.result, record.reason, record.error, record.message)
                self.ended(record.id, final)
        for job_id in missing:
            self.ended(job_id, Final(None))

    def _forget_unawaited(self) -> None:
        """Leave handles that nobody waits for any more."""
        for job_id in [job_id for job_id, handle in self._watched.items() if not handle.awaited]:
            del self._watched[job_id]
