"""The keeper, in SQLite: the held lock is the lease, so a beat only reads."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.statements import load
from backburner.errors import LeaseLost, StoreUnavailable
from backburner.ports.nodes import Beat, Held

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from backburner.backends.sqlite.session import Session

__all__ = ["SqliteKeeper"]

_HELD = load("held")

_decode_held = msgspec.json.Decoder(tuple[Held, ...]).decode


class SqliteKeeper:
    """A `Keeper`. It has a thread and a connection to itself, so it reads without going through another."""

    __slots__ = ("_connection", "_session")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._connection: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        try:
            self._connection = self._session.place.reader()
        except sqlite3.Error as error:
            raise self._session.place.error(error) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def beat(self, node: str, ttl: int) -> Beat:
        """Answer what the node holds; raises `LeaseLost` when its lock was let go, or its file removed under it."""
        del ttl
        if not self._session.locks.proves(node):
            self._session.locks.release(node)
            raise LeaseLost(f"Node {node} holds no lock: publish it under a new id", stored="no")
        if self._connection is None:
            raise StoreUnavailable("The keeper is not open: enter it first", stored="no")
        try:
            held, drain = self._connection.execute(_HELD, {"node": node}).fetchone()
        except sqlite3.Error as error:
            raise self._session.place.error(error) from error
        return Beat(now=self._session.clock.now(), claims=_decode_held(held), drain=bool(drain))

    async def abandon(self, node: str) -> None:
        """Let the lock go at once."""
        self._session.locks.release(node)
