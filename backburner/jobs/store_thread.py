"""For processes without an event loop: a thread that has one, and an engine on it that only stores."""

from __future__ import annotations

import asyncio
from concurrent.futures import wait
from contextlib import AsyncExitStack, suppress
from copy import copy
from functools import partial
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from anyio.lowlevel import checkpoint

from backburner.errors import BackburnerError, NotRunning
from backburner.jobs.crossing import Crossing

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from backburner.jobs.call import Call
    from backburner.jobs.handle import JobHandle
    from backburner.jobs.options import TaskOptions

__all__ = ["StoreThread", "Storing"]

R = TypeVar("R")
T = TypeVar("T")

#: Seconds that calls have to notice that their engine has stopped under them.
LAST_TURNS = 1.0


class Storing(Protocol):
    """An engine that runs, as `bb.blocking` needs it."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop it lives on."""
        ...

    async def create_task(self, call: Call[R], options: TaskOptions, /) -> JobHandle[R]:
        """Store one job."""
        ...

    def again(self, handle: JobHandle[R], /) -> JobHandle[R]:
        """Return this engine's own handle of a job, whichever engine made the one given."""
        ...


class StoreThread:
    """A daemon thread with a loop of its own, shared by all threads that store: their writes share commits.

    It ends, and its engine with it, once nobody has asked for anything for ``idle`` seconds, at most twice that. It
    keeps no process from exiting: what it has answered is durable, and there is nothing else to lose.
    """

    def __init__(self, storing: Callable[[], AbstractAsyncContextManager[Storing]], *, idle: float) -> None:
        self._storing = storing
        self._idle = idle
        # A signal handler may store while its own thread is in here.
        self._lock = RLock()
        self._loop = asyncio.new_event_loop()
        self._opened: asyncio.Future[Storing] = self._loop.create_future()
        self._leave = asyncio.Event()
        self._crossings: set[Crossing[Any]] = set()
        self._writes: set[Crossing[Any]] = set()
        self._uses = 0
        self._ending = False
        self._failure: Exception | None = None
        self._thread = Thread(target=self._main, name="backburner-blocking", daemon=True)

    def start(self) -> None:
        """Begin; raises `NotRunning` when there can be no thread."""
        try:
            self._thread.start()
        except RuntimeError as error:
            self._loop.close()
            raise NotRunning(
                f"no thread could be started to store jobs from ({error}); while the interpreter exits none can be: "
                "store before"
            ) from error

    def admit(self, work: Callable[[Storing], Coroutine[Any, Any, T]], *, writes: bool) -> Crossing[T] | None:
        """Send a crossing to this thread's engine; None when that is about to end."""
        with self._lock:
            if self._ending:
                return None
            crossing = Crossing(self._loop, partial(self._work, work))
            self._uses += 1
            self._crossings.add(crossing)
            if writes:
                self._writes.add(crossing)
            crossing.send()
        crossing.answer.add_done_callback(lambda _: self._forget(crossing))
        return crossing

    def close(self, patience: float) -> None:
        """End: write what waits, close the store; wait for that at most ``patience`` seconds."""
        with self._lock:
            self._ending = True
        # It may have ended by itself, and its loop with it.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join(patience)

    def finish(self, patience: float) -> bool:
        """Wait for the writes under way, then end; return whether that was done within ``patience`` seconds for each."""
        wait([crossing.answer for crossing in tuple(self._writes)], patience)
        self.close(patience)
        return not self._thread.is_alive()

    def _forget(self, crossing: Crossing[Any]) -> None:
        self._crossings.discard(crossing)
        self._writes.discard(crossing)

    # ---- in the thread -----------------------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._live())
        finally:
            self._end()
            for crossing in tuple(self._crossings):
                crossing.fail(self._refusal())

    async def _live(self) -> None:
        async with AsyncExitStack() as stack:
            try:
                self._opened.set_result(await stack.enter_async_context(self._storing()))
            except Exception as error:  # noqa: BLE001 - raised in everyone who wants to store
                self._failure = error
                self._end()
                self._opened.cancel()
            else:
                await self._until_idle()
        await self._take_last_turns()

    async def _until_idle(self) -> None:
        while True:
            seen = self._uses
            with suppress(TimeoutError):
                async with asyncio.timeout(self._idle):
                    await self._leave.wait()
            with self._lock:
                if self._leave.is_set() or (self._uses == seen and not self._crossings):
                    self._ending = True
                    return

    async def _take_last_turns(self) -> None:
        """Let calls see what became of them: those just sent begin, and all find the engine stopped."""
        await checkpoint()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if tasks:
            await asyncio.wait(tasks, timeout=LAST_TURNS)

    async def _work(self, work: Callable[[Storing], Coroutine[Any, Any, T]]) -> T:
        # Not awaited itself: it would be cancelled with this call.
        await asyncio.wait([self._opened])
        if self._opened.cancelled():
            raise self._refusal()
        return await work(self._opened.result())

    def _refusal(self) -> Exception:
        """Return what to raise in a caller who could not store: an error of its own, to which it adds its frames."""
        error = self._failure or NotRunning("the engine that stores stopped meanwhile: nothing was done")
        if not isinstance(error, BackburnerError):
            return error
        own = copy(error)
        own.__cause__ = self._failure
        return own

    def _end(self) -> None:
        with self._lock:
            self._ending = True
