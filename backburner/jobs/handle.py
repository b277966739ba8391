"""What `create_task` returns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

import msgspec

from backburner.errors import JobCancelled, JobDead, JobExpired, JobFailed, JobNotFound
from backburner.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from backburner.jobs.definition import Definition
    from backburner.jobs.status import JobStatus

__all__ = ["Final", "JobHandle", "Watcher"]

R = TypeVar("R")


class Final(msgspec.Struct, frozen=True, gc=False):
    """How a job ended; state None: the store does not have it."""

    state: JobState | None
    result: str | None = None
    reason: str | None = None
    error: str = ""
    message: str = ""


class Watcher(Protocol):
    """What a handle needs of its engine."""

    def watch(self, handle: JobHandle[object], /) -> None:
        """See to it that the handle is told how its job ends; raises `NotRunning`."""
        ...

    async def status(self, job_id: str, /) -> JobStatus:
        """Read a job."""
        ...

    async def cancel(self, job_id: str, /) -> bool:
        """Cancel a job."""
        ...


class JobHandle(Generic[R]):
    """A stored job, seen from here. Awaiting it gives the job's result.

    Awaiting raises `JobDead`, `JobCancelled`, `JobExpired` or `JobNotFound`. Cancelling or timing out the waiter leaves
    the job alone; only `cancel` cancels it. A job waits between its attempts, so a wait may be long.
    """

    __slots__ = ("__weakref__", "_callbacks", "_definition", "_final", "_future", "_futures", "_watcher", "id")

    def __init__(self, job_id: str, definition: Definition, watcher: Watcher) -> None:
        #: The job's id: give it to another process, and to `Backburner.handle` there.
        self.id = job_id
        self._definition = definition
        self._watcher = watcher
        self._final: Final | None = None
        #: One waiter is the rule, and thousands of handles are awaited at once: what each of them holds is counted.
        self._future: asyncio.Future[Final] | None = None
        self._futures: list[asyncio.Future[Final]] | None = None
        self._callbacks: list[Callable[[JobHandle[R]], object]] | None = None

    def __repr__(self) -> str:
        state = self._final.state if self._final is not None else "not known to be done"
        return f"<handle of {self._definition.kind} {self.id}: {state}>"

    def __await__(self) -> Generator[object, None, R]:
        """Wait for the result."""
        final = self._final
        if final is None:
            future = self._join()
            try:
                final = yield from future
            finally:
                self._leave(future)
        if final.state is not JobState.COMPLETED:
            raise self._failure(final)
        return cast("R", self._definition.signature.decode_result(final.result or "null"))

    def done(self) -> bool:
        """Whether the job has ended, as last seen here: without asking the store."""
        return self._final is not None

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until the job has ended, at most ``timeout`` seconds; return whether it has. Raises no job's error."""
        try:
            async with asyncio.timeout(timeout):
                await self._ended()
        except TimeoutError:
            return False
        return True

    async def status(self) -> JobStatus:
        """Read the job's state from the store; raises `JobNotFound`."""
        return await self._watcher.status(self.id)

    async def cancel(self) -> bool:
        """Cancel the job; return whether that came in time.

        A pending job is cancelled at once. A running one is told to stop, and is cancelled unless it completes first.
        Raises `JobNotFound`.
        """
        return await self._watcher.cancel(self.id)

    def add_done_callback(self, callback: Callable[[JobHandle[R]], object], /) -> None:
        """Call back with this handle once the job is known to have ended; the wait for that begins here."""
        if self._final is not None:
            asyncio.get_running_loop().call_soon(callback, self)
            return
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)
        self._watcher.watch(cast("JobHandle[object]", self))

    async def _ended(self) -> None:
        if self._final is None:
            future = self._join()
            try:
                await future
            finally:
                self._leave(future)

    def _join(self) -> asyncio.Future[Final]:
        self._watcher.watch(cast("JobHandle[object]", self))
        future: asyncio.Future[Final] = asyncio.get_running_loop().create_future()
        if self._future is None:
            self._future = future
        else:
            self._futures = [*(self._futures or ()), future]
        return future

    def _leave(self, future: asyncio.Future[Final]) -> None:
        if self._future is future:
            self._future = None
        elif self._futures is not None:
            self._futures.remove(future)

    def _waiting(self) -> Iterator[asyncio.Future[Final]]:
        if self._future is not None:
            yield self._future
        if self._futures:
            yield from self._futures

    def _failure(self, final: Final) -> JobFailed:
        what = f"{self._definition.kind} {self.id}"
        if final.state is None:
            return JobNotFound(
                f"{what}: the store has no such job; it never had, or its retention has passed", job_id=self.id
            )
        if final.state is JobState.DEAD:
            quoted = final.message and final.message in (final.reason or "")
            error = "" if quoted or not final.error else f": {final.error}: {final.message}"
            return JobDead(f"{what} is a dead letter ({final.reason}){error}", job_id=self.id, reason=final.reason)
        if final.reason == "expired":
            return JobExpired(f"{what} expired before it could run", job_id=self.id, reason="expired")
        why = "" if final.reason == "cancelled" else f" ({final.reason})"
        return JobCancelled(f"{what} was cancelled{why}", job_id=self.id, reason=final.reason)

    @property
    def awaited(self) -> bool:
        """Whether anyone waits for it."""
        return bool(self._future or self._futures or self._callbacks)

    def end(self, final: Final) -> None:
        """Take how the job ended. The engine's to call."""
        if self._final is not None:
            return
        self._final = final
        for future in self._waiting():
            if not future.done():
                future.set_result(final)
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            asyncio.get_running_loop().call_soon(callback, self)

    def fail(self, error: Exception) -> None:
        """Raise in everyone who waits. The engine's to call."""
        for future in self._waiting():
            if not future.done():
                future.set_exception(error)
