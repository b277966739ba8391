"""Callers' own transactions, joined by one statement each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn
from weakref import WeakKeyDictionary, WeakSet

from backburner.backends.postgres.callers import recognise
from backburner.backends.postgres.failures import CONFLICTS, FAILED_TRANSACTION, READ_ONLY, sqlstate, translate
from backburner.backends.postgres.statements import calling
from backburner.errors import BackburnerError, StoreBusy, StoreUnavailable, TransactionRefused
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from backburner.backends.postgres.callers import Caller
    from backburner.backends.postgres.session import Session

__all__ = ["PostgresTransactions"]


class PostgresTransactions:
    """A `Transactions`: joins asyncpg, psycopg 3 and SQLAlchemy over either."""

    def __init__(self, session: Session) -> None:
        self._session = session
        #: The turn of those who join one connection.
        self._turns: WeakKeyDictionary[object, asyncio.Lock] = WeakKeyDictionary()
        #: Drivers' connections known to lead to this store.
        self._known: WeakSet[object] = WeakSet()

    def is_open(self, tx: object) -> bool:
        """Tell whether a connection stands in a transaction; raises `TransactionRefused` for what cannot be joined."""
        return self._caller(tx).is_open()

    async def call(self, tx: object, function: str, document: bytes) -> str:
        """Call a verb's function in a caller's transaction, whoever is cancelled; return the text that it answers.

        Where none is open the caller's driver begins one, if it does so by itself. Raises `TransactionRefused` where it
        does not, or that transaction has failed, or leads elsewhere.
        """
        caller = self._caller(tx)
        caller.is_open()
        session = self._session
        # Opened for reading, a store writes nothing, on whichever connection.
        _ = session.runs
        turn = self._turns.setdefault(caller.key, asyncio.Lock())
        async with turn:
            return await to_the_end(self._call(caller, calling(function, session.place.schema), document.decode()))

    async def _call(self, caller: Caller, sql: str, document: str) -> str:
        session = self._session
        deadline = asyncio.timeout(session.timeout)
        try:
            async with deadline:
                connection = await caller.enter()
                if connection not in self._known:
                    await self._check(caller)
                    self._known.add(connection)
                answer: str = await caller.value(sql, document)
                return answer
        except TimeoutError as error:
            raise StoreUnavailable(
                f"{session.place.address} has not answered within write_timeout, {session.timeout:g} s, on the connection "
                "given as tx: roll it back",
                stored="unknown",
            ) from error
        except Exception as error:
            # Until its caller commits nothing is.
            raise self._told(error) from error

    async def _check(self, caller: Caller) -> None:
        """See that the connection leads to this store, and to no other of the same name."""
        session = self._session
        there: str | None = None
        if await caller.value(session.statement("has_ledger"), session.place.schema):
            there = await caller.value(session.statement("identity"))
        if there is None or there != await session.reads.value(session.statement("identity")):
            raise TransactionRefused(
                f"The connection given as tx leads to another database than the jobs, which are at {session.place.address}: "
                "connect it there, or store the job once the transaction has committed"
            )

    def _told(self, error: Exception) -> Exception:
        if isinstance(error, BackburnerError):
            return error
        state = sqlstate(error)
        if state == FAILED_TRANSACTION:
            return TransactionRefused(
                "The transaction given as tx has failed before, and takes nothing more: roll it back, and start it anew"
            )
        if state == READ_ONLY:
            return TransactionRefused("The transaction given as tx is read-only: begin one that may write")
        if state in CONFLICTS:
            return StoreBusy(
                f"The transaction given as tx is in another's way (SQLSTATE {state}): roll it back, and start it anew",
                stored="no",
            )
        told = translate(error, self._session.place.address, stored="no")
        if isinstance(told, StoreUnavailable) and not state and not isinstance(error, OSError):
            # So drivers say that a connection is closed, in use by another task, or waits for its rollback.
            return TransactionRefused(f"The connection given as tx cannot be used: {error}")
        return told

    def _caller(self, tx: object) -> Caller:
        return recognise(tx) or self._refuse(tx)

    def _refuse(self, tx: object) -> NoReturn:
        raise TransactionRefused(
            "tx is a connection of asyncpg, an AsyncConnection of psycopg 3, or an AsyncConnection or AsyncSession of "
            f"SQLAlchemy over one of these, to {self._session.place.address}, not {type(tx).__name__}"
        )
