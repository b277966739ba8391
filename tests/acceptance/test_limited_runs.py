"""Jobs of every form in a lane with room for one: parents, follow-ups, retries, threads, processes, transactions."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from backburner import JobCancelled, JobExpired, Registry, Snooze, Unique, current_job
from tests.acceptance import limited
from tests.acceptance.callers import Shop
from tests.acceptance.crews import crew, empty, finished, lane, store
from tests.acceptance.gauge import Gauge, turn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backburner import Backburner


async def test_a_parent_lends_its_room_to_its_children(make: Callable[..., Backburner]) -> None:
    """A parent that awaits a child, or a group, of its own lane stands aside for it: room for one is enough."""
    jobs, gauge = Registry(), Gauge()

    @jobs.job(concurrency=1)
    async def walk(depth: int) -> int:
        bb = engines[0]
        with gauge.run():
            await turn(0)
        if depth == 0:
            return 1
        one = await (await bb.create_task(walk(depth - 1)))
        async with bb.TaskGroup() as group:
            rest = [group.create_task(walk(depth - 1)) for _ in range(2)]
        return 1 + one + sum([await each for each in rest])

    # Parent and children are stored by one engine here; either may run them.
    async with crew(make, jobs) as engines:
        handle = await engines[0].create_task(walk(2))
        assert await handle == 13
        await empty(engines[0], "concurrency:walk")
    assert (gauge.most[""], gauge.begun[""]) == (1, 13)


async def test_follow_ups_wait_their_turn(make: Callable[..., Backburner]) -> None:
    """`then` stores into a full lane what waits there, and starts it once there is room."""
    jobs, gauge, go = Registry(), Gauge(), asyncio.Event()
    said: list[str] = []

    @jobs.job(concurrency=1)
    async def mail(number: int) -> int:
        with gauge.run():
            await go.wait()
        return number

    @jobs.job
    async def order() -> None:
        said.extend(current_job().then(mail(number)) for number in (1, 2))

    async with crew(make, jobs) as engines:
        bb = engines[0]
        first = await bb.create_task(mail(0))
        await gauge.until(lambda: gauge.now[""] == 1)
        await finished([await bb.create_task(order())])
        while not (await lane(bb, "concurrency:mail")).parked:
            await turn()
        go.set()
        ended = await finished([first, *(bb.handle(name, mail) for name in said)])
        await empty(bb, "concurrency:mail")
    assert gauge.most[""] == 1
    assert {(each.state, each.attempt) for each in ended} == {("completed", 1)}


async def test_each_try_asks_again(make: Callable[..., Backburner]) -> None:
    """Between two tries a job holds nothing: failed, snoozed, out of time or delayed, others have its room meanwhile."""
    jobs, gauge = Registry(), Gauge()

    @jobs.job(concurrency=1, timeout=0.05)
    async def work(how: str) -> int:
        attempt = current_job().attempt
        with gauge.run():
            if how == "fails" and attempt < 3:
                raise ConnectionError
            if how == "snoozes" and attempt < 3:
                raise Snooze(0.001)
            if how == "hangs" and attempt == 1:
                await asyncio.Event().wait()
        return attempt

    async with crew(make, jobs) as engines:
        bb = engines[0]
        handles = await store(engines, [work(how) for how in ("fails", "snoozes", "hangs", "works") for _ in range(3)])
        handles += await bb.create_tasks([work("works") for _ in range(3)], delay=0.1)
        ended = await finished(handles)
        await empty(bb, "concurrency:work")
    assert gauge.most[""] == 1
    assert {each.state for each in ended} == {"completed"}
    assert sorted(each.attempt for each in ended) == [1] * 6 + [2] * 3 + [3] * 6


async def test_whoever_waits_can_be_cancelled_found_and_expire(make: Callable[..., Backburner]) -> None:
    """Standing at a lane a job is cancelled, is found by its unique key, and expires, as any other; then it leaves no trace."""
    jobs, gauge, go = Registry(), Gauge(), asyncio.Event()

    @jobs.job(concurrency=1)
    async def work(number: int) -> int:
        with gauge.run():
            await go.wait()
        return number

    async with crew(make, jobs) as engines:
        bb = engines[0]
        first = await bb.create_task(work(0))
        await gauge.until(lambda: gauge.now[""] == 1)
        waits = await bb.create_task(work(1), unique=Unique())
        cancelled = await bb.create_task(work(2))
        expiring = await bb.create_task(work(3), expires=0.02)
        again = await engines[-1].create_task(work(1), unique=Unique())
        assert (again.existed, again.id) == (True, waits.id)
        assert await cancelled.cancel()
        with pytest.raises(JobCancelled):
            await cancelled
        await turn(0.1)
        go.set()
        with pytest.raises(JobExpired):
            await expiring
        await finished([first, waits])
        await empty(bb, "concurrency:work")
    assert (gauge.most[""], gauge.begun[""]) == (1, 2)


async def test_threads_and_processes_have_lanes_too(make: Callable[..., Backburner], tmp_path: Path) -> None:
    """`def` jobs, in threads or processes of their own, run as many at once as their lane has room for."""
    jobs, most, running = Registry(), list[int](), list[int]()

    @jobs.job(concurrency=2)
    def thread(number: int) -> int:
        running.append(number)
        most.append(len(running))
        both.wait(0.05)
        running.remove(number)
        return number

    both = threading.Event()
    async with crew(make, jobs, processes=2) as engines:
        handles = await store(engines, [thread(number) for number in range(8)])
        await finished(handles)
        await empty(engines[0], "concurrency:thread")
    assert max(most) == 2
    async with crew(make, limited.jobs, processes=2) as engines:
        handles = await store(engines, [limited.alone(str(tmp_path), number) for number in range(4)])
        ended = await finished(handles)
        await empty(engines[0], "concurrency:alone")
    assert {(each.state, each.attempt) for each in ended} == {("completed", 1)}


@pytest.mark.parametrize("kind", ["asyncpg", "sqlalchemy aiosqlite"])
@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_run_that_completes_in_its_own_transaction_lets_the_next_in(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, *, elsewhere: bool
) -> None:
    """The commit frees the room, and opens nothing itself: the engine lets the next in soon, long before a beat."""
    shop, jobs, gauge = Shop(kind, request, tmp_path), Registry(), Gauge()

    @jobs.job(concurrency=1)
    async def ship(number: int) -> None:
        with gauge.run():
            async with shop.connected() as app:
                await app.insert(number)
                await current_job().complete(None, tx=app.tx)
                await app.commit()

    began = asyncio.get_running_loop().time()
    async with shop.make(jobs=[jobs]) as bb, shop.make(jobs=[jobs], run=elsewhere) as other:
        ended = await finished(await store([bb, other], [ship(number) for number in range(8)]))
        await empty(bb, "concurrency:ship")
    # The steward looks every ten seconds.
    assert asyncio.get_running_loop().time() - began < 9
    assert gauge.most[""] == 1
    assert {(each.state, each.attempt) for each in ended} == {("completed", 1)}
    assert sorted(shop.orders()) == list(range(8))
