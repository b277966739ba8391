"""All that is waited for in one engine: what ends here is told at once, all the rest is read together."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING
from weakref import ref

from backburner.errors import JobNotFound, NotRunning
from backburner.jobs.loop import Loop
from backburner.jobs.status import JobStatus, status_of
from backburner.jobs.vigil import Final, Vigil
from backburner.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backburner.jobs.definition import Definition
    from backburner.jobs.joined import Joined
    from backburner.jobs.kit import Kit
    from backburner.ports.jobs import JobReader

__all__ = ["Handles"]

#: Seconds between reads, unless somebody else says.
POLL = 1.0
#: Ids in one read.
BATCH = 1_000
#: Rest after a read, in times of what it took: reading takes a twentieth of the time at most, however many wait.
REST = 20

_FINAL = frozenset({JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD})


class _Reference(ref["Vigil"]):
    """A vigil that handles hold; a third of what a `WeakValueDictionary` takes for the same."""

    __slots__ = ("id",)

    id: str


class Handles:
    """Makes vigils and ends them.

    One batched read a node, on a hint, else each second, and only while somebody waits. A job has one vigil here until
    it ends, however many handles it has.
    """

    def __init__(
        self,
        reader: JobReader,
        cancel: Callable[[str], Awaitable[bool]],
        joined: Joined,
        *,
        kit: Kit,
    ) -> None:
        self._reader = reader
        self._cancel = cancel
        self._joined = joined
        self._known: dict[str, _Reference] = {}
        #: In the order in which they are to be read.
        self._watched: dict[str, Vigil] = {}
        self._loop = Loop("handles", self._step, kit=kit)
        self._clock = kit.clock
        self._rested_at = 0.0
        self._open = False
        #: Seconds between reads while somebody waits and no hint comes.
        self.poll = POLL
        #: Hears of each job that somebody begins to wait for, where one has to see to it that the wait ends.
        self.awaited: Callable[[Vigil], None] | None = None

    def start(self) -> None:
        """Begin."""
        self._open = True
        self._loop.start()

    async def stop(self) -> None:
        """End; whoever waits is told that the engine stopped."""
        self._open = False
        await self._loop.stop()
        watched, self._watched = self._watched, {}
        for vigil in watched.values():
            vigil.fail(NotRunning("the engine stopped while this handle was awaited; the job itself goes on"))

    def vigil(self, job_id: str, definition: Definition) -> Vigil:
        """Return the vigil of a job."""
        reference = self._known.get(job_id)
        known = None if reference is None else reference()
        # What ended, or was missing, may have been stored since under the same id.
        if known is not None and known.final is None:
            return known
        vigil = Vigil(job_id, definition, self)
        reference = self._known[job_id] = _Reference(vigil, self._forget)
        reference.id = job_id
        return vigil

    def _find(self, job_id: str) -> Vigil | None:
        reference = self._known.get(job_id)
        return None if reference is None else reference()

    def _forget(self, reference: _Reference) -> None:
        """Nobody waits for this job any more; it may have another vigil by now."""
        if self._known.get(reference.id) is reference:
            del self._known[reference.id]

    def ended(self, job_id: str, final: Final) -> None:
        """Tell the handles of a job that ended, if anyone holds one."""
        vigil = self._find(job_id)
        if vigil is not None:
            self._watched.pop(job_id, None)
            vigil.end(final)

    def hint(self) -> None:
        """Jobs may have ended elsewhere."""
        if self._watched:
            self._loop.wake()

    # ---- what a vigil asks -------------------------------------------------------------------------------------

    def watch(self, vigil: Vigil, /) -> None:
        """Read the job now, and again until it has ended."""
        if not self._open:
            raise NotRunning
        if self._joined.open:
            self._joined.refuse_wait(vigil.id)
        self._watched[vigil.id] = vigil
        self._loop.wake()
        if self.awaited is not None:
            self.awaited(vigil)

    async def look(self, job_id: str, /) -> None:
        """See whether the store shows a job whose connection stands in a transaction: maybe in a later one."""
        if (await self._reader.get((job_id,))).jobs:
            self._joined.seen(job_id)

    async def status(self, job_id: str, /) -> JobStatus:
        """Read a job; raises `JobNotFound`."""
        if not self._open:
            raise NotRunning
        page = await self._reader.get((job_id,))
        if not page.jobs:
            raise JobNotFound(
                f"the store has no job {job_id}: it never had, or its retention has passed", job_id=job_id
            )
        return status_of(page.jobs[0], page.now)

    async def cancel(self, job_id: str, /) -> bool:
        """Cancel a job."""
        return await self._cancel(job_id)

    async def _step(self) -> float | None:
        began = self._clock.monotonic()
        if began < self._rested_at:
            return self._rested_at - began
        ids = self._next_ids()
        if not ids:
            return self.poll if self._watched else None
        await self._read(ids)
        ended = self._clock.monotonic()
        self._rested_at = ended + min(self.poll, REST * (ended - began))
        return self.poll if len(self._watched) <= BATCH else self._rested_at - ended

    def _next_ids(self) -> tuple[str, ...]:
        """Take a batch to the end of the line; jobs that nobody waits for any more leave it."""
        first = list(islice(self._watched.items(), BATCH))
        for job_id, _ in first:
            del self._watched[job_id]
        awaited = {job_id: vigil for job_id, vigil in first if vigil.awaited}
        self._watched.update(awaited)
        return tuple(awaited)

    async def _read(self, ids: tuple[str, ...]) -> None:
        missing = set(ids)
        for record in (await self._reader.get(ids)).jobs:
            missing.discard(record.id)
            if record.state in _FINAL:
                final = Final(record.state, record.result, record.reason, record.error, record.message)
                self.ended(record.id, final)
        for job_id in missing:
            self.ended(job_id, Final(None))
