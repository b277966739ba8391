"""Jobs that belong together: `bb.TaskGroup()`."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from backburner.errors import AlreadyEnded, InvalidOption, JobFailed, StoreError
from backburner.jobs.call import take
from backburner.jobs.handle import JobHandle
from backburner.jobs.run import Why
from backburner.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Callable
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
_SPARING = frozenset({Why.TIMEOUT, Why.SHUTDOWN, Why.LOST})


class TaskGroup:
    """Stores jobs together and waits for all of them, as `asyncio.TaskGroup` does for tasks.

    `create_task` only notes a call; the group is stored as one write at the first await of one of its handles, or at
    the end of the block. A body that raises before that stores nothing. The block ends when all jobs have ended. Once
    one is dead, or the body raises or is cancelled, the others are cancelled, and what happened is raised as an
    `ExceptionGroup`. A job that was cancelled or expired alone only shows where its handle is awaited.

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
        self._sent: list[str] = []
        #: Jobs that have not ended yet.
        self._live: set[Vigil] = set()
        self._failures: dict[str, JobFailed] = {}
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
        handle: JobHandle[R] = JobHandle(client.handles.vigil(job.id, call.definition), unstored=self)
        self._buffer.append((job, handle, call))
        return handle

    async def store(self) -> None:
        """Store what was noted; a handle that is awaited does this."""
        if self._closed:
            raise AlreadyEnded("the TaskGroup ended before it stored this job")
        async with self._lock:
            noted, self._buffer = self._buffer, []
            if not noted:
                return
            try:
                self._sent += [job.id for job, _, _ in noted]
                stored = await self._client.store([job for job, _, _ in noted], self._tx)
            except BaseException:
                self._buffer = noted + self._buffer
                raise
            for (job_id, existed), (_, handle, call) in zip(stored, noted, strict=True):
                vigil = self._client.handles.vigil(job_id, call.definition)
                handle.stored(vigil, existed=existed)
                if self._tx is None:
                    self._live.add(vigil)
                    vigil.call_back(partial(self._ended, vigil))
            callbacks, self._callbacks = self._callbacks, []
            for callback in callbacks:
                callback()

    def when_stored(self, callback: Callable[[], object], /) -> None:
        """Call once what was noted so far is stored."""
        self._callbacks.append(callback)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._over = True
        try:
            if error is None:
                await self.store()
        except BaseException as failure:  # noqa: BLE001 - raised again by the group, which ends for it
            kind, error, trace = type(failure), failure, failure.__traceback__
        self._leaving = True
        self._changed.set()
        run = self._run if self._live else None
        if run is not None:
            run.lend()
        try:
            await self._leave(kind, error, trace)
        finally:
            if run is not None:
                run.take_back()
            self._closed = True

    async def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._tasks.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            # Of the dead jobs the first alone ended the watch.
            failures = [error for error in group.exceptions if error not in self._failures.values()]
            failures += await self._cancel()
            raise BaseExceptionGroup("errors in a TaskGroup", [*failures, *self._failures.values()]) from None
        except BaseException:
            await self._cancel()
            raise

    async def _watch(self) -> None:
        """End when the body has and all jobs have; raise once one is dead, which ends the body too."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            for failure in self._failures.values():
                raise failure
            if self._leaving and not self._live:
                return

    def _ended(self, vigil: Vigil) -> None:
        self._live.discard(vigil)
        final = vigil.final
        if final is not None and final.state in {JobState.DEAD, None}:
            self._failures[vigil.id] = vigil.failure(final)
        self._changed.set()

    async def _cancel(self) -> list[BaseException]:
        """Cancel the jobs that live, and wait until they have ended; a store that fails is told of."""
        if self._run is not None and self._run.why in _SPARING:
            return []
        unsure = {job.id for job, _, _ in self._buffer}
        live = {vigil.id for vigil in self._live}
        ids = [job_id for job_id in dict.fromkeys(self._sent) if job_id in unsure] + sorted(live)
        if not ids:
            return []
        try:
            await self._client.cancel_group(ids)
        except StoreError as error:
            return [error]
        while self._live:
            await self._changed.wait()
            self._changed.clear()
        return []
