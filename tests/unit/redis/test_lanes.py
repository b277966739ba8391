"""What lanes cost in scripts: bounded work in one, however many lanes and jobs there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.model.clock import SECOND
from backburner.model.job import SUSPECT_GATE
from backburner.model.lane import Algorithm, Limit, LimitRecord, Rate
from backburner.model.node import QueueRecord
from backburner.testing.contracts.making import add, ask, claim, ids, new, publish
from tests.unit.redis.test_scripts_bounds import AT_ONCE, calls

if TYPE_CHECKING:
    from backburner.backends.redis.backend import RedisBackend
    from backburner.backends.redis.session import Session
    from backburner.testing.clock import FakeClock
    from tests.servers.redis import Namespace

#: Lanes that one script opens when their limit changes, and that one claim lets jobs in from.
OPENED, LET_IN = 1000, 100
SHUT = Limit(slots=0)


async def test_very_many_lanes_are_opened_in_portions(backend: RedisBackend, session: Session) -> None:
    """A limit that changes opens all its lanes where jobs stand, in several scripts; claims let in from some at a time."""
    await publish(backend)
    await backend.limits.declare({"x": SHUT})
    lanes = ["x", *(f"x/{number}" for number in range(2 * OPENED + 500)), "x-other", "x0"]
    jobs = [new(lanes=(lane,), gate=f"lane:{lane}") for lane in lanes]
    await backend.jobs.enqueue([jobs])
    # The script is loaded.
    await session.scripts.run("limits_open", session.keys.tables, ("nobody", "nobody/1"))
    await session.client.call("CONFIG", "RESETSTAT")
    await backend.limits.declare({"x": Limit(slots=1)})
    assert (await calls(session))["evalsha"] == 3
    found: list[str] = []
    batch = await backend.jobs.claim(ask(limit=LET_IN))
    while batch.claims:
        assert len(batch.claims) <= LET_IN
        found += ids(batch.claims)
        batch = await backend.jobs.claim(ask(limit=LET_IN))
    assert sorted(found) == ids(jobs[:-2])
    assert batch.wait is None


async def test_declared_as_it_was_nothing_is_written(backend: RedisBackend, session: Session) -> None:
    """A limit or a cell's limit that is as it was costs a look, and tells nobody."""
    limits = {"x": Limit(slots=1, rate=Rate(limit=1, period=SECOND)), "y": SHUT}
    await backend.limits.declare(limits)
    await backend.cells.swap("y", "1", 0)
    await session.client.call("CONFIG", "RESETSTAT")
    await backend.limits.declare(limits)
    counted = await calls(session)
    assert (counted["hset"], counted["publish"]) == (0, 0)
    await backend.cells.swap("y", "2", 1, SHUT)
    counted = await calls(session)
    assert (counted["hset"], counted["publish"]) == (1, 0)


async def test_refused_suspects_are_passed_over_in_bounds(backend: RedisBackend, session: Session) -> None:
    """However many suspects a lane refuses, a claim asks about some, and comes back in a second."""
    await publish(backend)
    await backend.limits.declare({"x": SHUT})
    costs = []
    for number in (100, 400):
        await backend.jobs.enqueue([[new(lanes=("x",), gate=SUSPECT_GATE) for _ in range(number)]])
        await session.client.call("CONFIG", "RESETSTAT")
        batch = await backend.jobs.claim(ask())
        assert (batch.claims, batch.wait) == ((), SECOND)
        costs.append((await calls(session)).total())
    assert costs[1] <= costs[0] + 5
    free = await add(backend)
    assert ids(await claim(backend)) == [free.id]


async def test_what_was_used_does_not_come_back(backend: RedisBackend) -> None:
    """A limit that is gone, and comes back by another algorithm, finds nothing of what was used before; by the same it does."""
    await publish(backend)
    hour = 3600 * SECOND
    by_window, evenly = (
        Rate(limit=1, period=hour, algorithm=algorithm) for algorithm in (Algorithm.FIXED, Algorithm.GCRA)
    )
    await backend.limits.override("x", Limit(rate=by_window), by=None, reason=None)
    await add(backend, lanes=("x",))
    assert len(await claim(backend)) == 1
    for rate, free in ((by_window, False), (evenly, True), (by_window, True)):
        await backend.limits.override("x", None, by=None, reason=None)
        assert await backend.limits.list() == ()
        await backend.limits.override("x", Limit(rate=rate), by=None, reason=None)
        assert await backend.limits.list() == (LimitRecord(name="x", override=Limit(rate=rate)),)
        page = await backend.limits.lanes(["x"])
        assert (page.lanes[0].free_at == page.now) is free


async def test_meters_are_forgotten(
    backend: RedisBackend, session: Session, redis_namespace: Namespace, clock: FakeClock
) -> None:
    """Of rates nothing is left once they are unused, of as many lanes as there were; of a lease once it is over."""
    await publish(backend)
    await backend.limits.declare({"x": Limit(rate=Rate(limit=1, period=SECOND))})
    await backend.queues.set(QueueRecord(name="default", rate=Rate(limit=1000, period=SECOND, burst=1000)))
    await backend.jobs.enqueue([[new(lanes=(f"x/{number}",)) for number in range(700)]])
    assert len(await claim(backend, limit=1000)) == 700
    await backend.leases.acquire("lock", "holder", SECOND, shared=False)
    assert await session.client.call("HLEN", session.keys.meters) == 701
    clock.move(2)
    for _ in range(2):
        assert await backend.admin.prune(AT_ONCE, 10) == 0
    names = redis_namespace.keys()
    left = {name.rpartition(":")[2] for name in names}
    assert left.isdisjoint({"meters", "filling", "locks", "lapsing"})
