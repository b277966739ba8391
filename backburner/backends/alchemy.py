"""SQLAlchemy's connections and sessions, for stores that join callers' transactions. It is never imported here.

Both begin a transaction by themselves with the first statement, and know without asking whether one is open.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple, cast

from backburner.errors import TransactionRefused

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import TypeAlias, TypeGuard

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

    Alchemy: TypeAlias = AsyncConnection | AsyncSession

__all__ = ["Entered", "enter", "find", "is_open"]


class Entered(NamedTuple):
    """A connection that stands in a transaction, and the driver's own under it."""

    connection: AsyncConnection
    driver: str
    driver_connection: object


def find(tx: object) -> Alchemy | None:
    """Return what was given if it is one of these; who has one has imported SQLAlchemy."""
    module = sys.modules.get("sqlalchemy.ext.asyncio")
    if module is None or not isinstance(tx, (module.AsyncConnection, module.AsyncSession)):
        return None
    return cast("Alchemy", tx)


def is_open(tx: Alchemy, drivers: Collection[str]) -> bool:
    """Tell whether a transaction is open; raises `TransactionRefused` for a closed connection, or another database's."""
    if _is_session(tx):
        if tx.bind is not None:
            _check(tx.bind.dialect.driver, drivers)
    else:
        connection = cast("AsyncConnection", tx)
        if connection.sync_connection is None or connection.closed:
            raise TransactionRefused("The connection given as tx is not open: open it, and begin first")
        _check(connection.dialect.driver, drivers)
    return tx.in_transaction()


async def enter(tx: Alchemy, drivers: Collection[str]) -> Entered:
    """Return the connection of a transaction, begun if none was; raises `TransactionRefused` where there can be none."""
    try:
        return await _enter(tx, drivers)
    except sys.modules["sqlalchemy.exc"].InvalidRequestError as error:
        # So it says that a transaction waits for its rollback, or that the app wants to begin itself.
        raise TransactionRefused(f"The connection given as tx takes nothing now: {error}") from error


async def _enter(tx: Alchemy, drivers: Collection[str]) -> Entered:
    connection = await tx.connection() if _is_session(tx) else cast("AsyncConnection", tx)
    driver = connection.dialect.driver
    _check(driver, drivers)
    raw = await connection.get_raw_connection()
    if getattr(raw.dbapi_connection, "autocommit", False) is True:
        raise TransactionRefused(
            "The connection given as tx is in AUTOCOMMIT, so it has no transactions: leave that isolation level out, or "
            "store the job without tx"
        )
    if not connection.in_transaction():
        _ = await connection.begin()
    return Entered(connection, driver, raw.driver_connection)


def _is_session(tx: Alchemy) -> TypeGuard[AsyncSession]:
    return isinstance(tx, sys.modules["sqlalchemy.ext.asyncio"].AsyncSession)


def _check(driver: str, drivers: Collection[str]) -> None:
    if driver not in drivers:
        raise TransactionRefused(
            f"The connection given as tx is SQLAlchemy's over {driver}, the store needs {' or '.join(sorted(drivers))}: "
            "connect to the store's own database, or store the job once the transaction has committed"
        )
