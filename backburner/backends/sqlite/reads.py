"""The connection that reads."""

from __future__ import annotations

import asyncio
import sqlite3
from threading import Thread
from typing import TYPE_CHECKING

import aiosqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from backburner.backends.sqlite.place import Place

__all__ = ["Reads"]

#: Rows fetched at a time; every answer is one.
_CHUNK = 1


class Reads:
    """One connection that cannot write, opened when it is first needed; one read at a time.

    A caller that is cancelled interrupts its statement, so that the next need not wait for it.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = asyncio.Lock()
        self._connection: aiosqlite.Connection | None = None

    async def all(self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> list[Any]:
        """Return every row of a statement."""
        async with self._lock:
            try:
                if self._connection is None:
                    self._connection = await self._open()
                return list(await self._fetch(self._connection, sql, parameters))
            except sqlite3.Error as error:
                raise self._place.error(error) from error

    async def one(self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> Any:  # noqa: ANN401
        """Return the first column of a statement's one row."""
        return (await self.all(sql, parameters))[0][0]

    async def close(self) -> None:
        """Close the connection and end its thread; a read under way is awaited."""
        async with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                await connection.close()

    async def _open(self) -> aiosqlite.Connection:
        # Its thread is no daemon, and would keep a process alive that never closes its store. A thread made on a
        # daemon thread is one too.
        made: list[aiosqlite.Connection] = []
        failures: list[sqlite3.Error] = []
        maker = Thread(target=lambda: made.append(aiosqlite.Connection(self._reader(failures), _CHUNK)), daemon=True)
        maker.start()
        maker.join()
        connection = await made[0]
        if failures:
            await connection.close()
            raise failures[0]
        return connection

    def _reader(self, failures: list[sqlite3.Error]) -> Callable[[], sqlite3.Connection]:
        """Return a way to connect that does not raise: the thread of a connection that did is ended by nobody's await.

        It would speak to its loop when that may be closed already.
        """

        def connect() -> sqlite3.Connection:
            try:
                return self._place.reader()
            except sqlite3.Error as error:
                failures.append(error)
                return sqlite3.connect(":memory:", check_same_thread=False)

        return connect

    async def _fetch(self, connection: aiosqlite.Connection, sql: str, parameters: Any) -> Any:  # noqa: ANN401
        try:
            return await connection.execute_fetchall(sql, parameters)
        except asyncio.CancelledError:
            await connection.interrupt()
            raise
