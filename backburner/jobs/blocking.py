"""The one sync door: storing jobs, and waiting for them, from threads and from processes without an event loop."""

from __future__ import annotations

import asyncio
import atexit

# First, for what it does at a fork: it takes a lock that no thread pool begins work without, and what is registered
# first is run last. A store that is being opened, with a pool's help, is waited for below.
import concurrent.futures.thread  # noqa: F401  # pyright: ignore[reportUnusedImport]
import os
import sys
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from backburner.errors import NotACall, NotRunning, OnTheLoop
from backburner.jobs.call import Call
from backburner.jobs.context import current_run
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
    was not entered (a script, a Flask app, each worker of a prefork server) the first call opens the store on a small
    daemon thread, shared by all threads, which only stores: run the jobs elsewhere, by ``backburner run``. It ends after
    ``idle`` seconds without a call, by `close`, before a fork (the next call, in parent or child, opens it again), and
    at the exit of the process, which it never holds up. A child forked while an engine ran is refused with `NotRunning`.

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
        self._forks = 0
        #: In a forked child: the loop of the engine that runs in its parent.
        self._foreign: asyncio.AbstractEventLoop | None = None
        #: In a forked child: the store was open in the parent at the fork.
        self._spoilt = False
        _alive.add(self)

    def create_task(self, call: Call[R], **options: Unpack[TaskOptions]) -> JobHandle[R]:
        """Store a call as a job; when this returns, the job is durable.

        Options, refusals and errors are those of `Backburner.create_task`. Raises `OnTheLoop` in a thread whose event
        loop runs: await the engine's own there.
        """
        if isinstance(call, Call):  # pyright: ignore[reportUnnecessaryIsInstance] - the engine says what else it is
            call.used = True
        _refuse_on_loop("create_task(…)", "bb.create_task(…)")
        crossing = self._cross(lambda storing: storing.create_task(call, options), writes=True)
        self._wait_for(crossing, None)
        return crossing.answer.result()

    def result(self, handle: JobHandle[R], timeout: timedelta | float | None = None) -> R:
        """Wait for a job to end and return its result; a `def` job that waits here lends its slot.

        Raises what awaiting the handle raises, and `TimeoutError` after ``timeout``, which leaves the job alone. In a
        job that is told to end, the wait soon ends too, by `asyncio.CancelledError` as an await would.
        Raises `OnTheLoop` as `create_task` does.
        """
        if not isinstance(handle, JobHandle):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise NotACall(f"bb.blocking.result takes a handle that create_task returned, not {type(handle).__name__}")
        _refuse_on_loop("result(handle)", "the handle")
        until = None if timeout is None else self._clock.monotonic() + duration(timeout, "timeout") / SECOND

        async def wait(storing: Storing) -> R:
            return await storing.again(handle)

        while True:
            forks = self._forks
            crossing = self._cross(wait)
            left = None if until is None else max(0.0, until - self._clock.monotonic())
            if not self._wait_for(crossing, left, _stopping):
                if _stopping():
                    raise asyncio.CancelledError
                raise TimeoutError(f"job {handle.id} has not ended within {timeout} s; it goes on")
            if forks == self._forks or not isinstance(crossing.answer.exception(), NotRunning):
                return crossing.answer.result()
            # The store was closed for a fork, and will be opened again.

    def close(self) -> None:
        """Close the store, where this process has it open for itself; the next call opens it again.

        What waits to be written is written; whoever waits for a result gets `NotRunning`. Raises `OnTheLoop`.
        """
        _refuse_on_loop("close()", "asyncio.to_thread(bb.blocking.close)")
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.close(self._patience)

    def part(self) -> None:
        """Do as `close` does, but wait for it only where that blocks no event loop."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.close(0 if _on_a_loop() else self._patience)

    def _cross(self, work: Callable[[Storing], Coroutine[Any, Any, T]], *, writes: bool = False) -> Crossing[T]:
        if sys.is_finalizing():
            raise NotRunning("the interpreter is exiting, its threads have stopped: nothing was done; store before")
        engine = self._running()
        if engine is not None and engine.loop is not self._foreign:
            crossing = Crossing(engine.loop, partial(work, engine))
            crossing.send()
            return crossing
        if self._spoilt:
            raise NotRunning(
                "this process was forked while the store was open, and neither SQLite's locks nor a connection survive "
                'that: fork before the engine starts, or let multiprocessing "spawn"'
            )
        with self._lock:
            sent = self._thread.admit(work, writes=writes) if self._thread is not None else None
            if sent is None:
                thread = StoreThread(self._storing, idle=self._idle)
                sent = thread.admit(work, writes=writes)
                assert sent is not None  # noqa: S101 - it has not even begun
                thread.start()
                self._thread = thread
            return sent

    def _wait_for(self, crossing: Crossing[T], timeout: float | None, over: Callable[[], bool] = lambda: False) -> bool:
        """Wait for an answer; return whether it came. It is given up when it did not, or the wait is interrupted."""
        try:
            came = crossing.wait(timeout, patience=self._patience, clock=self._clock, over=over)
        except BaseException:
            crossing.give_up()
            raise
        if not came:
            crossing.give_up()
        return came

    # ---- forks -------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Close the store, so that no open one comes to the child; calls wait until the fork is done.

        SQLite keeps its locks by process, and what it knows of them in memory: a child that inherits that memory takes
        locks for held which are not, and others for free which are. A connection to a server would be shared by both.
        """
        self._lock.acquire()
        self._forks += 1
        if self._thread is not None and self._thread.finish(self._patience):
            self._thread = None

    def after_fork(self) -> None:
        """Go on, in the parent."""
        self._lock.release()

    def begin_in_child(self) -> None:
        """Begin anew, in the child."""
        self._lock = RLock()
        engine = self._running()
        self._foreign = engine.loop if engine is not None else None
        self._spoilt = self._spoilt or engine is not None or self._thread is not None


def _stopping() -> bool:
    """Tell whether this code belongs to a job that was told to end."""
    run = current_run.get(None)
    return run is not None and run.stopping


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _refuse_on_loop(what: str, instead: str) -> None:
    if _on_a_loop():
        raise OnTheLoop(
            f"bb.blocking.{what} would block the event loop that runs in this thread: await {instead} instead"
        )


_alive: WeakSet[Blocking] = WeakSet()
#: Those that wait for a fork.
_waiting: list[Blocking] = []


def _before_fork() -> None:
    for blocking in tuple(_alive):
        blocking.before_fork()
        _waiting.append(blocking)


def _after_fork() -> None:
    # Taken first: with the locks released another thread may fork.
    waiting = tuple(_waiting)
    _waiting.clear()
    for blocking in waiting:
        blocking.after_fork()


def _after_fork_in_child() -> None:
    _waiting.clear()
    for blocking in tuple(_alive):
        blocking.begin_in_child()


def _at_exit() -> None:
    for blocking in tuple(_alive):
        blocking.close()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
# Registered first, run last: what the program does at its own exit may store yet.
atexit.register(_at_exit)
