"""A server that did what it was asked, and whose answer nobody heard: asked again, it does nothing twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backburner.backends.redis import scripts
from backburner.errors import StoreUnavailable
from backburner.model.clock import SECOND
from backburner.model.job import Ending, JobState
from backburner.model.lane import Limit
from backburner.model.node import KindRecord, NodeRecord, QueueRecord
from backburner.model.operation import OperationRecord
from backburner.model.query import JobFilter, Shown
from backburner.model.schedule import ScheduleChange
from backburner.ports.jobs import Birth, Keep
from backburner.testing.contracts.making import (
    LEASE,
    add,
    add_claimed,
    ask,
    dead,
    keyed,
    new,
    publish,
    read,
    to_settle,
)
from backburner.testing.contracts.scheduling import fire, ledger, schedule, stored
from backburner.testing.contracts.telling import kept, names
from tests.servers.proxy import Proxy
from tests.unit.redis.conftest import store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from backburner.backends.redis.backend import RedisBackend
    from backburner.testing.clock import FakeClock
    from tests.servers.redis import Namespace

#: Keeps nothing that has ended.
AT_ONCE = Keep(completed=0, cancelled=0, dead=0)
VERBS = (
    *("enqueue", "claim", "settle", "recover", "cancel", "expedite", "prune", "release", "restore"),
    *("nodes_publish", "nodes_beat", "nodes_drain", "nodes_withdraw", "nodes_abandon", "queues_set", "read_export"),
    *("replay", "purge", "operations_put", "operations_swap", "limits_declare", "limits_override", "cells_swap"),
    *("locks_acquire", "locks_renew", "locks_release", "kinds_set"),
    *("schedules_change", "schedules_remove"),
)


class Deaf:
    """A store behind a proxy that swallows answers when it is told to."""

    def __init__(self, backend: RedisBackend, proxy: Proxy) -> None:
        self.backend = backend
        self._proxy = proxy

    async def again(self, verb: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - whatever the verb answers
        """Do it, hear nothing, do it again; return the second answer."""
        self._proxy.freeze(requests=False)
        task = asyncio.ensure_future(verb())
        await self._proxy.answer_held()
        await self._proxy.sever()
        self._proxy.thaw()
        with pytest.raises(StoreUnavailable) as lost:
            await task
        assert lost.value.stored == "unknown"
        return await verb()


@pytest.fixture
async def deaf(redis_namespace: Namespace, url: str, clock: FakeClock) -> AsyncIterator[Deaf]:
    """A store whose answers may be lost, with one node."""
    port = redis_namespace.server.url.rpartition(":")[2].partition("/")[0]
    async with Proxy("127.0.0.1", int(port)) as proxy, store(proxy.url(url), clock) as backend:
        await publish(backend)
        for name in VERBS:
            # Else what is lost would be the word that a script is not known.
            await backend._session.client.call("SCRIPT", "LOAD", scripts._load(name)[0])
        yield Deaf(backend, proxy)


async def test_stored(deaf: Deaf) -> None:
    """Jobs are known, and those that were born are born still, under the same token; a key is held by its own job."""
    jobs = [new(), new(unique=keyed()), new(queue="free")]
    birth = Birth("node", {jobs[2].id: 7})
    answer = await deaf.again(lambda: deaf.backend.jobs.enqueue([[job] for job in jobs], birth))
    assert [group.duplicates for group in answer.groups] == [(jobs[0].id,), (jobs[1].id,), ()]
    assert answer.groups[2].born == (jobs[2].id,)
    assert await deaf.backend.reader.count(JobFilter()) == {Shown.WAITING: 2, Shown.RUNNING: 1}


async def test_claimed(deaf: Deaf) -> None:
    """What was claimed and never heard of is held by the node, as its next beat says, and handed to nobody else."""
    job = await add(deaf.backend)
    assert (await deaf.again(lambda: deaf.backend.jobs.claim(ask()))).claims == ()
    async with deaf.backend.keeper() as keeper:
        # It connects.
        await keeper.beat("node", LEASE)
        beat = await deaf.again(lambda: keeper.beat("node", LEASE))
    assert [held.id for held in beat.claims] == [job.id]
    assert (await read(deaf.backend, job.id)).token == beat.claims[0].token


async def test_settled(deaf: Deaf) -> None:
    """A settlement is applied once: one failure, one attempt in the history, one follow-up, one end; it is not stale."""
    first, second = await add_claimed(deaf.backend), await add_claimed(deaf.backend)
    follow_up = new()
    write = [
        to_settle(first, JobState.PENDING, delay=SECOND, ending=Ending.FAILED, failed=1, error="E"),
        to_settle(second, jobs=(follow_up,), result="1"),
    ]
    settled = await deaf.again(lambda: deaf.backend.jobs.settle("node", write))
    assert settled.stale == ()
    assert (await read(deaf.backend, first.id)).failures == 1
    assert len(await deaf.backend.reader.history(first.id)) == 1
    assert (await read(deaf.backend, second.id)).result == "1"
    counted = await deaf.backend.reader.count(JobFilter())
    assert counted == {Shown.RETRYING: 1, Shown.WAITING: 1, Shown.COMPLETED: 1}


async def test_cancelled_pruned_restored(deaf: Deaf) -> None:
    """What was cancelled has ended, what was pruned is gone, and what was restored is known."""
    job = await add(deaf.backend)
    assert (await deaf.again(lambda: deaf.backend.admin.cancel([job.id]))).ended == (job.id,)
    images = (await deaf.again(lambda: deaf.backend.reader.export(limit=10))).jobs
    assert await deaf.again(lambda: deaf.backend.admin.prune(AT_ONCE, 10)) == 0
    assert (await deaf.again(lambda: deaf.backend.admin.restore(images))).known == (job.id,)
    assert (await read(deaf.backend, job.id)).state is JobState.CANCELLED
    assert await deaf.again(lambda: deaf.backend.admin.release(10)) == 0


async def test_brought_forward(deaf: Deaf) -> None:
    """What was brought forward is due; what that was to tell is told once."""
    job = await add(deaf.backend, delay=SECOND)
    assert (await deaf.again(lambda: deaf.backend.admin.expedite([job.id], [kept()]))).due == (job.id,)
    assert [claimed.id for claimed in (await deaf.backend.jobs.claim(ask())).claims] == [job.id]
    assert await names(deaf.backend) == ["order.paid"]


async def test_recovered(deaf: Deaf) -> None:
    """What was handed over and never heard of is held by whoever asked; when he goes too it is handed to the next."""
    await publish(deaf.backend, "dying")
    claimed = await add_claimed(deaf.backend, "dying")
    await deaf.again(lambda: deaf.backend.nodes.withdraw("dying"))
    assert (await deaf.again(lambda: deaf.backend.jobs.recover("node", 10))).jobs == ()
    await deaf.backend.nodes.withdraw("node")
    (recovered,) = (await deaf.backend.jobs.recover("third", 10)).jobs
    assert (recovered.claim.id, recovered.node) == (claimed.id, "dying")


async def test_nodes_and_queues(deaf: Deaf) -> None:
    """Nodes and settings are written over with the same."""
    record = NodeRecord(id="n", host="h", pid=1, started_at=0, queues={}, kinds=())
    await deaf.again(lambda: deaf.backend.nodes.publish(record, LEASE))
    assert await deaf.again(lambda: deaf.backend.nodes.drain("n"))
    await deaf.again(lambda: deaf.backend.queues.set(QueueRecord(name="q", slots=3)))
    assert [queue.slots for queue in await deaf.backend.queues.list()] == [3]
    async with deaf.backend.keeper() as keeper:
        await keeper.beat("n", LEASE)
        await deaf.again(lambda: keeper.abandon("n"))
    assert {node.id: node.alive for node in await deaf.backend.nodes.find()} == {"n": False, "node": True}


async def test_letters_and_operations(deaf: Deaf) -> None:
    """A step of an operation is done once, and the second time outrun; without one, letters are missed."""
    letters = [await dead(deaf.backend) for _ in range(3)]
    operation = OperationRecord(id="01", action="replay", state="{}")
    assert not await deaf.again(lambda: deaf.backend.operations.put(operation))
    assert (await deaf.again(lambda: deaf.backend.admin.replay(letters[:1], operation))).outrun
    assert not await deaf.again(lambda: deaf.backend.operations.swap(msgspec.structs.replace(operation, version=2)))
    (found,) = (await deaf.backend.operations.get(["01"])).operations
    assert (found.version, found.done) == (3, 1)
    assert (await deaf.again(lambda: deaf.backend.admin.replay(letters[1:2]))).missed == (letters[1].id,)
    assert (await deaf.again(lambda: deaf.backend.admin.purge(letters[2:]))).missed == (letters[2].id,)
    assert await deaf.backend.reader.count(JobFilter()) == {Shown.WAITING: 2}


async def test_limits_cells_and_leases(deaf: Deaf) -> None:
    """Limits and pauses are written over with the same, a cell has been swapped, a lease is renewed under its token."""
    backend = deaf.backend
    await deaf.again(lambda: backend.limits.declare({"x": Limit(slots=1)}))
    await deaf.again(lambda: backend.limits.override("x", Limit(slots=2), by="ada", reason=None))
    assert [limit.limit for limit in await backend.limits.list()] == [Limit(slots=2)]
    assert not (await deaf.again(lambda: backend.cells.swap("c", "1", 0))).swapped
    assert [cell.version for cell in (await backend.cells.load("")).cells] == [1]
    await deaf.again(lambda: backend.kinds.set(KindRecord(name="k")))
    assert [kind.name for kind in await backend.kinds.list()] == ["k"]
    taken = await deaf.again(lambda: backend.leases.acquire("lock", "holder", SECOND, shared=False))
    assert await deaf.again(lambda: backend.leases.renew("lock", "holder", taken.token, SECOND))
    (held,) = (await backend.leases.holders(["lock"]))["lock"].holders
    assert held.token == taken.token
    assert not await deaf.again(lambda: backend.leases.release("lock", "holder", taken.token))
    assert await backend.leases.holders() == {}


async def test_schedules(deaf: Deaf) -> None:
    """A change that nobody heard of was made once, its job stored and its line written once; repeated it is outrun."""
    backend, job = deaf.backend, new()
    assert [each.outrun for each in (await deaf.again(lambda: backend.schedules.change([fire(job)]))).changes] == [True]
    assert (await stored(backend)).version == 1
    assert [line.job for line in await ledger(backend)] == [job.id]
    assert await backend.reader.count(JobFilter()) == {Shown.WAITING: 1}
    other = ScheduleChange(schedule=schedule("other"))
    assert [each.outrun for each in (await deaf.again(lambda: backend.schedules.change([other]))).changes] == [True]
    assert not await deaf.again(lambda: backend.schedules.remove("daily", 1))
    assert [each.name for each in (await backend.schedule_reader.find(limit=5)).schedules] == ["other"]
