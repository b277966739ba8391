"""Callers' own transactions that jobs were stored in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import ref

from backburner.errors import TransactionOpen, TransactionRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backburner.ports.backend import Transactions

__all__ = ["Joined"]


@dataclass(slots=True, eq=False)
class _Entry:
    """What one task stored through one connection."""

    tx: object
    owner: ref[asyncio.Task[object]]
    ids: set[str]


class Joined:
    """Remembers which task stored what in which transaction, while that is open, and refuses what would wait for it."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        #: Falsy while no transaction is open: what everybody asks first.
        self.open: list[_Entry] = []

    def join(self, tx: object, ids: Iterable[str] = ()) -> None:
        """Know that this task wrote in a transaction, and which jobs."""
        task: asyncio.Task[object] | None = asyncio.current_task()
        if task is None:
            return
        for entry in self.open:
            if entry.tx is tx and entry.owner() is task:
                entry.ids.update(ids)
                return
        # An app that always stores so asks nothing else of this: it would keep what has ended.
        self.forget_ended()
        self.open.append(_Entry(tx, ref(task), set(ids)))

    def is_open(self, tx: object) -> bool:
        """Tell whether a transaction that was joined is open yet; the end of its connection was its end."""
        try:
            return self._transactions.is_open(tx)
        except TransactionRefused:
            return False

    def refuse_write(self) -> None:
        """Raise `TransactionOpen` if this task has a transaction open: a write beside it would wait for it."""
        task = asyncio.current_task()
        self.forget_ended()
        if any(entry.owner() is task for entry in self.open):
            raise TransactionOpen(
                "this task has a transaction open that it stored jobs in: pass tx= here too, or end the transaction first"
            )

    def refuse_wait(self, job_id: str) -> None:
        """Raise `TransactionOpen` if the job was stored in a transaction that is still open: nobody sees it yet."""
        self.forget_ended()
        if any(job_id in entry.ids for entry in self.open):
            raise TransactionOpen(
                f"job {job_id} was stored in a transaction that is still open: commit it, then await the handle"
            )

    def seen(self, job_id: str) -> None:
        """Know that the store shows a job: the transaction it was stored in has committed."""
        for entry in self.open:
            entry.ids.discard(job_id)

    def forget_ended(self) -> None:
        """Forget the transactions that are over, and those whose task is."""
        self.open = [each for each in self.open if each.owner() is not None and self.is_open(each.tx)]
