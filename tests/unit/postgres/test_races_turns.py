"""Jobs of a lane of one slot, where claims that cross come to the later one first: they start in their order all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner.backends.postgres.floors import IN_A_ROW, SLOW, Floors
from backburner.model.clock import SECOND
from backburner.model.job import JobImage, JobState
from backburner.ports.jobs import ClaimBatch, Keep
from backburner.testing import FakeClock
from backburner.testing.contracts.limiting import GATE, add_in, declare, fill, lane, places
from backburner.testing.contracts.making import add, add_each, ask, claim, dead, ids, new, publish, read, settle
from tests.unit.postgres.stranger import stranger

if TYPE_CHECKING:
    from backburner.backends.postgres.backend import PostgresBackend
    from backburner.backends.postgres.place import PostgresPlace
    from backburner.model.job import NewJob
    from tests.unit.postgres.stranger import Stranger

#: Seconds after which who stands aside is asked for again.
AGAIN = 0.05


@pytest.fixture
async def backend(backend: PostgresBackend) -> PostgresBackend:
    """Bring a store with two nodes and one slot in the lane x."""
    for node in ("node", "other"):
        await publish(backend, node)
    await declare(backend, slots=1)
    return backend


async def lock(them: Stranger, *jobs: NewJob) -> None:
    """Lock the rows of jobs, as a claim does that meets them, or a person's transaction."""
    locked = f"SELECT FROM {them.schema}.jobs WHERE id = ANY ($1) FOR UPDATE"
    await them.connection.execute(locked, ids(jobs))


async def stands_aside(backend: PostgresBackend, *jobs: NewJob) -> None:
    """See that a claim hands out nobody, parks these, and is to be made again soon."""
    batch = await backend.jobs.claim(ask())
    assert batch.claims == ()
    assert batch.wait is not None
    assert 0 < batch.wait < SECOND
    assert await places(backend, jobs) == [GATE] * len(jobs)


async def each_in_turn(backend: PostgresBackend, *jobs: NewJob) -> None:
    """See that these are handed out one by one, in this order, and nobody else."""
    for job in jobs:
        (claimed,) = await claim(backend)
        assert claimed.id == job.id
        assert (await lane(backend)).holders == (job.id,)
        await settle(backend, claimed)
    assert await claim(backend) == ()


async def test_two_claims_that_cross(backend: PostgresBackend, place: PostgresPlace, clock: FakeClock) -> None:
    """One has met the first two and found the lane locked, the other comes to the third when it no longer is."""
    await settle(backend, (await fill(backend, 1))[0])
    jobs = await add_in(backend, 3)
    async with stranger(place) as them:
        async with stranger(place) as third:
            await third.connection.execute(f"SELECT FROM {place.schema}.lanes WHERE name = 'x' FOR UPDATE")
            demand = {"node": "other", "queues": {"default": 1}, "limit": 1, "kinds": ["note"]}
            assert (await them.call("claim", **demand, now=clock.now()))["claims"] == []
            await third.commit()
        await stands_aside(backend, jobs[2])
        await them.commit()
    await each_in_turn(backend, *jobs)


async def test_in_the_order_of_the_line(backend: PostgresBackend, place: PostgresPlace, clock: FakeClock) -> None:
    """Whoever is before who is asked for again goes first, however often that was; nobody is left behind."""
    jobs = await add_in(backend, 4)
    async with stranger(place) as them:
        await lock(them, jobs[0], jobs[2])
        await stands_aside(backend, jobs[1], jobs[3])
        clock.move(AGAIN)
        await stands_aside(backend, jobs[1], jobs[3])
        await them.commit()
    clock.move(AGAIN)
    await each_in_turn(backend, *jobs)


@pytest.mark.parametrize("slow", [False, True])
async def test_before_the_floors(backend: PostgresBackend, *, slow: bool) -> None:
    """Who stands before the floors is found by the same claim; where it does not look from the head, by the next."""
    early, late = new(lanes=("x",)), new(lanes=("x",), id="~")
    free = await add(backend)
    floors = Floors(FakeClock(), steady=True)
    backend.jobs._floors = floors
    assert ids(await claim(backend)) == [free.id]
    for _ in range(IN_A_ROW if slow else 0):
        floors.learn(ClaimBatch(now=1), SLOW + 1)
    await add_each(backend, [early, late])
    if slow:
        await stands_aside(backend, late)
    assert ids(await claim(backend)) == [early.id]
    assert await places(backend, [late]) == [GATE]


async def test_others_go_on(backend: PostgresBackend, place: PostgresPlace) -> None:
    """However many wait for one whose row is locked, who needs no lane behind them is handed out."""
    jobs = await add_in(backend, 40)
    free = await add(backend)
    async with stranger(place) as them:
        await lock(them, jobs[0])
        assert ids(await claim(backend, limit=1)) == [free.id]
        await them.commit()
    assert ids(await claim(backend, limit=1)) == [jobs[0].id]


async def test_cancelled_before_his_turn(backend: PostgresBackend, place: PostgresPlace, clock: FakeClock) -> None:
    """Who waited for one that is cancelled is let in soon, by no other doing."""
    first, second = await add_in(backend, 2)
    async with stranger(place) as them:
        await them.call("cancel", ids=[first.id], reason="why", now=clock.now())
        await stands_aside(backend, second)
        await them.commit()
    assert await claim(backend) == ()
    clock.move(AGAIN)
    await each_in_turn(backend, second)
    assert await places(backend, [first]) == [JobState.CANCELLED]


@pytest.mark.parametrize(
    "fields", [{"queue": "other"}, {"priority": 4}, {"lanes": ("x/1",)}, {"lanes": ("x", "x/1")}, {"delay": 1}], ids=str
)
async def test_waits_for_no_other(backend: PostgresBackend, place: PostgresPlace, fields: dict[str, object]) -> None:
    """Another queue, priority or lane has an order of its own, and who is due later comes later."""
    first = await add(backend, **{"lanes": ("x",)} | fields)
    second = await add(backend, lanes=("x",))
    async with stranger(place) as them:
        await lock(them, first)
        assert ids(await claim(backend)) == [second.id]
        await them.commit()


async def test_waits_for_nobody_at_another_gate(backend: PostgresBackend) -> None:
    """Who stands where a claim does not take him from, or another lane refused him, lets the next by."""
    await declare(backend, "shut", slots=0)
    await add(backend, kind="strange", lanes=("x",))
    await add(backend, lanes=("shut", "x"))
    assert await claim(backend) == ()
    free = await add(backend, lanes=("x",))
    assert ids(await claim(backend)) == [free.id]


async def test_refused_by_the_same_claim(backend: PostgresBackend) -> None:
    """Whom another lane refuses lets the next by at once."""
    await declare(backend, "shut", slots=0)
    first = await add(backend, lanes=("x", "shut"))
    second = await add(backend, lanes=("x",))
    assert ids(await claim(backend)) == [second.id]
    assert await places(backend, [first]) == ["lane:shut"]


async def test_replayed(backend: PostgresBackend, place: PostgresPlace, clock: FakeClock) -> None:
    """A dead letter that is brought back takes its turn from then on."""
    letter = await dead(backend, lanes=("x",))
    clock.move(1)
    await backend.admin.replay([letter])
    clock.move(1)
    later = await add(backend, lanes=("x",))
    async with stranger(place) as them:
        await them.connection.execute(f"SELECT FROM {place.schema}.jobs WHERE id = '{letter.id}' FOR UPDATE")
        await stands_aside(backend, later)
        await them.commit()
    (claimed,) = await claim(backend)
    assert claimed.id == letter.id


async def test_restored(backend: PostgresBackend, place: PostgresPlace) -> None:
    """Who comes from another store takes his turn here."""
    job = await add(backend, lanes=("x",))
    image = JobImage(record=await read(backend, job.id))
    await backend.admin.cancel([job.id])
    assert await backend.admin.prune(Keep(completed=None, cancelled=0, dead=None), 10) == 1
    await backend.admin.restore([image])
    later = await add(backend, lanes=("x",))
    async with stranger(place) as them:
        await lock(them, job)
        await stands_aside(backend, later)
        await them.commit()
    await each_in_turn(backend, job, later)


@pytest.mark.parametrize("slots", [2, None])
async def test_no_turns_without_one_slot(backend: PostgresBackend, place: PostgresPlace, slots: int | None) -> None:
    """Lanes of more slots, and of none, keep no order, and nothing is written of one."""
    await declare(backend, "wide", slots=slots)
    first, second = await add_in(backend, 2, "wide")
    async with stranger(place) as them:
        count = f"SELECT count(turn) FROM {place.schema}.jobs"  # noqa: S608 - a schema of ours
        assert await them.connection.fetchval(count) == 0
        await lock(them, first)
        assert ids(await claim(backend)) == [second.id]
        await them.commit()


async def test_more_slots_than_when_they_were_stored(backend: PostgresBackend) -> None:
    """Once a lane has more, those who took turns there run beside one another at once."""
    jobs = await add_in(backend, 2)
    await declare(backend, slots=2)
    assert ids(await claim(backend)) == ids(jobs)
