"""Callers' own transactions, of which memory can join none."""

from __future__ import annotations

from typing import NoReturn

from backburner.errors import TransactionRefused

__all__ = ["MemoryTransactions", "refuse"]


def refuse(tx: object) -> None:
    """Raise `TransactionRefused` if there is a transaction to join."""
    if tx is not None:
        _refuse(tx)


def _refuse(tx: object) -> NoReturn:
    raise TransactionRefused(
        f"The store in memory can join no transaction, not that of tx={type(tx).__name__}: use a file in its place, as "
        "in sqlite:///jobs.db, or store the job once the transaction has committed"
    )


class MemoryTransactions:
    """A `Transactions` without any."""

    __slots__ = ()

    def is_open(self, tx: object) -> bool:
        """Refuse whatever it is."""
        _refuse(tx)
