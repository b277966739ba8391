"""A whole engine on memory: births, twins, and stops that come at a bad moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backburner import Backburner
from backburner.errors import StoreUnavailable
from backburner.ports.telemetry import Signal
from tests.unit.jobs.told import Ear, Orders, ToldJobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.backends.memory import MemoryBackend


@pytest.fixture
async def ear() -> Ear:
    """Bring a listener that remembers."""
    return Ear()


def backend_of(bb: Backburner) -> MemoryBackend:
    """Return the store of a running engine on memory."""
    engine = bb._engine
    assert engine is not None
    backend: MemoryBackend = engine._backend  # type: ignore[assignment]
    return backend


async def until(done: Callable[[], bool]) -> None:
    """Let tasks run until something holds; five seconds is too long."""
    async with asyncio.timeout(5):
        while not done():
            await asyncio.wait([asyncio.ensure_future(asyncio.get_running_loop().run_in_executor(None, str))])


async def test_one_id_stored_twice_at_once_is_one_job(ear: Ear) -> None:
    """Two callers who store the same id at the same moment get one job, run once, without freezing the loop."""
    bb = Backburner("memory://", listener=ear)
    ran: list[int] = []

    @bb.job
    async def work(number: int) -> int:
        ran.append(number)
        await asyncio.get_running_loop().run_in_executor(None, str)
        return number

    async with bb:
        twins = await asyncio.gather(*(bb.create_task(work(1), id="x") for _ in range(2)))
        async with asyncio.timeout(5):
            assert [await twin for twin in twins] == [1, 1]
        status = await twins[0].status()
    assert ran == [1]
    assert (status.attempt, status.failures, status.crashes, status.interruptions) == (1, 0, 0, 0)
    assert ear.told(Signal.JOB_LOST) == []


async def test_a_birth_under_way_at_the_stop_costs_nothing(ear: Ear) -> None:
    """A job whose birth is being written as the engine stops is finished or given back: never left to be found dead."""
    bb = Backburner("memory://", listener=ear, grace=5)
    ran: list[int] = []

    @bb.job
    async def work() -> None:
        ran.append(1)

    async with bb:
        engine = bb._engine
        assert engine is not None
        backend = backend_of(bb)
        database = backend._connection._database
        orders = Orders()
        engine._intake._store = ToldJobs(backend, orders)
        orders.hold("enqueue")
        storing = asyncio.ensure_future(bb.create_task(work(), id="x"))
        await until(lambda: orders.under_way == 1)
        asyncio.get_running_loop().call_later(0.1, orders.release, "enqueue")
    await storing
    row = database.jobs["x"]
    assert (row.state.value, len(ran)) in {("completed", 1), ("pending", 0)}
    assert row.crashes == row.failures == 0


async def test_a_store_away_at_the_stop_lets_the_engine_end(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine whose store goes away before it leaves the list ends all the same, and tells of it."""
    bb = Backburner("memory://", listener=ear)

    async def away(_store: object, _node: str, _events: object) -> None:
        raise StoreUnavailable("away")

    async with bb:
        monkeypatch.setattr("backburner.backends.memory.nodes.MemoryNodeStore.withdraw", away)
    assert not bb.running
    assert [type(error) for error in ear.errors] == [StoreUnavailable]
    assert ear.told(Signal.ENGINE_STOPPED)


async def test_a_failed_start_leaves_nothing_running(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that fails half-way ends what it began: no task is left, and the engine can be entered again."""
    bb = Backburner("memory://")
    before = asyncio.all_tasks()

    async def away(_store: object, _node: object, _ttl: int, _events: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr("backburner.backends.memory.nodes.MemoryNodeStore.publish", away)
        with pytest.raises(StoreUnavailable):
            await bb.__aenter__()
    assert asyncio.all_tasks() == before
    async with bb:
        assert bb.running
    assert asyncio.all_tasks() == before
