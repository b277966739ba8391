"""What scripts cost and leave: steps by the batch, nothing for what is not asked for, no key without an owner."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import pytest

from backburner.errors import StoreFull
from backburner.model.clock import SECOND
from backburner.model.job import Ending, JobState
from backburner.model.lane import Limit
from backburner.model.node import QueueRecord
from backburner.model.operation import OperationRecord
from backburner.model.query import JobFilter
from backburner.ports.jobs import Birth, Keep
from backburner.testing.contracts.making import (
    LEASE,
    add,
    add_claimed,
    ask,
    claim,
    dead,
    ended,
    keyed,
    new,
    publish,
    put,
    read,
    recover,
    settle,
    to_settle,
)
from tests.servers.redis import serve
from tests.unit.redis.conftest import store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.redis.backend import RedisBackend
    from backburner.backends.redis.session import Session
    from backburner.testing.clock import FakeClock
    from tests.servers.redis import Namespace
    from tests.unit.redis.conftest import Opened

#: More than a script can hand to one command.
MANY = 9000
#: Keeps nothing that has ended.
AT_ONCE = Keep(completed=0, cancelled=0, dead=0)
#: The commands of connections, and of these tests.
_OWN = (b"config", b"info", b"client", b"hello", b"ping", b"script")


async def calls(session: Session) -> Counter[str]:
    """Return how often the server ran each command since its counters were reset."""
    said: bytes = await session.client.call("INFO", "commandstats")
    counted = re.findall(rb"cmdstat_(\S+?):calls=(\d+)", said)
    return Counter({name.decode(): int(count) for name, count in counted if not name.startswith(_OWN)})


async def test_more_jobs_than_fit_one_command(backend: RedisBackend) -> None:
    """However many jobs one write stores, claims, settles, cancels or prunes, it does."""
    await publish(backend)
    jobs = [new() for _ in range(MANY)]
    assert (await backend.jobs.enqueue([jobs])).groups[0].duplicates == ()
    assert len((await backend.jobs.enqueue([jobs])).groups[0].duplicates) == MANY
    half = MANY // 2 + 1
    batch = await backend.jobs.claim(ask(limit=half))
    assert [claimed.id for claimed in batch.claims] == [job.id for job in jobs[:half]]
    assert batch.wait == 0
    settled = await backend.jobs.settle("node", [*map(to_settle, batch.claims)], ask(limit=10))
    assert settled.stale == ()
    assert settled.batch is not None
    assert [claimed.id for claimed in settled.batch.claims] == [job.id for job in jobs[half : half + 10]]
    cancelled = await backend.admin.cancel([job.id for job in jobs])
    assert (len(cancelled.ended), len(cancelled.asked)) == (half, 10)
    assert len(cancelled.cancelled) == MANY - half - 10
    assert await backend.admin.prune(AT_ONCE, MANY) == MANY - 10


async def test_more_jobs_than_fit_one_command_are_brought_forward(backend: RedisBackend) -> None:
    """However many jobs are due later, one write makes them due, and a claim takes them in their order."""
    await publish(backend)
    jobs = [new(delay=SECOND, unique=keyed(f"key {at}"), expires_in=LEASE) for at in range(MANY)]
    await backend.jobs.enqueue([jobs])
    ids = [job.id for job in jobs]
    assert (await backend.admin.expedite(ids[::-1])).expedited == tuple(ids[::-1])
    batch = await backend.jobs.claim(ask(limit=MANY))
    assert [claimed.id for claimed in batch.claims] == ids
    assert batch.wait is None


async def test_very_many_jobs_are_stored_in_portions(backend: RedisBackend, session: Session) -> None:
    """No script stores more than some hundreds of jobs, but for a group that has more; each group is answered."""
    known = await add(backend)
    big = [new() for _ in range(1200)]
    groups = [*([new()] for _ in range(499)), [known, new()], big, [new()], [known]]
    await session.client.call("CONFIG", "RESETSTAT")
    answers = (await backend.jobs.enqueue(groups)).groups
    assert (await calls(session))["evalsha"] == 4
    assert [at for at, answer in enumerate(answers) if answer.duplicates] == [499, 502]
    assert len(answers) == len(groups)
    assert sum((await backend.reader.count(JobFilter())).values()) == 1 + 499 + 1 + 1200 + 1


async def test_portions_that_were_stored_are_not_denied(backend: RedisBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a later portion is refused, the write may have been stored, and repeated it is, each job once."""
    jobs = [new() for _ in range(600)]
    run = backend._session.scripts.run
    told = 0

    async def full_at_last(name: str, keys: Sequence[bytes], args: Sequence[str | bytes | int]) -> object:
        nonlocal told
        told += 1
        if told == 2:
            raise StoreFull("full", stored="no")
        return await run(name, keys, args)

    monkeypatch.setattr(backend._session.scripts, "run", full_at_last)
    with pytest.raises(StoreFull) as full:
        await backend.jobs.enqueue([[job] for job in jobs])
    monkeypatch.undo()
    assert full.value.stored == "unknown"
    answers = (await backend.jobs.enqueue([[job] for job in jobs])).groups
    assert [bool(answer.duplicates) for answer in answers] == [True] * 500 + [False] * 100
    assert sum((await backend.reader.count(JobFilter())).values()) == 600


async def test_a_claim_costs_the_same_whatever_else_is_kept(backend: RedisBackend, session: Session) -> None:
    """Finished, scheduled, parked and gated jobs, and those of other queues, add no step to a claim."""
    await publish(backend)

    async def cost() -> Counter[str]:
        await add(backend)
        await session.client.call("CONFIG", "RESETSTAT")
        assert len(await claim(backend)) == 1
        return await calls(session)

    gates = ("lane:x", "unknown:other", "misfit:note:s1")
    # A gate of each sort that the node does not open, so that it looks for such gates.
    await backend.jobs.enqueue([[new(gate=gate) for gate in gates], [new(delay=SECOND)]])
    # The script is loaded.
    await cost()
    before = await cost()
    for _ in range(20):
        await ended(backend, JobState.COMPLETED, queue="elsewhere")
    many = [new(delay=SECOND * 60) for _ in range(200)]
    many += [new(gate=gate) for gate in gates for _ in range(200)]
    many += [new(queue="elsewhere") for _ in range(200)]
    await backend.jobs.enqueue([many])
    assert await cost() == before


async def test_a_batch_takes_few_steps(backend: RedisBackend, session: Session) -> None:
    """Hundreds of plain jobs are stored, claimed and completed by as many commands as one."""
    await publish(backend)

    async def cost(count: int) -> Counter[str]:
        await session.client.call("CONFIG", "RESETSTAT")
        await backend.jobs.enqueue([[new()] for _ in range(count)])
        claims = await claim(backend, limit=count)
        await backend.jobs.settle("node", [*map(to_settle, claims)])
        return await calls(session)

    await cost(1)
    one = await cost(1)
    assert one["evalsha"] == 3
    assert await cost(500) == one


async def test_whoever_recovers_and_is_dead_gets_each_job_once(backend: RedisBackend) -> None:
    """A node that does not know yet that its lease is over is handed no job twice."""
    await publish(backend, "a")
    jobs = [await add(backend) for _ in range(3)]
    await claim(backend, "a")
    await backend.nodes.withdraw("a")
    recovered = (await recover(backend, "b")).jobs
    assert [each.claim.id for each in recovered] == [job.id for job in jobs]
    assert [(await read(backend, each.claim.id)).token for each in recovered] == [
        each.claim.token for each in recovered
    ]
    # Nor does it lose any for good.
    assert len((await recover(backend, "c", limit=2)).jobs) == 2


async def test_a_prune_passes_over_few_at_a_time(backend: RedisBackend, session: Session) -> None:
    """However many ended children are kept for a parent that lives, no script looks at more than some of them."""
    await publish(backend)
    parent = await add(backend, queue="parents")
    await backend.jobs.enqueue([[new(parent=parent.id) for _ in range(2500)], [new()]])
    claims = await claim(backend, limit=2501)
    await backend.jobs.settle("node", [*map(to_settle, claims)])
    await session.client.call("CONFIG", "RESETSTAT")
    assert await backend.admin.prune(AT_ONCE, 1000) == 1
    assert (await calls(session))["evalsha"] == 3
    await session.client.call("CONFIG", "RESETSTAT")
    assert await backend.admin.prune(AT_ONCE, 1000) == 0
    assert (await calls(session))["evalsha"] == 1
    await backend.admin.cancel([parent.id])
    # Each child that is let go is a row that changed, and so is each that is deleted.
    assert await backend.admin.prune(AT_ONCE, MANY) == 2500 + 1 + 2500


async def test_nothing_is_left(backend: RedisBackend, redis_namespace: Namespace, clock: FakeClock) -> None:
    """When all jobs are pruned and all nodes struck, no key is left of them, whatever they went through."""
    await publish(backend)
    await publish(backend, "dying")
    await backend.queues.set(QueueRecord(name="default", slots=50))
    await ended(
        backend, JobState.COMPLETED, unique=keyed("kept", (JobState.COMPLETED,), 60 * SECOND), parent="stranger"
    )
    parent = await add_claimed(backend)
    terms = keyed("key", (*_LIVE, JobState.COMPLETED), 5 * SECOND)
    await add(backend, parent=parent.id, unique=terms, expires_in=SECOND, gate="lane:x")
    children = [await add(backend, parent=parent.id, unique=keyed(f"child {at}")) for at in range(2)]
    await backend.jobs.settle("node", [to_settle(parent, JobState.RUNNING, lent=True)])
    follow_ups = tuple(new(unique=terms) for _ in range(2))
    await settle(backend, parent, JobState.COMPLETED, jobs=follow_ups)
    assert (await read(backend, follow_ups[0].id)).gate == "unique:key"
    born = new(unique=keyed("born", period=SECOND))
    await backend.jobs.enqueue([[born]], Birth("dying", {born.id: 5}))
    await add(backend, gate="suspect")
    await add(backend, kind="other")
    for claimed in await claim(backend, "dying"):
        await backend.jobs.settle("dying", [to_settle(claimed, JobState.RUNNING, lent=True, checkpoint="1")])
    await backend.nodes.withdraw("dying")
    clock.move(10)
    recovered = (await recover(backend)).jobs
    assert {each.claim.id for each in recovered} > {children[0].id, born.id}
    for each in recovered:
        await settle(backend, each.claim, JobState.PENDING, ending=Ending.CRASHED, crashed=1, error="E")
    await backend.admin.release(100)
    for _ in range(10):
        for claimed in await claim(backend, kinds=("note", "other")):
            await settle(backend, claimed, JobState.DEAD, ending=Ending.FAILED, error="E", traceback="t")
    page = await backend.reader.export(limit=100)
    left = [image.record.id for image in page.jobs if image.record.state is JobState.PENDING]
    await backend.admin.cancel(left)
    while await backend.admin.prune(AT_ONCE, 3):
        pass
    assert (await backend.reader.export(limit=100)).jobs == ()
    await backend.nodes.withdraw("node")
    names = redis_namespace.keys()
    assert [name.removeprefix(redis_namespace.name) for name in names] == [":meta", ":queues"]


_LIVE = (JobState.PENDING, JobState.RUNNING)


@pytest.mark.usefixtures("servers")
async def test_a_full_store_still_empties(opened: Opened, clock: FakeClock) -> None:
    """A server without memory refuses new jobs whole; those that it has are claimed, settled, expedited, cancelled, pruned.

    For that nodes live on, begin and end, and operators let paused queues go on, change limits and purge dead letters.
    """
    with serve() as server:
        async with store(server.url, clock) as backend, opened(server.url) as session, backend.keeper() as keeper:
            await publish(backend)
            letters = [await dead(backend) for _ in range(2)]
            jobs = [await add(backend, unique=keyed(f"key {at}")) for at in range(4)]
            later = await add(backend, queue="later", delay=SECOND)
            await session.client.call("CONFIG", "SET", "maxmemory", 1)
            for job in (new(), new(unique=keyed("new", ()), parent=jobs[0].id)):
                with pytest.raises(StoreFull) as full:
                    await put(backend, job)
                assert full.value.stored == "no"
            assert (await keeper.beat("node", LEASE)).claims == ()
            await publish(backend, "newcomer")
            assert await backend.nodes.drain("newcomer")
            await backend.queues.set(QueueRecord(name="default", paused=False))
            await keeper.abandon("newcomer")
            assert {node.id: node.alive for node in await backend.nodes.find()} == {"newcomer": False, "node": True}
            with pytest.raises(StoreFull) as full:
                await backend.admin.replay(letters)
            assert full.value.stored == "no"
            operation = OperationRecord(id="01", action="purge", state="{}")
            assert await backend.operations.put(operation)
            assert (await backend.admin.purge(letters, operation)).missed == ()
            await backend.limits.override("x", Limit(slots=1), by=None, reason=None)
            assert (await backend.cells.swap("x", "1", 0)).swapped
            assert (await backend.leases.acquire("lock", "holder", SECOND, shared=False)).token is not None
            # What was stored before is found so.
            assert (await put(backend, jobs[0])).duplicates == (jobs[0].id,)
            first, second, third = await claim(backend, limit=3)
            await settle(backend, first, JobState.COMPLETED, result='"done"')
            await settle(backend, second, JobState.PENDING, delay=5, ending=Ending.FAILED, error="E", failed=1)
            batch = (await backend.jobs.settle("node", [to_settle(third)], ask())).batch
            assert batch is not None
            assert [claimed.id for claimed in batch.claims] == [jobs[3].id]
            assert (await backend.admin.expedite([later.id])).expedited == (later.id,)
            assert (await backend.admin.cancel([second.id, later.id])).cancelled == (second.id, later.id)
            assert await backend.admin.prune(AT_ONCE, 10) == 4
            assert await backend.operations.swap(msgspec.structs.replace(operation, version=2, active=False))
            assert [image.record.id for image in (await backend.reader.export(limit=10)).jobs] == [jobs[3].id]
