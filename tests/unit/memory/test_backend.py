"""What the store in memory promises beyond the contract of every store."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from backburner.backends.memory import MemoryBackend, MemoryDatabase
from backburner.errors import LeaseLost, StoreReadOnly, StoreUnavailable
from backburner.model.clock import SECOND
from backburner.model.job import SUSPECT_GATE, JobState
from backburner.model.query import JobFilter
from backburner.ports.backend import Hint
from backburner.ports.jobs import Keep
from backburner.testing import FakeClock
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    ask,
    claim,
    ids,
    new,
    publish,
    read,
    recover,
    settle,
    to_settle,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from backburner.ports.backend import Backend

LEASE = 30 * SECOND


@pytest.fixture
def clock() -> FakeClock:
    """Bring a clock that stands still."""
    return FakeClock()


@pytest.fixture
def database() -> MemoryDatabase:
    """Bring an empty database, to look into."""
    return MemoryDatabase()


@pytest.fixture
async def backend(clock: FakeClock, database: MemoryDatabase) -> AsyncIterator[Backend]:
    """Bring an open connection to that database."""
    made = MemoryBackend(clock, database)
    await made.open(create=True)
    yield made
    await made.close()


async def test_a_lease_ends_by_the_clock(backend: Backend, clock: FakeClock) -> None:
    """A node is dead once its lease has passed, to the microsecond: it claims nothing and beats no more."""
    await publish(backend, ttl=LEASE)
    claimed = await add_claimed(backend)
    clock.move(29.999999)
    assert await claim(backend) == ()
    clock.move(0.000001)
    with pytest.raises(LeaseLost):
        await claim(backend)
    async with backend.keeper() as keeper:
        with pytest.raises(LeaseLost):
            await keeper.beat("node", LEASE)
    await publish(backend, "rescuer")
    (found,) = (await recover(backend, "rescuer")).jobs
    assert (found.claim.id, found.node) == (claimed.id, "node")


async def test_a_beat_renews_the_lease(backend: Backend, clock: FakeClock) -> None:
    """A beat starts the lease anew from its own moment."""
    await publish(backend, ttl=LEASE)
    clock.move(20)
    async with backend.keeper() as keeper:
        await keeper.beat("node", LEASE)
    clock.move(29)
    assert await claim(backend) == ()
    clock.move(1)
    with pytest.raises(LeaseLost):
        await claim(backend)


async def test_no_verb_awaits(backend: Backend) -> None:
    """Every verb ends in the step it began in, so that no cancellation can split it."""
    await publish(backend)
    verbs: list[Coroutine[Any, Any, Any]] = [
        backend.jobs.enqueue([[new()]]),
        backend.jobs.claim(ask()),
        backend.jobs.settle("node", [], ask()),
        backend.jobs.recover("node", 10),
        backend.admin.cancel(["nobody"]),
        backend.admin.prune(Keep(completed=0, cancelled=0, dead=0), 10),
        backend.reader.get(["nobody"]),
        backend.reader.history("nobody"),
        backend.reader.find(JobFilter(), limit=5),
        backend.reader.count(JobFilter()),
        backend.nodes.find(),
        backend.nodes.withdraw("nobody"),
        backend.queues.list(),
        backend.keeper().abandon("nobody"),
        backend.notifier.notify(Hint.JOBS),
        backend.schema.upgrade(),
    ]
    for verb in verbs:
        with pytest.raises(StopIteration):
            verb.send(None)
        assert inspect.getcoroutinestate(verb) == inspect.CORO_CLOSED


async def test_a_million_changes_of_mind_leave_nothing(backend: Backend, database: MemoryDatabase) -> None:
    """Jobs cancelled and pruned, wherever they stood, leave no more than a little clutter behind."""
    everywhere: list[dict[str, Any]] = [{}, {"delay": SECOND}, {"gate": SUSPECT_GATE}, {"expires_in": SECOND}]
    for _ in range(20):
        jobs = [new(**fields) for fields in everywhere for _ in range(250)]
        await backend.jobs.enqueue([jobs])
        assert len((await backend.admin.cancel(ids(jobs))).cancelled) == len(jobs)
        assert await backend.admin.prune(Keep(completed=0, cancelled=0, dead=0), 10_000) == len(jobs)
    queue = database.queues["default"]
    lines = [line for place in (queue.line, *queue.gates.values()) for line in place.lines]
    lines += [database.expiring, *database.ended.values()]
    assert sum(len(line._ordered) + len(line._heap) for line in lines) <= 64 * len(lines)
    assert (database.jobs, database.history, database.running) == ({}, {}, {})


async def test_an_empty_gate_is_forgotten(backend: Backend, database: MemoryDatabase) -> None:
    """A gate where nobody stands any more costs the next claims nothing."""
    await publish(backend)
    for number in range(50):
        await add(backend, kind=f"kind-{number}")
    await claim(backend)
    assert len(database.queues["default"].gates) == 50
    assert len(await claim(backend, kinds=[f"kind-{number}" for number in range(50)])) == 50
    await claim(backend)
    assert database.queues["default"].gates == {}


async def test_closed_it_refuses(clock: FakeClock) -> None:
    """A store that is not open refuses reads and writes with a typed error."""
    backend = MemoryBackend(clock)
    with pytest.raises(StoreUnavailable):
        await backend.jobs.enqueue([[new()]])
    with pytest.raises(StoreUnavailable):
        await backend.reader.find(JobFilter(), limit=1)
    await backend.open(create=True, write=False)
    with pytest.raises(StoreReadOnly):
        await backend.jobs.enqueue([[new()]])
    await backend.close()
    with pytest.raises(StoreUnavailable):
        backend.notifier.listen(lambda _: None)


async def test_jobs_outlive_closing(clock: FakeClock) -> None:
    """Closed and opened again, also for another loop, a backend finds its jobs as they were."""
    backend = MemoryBackend(clock)
    await backend.open(create=True)
    await publish(backend)
    claimed = await add_claimed(backend)
    await backend.close()

    async def elsewhere() -> None:
        await backend.open(create=True)
        await settle(backend, claimed)
        assert (await read(backend, claimed.id)).state is JobState.COMPLETED

    await asyncio.to_thread(asyncio.run, elsewhere())


async def test_own_changes_are_no_news(backend: Backend, clock: FakeClock, database: MemoryDatabase) -> None:
    """Changes are told to the other connections; the one that made them hears only what it is notified of."""
    other = MemoryBackend(clock, database)
    await other.open(create=False)
    own: list[Hint] = []
    others: list[Hint] = []
    backend.notifier.listen(own.append)
    other.notifier.listen(others.append)
    node = await publish(backend)
    claimed = await add_claimed(backend)
    await backend.admin.cancel([claimed.id])
    await backend.nodes.withdraw(node)
    await clock.settle()
    assert others == [Hint.JOBS, Hint.CONTROL, Hint.LAPSE]
    assert own == []
    await backend.notifier.notify(Hint.JOBS)
    await clock.settle()
    assert own == [Hint.JOBS]


async def test_closing_forgets_the_listeners(backend: Backend, clock: FakeClock, database: MemoryDatabase) -> None:
    """A closed connection hears nothing more."""
    other = MemoryBackend(clock, database)
    await other.open(create=False)
    heard: list[Hint] = []
    end = other.notifier.listen(heard.append)
    await other.close()
    await add(backend)
    await clock.settle()
    assert heard == []
    end()


async def test_a_settlement_of_nothing_held_costs_no_row(backend: Backend, database: MemoryDatabase) -> None:
    """Nodes that hold nothing have no entry among those who do."""
    await publish(backend)
    claimed = await add_claimed(backend)
    assert set(database.running) == {"node"}
    await backend.jobs.settle("node", [to_settle(claimed)])
    await backend.jobs.settle("stranger", [to_settle(claimed)])
    assert database.running == {}
