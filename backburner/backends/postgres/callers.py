"""Callers' own connections, of whichever driver: whether they stand in a transaction, and one statement on them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol, cast

import asyncpg  # type: ignore[import-untyped]  # it brings no types; `Wire` is what we use of it

from backburner.backends import alchemy
from backburner.errors import TransactionRefused

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from backburner.backends.alchemy import Alchemy, Entered
    from backburner.backends.postgres.link import Wire

__all__ = ["Caller", "recognise"]

_DRIVERS = frozenset({"asyncpg", "psycopg"})


class Caller(Protocol):
    """A connection of the caller's."""

    @property
    def key(self) -> object:
        """What it is known by, for as long as it is there."""
        ...

    def is_open(self) -> bool:
        """Tell, without asking the server, whether it stands in a transaction; raises `TransactionRefused` once closed."""
        ...

    async def enter(self) -> object:
        """Stand in a transaction; return the driver's own connection. Raises `TransactionRefused` where none begins."""
        ...

    async def value(self, sql: str, argument: str | None = None) -> Any:  # noqa: ANN401 - whatever the column holds
        """Run a statement of one row and one column, after `enter`."""
        ...


def recognise(tx: object) -> Caller | None:
    """Return what was given as a connection that can be joined; None for anything else."""
    found = alchemy.find(tx)
    if found is not None:
        return _Alchemy(found)
    if isinstance(tx, asyncpg.Connection):
        return _Asyncpg(cast("Wire", tx))
    psycopg = sys.modules.get("psycopg")
    if psycopg is not None and isinstance(tx, psycopg.AsyncConnection):
        return _Psycopg(cast("AsyncConnection[Any]", tx))
    return None


class _Asyncpg:
    """Also what a pool hands out: that stands for the connection, and is another object each time."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @property
    def key(self) -> object:
        return getattr(self._wire, "_con", self._wire)

    def is_open(self) -> bool:
        try:
            closed = self._wire.is_closed()
        except asyncpg.InterfaceError as error:
            raise TransactionRefused(
                "The connection given as tx has gone back to its pool: store the job before that"
            ) from error
        if closed:
            _refuse_closed()
        return self._wire.is_in_transaction()

    async def enter(self) -> object:
        if not self.is_open():
            raise TransactionRefused(
                "The connection given as tx is in no transaction, and its driver begins none by itself: "
                "`async with tx.transaction():` around it"
            )
        return self.key

    async def value(self, sql: str, argument: str | None = None) -> Any:  # noqa: ANN401 - as the protocol has it
        return await self._wire.fetchval(sql, *_arguments(argument))


class _Psycopg:
    """It begins a transaction with the first statement, unless it is in autocommit."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection

    @property
    def key(self) -> object:
        return self._connection

    def is_open(self) -> bool:
        if self._connection.closed:
            _refuse_closed()
        return bool(self._connection.info.transaction_status)

    async def enter(self) -> object:
        if not self.is_open() and self._connection.autocommit:
            raise TransactionRefused(
                "The connection given as tx is in autocommit and in no transaction: `async with tx.transaction():` around "
                "it"
            )
        return self._connection

    async def value(self, sql: str, argument: str | None = None) -> Any:  # noqa: ANN401 - as the protocol has it
        # The caller's own cursors may hand rows out as anything, and take other placeholders.
        psycopg = sys.modules["psycopg"]
        async with psycopg.AsyncCursor(self._connection, row_factory=psycopg.rows.scalar_row) as cursor:
            await cursor.execute(_with_percent(sql), _arguments(argument))
            return await cursor.fetchone()


class _Alchemy:
    """A connection or a session of SQLAlchemy's, over one of the two drivers."""

    def __init__(self, tx: Alchemy) -> None:
        self._tx = tx
        self._entered: Entered | None = None

    @property
    def key(self) -> object:
        return self._tx

    def is_open(self) -> bool:
        return alchemy.is_open(self._tx, _DRIVERS)

    async def enter(self) -> object:
        self._entered = entered = await alchemy.enter(self._tx, _DRIVERS)
        return entered.driver_connection

    async def value(self, sql: str, argument: str | None = None) -> Any:  # noqa: ANN401 - as the protocol has it
        entered = self._entered or await alchemy.enter(self._tx, _DRIVERS)
        statement = _with_percent(sql) if entered.driver == "psycopg" else sql
        return (await entered.connection.exec_driver_sql(statement, _arguments(argument))).scalar_one()


def _arguments(argument: str | None) -> tuple[str, ...]:
    return () if argument is None else (argument,)


def _with_percent(sql: str) -> str:
    return sql.replace("%", "%%").replace("$1", "%s")


def _refuse_closed() -> None:
    raise TransactionRefused("The connection given as tx is closed: open it, and begin first")
