"""One call from a thread to an event loop of another, and back."""

from __future__ import annotations

from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from backburner.errors import NotRunning, StoreUnavailable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from backburner.errors import Stored
    from backburner.model.clock import Clock

__all__ = ["Crossing"]

T = TypeVar("T")

#: Looks at a loop in the time that it may be silent.
LOOKS = 10


class Crossing(Generic[T]):
    """Runs a coroutine on a loop, in a copy of its maker's context, while its maker waits in a thread.

    A loop that is closed, or silent for too long, ends the wait: it may be dead, or blocked by whoever waits for the
    thread that waits for it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._loop = loop
        self._work = work
        self._context = copy_context()
        self._task: asyncio.Task[T] | None = None
        #: The loop was alive since this was last asked.
        self._heard = False
        self.answer: Future[T] = Future()

    # ---- in the thread -----------------------------------------------------------------------------------------

    def send(self) -> None:
        """Let the coroutine begin."""
        try:
            self._loop.call_soon_threadsafe(self._begin)
        except RuntimeError:
            self.fail(NotRunning("the engine's event loop is closed: nothing was done"))

    def wait(self, timeout: float | None, *, patience: float, clock: Clock, over: Callable[[], bool]) -> bool:
        """Wait for the answer, at most ``timeout`` seconds and until ``over`` says so; return whether it came.

        Raises `StoreUnavailable` once the loop has been silent for ``patience`` seconds, `NotRunning` once it is closed.
        """
        until = None if timeout is None else clock.monotonic() + timeout
        silent = 0
        while not self.answer.done():
            look = patience / LOOKS
            if until is not None:
                look = min(look, until - clock.monotonic())
                if look <= 0:
                    return False
            if wait([self.answer], look).done:
                break
            if over():
                return False
            silent = 0 if self._heard else silent + 1
            if silent >= LOOKS:
                raise self._silent(patience)
            self._knock()
        return True

    def give_up(self) -> None:
        """Withdraw what has not begun, cancel what has; nobody waits for it any more."""
        if not self.answer.cancel():
            # A closed loop runs nothing that could be cancelled.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._cancel)

    def fail(self, error: Exception) -> None:
        """Answer with an error, unless there is an answer."""
        with suppress(InvalidStateError):
            self.answer.set_exception(error)

    def _knock(self) -> None:
        self._heard = False
        try:
            self._loop.call_soon_threadsafe(self._hear)
        except RuntimeError:
            self.fail(NotRunning("the engine's event loop was closed meanwhile: what was asked for may have been done"))

    def _silent(self, patience: float) -> StoreUnavailable:
        withdrawn = self.answer.cancel()
        stored: Stored = "no" if withdrawn else "unknown"
        why = (
            "something blocks it, perhaps by waiting for this thread" if self._loop.is_running() else "it does not run"
        )
        what = "nothing was done" if withdrawn else "what was asked for may have been done"
        return StoreUnavailable(
            f"the engine's event loop has not answered for {patience:g} s: {why} ({what})", stored=stored
        )

    # ---- on the loop -------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._heard = True
        # False: whoever asked gave up before.
        if not self.answer.done() and self.answer.set_running_or_notify_cancel():
            self._task = self._loop.create_task(self._work(), context=self._context)
            self._task.add_done_callback(self._end)

    def _hear(self) -> None:
        self._heard = True

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _end(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.fail(NotRunning("the engine's event loop ended meanwhile: what was asked for may have been done"))
        elif (error := task.exception()) is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(task.result())
