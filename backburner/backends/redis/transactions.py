"""Callers' own transactions, of which Redis can join none."""

from __future__ import annotations

from typing import NoReturn

from backburner.errors import TransactionRefused

__all__ = ["RedisTransactions", "refuse"]


def refuse(tx: object) -> None:
    """Raise `TransactionRefused` if there is a transaction to join."""
    if tx is not None:
        _refuse(tx)


def _refuse(tx: object) -> NoReturn:
    raise TransactionRefused(
        f"A store in Redis can join no transaction, not that of tx={type(tx).__name__}: store the job once the "
        "transaction has committed, write it to a table of your own in it and store it from there, or use a postgresql:// "
        "store in the same database"
    )


class RedisTransactions:
    """A `Transactions` without any."""

    __slots__ = ()

    def is_open(self, tx: object) -> bool:
        """Refuse whatever it is."""
        _refuse(tx)
