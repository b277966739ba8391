"""Looks for what other processes did, and tells who listens."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

from backburner.backends.sqlite.statements import load
from backburner.ports.backend import Hint

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from backburner.backends.sqlite.locks import NodeLocks
    from backburner.model.clock import Clock

__all__ = ["Watch"]

_LAPSES = load("lapses")

#: While the writer writes, one in so many transactions is followed by a look.
_BUSY = 8
#: Looks between two looks at the node files: half a second while idle.
_LOOKS = 10
#: Seconds between two looks at the node files while the writer writes.
_DEATHS = 0.5


class Watch:
    """Sees commits of other connections by ``data_version``, and deaths by the node files' locks.

    Looks happen on the writer's thread, between its transactions and while it has none; only while somebody listens.
    """

    def __init__(self, locks: NodeLocks, clock: Clock) -> None:
        self._locks = locks
        self._clock = clock
        self._ears: dict[object, tuple[AbstractEventLoop, Callable[[Hint], None]]] = {}
        self._version = 0
        self._lapses = 0
        self._transactions = 0
        self._looks = 0
        self._deaths_at = 0.0
        #: Deaths told of; each is told once, until its node is recovered.
        self._told: frozenset[str] = frozenset()

    @property
    def wanted(self) -> bool:
        """Whether anybody listens."""
        return bool(self._ears)

    def add(self, loop: AbstractEventLoop, heard: Callable[[Hint], None]) -> Callable[[], None]:
        """Call ``heard`` on ``loop`` for each hint from now on; returns the end of it."""
        ear = object()
        self._ears[ear] = (loop, heard)

        def end() -> None:
            self._ears.pop(ear, None)

        return end

    def clear(self) -> None:
        """Forget who listens."""
        self._ears.clear()

    def tell(self, *hints: Hint) -> None:
        """Tell every listener, from any thread."""
        for loop, heard in tuple(self._ears.values()):
            for hint in hints:
                try:
                    loop.call_soon_threadsafe(heard, hint)
                except RuntimeError:
                    # The listener's loop is closed: it will hear nothing more.
                    break

    def start(self, connection: sqlite3.Connection) -> None:
        """Take what stands now as known; what cannot be seen now is told of at the next look."""
        with suppress(sqlite3.Error):
            self._version = _version(connection)
            self._lapses = _lapses(connection)

    def written(self, connection: sqlite3.Connection) -> None:
        """Look now and then, after a transaction."""
        self._transactions += 1
        if self._transactions % _BUSY == 0:
            self.look(connection)

    def look(self, connection: sqlite3.Connection) -> None:
        """Look once; what cannot be seen now is seen at the next look."""
        try:
            version = _version(connection)
        except sqlite3.Error:
            return
        if version != self._version:
            self._version = version
            lapses, self._lapses = self._lapses, _lapses(connection)
            self.tell(Hint.JOBS, Hint.CONTROL, *((Hint.LAPSE,) if lapses != self._lapses else ()))
        self._looks += 1
        now = self._clock.monotonic()
        if self._looks >= _LOOKS or now - self._deaths_at >= _DEATHS:
            self._looks = 0
            self._deaths_at = now
            self._look_for_deaths()

    def _look_for_deaths(self) -> None:
        dead = self._locks.dead_files()
        if dead - self._told:
            self.tell(Hint.LAPSE)
        self._told = dead


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return version


def _lapses(connection: sqlite3.Connection) -> int:
    try:
        lapses: int = connection.execute(_LAPSES).fetchone()[0]
    except sqlite3.Error:
        # No schema yet, or one that a newer version changed: nothing was told.
        return 0
    return lapses
