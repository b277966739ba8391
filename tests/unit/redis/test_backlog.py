"""The backlog on Redis: what it costs, and what is counted where there is no index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backburner.model.clock import SECOND
from backburner.model.job import Ending, JobState
from backburner.ports.jobs import QueueBacklog
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    claim,
    dead,
    keyed,
    new,
    publish,
    settle,
    to_settle,
)
from tests.unit.redis.test_scripts_bounds import calls

if TYPE_CHECKING:
    from collections import Counter

    from backburner.backends.redis.backend import RedisBackend
    from backburner.backends.redis.session import Session
    from backburner.testing.clock import FakeClock


async def _of(backend: RedisBackend, queue: str = "default") -> QueueBacklog:
    return next(one for one in (await backend.reader.backlog()).queues if one.queue == queue)


async def test_it_costs_the_same_however_much_there_is(backend: RedisBackend, session: Session) -> None:
    """More jobs, waiting, due later, failed, running, dead or at gates, are counted by as many commands."""
    await publish(backend)

    gates = ("g", "unknown:other", "lane:x")

    async def fill(count: int) -> None:
        await backend.jobs.enqueue([[new() for _ in range(3 * count)]])
        claims = await claim(backend, limit=3 * count)
        failed = [to_settle(each, JobState.DEAD) for each in claims[:count]]
        failed += [
            to_settle(each, JobState.PENDING, ending=Ending.FAILED, failed=1, delay=SECOND)
            for each in claims[count : 2 * count]
        ]
        await backend.jobs.settle("node", failed)
        others: list[dict[str, Any]] = [{}, {"delay": SECOND}, *({"gate": gate} for gate in gates)]
        await backend.jobs.enqueue([[new(**fields) for fields in others for _ in range(count)]])

    async def cost() -> Counter[str]:
        await session.client.call("CONFIG", "RESETSTAT")
        await backend.reader.backlog()
        return await calls(session)

    await fill(1)
    await cost()
    before = await cost()
    await fill(300)
    assert await cost() == before
    assert await _of(backend) == QueueBacklog(
        queue="default",
        waiting=301,
        oldest=session.clock.now(),
        scheduled=301,
        retrying=301,
        held=3 * 301,
        running=301,
        dead=301,
    )


async def test_who_failed_leaves_the_line(backend: RedisBackend, session: Session, clock: FakeClock) -> None:
    """Jobs that failed are counted until they leave the line, whichever way; nothing is left of them there."""
    await publish(backend)

    async def fail(**fields: Any) -> str:  # noqa: ANN401 - any field of a job
        claimed = await add_claimed(backend, **fields)
        await settle(backend, claimed, JobState.PENDING, ending=Ending.FAILED, failed=1, delay=SECOND)
        return claimed.id

    cancelled = await fail()
    await fail(expires_in=SECOND)
    await fail()
    assert (await _of(backend)).retrying == 3
    await backend.admin.cancel([cancelled])
    assert (await _of(backend)).retrying == 2
    clock.move(1)
    assert (await backend.jobs.recover("node", 10)).jobs
    assert len(await claim(backend)) == 1
    assert await session.client.call("EXISTS", session.keys.retrying) == 0


async def test_very_many_lanes_and_keys(backend: RedisBackend) -> None:
    """However many lanes have jobs, and jobs wait for keys, each of them is counted."""
    await publish(backend)
    await backend.jobs.enqueue([[new(gate=f"lane:x/{at}", queue=f"q{at % 2}") for at in range(2100)]])
    claimed = await add_claimed(backend)
    holder = await add(backend, unique=keyed(), delay=SECOND)
    waiting = tuple(new(unique=keyed(), queue=f"q{at % 3}") for at in range(1200))
    await settle(backend, claimed, jobs=waiting)
    held = {one.queue: one.held for one in (await backend.reader.backlog()).queues}
    assert held == {"default": 0, "q0": 1050 + 400, "q1": 1050 + 400, "q2": 400}
    await backend.admin.cancel([holder.id])
    assert sum(one.held for one in (await backend.reader.backlog()).queues) == 2100 + 1199


async def test_letters_that_have_no_index(backend: RedisBackend, session: Session) -> None:
    """Letters of a version that kept no index of their queues are counted nevertheless, one by one."""
    await publish(backend)
    letters = [await dead(backend, queue=f"q{at % 2}") for at in range(5)]
    assert await session.client.call("ZREM", session.keys.letters, b"q1\0" + letters[1].id.encode()) == 1
    counted = {one.queue: one.dead for one in (await backend.reader.backlog()).queues}
    assert counted == {"q0": 3, "q1": 2}
    await backend.admin.purge(letters[1:2])
    await backend.admin.replay(letters[:1])
    found = {one.queue: (one.waiting, one.dead) for one in (await backend.reader.backlog()).queues}
    assert found == {"q0": (1, 2), "q1": (0, 1)}
