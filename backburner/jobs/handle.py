"""What `create_task` returns."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Generic, NoReturn, Protocol, TypeVar

import msgspec

from backburner.errors import TransactionOpen
from backburner.jobs.vigil import Vigil
from backburner.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from backburner.jobs.definition import Definition
    from backburner.jobs.status import JobStatus
    from backburner.jobs.vigil import Final

__all__ = ["JobHandle", "Unstored"]

R = TypeVar("R")

#: What hands type from habit.
_HABITS = frozenset({"result", "get", "exception", "ready", "successful"})


class Unstored(Protocol):
    """Where a handle's job waits to be stored."""

    async def store(self) -> None:
        """Store it now; the handle is told."""
        ...

    def when_stored(self, callback: Callable[[], object], /) -> None:
        """Call once it is stored."""
        ...


class JobHandle(msgspec.Struct, Generic[R], eq=False, weakref=True):
    """A stored job, seen from here. Awaiting it gives the job's result.

    Awaiting raises `JobDead`, `JobCancelled`, `JobExpired` or `JobNotFound`, and `TransactionOpen` where that would
    wait for the caller's own transaction. Cancelling or timing out the waiter leaves the job alone; only `cancel`
    cancels it. A job waits between its attempts, so a wait may be long. A job that waits for another lends its slot.
    """

    _vigil: Vigil
    #: Nothing was stored for this handle: the job was there already, by its id or by its unique key.
    existed: bool = False
    _unstored: Unstored | None = None

    def __repr__(self) -> str:
        final = self._vigil.final
        state = final.state if final is not None else "not known to be done"
        return f"<handle of {self._vigil.definition.kind} {self.id}: {state}>"

    if not TYPE_CHECKING:  # a checker knows what a handle has

        def __getattr__(self, name: str) -> NoReturn:
            """Tell hands that type from habit what to write here."""
            if name in _HABITS:
                raise AttributeError(f"a handle has no {name}(): await it, in a thread by bb.blocking.result(handle)")
            raise AttributeError(f"a handle has no attribute {name!r}")

    @property
    def id(self) -> str:
        """The job's id: give it to another process, and to `Backburner.handle` there."""
        return self._vigil.id

    @property
    def definition(self) -> Definition:
        """What the engine knows of its kind."""
        return self._vigil.definition

    def __await__(self) -> Generator[object, None, R]:
        """Wait for the result."""
        if self._unstored is not None:
            yield from self._unstored.store().__await__()
        vigil = self._vigil
        final = vigil.final
        if final is None:
            try:
                future = vigil.join()
            except TransactionOpen:
                future = yield from vigil.look_and_join().__await__()
            try:
                final = yield from future
            finally:
                vigil.leave(future)
        if final.state is not JobState.COMPLETED:
            raise vigil.failure(final)
        result: R = vigil.definition.signature.decode_result(final.result or "null")
        return result

    def done(self) -> bool:
        """Whether the job has ended, as last seen here: without asking the store."""
        return self._vigil.final is not None

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
        await self._stored()
        return await self._vigil.watcher.status(self.id)

    async def cancel(self) -> bool:
        """Cancel the job; return whether that came in time.

        A pending job is cancelled at once. A running one is told to stop, and is cancelled unless it completes first.
        Raises `JobNotFound`.
        """
        await self._stored()
        return await self._vigil.watcher.cancel(self.id)

    def add_done_callback(self, callback: Callable[[JobHandle[R]], object], /) -> None:
        """Call back with this handle once the job is known to have ended; the wait for that begins here."""
        if self._unstored is not None:
            self._unstored.when_stored(lambda: self.add_done_callback(callback))
        else:
            context = copy_context()
            self._vigil.call_back(lambda error: None if error else context.run(callback, self))

    async def _ended(self) -> Final:
        await self._stored()
        vigil = self._vigil
        if vigil.final is not None:
            return vigil.final
        try:
            future = vigil.join()
        except TransactionOpen:
            future = await vigil.look_and_join()
        try:
            return await future
        finally:
            vigil.leave(future)

    async def _stored(self) -> None:
        if self._unstored is not None:
            await self._unstored.store()

    def stored(self, vigil: Vigil, *, existed: bool) -> None:
        """Take the job that this handle is of, once it is stored. The engine's to call."""
        self._vigil = vigil
        self.existed = existed
        self._unstored = None
