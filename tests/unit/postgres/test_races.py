"""Several connections at once, each step held until the other has come where it shall: what no single one can see."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from backburner.backends.postgres.backend import PostgresBackend
from backburner.model.clock import SECOND
from backburner.model.job import JobState
from backburner.model.node import QueueRecord
from backburner.ports.jobs import Birth, GroupAnswer
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    ask,
    held,
    ids,
    new,
    publish,
    put,
    read,
    to_settle,
)
from tests.unit.postgres.stranger import stranger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backburner.backends.postgres.place import PostgresPlace
    from backburner.testing import FakeClock


@pytest.fixture
async def other(place: PostgresPlace, clock: FakeClock, backend: PostgresBackend) -> AsyncIterator[PostgresBackend]:
    """Bring another process's connections."""
    del backend
    made = PostgresBackend(place, clock=clock)
    await made.open(create=False)
    yield made
    await made.close()


async def test_an_operators_slots_hold_for_births_and_claims_at_once(
    backend: PostgresBackend, place: PostgresPlace
) -> None:
    """While a birth that takes the last slot is being stored, a claim of the same node leaves it that slot."""
    await publish(backend)
    await backend.queues.set(QueueRecord(name="default", slots=1))
    born, later = new(), new()
    async with stranger(place) as intake:
        part = {"head": [born], "owners": [0], "tokens": [7]}
        answer = await intake.call("enqueue", node="node", parts=[part], now=(await backend.reader.get([])).now)
        assert answer["parts"][0]["born"] == [1]
        await put(backend, later)
        batch = await backend.jobs.claim(ask())
        assert batch.claims == ()
        await intake.commit()
    assert await held(backend) == {born.id: 7}


async def test_an_operators_slots_hold_for_claims_and_births_at_once(
    backend: PostgresBackend, place: PostgresPlace
) -> None:
    """While a claim that takes the last slot is under way, nothing of the same node is born there."""
    await publish(backend)
    await backend.queues.set(QueueRecord(name="default", slots=1))
    first = await add(backend)
    async with stranger(place) as runs:
        request = msgspec.to_builtins(ask())
        answer = await runs.call("claim", **request, now=(await backend.reader.get([])).now)
        assert [each[0] for each in answer["claims"]] == [first.id]
        late = new(priority=0)
        (told,) = (await backend.jobs.enqueue([[late]], Birth("node", {late.id: 7}))).groups
        assert told == GroupAnswer()
        await runs.commit()
    assert list(await held(backend)) == [first.id]


async def test_a_follow_up_held_elsewhere_holds_up_no_other(backend: PostgresBackend, place: PostgresPlace) -> None:
    """A settlement whose follow-up's id is in somebody's open transaction is busy; the others are written."""
    await publish(backend)
    first, second = [await add_claimed(backend) for _ in range(2)]
    job = new()
    async with stranger(place) as app:
        await backend.jobs.enqueue([[job]], tx=app.connection)
        mine = [to_settle(first, jobs=(job,)), to_settle(second)]
        settled = await backend.jobs.settle("node", mine, ask())
        assert (settled.busy, settled.stale) == ((first.id,), ())
        assert settled.batch is not None
        assert list(await held(backend)) == [first.id]
        await app.commit()
    assert (await backend.jobs.settle("node", [to_settle(first, jobs=(job,))])).busy == ()
    assert await held(backend) == {}


async def test_what_is_locked_for_a_moment_is_waited_for(patient: PostgresBackend, place: PostgresPlace) -> None:
    """A run that completes itself while its own note is still being written waits for that."""
    await publish(patient)
    claimed = await add_claimed(patient)
    async with stranger(place) as node, stranger(place) as app:
        note = msgspec.to_builtins(to_settle(claimed, JobState.RUNNING, progress=(1, 2)))
        await node.call("settle", node="node", others=[note])
        task = asyncio.ensure_future(patient.jobs.settle("node", [to_settle(claimed)], tx=app.connection))
        await node.blocks(task)
        await node.commit()
        assert (await task).stale == ()
        await app.commit()
    assert (await read(patient, claimed.id)).state is JobState.COMPLETED


async def test_one_that_another_claim_looked_at_is_asked_for_soon(
    backend: PostgresBackend, other: PostgresBackend, place: PostgresPlace
) -> None:
    """A claim locks one job more than it takes, to tell whether there is more: others come back for it at once."""
    first, second = [await add(backend) for _ in range(2)]
    for node in ("node", "other"):
        await publish(backend, node)
    async with stranger(place) as runs:
        now = (await backend.reader.get([])).now
        answer = await runs.call("claim", **msgspec.to_builtins(ask(limit=1)), now=now)
        assert ([each[0] for each in answer["claims"]], answer["wait"]) == ([first.id], 0)
        batch = await other.jobs.claim(ask("other"))
        assert batch.claims == ()
        assert batch.wait is not None
        assert 0 < batch.wait < SECOND
        await runs.commit()
    assert ids((await other.jobs.claim(ask("other"))).claims) == [second.id]


@pytest.mark.parametrize("committed", [True, False])
async def test_what_a_dead_node_s_run_completes(
    backend: PostgresBackend, place: PostgresPlace, *, committed: bool
) -> None:
    """Recovering passes over a run that completes itself in a transaction, and strikes no node that holds one."""
    for node in ("node", "steward"):
        await publish(backend, node)
    claimed, lapsed = [await add_claimed(backend) for _ in range(2)]
    async with stranger(place) as app:
        await backend.jobs.settle("node", [to_settle(claimed)], tx=app.connection)
        async with backend.keeper() as keeper:
            await keeper.abandon("node")
        found = await backend.jobs.recover("steward", 10)
        assert [job.claim.id for job in found.jobs] == [lapsed.id]
        assert "node" in {node.id for node in await backend.nodes.find()}
        await app.connection.execute("COMMIT" if committed else "ROLLBACK")
    found = await backend.jobs.recover("steward", 10)
    assert [job.claim.id for job in found.jobs] == ([] if committed else [claimed.id])
    assert "node" not in {node.id for node in await backend.nodes.find()}


async def test_two_recover_at_once(backend: PostgresBackend, other: PostgresBackend, place: PostgresPlace) -> None:
    """Of two that recover the same node each job is one's, and the second waits for nothing: not to strike it either."""
    for node in ("node", "idle", "steward", "other"):
        await publish(backend, node)
    claimed = await add_claimed(backend)
    async with backend.keeper() as keeper:
        await keeper.abandon("node")
        await keeper.abandon("idle")
    async with stranger(place) as steward:
        now = (await backend.reader.get([])).now
        found = await steward.call("recover", now=now, node="steward", limit=10)
        assert [each["claim"][0] for each in found["jobs"]] == [claimed.id]
        assert (await other.jobs.recover("other", 10)).jobs == ()
        await steward.commit()
    assert (await other.jobs.recover("other", 10)).jobs == ()
    assert list(await held(backend, "steward")) == [claimed.id]
    assert {node.id for node in await backend.nodes.find()} == {"steward", "other"}
