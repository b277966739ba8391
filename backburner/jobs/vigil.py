"""One job that may be waited for here; all its handles share it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import msgspec

from backburner.errors import JobCancelled, JobDead, JobExpired, JobFailed, JobNotFound
from backburner.jobs.context import current_run
from backburner.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backburner.jobs.definition import Definition
    from backburner.jobs.status import JobStatus

__all__ = ["Final", "Vigil", "Watcher"]


class Final(msgspec.Struct, frozen=True, gc=False):
    """How a job ended; state None: the store does not have it."""

    state: JobState | None
    result: str | None = None
    reason: str | None = None
    error: str = ""
    message: str = ""


class Watcher(Protocol):
    """What a vigil needs of its engine."""

    def watch(self, vigil: Vigil, /) -> None:
        """See to it that the vigil is told how its job ends; raises `NotRunning` and `TransactionOpen`."""
        ...

    async def look(self, job_id: str, /) -> None:
        """See whether a job is there after all for which `watch` raised `TransactionOpen`."""
        ...

    async def status(self, job_id: str, /) -> JobStatus:
        """Read a job."""
        ...

    async def cancel(self, job_id: str, /) -> bool:
        """Cancel a job."""
        ...


class Vigil(msgspec.Struct, eq=False, weakref=True):
    """Who waits for a job, and how it ended once that is known."""

    id: str
    definition: Definition
    watcher: Watcher
    final: Final | None = None
    #: One waiter is the rule, and thousands of jobs are awaited at once: what each of them holds is counted.
    _future: asyncio.Future[Final] | None = None
    _futures: list[asyncio.Future[Final]] | None = None
    _callbacks: list[Callable[[Exception | None], object]] | None = None

    def join(self) -> asyncio.Future[Final]:
        """Wait from now on; a run that does lends its slot until it leaves."""
        self.watcher.watch(self)
        future: asyncio.Future[Final] = asyncio.get_running_loop().create_future()
        if self._future is None:
            self._future = future
        else:
            self._futures = [*(self._futures or ()), future]
        run = current_run.get(None)
        if run is not None:
            run.lend()
        return future

    async def look_and_join(self) -> asyncio.Future[Final]:
        """Wait from now on, unless the job is hidden in a transaction: its connection may have gone on to a later one."""
        await self.watcher.look(self.id)
        return self.join()

    def leave(self, future: asyncio.Future[Final]) -> None:
        """Wait no more."""
        if self._future is future:
            self._future = None
        elif self._futures is not None:
            self._futures.remove(future)
        run = current_run.get(None)
        if run is not None:
            run.take_back()

    def call_back(self, callback: Callable[[Exception | None], object]) -> None:
        """Call once the job is known to have ended, soon if it is; the wait for that begins here.

        The callback gets None, or the error for which nobody will know.
        """
        if self.final is not None:
            asyncio.get_running_loop().call_soon(callback, None)
            return
        self.watcher.watch(self)
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)

    @property
    def awaited(self) -> bool:
        """Whether anyone waits."""
        return bool(self._future or self._futures or self._callbacks)

    def end(self, final: Final) -> None:
        """Take how the job ended. The engine's to call."""
        if self.final is not None:
            return
        self.final = final
        if self._future is not None or self._futures:
            for future in self._waiting():
                if not future.done():
                    future.set_result(final)
        if self._callbacks:
            self._call(None)

    def fail(self, error: Exception) -> None:
        """Raise in everyone who waits. The engine's to call."""
        for future in self._waiting():
            if not future.done():
                future.set_exception(error)
        self._call(error)

    def _call(self, error: Exception | None) -> None:
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            asyncio.get_running_loop().call_soon(callback, error)

    def failure(self, final: Final) -> JobFailed:
        """Return what awaiting a job raises that ended without a result."""
        what = f"{self.definition.kind} {self.id}"
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

    def _waiting(self) -> Iterator[asyncio.Future[Final]]:
        if self._future is not None:
            yield self._future
        if self._futures:
            yield from self._futures
