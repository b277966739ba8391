"""The thread that writes."""

from __future__ import annotations

import asyncio
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from backburner.backends.sqlite.transaction import Transactor, Unit
from backburner.errors import StoreUnavailable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from typing import Any

    from backburner.backends.sqlite.place import Place
    from backburner.backends.sqlite.watch import Watch
    from backburner.model.clock import Clock

__all__ = ["Writer"]

T = TypeVar("T")

#: Seconds between two looks for what other processes did, while nothing is written.
_TICK = 0.05


class Writer:
    """One connection on a thread of its own, fed by a queue.

    Whatever waits leaves in one transaction: one hop there, one hop back, one commit for all. A unit whose caller was
    cancelled while it waited is dropped; one under way is finished. The thread is a daemon: a process that forgets to
    close its store still ends.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], place: Place, *, clock: Clock, watch: Watch) -> None:
        self._connect = connect
        self._place = place
        self._clock = clock
        self._watch = watch
        self._queue: SimpleQueue[Unit[Any] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = Thread(target=self._main, name="backburner-sqlite", daemon=True)
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._closing = False
        #: Rows changed through this connection since it was opened.
        self.changes = 0

    async def open(self) -> None:
        """Start the thread; returns once its connection stands."""
        self._thread.start()
        await asyncio.shield(self._opened)

    async def close(self) -> None:
        """Write what waits, close the connection, end the thread."""
        if not self._closing:
            self._closing = True
            self._queue.put(None)
        await asyncio.shield(self._ended)
        self._thread.join()

    async def run(self, work: Callable[[sqlite3.Connection], T], *, limited: bool = True) -> T:
        """Run a function in a transaction, ended when it takes too long if it is ``limited``; return what it returns."""
        if self._closing:
            raise StoreUnavailable(f"The store at {self._place.path} is closed", stored="no")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(Unit(work, future, limited=limited))
        return await future

    def wake(self) -> None:
        """Let the thread notice that somebody listens now."""
        self._queue.put(None)

    # ---- on the thread -----------------------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            connection = self._connect()
        except Exception as error:  # noqa: BLE001 - raised by open(), on the loop
            self._call(_fail, self._opened, self._place.error(error))
        else:
            self._call(_succeed, self._opened)
            try:
                self._serve(connection)
            finally:
                connection.close()
        self._call(_succeed, self._ended)

    def _serve(self, connection: sqlite3.Connection) -> None:
        transactor = Transactor(connection, self._place, self._clock)
        self._watch.start(connection)
        while not (self._closing and self._queue.empty()):
            units = self._take()
            if units:
                transactor.run(units)
                self.changes = connection.total_changes
                self._call(_answer, units)
                if self._watch.wanted:
                    self._watch.written(connection)
            elif self._watch.wanted:
                self._watch.look(connection)

    def _take(self) -> list[Unit[Any]]:
        """Return all that waits, or nothing after a tick or a call to wake."""
        taken: list[Unit[Any] | None] = []
        try:
            taken.append(self._queue.get(timeout=_TICK if self._watch.wanted else None))
            while True:
                taken.append(self._queue.get_nowait())
        except Empty:
            return [unit for unit in taken if unit is not None and not unit.future.cancelled()]

    def _call(self, function: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            # The loop was closed under its store: nobody is left to hear.
            self._closing = True


def _answer(units: Sequence[Unit[Any]]) -> None:
    for unit in units:
        unit.answer()


def _succeed(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[None], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
