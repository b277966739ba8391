"""Lanes under several connections at once, each step held until the other has come where it shall."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backburner.model.clock import SECOND
from backburner.model.job import JobState
from backburner.model.lane import Limit, Rate
from backburner.model.node import QueueRecord
from backburner.ports.jobs import Keep
from backburner.testing.contracts.limiting import GATE, add_in, declare, fill, lane, places
from backburner.testing.contracts.making import add, ask, claim, ids, new, publish, put, settle, to_settle
from tests.unit.postgres.stranger import stranger

if TYPE_CHECKING:
    from backburner.backends.postgres.backend import PostgresBackend
    from backburner.backends.postgres.place import PostgresPlace
    from backburner.testing import FakeClock
    from tests.unit.postgres.stranger import Stranger


@pytest.fixture
async def backend(backend: PostgresBackend) -> PostgresBackend:
    """Bring a store with two nodes and one slot in the lane x."""
    for node in ("node", "other"):
        await publish(backend, node)
    await declare(backend, slots=1)
    return backend


async def claiming(them: Stranger, clock: FakeClock) -> Any:  # noqa: ANN401 - what the function answers
    """Claim for the other node, in a transaction that stays open."""
    return await them.call("claim", **msgspec.to_builtins(ask("other")), now=clock.now())


async def test_a_run_ends_while_the_next_is_parked(
    patient: PostgresBackend, place: PostgresPlace, clock: FakeClock
) -> None:
    """Who ends a run waits for a claim that parks somebody for that run just now, and opens the lane for him."""
    (holder,) = await fill(patient, 1)
    (job,) = await add_in(patient, 1)
    async with stranger(place) as them:
        assert (await claiming(them, clock))["claims"] == []
        task = asyncio.ensure_future(patient.jobs.settle("node", [to_settle(holder)]))
        await them.blocks(task)
        await them.commit()
        assert (await task).let_in == 1
    assert ids(await claim(patient, "other")) == [job.id]


async def test_the_next_is_looked_at_while_a_run_ends(
    backend: PostgresBackend, place: PostgresPlace, clock: FakeClock
) -> None:
    """A claim waits for nobody: who names a lane where a run is ending stays in line, and is asked for soon; others go on."""
    (holder,) = await fill(backend, 1)
    (job,) = await add_in(backend, 1)
    free = await add(backend)
    async with stranger(place) as them:
        ended = msgspec.to_builtins(to_settle(holder))
        await them.call("settle", node="node", completed=[ended], now=clock.now())
        batch = await backend.jobs.claim(ask("other"))
        assert ids(batch.claims) == [free.id]
        assert batch.wait is not None
        assert 0 < batch.wait < SECOND
        assert await places(backend, [job]) == [""]
        await them.commit()
    assert ids(await claim(backend, "other")) == [job.id]


@pytest.mark.parametrize("known", [True, False])
async def test_one_slot_is_taken_once(
    backend: PostgresBackend, place: PostgresPlace, clock: FakeClock, *, known: bool
) -> None:
    """Of two claims of a lane's one slot one gets it, also where nobody has named the lane before."""
    if known:
        await settle(backend, (await fill(backend, 1))[0])
    first, second = await add_in(backend, 2)
    async with stranger(place) as them:
        taken = await them.call("claim", **msgspec.to_builtins(ask("other", limit=1)), now=clock.now())
        assert [each[0] for each in taken["claims"]] == [first.id]
        batch = await backend.jobs.claim(ask())
        assert batch.claims == ()
        assert batch.wait is not None
        assert batch.wait < SECOND
        await them.commit()
    assert await claim(backend) == ()
    assert await places(backend, [second]) == [GATE]
    assert (await lane(backend)).holders == (first.id,)


async def test_stored_while_a_lane_is_emptied(backend: PostgresBackend, place: PostgresPlace, clock: FakeClock) -> None:
    """Who comes while the last of those who stand at a lane is let in goes to the line: nobody is left behind there."""
    (holder,) = await fill(backend, 1)
    (job,) = await add_in(backend, 1)
    await claim(backend)
    await settle(backend, holder)
    assert await places(backend, [job]) == [GATE]
    async with stranger(place) as them:
        assert [each[0] for each in (await claiming(them, clock))["claims"]] == [job.id]
        late = new(lanes=("x",))
        await put(backend, late)
        assert await places(backend, [late]) == [""]
        await them.commit()
    assert await claim(backend) == ()
    assert await places(backend, [late]) == [GATE]


async def test_emptied_while_another_is_stored(
    backend: PostgresBackend, place: PostgresPlace, clock: FakeClock
) -> None:
    """A lane where somebody is being put just now opens once he is there."""
    (holder,) = await fill(backend, 1)
    (job,) = await add_in(backend, 1)
    await claim(backend)
    await settle(backend, holder)
    late = new(lanes=("x",))
    async with stranger(place) as them:
        await them.call("enqueue", tail=[late], lanes=["x"], now=clock.now())
        batch = await backend.jobs.claim(ask())
        assert batch.claims == ()
        assert batch.wait is not None
        assert batch.wait < SECOND
        await them.commit()
    assert await places(backend, [job, late]) == [GATE, GATE]
    (claimed,) = await claim(backend)
    assert claimed.id == job.id
    await settle(backend, claimed)
    assert ids(await claim(backend)) == [late.id]


async def test_a_limit_rises_while_somebody_is_parked(
    patient: PostgresBackend, place: PostgresPlace, clock: FakeClock
) -> None:
    """Another limit waits for claims that go by the one before, and opens the lane for those whom these park."""
    await fill(patient, 1)
    (job,) = await add_in(patient, 1)
    async with stranger(place) as them:
        assert (await claiming(them, clock))["claims"] == []
        task = asyncio.ensure_future(patient.limits.declare({"x": Limit(slots=2)}))
        await them.blocks(task)
        await them.commit()
        await task
    assert ids(await claim(patient)) == [job.id]


async def test_nobody_is_parked_while_a_limit_changes(
    backend: PostgresBackend, place: PostgresPlace, clock: FakeClock
) -> None:
    """While a limit changes, claims leave those who name any lane in line, and hand out the others."""
    await fill(backend, 1)
    (job,) = await add_in(backend, 1)
    free = await add(backend)
    async with stranger(place) as them:
        await them.call("declare", limits={"x": '{"slots":2}'}, now=clock.now())
        assert ids(await claim(backend)) == [free.id]
        assert await places(backend, [job]) == [""]
        await them.commit()
    assert ids(await claim(backend)) == [job.id]


async def test_a_caller_s_transaction_holds_no_lane(backend: PostgresBackend, place: PostgresPlace) -> None:
    """A run completed in an app's own transaction has its slot until that commits; meanwhile the lane is everybody's."""
    await declare(backend, slots=2)
    first, second = await fill(backend, 2)
    jobs = await add_in(backend, 2)
    async with stranger(place) as app:
        await backend.jobs.settle("node", [to_settle(first)], tx=app.connection)
        late = new(lanes=("x",))
        await backend.jobs.enqueue([[late]], tx=app.connection)
        assert await claim(backend) == ()
        settled = await backend.jobs.settle("node", [to_settle(second)], ask())
        assert settled.let_in == 1
        assert settled.batch is not None
        assert ids(settled.batch.claims) == [jobs[0].id]
        await app.commit()
    assert await places(backend, [jobs[1], late]) == [GATE, ""]
    assert await backend.admin.release(10) == 1
    assert ids(await claim(backend)) == [jobs[1].id]
    assert await places(backend, [late]) == [GATE]


async def test_a_lane_that_is_locked_for_long(backend: PostgresBackend, place: PostgresPlace, clock: FakeClock) -> None:
    """Should somebody have a lane locked for longer than anybody waits, its runs end all the same; `release` opens it."""
    (holder,) = await fill(backend, 1)
    (job,) = await add_in(backend, 1)
    async with stranger(place) as them:
        assert (await claiming(them, clock))["claims"] == []
        settled = await backend.jobs.settle("node", [to_settle(holder)])
        assert (settled.stale, settled.busy, settled.let_in) == ((), (), 0)
        await them.commit()
    assert await places(backend, [holder, job]) == [str(JobState.COMPLETED), GATE]
    assert await claim(backend) == ()
    assert await backend.admin.release(10) == 1
    assert ids(await claim(backend)) == [job.id]


async def test_pruned_while_it_is_named_again(backend: PostgresBackend, place: PostgresPlace, clock: FakeClock) -> None:
    """What is left of a lane may go while somebody names it again: he is asked for soon."""
    await settle(backend, (await fill(backend, 1))[0])
    first, _ = await add_in(backend, 2)
    async with stranger(place) as steward:
        keep = msgspec.to_builtins(Keep(completed=None, cancelled=None, dead=None))
        await steward.call("prune", **keep, limit=10, after_lane="", now=clock.now())
        assert await claim(backend) == ()
        await steward.commit()
    assert ids(await claim(backend)) == [first.id]
    assert await claim(backend, "other") == ()


async def test_a_queue_s_rate_is_spent_once(backend: PostgresBackend, place: PostgresPlace, clock: FakeClock) -> None:
    """While one claim takes a queue's permits, another leaves that queue alone, and comes back soon."""
    await backend.queues.set(QueueRecord(name="default", rate=Rate(limit=1, period=60 * SECOND)))
    first, second = [await add(backend) for _ in range(2)]
    async with stranger(place) as them:
        assert [each[0] for each in (await claiming(them, clock))["claims"]] == [first.id]
        batch = await backend.jobs.claim(ask())
        assert batch.claims == ()
        assert batch.wait is not None
        assert batch.wait < SECOND
        await them.commit()
    assert (await backend.jobs.claim(ask())).wait == 60 * SECOND
    clock.move(60)
    assert ids(await claim(backend)) == [second.id]
