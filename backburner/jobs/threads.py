"""Threads for `def` jobs: the engine's own few, daemons, started on first use."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Threads"]

T = TypeVar("T")


class Threads:
    """Runs functions in at most ``limit`` threads, in the caller's context, first come first served.

    The threads are daemons and are never joined: a function that does not return holds its thread, not the exit of the
    process. (`concurrent.futures` joins its threads at exit, and anyio's limiter is shared with the app's endpoints.)
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Condition()
        self._calls: deque[Callable[[], None]] = deque()
        self._idle = 0
        self._count = 0
        self._closed = False

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Run ``function`` when a thread is free; cancelling the future works until it begins."""
        future: Future[T] = Future()
        context = copy_context()

        def call() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(context.run(function))
                except BaseException as error:  # noqa: BLE001 - the caller's to judge, whatever it is
                    future.set_exception(error)

        with self._lock:
            self._calls.append(call)
            if self._idle:
                # Counted out here, not when it wakes: a second call before that must start another thread.
                self._idle -= 1
                self._lock.notify()
            elif self._count < self._limit:
                self._start()
        return future

    def _start(self) -> None:
        self._count += 1
        threading.Thread(target=self._work, name=f"backburner-job-{self._count}", daemon=True).start()

    def lend(self) -> None:
        """Allow one more: one of the threads only waits."""
        with self._lock:
            self._limit += 1
            if self._calls and not self._idle and self._count < self._limit:
                self._start()

    def take_back(self) -> None:
        """Allow one less; a thread too many ends once its call has."""
        with self._lock:
            self._limit -= 1
            if self._idle:
                self._idle -= 1
                self._lock.notify()

    def close(self) -> None:
        """Let idle threads end, and busy ones once they return; what has not begun is dropped."""
        with self._lock:
            self._closed = True
            self._calls.clear()
            self._lock.notify_all()

    def _work(self) -> None:
        while True:
            with self._lock:
                # Too many is also too many while calls wait: there are others to take them.
                while self._count > self._limit or not self._calls:
                    if self._closed or self._count > self._limit:
                        self._count -= 1
                        return
                    self._idle += 1
                    self._lock.wait()
                call = self._calls.popleft()
            call()
            del call  # an idle thread must not keep its last job's arguments alive
