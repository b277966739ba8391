"""After `tx=`: the connection is watched until it has left its transaction; then, and only then, anybody is told."""

from __future__ import annotations

import asyncio
import gc
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from backburner.jobs.commits import Commits
from backburner.jobs.joined import Joined

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from tests.unit.jobs.told import Stage


class Tx:
    """A connection that is in a transaction until told; counts who asks."""

    def __init__(self) -> None:
        self.open = True
        self.asked = 0


class Watch:
    """A watch on a stage, and what it told."""

    def __init__(self, stage: Stage) -> None:
        self.told: list[set[str]] = []
        self.joined = Joined(SimpleNamespace(is_open=self._is_open))
        self.commits = Commits(self.joined, self._over, stage.kit)
        self.commits.start()

    @staticmethod
    def _is_open(tx: Any) -> bool:  # noqa: ANN401 - whatever is watched
        tx.asked += 1
        return bool(tx.open)

    def _over(self, queues: Collection[str]) -> None:
        self.told.append(set(queues))


@pytest.fixture
async def watch(stage: Stage) -> AsyncIterator[Watch]:
    """Bring a watch."""
    made = Watch(stage)
    yield made
    await made.commits.stop()


async def test_nothing_is_told_while_a_transaction_is_open(stage: Stage, watch: Watch) -> None:
    """Nobody could see the jobs yet; once the connection has left it, all queues are told at once."""
    tx = Tx()
    watch.commits.watch(tx, {"mail"})
    watch.commits.watch(tx, {"mail", "media"})
    await stage.wait(60)
    assert watch.told == []
    tx.open = False
    await stage.wait(1)
    assert watch.told == [{"mail", "media"}]


async def test_a_short_transaction_is_seen_quickly(stage: Stage, watch: Watch) -> None:
    """The first looks are a few milliseconds apart."""
    tx = Tx()
    watch.commits.watch(tx, {"mail"})
    await stage.wait(0.004)
    tx.open = False
    await stage.wait(0.01)
    assert watch.told == [{"mail"}]


async def test_a_long_transaction_costs_a_look_a_second(stage: Stage, watch: Watch) -> None:
    """The looks become rarer, and begin anew with each transaction that is joined."""
    tx = Tx()
    watch.commits.watch(tx, {"mail"})
    await stage.wait(10)
    before = tx.asked
    await stage.wait(60)
    assert 60 <= tx.asked - before <= 120
    other = Tx()
    watch.commits.watch(other, {"mail"})
    await stage.wait(0.004)
    other.open = False
    await stage.wait(0.01)
    assert watch.told == [{"mail"}]


async def test_one_of_two(stage: Stage, watch: Watch) -> None:
    """Each transaction's queues are told when it is over, whatever the others do."""
    first, second = Tx(), Tx()
    watch.commits.watch(first, {"mail"})
    watch.commits.watch(second, {"media"})
    second.open = False
    await stage.wait(1)
    assert watch.told == [{"media"}]
    first.open = False
    await stage.wait(1)
    assert watch.told == [{"media"}, {"mail"}]


async def test_many_jobs_in_one_transaction_cost_one_look(stage: Stage, watch: Watch) -> None:
    """A connection is watched once, however many jobs are stored through it, each by itself."""
    tx = Tx()
    for number in range(1000):
        watch.commits.watch(tx, {f"queue-{number % 3}"})
    await stage.settle()
    assert tx.asked == 1
    tx.open = False
    await stage.wait(1)
    assert watch.told == [{"queue-0", "queue-1", "queue-2"}]
    assert tx.asked == 2


async def test_nothing_runs_while_nothing_is_joined(stage: Stage, watch: Watch) -> None:
    """Before the first and after the last transaction there is no timer."""
    assert not [timer for _, _, timer in stage.clock._timers if timer.callback is not None]
    tx = Tx()
    watch.commits.watch(tx, {"mail"})
    await stage.settle()
    assert [timer for _, _, timer in stage.clock._timers if timer.callback is not None]
    tx.open = False
    await stage.wait(2)
    assert not [timer for _, _, timer in stage.clock._timers if timer.callback is not None]


async def test_a_connection_is_not_kept_alive(stage: Stage, watch: Watch) -> None:
    """One that is gone has left its transaction, one way or the other."""
    watch.commits.watch(Tx(), {"mail"})
    gc.collect()
    await stage.settle()
    assert watch.told == [{"mail"}]


async def test_a_connection_left_by_a_task_that_is_gone(stage: Stage, watch: Watch) -> None:
    """Nor is it by what was noted of its task."""

    async def leave() -> None:
        tx = Tx()
        watch.joined.join(tx, ["a"])
        watch.commits.watch(tx, {"mail"})

    await asyncio.create_task(leave())
    await stage.settle()
    gc.collect()
    await stage.wait(2)
    gc.collect()
    await stage.wait(2)
    assert watch.told == [{"mail"}]
    assert not watch.joined.open


async def test_a_connection_without_weak_references(stage: Stage, watch: Watch) -> None:
    """It is watched all the same."""

    class Bare:
        __slots__ = ("asked", "open")

    tx: Any = Bare()
    tx.open, tx.asked = True, 0
    watch.commits.watch(tx, {"mail"})
    await stage.wait(5)
    assert watch.told == []
    tx.open = False
    await stage.wait(1)
    assert watch.told == [{"mail"}]


async def test_the_end_looks_once_more(stage: Stage) -> None:
    """What was committed just before a stop is told yet; what is open is not."""
    watch = Watch(stage)
    committed, still_open = Tx(), Tx()
    watch.commits.watch(committed, {"mail"})
    watch.commits.watch(still_open, {"media"})
    await stage.settle()
    committed.open = False
    await watch.commits.stop()
    assert watch.told == [{"mail"}]
    await stage.wait(10)
    assert watch.told == [{"mail"}]
