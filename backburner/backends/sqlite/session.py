"""What the roles of one backend share while it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from backburner.backends.sqlite.locks import NodeLocks
from backburner.backends.sqlite.reads import Reads
from backburner.backends.sqlite.watch import Watch
from backburner.backends.sqlite.writer import Writer
from backburner.errors import StoreReadOnly, StoreUnavailable
from backburner.shield import to_the_end

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from backburner.backends.sqlite.place import Place
    from backburner.model.clock import Clock

__all__ = ["Session"]

T = TypeVar("T")


class Session:
    """The writer, the reading connection, the locks and the listeners of one database."""

    def __init__(self, place: Place, clock: Clock) -> None:
        self.place = place
        self.clock = clock
        self.locks = NodeLocks(place.nodes)
        self.watch = Watch(self.locks, clock)
        self._writer: Writer | None = None
        self._reads: Reads | None = None

    async def open(self, *, create: bool, write: bool) -> None:
        """Connect."""
        await self.close()
        self.place.check(create=create, write=write)
        self._reads = Reads(self.place)
        if write:
            self._writer = Writer(self._connect, self.place, clock=self.clock, watch=self.watch)
            try:
                await self._writer.open()
            except BaseException:
                await self.close()
                raise

    async def close(self) -> None:
        """Write what waits, let the locks go, disconnect; a caller who is cancelled waits for that too."""
        await to_the_end(self._close())

    async def _close(self) -> None:
        self.watch.clear()
        reads, self._reads = self._reads, None
        writer, self._writer = self._writer, None
        try:
            # The writer goes last: who closes last folds the log into the database.
            if reads is not None:
                await reads.close()
            if writer is not None:
                await writer.close()
        finally:
            self.locks.release_all()

    @property
    def reads(self) -> Reads:
        """The reading connection; raises `StoreUnavailable` while closed."""
        if self._reads is None:
            raise StoreUnavailable(f"The store at {self.place.path} is not open: await its open() first", stored="no")
        return self._reads

    @property
    def writer(self) -> Writer:
        """The writer; raises `StoreReadOnly` where the store was opened for reading."""
        if self._writer is None:
            _ = self.reads
            raise StoreReadOnly(
                f"The store at {self.place.path} was opened for reading: open it with write=True", stored="no"
            )
        return self._writer

    @property
    def writes(self) -> bool:
        """Whether the store was opened for writing."""
        return self._writer is not None

    async def write(self, work: Callable[[sqlite3.Connection], T], *, limited: bool = True) -> T:
        """Run a function in a transaction, ended when it takes too long if it is ``limited``; return what it returns."""
        return await self.writer.run(work, limited=limited)

    def _connect(self) -> sqlite3.Connection:
        self.locks.prove()
        return self.place.writer()
