"""Where the database is, and how connections to it are opened."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from functools import lru_cache
from threading import Event
from typing import TYPE_CHECKING

from backburner.backends.matching import fits, read
from backburner.backends.sqlite.failures import primary_code, translate
from backburner.errors import StoreMissing, StoreReadOnly, StoreUnsupported

if TYPE_CHECKING:
    from pathlib import Path

    from backburner.errors import Stored

__all__ = ["Place"]

#: Statements kept prepared: all there are, and room.
_STATEMENTS = 256
#: Seconds between two tries to switch the journal: SQLite itself does not wait there.
_PAUSE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A database file, its directory of node files, and the pace of its writes."""

    path: Path
    #: Seconds that a transaction waits for a lock, and may take.
    timeout: float
    #: FULL or NORMAL.
    synchronous: str

    @property
    def nodes(self) -> Path:
        """The directory of node files."""
        return self.path.with_name(self.path.name + "-nodes")

    def error(self, error: Exception, *, stored: Stored = "no") -> Exception:
        """Return what an error of SQLite means here."""
        return translate(error, self.path, timeout=self.timeout, stored=stored)

    def check(self, *, create: bool, write: bool) -> None:
        """Raise `StoreMissing` or `StoreReadOnly` for what SQLite would be vague about."""
        if self.path.is_dir():
            raise StoreMissing(f"{self.path} is a directory: name a file in it", stored="no")
        if not self.path.exists():
            if not create or not write:
                raise StoreMissing(f"There is no store at {self.path}: `backburner db upgrade` makes one", stored="no")
            if not self.path.parent.is_dir():
                raise StoreMissing(
                    f"{self.path} cannot be made: the directory {self.path.parent} does not exist: make it first",
                    stored="no",
                )
        elif write and not _may(self.path, os.W_OK):
            raise StoreReadOnly(f"{self.path} may not be written by this user: check its permissions", stored="no")
        if write and not _may(self.path.parent, os.W_OK | os.X_OK):
            raise StoreReadOnly(
                f"{self.path.parent} may not be written by this user, and the database keeps its log beside itself "
                "there: check its permissions",
                stored="no",
            )

    def uri(self, options: str) -> str:
        """Return the database's URI."""
        return f"{self.path.as_uri()}?{options}"

    def writer(self) -> sqlite3.Connection:
        """Open a connection that writes, on the thread that will use it; the file is made if there is none."""
        connection = sqlite3.connect(
            self.uri("mode=rwc"),
            uri=True,
            timeout=_PAUSE,
            isolation_level=None,
            cached_statements=_STATEMENTS,
        )
        try:
            self._keep_a_log(connection)
            connection.execute(f"PRAGMA busy_timeout = {int(self.timeout * 1000)}")
            connection.execute(f"PRAGMA synchronous = {self.synchronous}")
        except BaseException:
            connection.close()
            raise
        return connection

    def reader(self) -> sqlite3.Connection:
        """Open a connection that only reads, on the thread that will use it.

        Beside a log of its own SQLite must be able to write even to read. Where it cannot (a read-only directory) and
        there is no log, nobody writes either, and the file is read as it stands.
        """
        connection = self._reader("mode=ro")
        try:
            connection.execute("PRAGMA schema_version").fetchone()
        except sqlite3.OperationalError:
            connection.close()
            log = self.path.with_name(self.path.name + "-wal")
            if not self.path.exists() or log.exists() or _may(self.path.parent, os.W_OK):
                raise
            return self._reader("mode=ro&immutable=1")
        except BaseException:
            connection.close()
            raise
        return connection

    def _reader(self, options: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.uri(options),
            uri=True,
            timeout=self.timeout,
            isolation_level=None,
            cached_statements=_STATEMENTS,
        )
        # For filters by arguments.
        connection.create_function("fits", 2, _fits, deterministic=True)
        return connection

    def _keep_a_log(self, connection: sqlite3.Connection) -> None:
        """Switch to a write-ahead log, however many processes do so at the same time."""
        mode = None
        pause = Event()
        tries = max(1, int(self.timeout / _PAUSE / 2))
        while mode is None:
            tries -= 1
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            except sqlite3.OperationalError as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY or not tries:
                    raise
                pause.wait(_PAUSE)
        if mode != "wal":
            raise StoreUnsupported(
                f"{self.path} cannot keep a write-ahead log (its journal stays {mode!r}): move it to a local file "
                "system",
                stored="no",
            )


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


_conditions = lru_cache(read)


def _fits(args: str, conditions: str) -> bool:
    return fits(args, _conditions(conditions))
