"""A backend's way to its database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.errors import StoreReadOnly, StoreUnavailable, TransactionRefused

if TYPE_CHECKING:
    from backburner.backends.memory.database import MemoryDatabase
    from backburner.model.clock import Clock

__all__ = ["Connection"]


class Connection:
    """Hands out the database while it is open, for writing only where it was opened so.

    Every verb of a role asks here first and then works without awaiting: cancelled, it is done or was never begun.
    """

    __slots__ = ("_database", "_open", "_pretends", "_write", "clock")

    def __init__(self, clock: Clock, database: MemoryDatabase, *, pretends: bool) -> None:
        self.clock = clock
        self._pretends = pretends
        self._database = database
        self._open = False
        self._write = False

    def open(self, *, write: bool) -> None:
        """Open it; opening again changes whether it may write."""
        self._open = True
        self._write = write

    def close(self) -> None:
        """Close it; what it listened with is forgotten."""
        self._open = self._write = False
        self._database.ears[:] = [ear for ear in self._database.ears if ear.owner is not self]

    def refuse(self, tx: object) -> None:
        """Raise `TransactionRefused` if there is a transaction to join, unless joining is pretended."""
        if tx is not None and not self._pretends:
            raise TransactionRefused(
                f"The store in memory can join no transaction, not that of tx={type(tx).__name__}: use a file in its place, as "
                "in sqlite:///jobs.db, or store the job once the transaction has committed"
            )

    def reading(self) -> MemoryDatabase:
        """Return the database to read; raises `StoreUnavailable` while closed."""
        if not self._open:
            raise StoreUnavailable("The store in memory is not open: await its open() first", stored="no")
        return self._database

    def writing(self) -> MemoryDatabase:
        """Return the database to write; raises `StoreReadOnly` where it was opened for reading."""
        if not self._write:
            self.reading()
            raise StoreReadOnly("The store in memory was opened for reading: open it with write=True", stored="no")
        return self._database
