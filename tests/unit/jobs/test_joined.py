"""Joined: who stored what in which transaction, while that is open."""

from __future__ import annotations

import asyncio
import gc
from types import SimpleNamespace

import pytest

from backburner.errors import TransactionOpen
from backburner.jobs.joined import Joined


class Tx:
    """A transaction that is open until told."""

    def __init__(self) -> None:
        self.open = True


def joined() -> Joined:
    """Make one over such transactions."""
    return Joined(SimpleNamespace(is_open=lambda tx: tx.open))


async def test_the_task_that_joined_may_write_nowhere_else() -> None:
    """A write beside one's own open transaction would wait for it; other tasks may write, and so may it afterwards."""
    register, tx = joined(), Tx()
    register.join(tx, ["a"])
    with pytest.raises(TransactionOpen, match="pass tx= here too"):
        register.refuse_write()

    async def other() -> None:
        register.refuse_write()

    await asyncio.create_task(other())
    tx.open = False
    register.refuse_write()
    assert not register.open


async def test_nobody_waits_for_what_nobody_sees() -> None:
    """A job stored in an open transaction cannot be awaited, by no task; others can, and it can once committed."""
    register, tx = joined(), Tx()
    register.join(tx, ["a"])
    register.refuse_wait("b")

    async def wait() -> None:
        with pytest.raises(TransactionOpen, match="job a was stored"):
            register.refuse_wait("a")

    await wait()
    await asyncio.create_task(wait())
    tx.open = False
    register.refuse_wait("a")


async def test_one_of_two_transactions() -> None:
    """A task with two open transactions stays refused until both have ended."""
    register, first, second = joined(), Tx(), Tx()
    register.join(first, ["a"])
    register.join(second, ["b"])
    first.open = False
    with pytest.raises(TransactionOpen):
        register.refuse_write()
    register.refuse_wait("a")
    second.open = False
    register.refuse_write()


async def test_a_task_that_is_gone_is_forgotten() -> None:
    """A transaction that its task left open holds nobody up, and is not kept alive."""
    register = joined()

    async def leave() -> None:
        register.join(Tx(), ["a"])

    await asyncio.create_task(leave())
    await asyncio.to_thread(gc.collect)
    register.refuse_wait("a")
    register.refuse_write()
    assert not register.open


async def test_transactions_that_ended_are_forgotten_by_the_next() -> None:
    """Whoever only ever stores through transactions keeps none of those that are over, nor their connections."""
    register = joined()
    for number in range(100):
        tx = Tx()
        register.join(tx, [f"a{number}"])
        register.join(tx, [f"b{number}"])
        assert len(register.open) == 1
        tx.open = False
