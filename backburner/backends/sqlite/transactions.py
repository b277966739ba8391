"""Callers' own connections, whose transactions jobs may join."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from weakref import WeakKeyDictionary, WeakSet

import aiosqlite

from backburner.backends import alchemy
from backburner.backends.sqlite.failures import primary_code
from backburner.backends.sqlite.statements import load
from backburner.backends.sqlite.steps import UNKNOWN
from backburner.errors import StoreBusy, TransactionRefused
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.backends.alchemy import Alchemy
    from backburner.backends.sqlite.session import Session
    from backburner.backends.sqlite.steps import Statement, Steps

__all__ = ["SqliteTransactions"]

T = TypeVar("T")

_WRITE_LOCK = load("write_lock")
#: What SQLAlchemy's have to stand on.
_DRIVERS = frozenset({"aiosqlite"})


class SqliteTransactions:
    """A `Transactions`: joins what `aiosqlite` has open on the same file, under SQLAlchemy too, by public methods alone."""

    def __init__(self, session: Session) -> None:
        self._session = session
        #: The turn of those who join one connection, as it was given.
        self._turns: WeakKeyDictionary[object, asyncio.Lock] = WeakKeyDictionary()
        #: The connections known to have this file open.
        self._known: WeakSet[aiosqlite.Connection] = WeakSet()

    def is_open(self, tx: object) -> bool:
        """Tell whether a connection stands in a transaction; raises `TransactionRefused` for what cannot be joined."""
        given = self._check(tx)
        if not isinstance(given, aiosqlite.Connection):
            return alchemy.is_open(given, _DRIVERS)
        try:
            return given.in_transaction
        except ValueError as error:
            raise TransactionRefused("The connection given as tx is not open: open it, and begin first") from error

    async def join(self, tx: object, steps: Callable[[int], Steps[T]]) -> T:
        """Take steps, made for the store's now, in a caller's transaction: all or none of them, whoever is cancelled.

        Where none is open the caller's driver begins one, if it does so by itself.
        """
        self.is_open(tx)
        given = self._check(tx)
        # Opened for reading, a store writes nothing, on whichever connection.
        _ = self._session.writer
        async with self._turns.setdefault(given, asyncio.Lock()):
            connection = await self._enter(given)
            if connection not in self._known:
                await self._check_file(connection)
                self._known.add(connection)
            return await to_the_end(self._join(connection, steps))

    async def _enter(self, given: aiosqlite.Connection | Alchemy) -> aiosqlite.Connection:
        """Return the driver's connection; SQLAlchemy is to know that it stands in a transaction."""
        if isinstance(given, aiosqlite.Connection):
            return given
        try:
            entered = await to_the_end(alchemy.enter(given, _DRIVERS))
        except Exception as error:
            cause = getattr(error, "orig", None)
            if isinstance(cause, sqlite3.Error):
                raise self._error(cause) from error
            raise
        return self._check_driver(entered.driver_connection)

    async def _join(self, connection: aiosqlite.Connection, steps: Callable[[int], Steps[T]]) -> T:
        async with connection.cursor() as cursor:
            # The caller's rows may be of any make.
            cursor.row_factory = None
            try:
                await self._begin(connection, cursor)
                return await self._together(connection, cursor, steps)
            except sqlite3.Error as error:
                raise self._error(error) from error
            except ValueError:
                # So the driver says that the connection was closed meanwhile.
                self.is_open(connection)
                raise

    async def _begin(self, connection: aiosqlite.Connection, cursor: aiosqlite.Cursor) -> None:
        """Take the write lock before anything is read: a transaction that reads first may never get it."""
        before = connection.in_transaction
        try:
            await cursor.execute(_WRITE_LOCK)
        except sqlite3.Error:
            if not before and connection.in_transaction:
                await connection.rollback()
            raise
        if not connection.in_transaction:
            raise TransactionRefused(
                "The connection given as tx is in no transaction, and its driver begins none by itself: "
                'await tx.execute("BEGIN IMMEDIATE") first'
            )

    async def _together(
        self, connection: aiosqlite.Connection, cursor: aiosqlite.Cursor, steps: Callable[[int], Steps[T]]
    ) -> T:
        await cursor.execute("SAVEPOINT backburner")
        try:
            returned = await _run(cursor, steps(self._session.clock.now()))
        except BaseException:
            # Some errors (a full disk, an interrupt) have ended the whole transaction.
            if connection.in_transaction:
                await cursor.execute("ROLLBACK TO backburner")
                await cursor.execute("RELEASE backburner")
            raise
        try:
            await cursor.execute("RELEASE backburner")
        except sqlite3.OperationalError as error:
            raise TransactionRefused(
                "The transaction given as tx was ended by another task while jobs were written in it, and they may be "
                "stored in part: end it after what joined it was awaited"
            ) from error
        return returned

    def _check(self, tx: object) -> aiosqlite.Connection | Alchemy:
        return tx if isinstance(tx, aiosqlite.Connection) else alchemy.find(tx) or self._refuse(tx)

    def _check_driver(self, found: object) -> aiosqlite.Connection:
        return found if isinstance(found, aiosqlite.Connection) else self._refuse(found)

    def _refuse(self, tx: object) -> NoReturn:
        raise TransactionRefused(
            "tx is an aiosqlite.Connection, or an AsyncConnection or AsyncSession of SQLAlchemy over one, to "
            f"{self._session.place.path}, not {type(tx).__name__}: give one of these"
        )

    async def _check_file(self, connection: aiosqlite.Connection) -> None:
        path = self._session.place.path
        try:
            async with connection.cursor() as cursor:
                cursor.row_factory = None
                await cursor.execute("PRAGMA database_list")
                rows: list[Any] = list(await cursor.fetchall())
        except sqlite3.Error as error:
            raise self._error(error) from error
        name = next((file for _, schema, file in rows if _text(schema) == "main"), "")
        file = _resolved(_text(name)) if name else None
        if file != path:
            _refuse_file(file, path)

    def _error(self, error: sqlite3.Error) -> Exception:
        if primary_code(error) not in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return self._session.place.error(error)
        path = self._session.place.path
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY_SNAPSHOT:
            why = f"had read {path} before another connection wrote to it, so it can no longer write"
        else:
            why = f"waited in vain for another connection's write lock on {path}"
        return StoreBusy(
            f"The transaction given as tx {why}: roll it back, and start it anew with BEGIN IMMEDIATE", stored="no"
        )


async def _run(cursor: aiosqlite.Cursor, steps: Steps[T]) -> T:
    """Take steps with a cursor; how many rows one changed is not told, since others use the connection too."""
    try:
        statement = next(steps)
        while True:
            try:
                answer = await _answer(cursor, statement)
            except Exception as error:  # noqa: BLE001 - what a step fails by is the steps' own to deal with
                statement = steps.throw(error)
            else:
                statement = steps.send(answer)
    except StopIteration as end:
        returned: T = end.value
        return returned


async def _answer(cursor: aiosqlite.Cursor, statement: Statement) -> object:
    # The driver takes names too, though its types do not say so.
    await cursor.execute(*statement)
    row = await cursor.fetchone()
    return UNKNOWN if row is None else row


def _text(value: str | bytes) -> str:
    """Return a text as it is, however the caller's connection hands texts over."""
    return value.decode() if isinstance(value, bytes) else value


def _resolved(name: str) -> Path:
    return Path(name).resolve()


def _refuse_file(file: Path | None, path: Path) -> NoReturn:
    raise TransactionRefused(
        f"The connection given as tx has {file or 'a database without a file'} open, the jobs are in {path}: connect it "
        "to the same file, or store the job once the transaction has committed"
    )
