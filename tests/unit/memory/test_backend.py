"""What the store in memory promises beyond the contract of every store."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from backburner.backends.memory import MemoryBackend, MemoryDatabase
from backburner.errors import LeaseLost, StoreReadOnly, StoreUnavailable, TransactionRefused
from backburner.model.clock import SECOND
from backburner.model.job import SUSPECT_GATE, JobState
from backburner.model.lane import Limit
from backburner.model.node import KindRecord, QueueRecord
from backburner.model.operation import OperationRecord
from backburner.model.query import JobFilter
from backburner.ports.backend import Hint, Level
from backburner.ports.jobs import Keep
from backburner.testing import FakeClock
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    ask,
    claim,
    ids,
    keyed,
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
        backend.admin.release(10),
        backend.admin.replay([]),
        backend.admin.purge([]),
        backend.nodes.drain("node"),
        backend.reader.get(["nobody"]),
        backend.reader.history("nobody"),
        backend.reader.find(JobFilter(), limit=5),
        backend.reader.count(JobFilter()),
        backend.reader.groups(JobFilter(), limit=5),
        backend.reader.export(limit=5),
        backend.nodes.find(),
        backend.nodes.withdraw("nobody"),
        backend.queues.list(),
        backend.kinds.list(),
        backend.limits.declare({"x": Limit()}),
        backend.limits.lanes(["x"]),
        backend.cells.swap("x", "1", 0),
        backend.leases.acquire("x", "a", LEASE, shared=False),
        backend.leases.holders(),
        backend.operations.find(limit=5),
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
    everywhere: list[dict[str, Any]] = [
        {},
        {"delay": SECOND},
        {"gate": SUSPECT_GATE},
        {"expires_in": SECOND},
        {"parent": "nobody"},
        {"unique": keyed(states=(), period=SECOND), "delay": SECOND},
    ]
    for _ in range(20):
        jobs = [new(**fields) for fields in everywhere for _ in range(250)]
        (answer,) = (await backend.jobs.enqueue([jobs])).groups
        stored = [job_id for job_id in ids(jobs) if job_id not in answer.holders]
        assert len(answer.holders) == 249
        assert len((await backend.admin.cancel(stored)).cancelled) == len(stored)
        assert await backend.admin.prune(Keep(completed=0, cancelled=0, dead=0), 10_000) == len(stored)
    queue = database.queues["default"]
    lines = [line for place in (queue.line, *queue.gates.values()) for line in place.lines]
    lines += [database.expiring, *database.ended.values()]
    assert sum(len(line._ordered) + len(line._heap) for line in lines) <= 64 * len(lines)
    assert (database.jobs, database.history, database.running, database.children) == ({}, {}, {}, {})
    assert (database.keys._rows, database.keys._waiting) == ({}, {})


async def test_keys_leave_nothing(backend: Backend, database: MemoryDatabase, clock: FakeClock) -> None:
    """Jobs that held a key, waited for it, were cancelled while they waited, or outlived their period leave nothing."""
    await publish(backend)
    for number in range(20):
        holder = await add_claimed(backend, unique=keyed("key", period=SECOND), queue="holder")
        waiting = tuple(new(unique=keyed("key"), queue=f"queue-{number}") for _ in range(3))
        await settle(backend, await add_claimed(backend, queue="parent"), jobs=waiting)
        await settle(backend, holder)
        await backend.admin.cancel([waiting[0].id])
        clock.move(1)
        assert await backend.admin.release(10) == 1
        await backend.admin.cancel(ids(waiting))
        assert await backend.admin.release(10) == 0
        # Ended holders are forgotten when next somebody asks for their key, not only when they are pruned.
        assert len(database.keys._rows["key"]) <= 3
    await backend.admin.prune(Keep(completed=0, cancelled=0, dead=0), 1_000)
    assert (database.jobs, database.keys._rows, database.keys._waiting) == ({}, {}, {})


async def test_it_says_what_to_use_for_a_transaction(backend: Backend) -> None:
    """The refusal of a transaction names what was given and both ways out."""
    with pytest.raises(TransactionRefused, match=r"tx=object: use a file .*sqlite:///jobs\.db, or store the job once"):
        await backend.jobs.enqueue([[new()]], tx=object())


async def test_a_child_stored_after_its_parent_was_put_aside_is_let_go(backend: Backend) -> None:
    """A parent that is kept for its own parent lets go of whatever child comes late."""
    await publish(backend)
    keep = Keep(completed=0, cancelled=0, dead=0)
    eldest = await add_claimed(backend)
    parent = await add_claimed(backend, parent=eldest.id)
    await settle(backend, parent)
    assert await backend.admin.prune(keep, 10) == 0
    late = await add(backend, parent=parent.id)
    assert await backend.admin.prune(keep, 10) == 1
    assert (await read(backend, late.id)).parent is None
    await settle(backend, eldest)
    assert await backend.admin.prune(keep, 10) == 3
    assert (await backend.reader.get([eldest.id, parent.id])).jobs == ()


async def test_a_parent_stored_after_its_child_keeps_it(backend: Backend) -> None:
    """A child that ended before its parent was stored is kept for it from then on."""
    await publish(backend)
    keep = Keep(completed=0, cancelled=0, dead=0)
    claimed = await add_claimed(backend, parent="parent")
    await settle(backend, claimed)
    await add(backend, id="parent")
    assert await backend.admin.prune(keep, 10) == 0
    await backend.admin.cancel(["parent"])
    assert await backend.admin.prune(keep, 10) == 3


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
    assert await backend.nodes.drain(node)
    await backend.nodes.withdraw(node)
    await clock.settle()
    assert others == [Hint.JOBS, Hint.CONTROL, Hint.CONTROL, Hint.LAPSE]
    assert own == []
    await backend.notifier.notify(Hint.JOBS)
    await clock.settle()
    assert own == [Hint.JOBS]


async def test_what_changes_for_nodes_is_told(backend: Backend, clock: FakeClock, database: MemoryDatabase) -> None:
    """Pauses, limits, locks let go and new operations are told to the other connections; what changed nothing is not."""
    other = MemoryBackend(clock, database)
    await other.open(create=False)
    heard: list[Hint] = []
    backend.notifier.listen(heard.append)
    told = [
        other.kinds.set(KindRecord(name="note")),
        other.queues.set(QueueRecord(name="default")),
        other.limits.declare({"x": Limit(slots=1)}),
        other.limits.override("x", Limit(slots=2), by=None, reason=None),
        other.cells.swap("x", "1", 0, Limit(slots=3)),
        other.operations.put(OperationRecord(id="1", action="replay", state="{}")),
    ]
    for verb in told:
        await verb
    token = (await other.leases.acquire("x", "a", LEASE, shared=False)).token
    assert token is not None
    assert await other.leases.release("x", "a", token)
    await clock.settle()
    assert heard == [Hint.CONTROL] * (len(told) + 1)
    await other.limits.declare({"x": Limit(slots=3)})
    await other.cells.swap("x", "2", 1, Limit(slots=3))
    await clock.settle()
    assert len(heard) == len(told) + 1


async def test_leases_leave_nothing(backend: Backend, clock: FakeClock, database: MemoryDatabase) -> None:
    """Leases let go and leases that are over leave no more behind than the last token of all."""
    for number in range(100):
        answer = await backend.leases.acquire(f"{number}", "a", SECOND, shared=True)
        if number % 2 and answer.token is not None:
            assert await backend.leases.release(f"{number}", "a", answer.token)
    assert len(database.leases.names()) == 50
    clock.move(1)
    await backend.admin.prune(Keep(completed=None, cancelled=None, dead=None), 10)
    assert database.leases.names() == []


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


async def test_it_says_that_it_is_memory(backend: Backend) -> None:
    """Looked over, it says what it is; it knows no roles, and nothing of it is ever upgraded."""
    (finding,) = await backend.examine()
    assert (finding.check, finding.level) == ("durability", Level.WARNING)
    assert "memory" in finding.found
    assert "sqlite:///" in finding.mend
    assert (backend.schema.grants("web"), backend.schema.unattended, backend.timed_leases) == (None, True, False)
