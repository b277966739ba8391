"""The one sync door: storing jobs, and waiting for them, from threads and from processes without an event loop."""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from backburner.errors import NotACall, NotRunning, OnTheLoop
from backburner.jobs.call import Call
from backburner.jobs.crossing import Crossing
from backburner.jobs.handle import JobHandle
from backburner.jobs.store_thread import StoreThread, Storing
from backburner.model.clock import SECOND, SystemClock
from backburner.model.times import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta
    from typing import Unpack

    from backburner.jobs.options import TaskOptions
    from backburner.model.clock import Clock

__all__ = ["Blocking", "Storing"]

R = TypeVar("R")
T = TypeVar("T")

#: Seconds without a call after which a process without a loop closes the store.
IDLE = 10.0
#: Seconds that a loop may be silent: a write has 5 of them, and as much again.
PATIENCE = 10.0


class Blocking:
    """`bb.blocking`: for code that cannot await.

    While the engine runs in this process, calls go to its loop from any other thread: worker threads, `def` endpoints,
    `def` jobs. A job in which one is made is the parent of what it stores, as with `await`. In a process whose engine
    was not entered (a script, a Flask app, a forked child of either kind) the first call opens the store on a small
    daemon thread, shared by all threads, which only stores: run the jobs elsewhere, by `backburner run`. It ends after
    ``idle`` seconds without a call, by `close`, and at the exit of the process, which it never holds up.

    No call hangs. What a store refuses, or cannot take in time, is raised as `Backburner.create_task` raises it. A loop
    that is silent for ``patience`` seconds, because it is dead, or is blocked by somebody who waits for this very
    thread, is told as `StoreUnavailable` with ``stored`` "no" or "unknown"; an engine that stops meanwhile as
    `NotRunning`. Interrupted by Ctrl-C, a call that still waits for its turn is withdrawn; later, the job may exist.

    ``running`` answers the entered engine, if one is; ``storing`` opens one that only stores, on the running loop, or
    raises why not.
    """

    def __init__(
        self,
        running: Callable[[], Storing | None],
        storing: Callable[[], AbstractAsyncContextManager[Storing]],
        *,
        clock: Clock | None = None,
        idle: float = IDLE,
        patience: float = PATIENCE,
    ) -> None:
        self._running = running
        self._storing = storing
        self._clock = clock or SystemClock()
        self._idle = idle
        self._patience = patience
        self._lock = RLock()
        self._thread: StoreThread | None = None
        #: In a forked child: the loop of the engine that runs in its parent.
        self._foreign: asyncio.AbstractEventLoop | None = None
        #: And the parents' threads, never to be freed here: to close their loops would reach into the parents' own.
        self._kept: list[StoreThread] = []
        _alive.add(self)

    def create_task(self, call: Call[R], **options: Unpack[TaskOptions]) -> JobHandle[R]:
        """Store a call as a job; when this returns, the job is durable.

        Options, refusals and errors are those of `Backburner.create_task`. Raises `OnTheLoop` in a thread whose event
        loop runs: await the engine's own there.
        """
        if isinstance(call, Call):  # pyright: ignore[reportUnnecessaryIsInstance] - the engine says what else it is
            call.used = True
        _refuse_on_loop("create_task(…)", "bb.create_task(…)")
        crossing = self._cross(lambda storing: storing.create_task(call, options))
        return self._wait_for(crossing)

    def result(self, handle: JobHandle[R], timeout: timedelta | float | None = None) -> R:
        """Wait for a job to end and return its result; a `def` job that waits here lends its slot.

        Raises what awaiting the handle raises, and `TimeoutError` after ``timeout``, which leaves the job alone.
        Raises `OnTheLoop` as `create_task` does.
        """
        if not isinstance(handle, JobHandle):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise NotACall(f"bb.blocking.result takes a handle that create_task returned, not {type(handle).__name__}")
        _refuse_on_loop("result(handle)", "the handle")
        seconds = None if timeout is None else duration(timeout, "timeout") / SECOND

        async def wait(storing: Storing) -> R:
            return await storing.again(handle)

        return self._wait_for(
            self._cross(wait), seconds, f"job {handle.id} has not ended within {seconds} s; it goes on"
        )

    def close(self) -> None:
        """Close the store, where this process has it open for itself; the next call opens it again.

        What waits to be written is written; whoever waits for a result gets `NotRunning`. Raises `OnTheLoop`.
        """
        _refuse_on_loop("close()", "asyncio.to_thread(bb.blocking.close)")
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.close(self._patience)

    def _cross(self, work: Callable[[Storing], Coroutine[Any, Any, T]]) -> Crossing[T]:
        if sys.is_finalizing():
            raise NotRunning("the interpreter is exiting, its threads have stopped: nothing was done; store before")
        engine = self._running()
        if engine is not None and engine.loop is not self._foreign:
            crossing = Crossing(engine.loop, partial(work, engine))
            crossing.send()
            return crossing
        with self._lock:
            sent = self._thread.admit(work) if self._thread is not None else None
            if sent is None:
                thread = StoreThread(self._storing, idle=self._idle)
                sent = thread.admit(work)
                assert sent is not None  # noqa: S101 - it has not even begun
                thread.start()
                self._thread = thread
            return sent

    def _wait_for(self, crossing: Crossing[T], timeout: float | None = None, late: str = "") -> T:
        try:
            came = crossing.wait(timeout, patience=self._patience, clock=self._clock)
        except BaseException:
            crossing.give_up()
            raise
        if not came:
            crossing.give_up()
            raise TimeoutError(late)
        return crossing.answer.result()

    def begin_in_child(self) -> None:
        """Leave the parent's loop, thread and connection alone: this process is a forked child."""
        # Another thread may have held the lock as the parent forked; here, nobody else lives.
        self._lock = RLock()
        engine = self._running()
        self._foreign = engine.loop if engine is not None else None
        if self._thread is not None:
            self._kept.append(self._thread)
            self._thread = None


def _refuse_on_loop(what: str, instead: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise OnTheLoop(f"bb.blocking.{what} would block the event loop that runs in this thread: await {instead} instead")


_alive: WeakSet[Blocking] = WeakSet()


def _after_fork() -> None:
    for blocking in tuple(_alive):
        blocking.begin_in_child()


def _at_exit() -> None:
    for blocking in tuple(_alive):
        blocking.close()


os.register_at_fork(after_in_child=_after_fork)
# Registered first, run last: what the program does at its own exit may store yet.
atexit.register(_at_exit)
