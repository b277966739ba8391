"""Jobs that belong together: `bb.TaskGroup()`."""

from __future__ import annotations

import asyncio
import reprlib
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from backburner.errors import AlreadyEnded, InvalidOption, JobFailed, NotRunning, StoreError, TransactionOpen
from backburner.jobs.call import take
from backburner.jobs.handle import JobHandle
from backburner.jobs.run import Why
from backburner.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Unpack

    from backburner.jobs.call import Call
    from backburner.jobs.client import Client
    from backburner.jobs.options import TaskOptions
    from backburner.jobs.run import Run
    from backburner.jobs.vigil import Vigil
    from backburner.model.job import NewJob

__all__ = ["TaskGroup"]

R = TypeVar("R")

#: Ends of a run that say nothing against its children: they go on, and the next run of their parent finds them.
_SPARING = frozenset({Why.TIMEOUT, Why.SHUTDOWN, Why.LOST, Why.FENCED})


class TaskGroup:
    """Stores jobs together and waits for all of them, as `asyncio.TaskGroup` does for tasks.

    `create_task` only notes a call; the group is stored as one write at the first await of one of its handles, or at
    the end of the block. A body that raises before that stores nothing. The block ends when all jobs have ended. Once
    one is dead, or the body raises or is cancelled, the others are cancelled, and what happened is raised as an
    `ExceptionGroup`. A job that was cancelled or expired alone only shows where its handle is awaited. Of a job that
    was there before, holding a unique key, the group awaits the end, but it is not its to cancel.

    Inside a job these are its children: should it run again, it finds them instead of storing others. When it is given
    back, fenced or out of time they are left alone. With ``tx``, a connection of yours in a transaction, the block stores
    in it and does not wait: nobody sees the jobs before it commits.
    """

    def __init__(self, client: Client, *, tx: object = None) -> None:
        self._client = client
        self._tx = tx
        self._run: Run | None = client.parent()
        self._tasks = asyncio.TaskGroup()
        self._entered = False
        self._over = False
        self._lock = asyncio.Lock()
        self._buffer: list[tuple[NewJob, JobHandle[Any], Call[Any]]] = []
        self._callbacks: list[Callable[[], object]] = []
        #: Everything that was ever sent to the store: a write whose answer was lost may have stored it.
        self._sent: dict[str, None] = {}
        #: Jobs that have not ended yet.
        self._live: set[Vigil] = set()
        self._failures: dict[str, JobFailed] = {}
        #: The engine stopped: nobody can say any more how they end.
        self._stopped: Exception | None = None
        self._leaving = False
        self._closed = False
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        if self._entered:
            raise AlreadyEnded("a TaskGroup is entered once; make another")
        self._entered = True
        await self._tasks.__aenter__()
        self._tasks.create_task(self._watch())
        return self

    def create_task(self, call: Call[R], **options: Unpack[TaskOptions]) -> JobHandle[R]:
        """Note a call, to be stored with the group; options are those of `Backburner.create_task`, without ``tx``.

        Everything wrong with it is refused now, by a `CallRefused`. Raises `AlreadyEnded` outside the block.
        """
        take(call)
        if "tx" in options:
            raise InvalidOption("a group is stored as a whole: give tx to TaskGroup(tx=…)", option="tx")
        if not self._entered or self._over:
            raise AlreadyEnded("a TaskGroup takes jobs inside its block: async with bb.TaskGroup() as group")
        client = self._client
        job = client.orders.prepare(call, options, client.parent())
        handle: JobHandle[R] = JobHandle(client.handles.vigil(job.id, call.definition), _unstored=self)
        self._buffer.append((job, handle, call))
        return handle

    async def store(self) -> None:
        """Store what was noted; a handle that is awaited does this."""
        if self._tx is not None and not self._closed:
            raise TransactionOpen(
                "a TaskGroup with tx= stores its jobs at the end of the block: commit the transaction, then await the "
                "handle"
            )
        await self._store()

    async def _store(self) -> None:
        async with self._lock:
            if not self._buffer:
                return
            if self._closed:
                raise AlreadyEnded("the TaskGroup ended before it stored this job")
            noted, self._buffer = self._buffer, []
            before = self._sent
            self._sent = before | dict.fromkeys(job.id for job, _, _ in noted)
            try:
                stored = await self._client.store([job for job, _, _ in noted], self._tx)
            except BaseException as error:
                self._buffer = noted + self._buffer
                if isinstance(error, StoreError) and error.stored == "no":
                    self._sent = before
                raise
            for (job_id, existed), (_, handle, call) in zip(stored, noted, strict=True):
                vigil = self._client.handles.vigil(job_id, call.definition)
                handle.stored(vigil, existed=existed)
                if self._tx is None:
                    self._await(vigil)
            callbacks, self._callbacks = self._callbacks, []
            for callback in callbacks:
                callback()

    def when_stored(self, callback: Callable[[], object], /) -> None:
        """Call once what was noted so far is stored."""
        if self._tx is not None:
            raise TransactionOpen(
                "nobody sees the jobs of a TaskGroup with tx= before that commits: add the callback then"
            )
        self._callbacks.append(callback)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._over = True
        try:
            if error is None:
                await self._store()
        except BaseException as failure:  # noqa: BLE001 - raised again by the group, which ends for it
            kind, error, trace = type(failure), failure, failure.__traceback__
        self._leaving = self._closed = True
        self._changed.set()
        run = self._run if self._live else None
        if run is not None:
            run.lend()
        try:
            await self._leave(kind, error, trace)
        finally:
            if run is not None:
                run.take_back()

    async def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._tasks.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            raise self._together(group.exceptions, await self._cancel()) from None
        except asyncio.CancelledError:
            failures = await self._cancel()
            if failures or self._failures:
                # As in asyncio: what went wrong is not lost for the cancellation.
                raise self._together((), failures) from None
            raise
        except BaseException as base:
            for failure in await self._cancel():
                base.add_note(f"the jobs of the TaskGroup could not be cancelled: {failure}")
            raise

    def _together(
        self, errors: Sequence[BaseException], failures: Sequence[BaseException]
    ) -> BaseExceptionGroup[BaseException]:
        """Group all that went wrong; a dead job is told of once, also if the body raised what its handle did."""
        told = {error.job_id for error in errors if isinstance(error, JobFailed)}
        dead = [failure for job_id, failure in self._failures.items() if job_id not in told]
        every = [*errors, *failures, *dead]
        # The first stands in the message too: a parent that dies of it is told by that alone.
        return BaseExceptionGroup(f"errors in a TaskGroup: {reprlib.repr(str(every[0]))}", every)

    async def _watch(self) -> None:
        """End when the body has and all jobs have; raise once one is dead, which ends the body too."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            for failure in self._failures.values():
                raise failure
            if self._stopped is not None:
                raise self._stopped
            if self._leaving and not self._live:
                return

    def _await(self, vigil: Vigil) -> None:
        vigil.call_back(partial(self._ended, vigil))
        self._live.add(vigil)

    def _ended(self, vigil: Vigil, error: Exception | None) -> None:
        self._live.discard(vigil)
        final = vigil.final
        if error is not None:
            self._stopped = error
        elif final is not None and final.state in {JobState.DEAD, None}:
            self._failures[vigil.id] = vigil.failure(final)
        self._changed.set()

    async def _cancel(self) -> list[BaseException]:
        """Cancel the jobs that live, and wait until they have ended; a store that fails is told of."""
        if self._stopped is not None or (self._run is not None and self._run.why in _SPARING):
            return []
        async with self._lock:  # another task may be storing
            unsure = {job.id: call for job, _, call in self._buffer if job.id in self._sent}
            self._live = {vigil for vigil in self._live if vigil.id in self._sent}
        ids = [*unsure, *sorted(vigil.id for vigil in self._live)]
        if not ids:
            return []
        try:
            asked = await self._client.cancel_group(ids)
            for job_id in asked & unsure.keys():
                self._await(self._client.handles.vigil(job_id, unsure[job_id].definition))
        except (StoreError, NotRunning) as error:
            return [error]
        while self._live:
            await self._changed.wait()
            self._changed.clear()
        return []
