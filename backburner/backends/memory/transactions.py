"""Callers' own transactions, of which memory can join none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.errors import TransactionRefused

if TYPE_CHECKING:
    from backburner.backends.memory.connection import Connection

__all__ = ["MemoryTransactions"]


class MemoryTransactions:
    """A `Transactions` without any; or, for tests, of any driver, each as if it had committed at once."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def is_open(self, tx: object) -> bool:
        """Refuse whatever it is, unless transactions are pretended: those are never open."""
        self._connection.refuse(tx)
        if type(tx).__module__ == "builtins":
            raise TransactionRefused(
                f"tx={type(tx).__name__} is no connection: give the one that your transaction is open on"
            )
        return False
