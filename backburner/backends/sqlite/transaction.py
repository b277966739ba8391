"""Units of work, all that wait in one transaction."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Generic, TypeVar, cast

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Sequence
    from typing import Any

    from backburner.backends.sqlite.place import Place
    from backburner.errors import Stored
    from backburner.model.clock import Clock

__all__ = ["Transactor", "Unit"]

T = TypeVar("T")

#: Steps of SQLite's machine between two looks at the clock: some tens of milliseconds.
_STEPS = 500_000


class Unit(Generic[T]):
    """One function to run in a transaction, and the caller who waits for what it returns."""

    __slots__ = ("error", "future", "limited", "value", "work")

    def __init__(self, work: Callable[[sqlite3.Connection], T], future: Future[T], *, limited: bool) -> None:
        self.work = work
        self.future = future
        #: Whether its transaction is ended when it takes too long.
        self.limited = limited
        self.value: T | None = None
        self.error: Exception | None = None

    def answer(self) -> None:
        """Tell the caller, on its loop."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(cast("T", self.value))
        else:
            self.future.set_exception(self.error)


class Transactor:
    """Runs units on one connection. They share a commit, not each other's failures."""

    def __init__(self, connection: sqlite3.Connection, place: Place, clock: Clock) -> None:
        self._connection = connection
        self._place = place
        self._clock = clock
        self._deadline = 0.0
        connection.set_progress_handler(self._overdue, _STEPS)

    def run(self, units: Sequence[Unit[Any]]) -> None:
        """Give every unit its value or its error; nothing is raised."""
        connection = self._connection
        stored: Stored = "no"
        self._deadline = self._clock.monotonic() + self._place.timeout
        if not all([unit.limited for unit in units]):  # noqa: C419 - a list takes half the time
            self._deadline = inf
        try:
            connection.execute("BEGIN IMMEDIATE")
            if len(units) == 1:
                units[0].value = units[0].work(connection)
            else:
                for unit in units:
                    self._run_apart(unit)
            stored = "unknown"
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever a unit raises is its caller's; the thread lives on
            self._roll_back()
            for unit in units:
                unit.error = self._place.error(error, stored=stored)

    def _run_apart(self, unit: Unit[Any]) -> None:
        connection = self._connection
        connection.execute("SAVEPOINT unit")
        try:
            unit.value = unit.work(connection)
        except Exception as error:
            # Some errors (a full disk, an interrupt) have ended the whole transaction.
            if not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO unit")
            unit.error = self._place.error(error)
        connection.execute("RELEASE unit")

    def _roll_back(self) -> None:
        # Where even this fails the transaction stays open, and the next one fails on it and tells.
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _overdue(self) -> bool:
        return self._connection.in_transaction and self._clock.monotonic() > self._deadline
