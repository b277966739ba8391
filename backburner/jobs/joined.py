"""Callers' own transactions that jobs were stored in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import ref

from backburner.errors import TransactionOpen, TransactionRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backburner.ports.backend import Transactions

__all__ = ["Joined"]


class Joined:
    """Remembers which task stored what in which transaction, while that is open, and refuses what would wait for it."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        #: Falsy while no transaction is open: what everybody asks first.
        self.open: list[tuple[object, ref[asyncio.Task[object]], frozenset[str]]] = []

    def join(self, tx: object, ids: Iterable[str] = ()) -> None:
        """Know that this task wrote in a transaction, and which jobs."""
        task: asyncio.Task[object] | None = asyncio.current_task()
        if task is not None:
            self.open.append((tx, ref(task), frozenset(ids)))

    def is_open(self, tx: object) -> bool:
        """Tell whether a transaction that was joined is open yet; the end of its connection was its end."""
        try:
            return self._transactions.is_open(tx)
        except TransactionRefused:
            return False

    def refuse_write(self) -> None:
        """Raise `TransactionOpen` if this task has a transaction open: a write beside it would wait for it."""
        task = asyncio.current_task()
        self._forget_ended()
        if any(owner() is task for _, owner, _ in self.open):
            raise TransactionOpen(
                "this task has a transaction open that it stored jobs in: pass tx= here too, or end the transaction first"
            )

    def refuse_wait(self, job_id: str) -> None:
        """Raise `TransactionOpen` if the job was stored in a transaction that is still open: nobody sees it yet."""
        self._forget_ended()
        if any(job_id in ids for _, _, ids in self.open):
            raise TransactionOpen(
                f"job {job_id} was stored in a transaction that is still open: commit it, then await the handle"
            )

    def seen(self, job_id: str) -> None:
        """Know that the store shows a job: the transaction it was stored in has committed."""
        self.open = [(tx, owner, ids - {job_id}) for tx, owner, ids in self.open]

    def _forget_ended(self) -> None:
        self.open = [entry for entry in self.open if entry[1]() is not None and self.is_open(entry[0])]
