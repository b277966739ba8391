"""`Unique`: of jobs with one key one is stored, and whoever stores another is answered that one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backburner import Backburner, JobCancelled, JobDead, JobExpired, Reject, Unique, current_job
from backburner.errors import InvalidOption, JobNotFound
from backburner.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner import Job


async def test_fifty_concurrent_stores_are_one_job(bb: Backburner) -> None:
    """Fifty callers at once: one job is stored, forty-nine are answered it, and all get its one result."""
    runs: list[str] = []
    release = asyncio.Event()

    @bb.job(unique=Unique())
    async def refresh(feed: str) -> str:
        runs.append(feed)
        await release.wait()
        return current_job().id

    async with bb:
        handles = await asyncio.gather(*(bb.create_task(refresh("news")) for _ in range(50)))
        release.set()
        results = {await handle for handle in handles}
    assert sorted(handle.existed for handle in handles) == [False] + [True] * 49
    assert {handle.id for handle in handles} == results
    assert runs == ["news"]


async def test_fifty_stores_of_two_engines_are_one_job(make_sqlite: Callable[..., Backburner]) -> None:
    """The key is the store's: engines on one file answer each other's job."""
    engines = [make_sqlite(), make_sqlite()]
    runs: list[str] = []
    release = asyncio.Event()

    def declare(bb: Backburner) -> Job[[str], str]:
        @bb.job(unique=Unique())
        async def refresh(feed: str) -> str:
            runs.append(feed)
            await release.wait()
            return current_job().id

        return refresh

    jobs = [declare(bb) for bb in engines]
    async with engines[0], engines[1]:
        handles = await asyncio.gather(
            *(bb.create_task(job("news")) for _ in range(25) for bb, job in zip(engines, jobs, strict=True))
        )
        release.set()
        results = {await handle for handle in handles}
    assert sorted(handle.existed for handle in handles) == [False] + [True] * 49
    assert len(results) == len(runs) == 1


async def test_in_one_write_the_second_is_answered_the_first(bb: Backburner) -> None:
    """`create_tasks` and a group store one of equal calls; the others of the write are stored all the same."""

    @bb.job(unique=Unique())
    async def refresh(feed: str) -> str:
        return feed

    async with bb:
        first, again, other = await bb.create_tasks([refresh("a"), refresh("a"), refresh("b")], delay=0.05)
        async with bb.TaskGroup() as group:
            third = group.create_task(refresh("a"))
            fresh = group.create_task(refresh("c"))
        assert [handle.existed for handle in (first, again, other, third, fresh)] == [False, True, False, True, False]
        assert first.id == again.id == third.id
        assert (await first, await other, await fresh) == ("a", "b", "c")


async def test_the_key_is_the_kind_and_the_chosen_arguments(bb: Backburner) -> None:
    """``by`` names the arguments that count: all by default, none for ``by=[]``; defaults are arguments too."""

    @bb.job
    async def send(to: str, text: str = "hi", options: dict[str, int] | None = None) -> None: ...

    @bb.job
    async def other(to: str, text: str = "hi", options: dict[str, int] | None = None) -> None: ...

    async with bb:

        async def existed(*args: object, unique: Unique, job: Job[..., None] = send) -> bool:
            return (await bb.create_task(job(*args), delay=3600, unique=unique)).existed

        every = Unique()
        assert not await existed("ada", "hi", unique=every)
        assert await existed("ada", unique=every)
        assert not await existed("ada", "ho", unique=every)
        assert not await existed("ada", "hi", unique=every, job=other)
        # JSON objects have no order.
        assert not await existed("eve", "", {"a": 1, "b": 2}, unique=every)
        assert await existed("eve", "", {"b": 2, "a": 1}, unique=every)
        by_one = Unique(by=["to"])
        assert not await existed("ada", "one", unique=by_one)
        assert await existed("ada", "two", unique=by_one)
        assert not await existed("bob", "two", unique=by_one)
        by_none = Unique(by=[])
        assert not await existed("ada", unique=by_none)
        assert await existed("zoe", unique=by_none)


async def test_the_call_decides_over_the_declaration(bb: Backburner) -> None:
    """``unique=`` of `create_task` stands in for the declared one; None is none."""

    @bb.job(unique=Unique())
    async def refresh() -> None: ...

    async with bb:
        first = await bb.create_task(refresh(), delay=3600)
        free = await bb.create_task(refresh(), delay=3600, unique=None)
        assert not free.existed
        assert free.id != first.id
        assert (await bb.create_task(refresh(), delay=3600)).id == first.id
        preset = await bb.create_task(refresh.options(unique=None)(), delay=3600)
        assert not preset.existed


# ---- how long a key is held ----------------------------------------------------------------------------------------


async def test_by_default_the_key_is_held_while_pending_and_running(bb: Backburner) -> None:
    """Scheduled, waiting, running and between two attempts it is held; completed, it is free."""
    started, release = asyncio.Event(), asyncio.Event()

    @bb.job(unique=Unique())
    async def refresh() -> None:
        started.set()
        await release.wait()
        if current_job().attempt == 1:
            raise ConnectionError

    async with bb:
        first = await bb.create_task(refresh(), delay=0.02)
        assert (await bb.create_task(refresh())).existed
        await started.wait()
        assert (await bb.create_task(refresh())).existed
        release.set()
        await first
        second = await bb.create_task(refresh())
        assert not second.existed
        assert second.id != first.id
        await second


async def test_the_key_is_free_after_a_cancellation(bb: Backburner) -> None:
    """Cancelled, pending or running, the job holds its key no more."""
    started = asyncio.Event()

    @bb.job(unique=Unique())
    async def refresh() -> None:
        started.set()
        await asyncio.Event().wait()

    async with bb:
        pending = await bb.create_task(refresh(), delay=3600)
        await pending.cancel()
        running = await bb.create_task(refresh())
        assert not running.existed
        await started.wait()
        await running.cancel()
        with pytest.raises(JobCancelled):
            await running
        last = await bb.create_task(refresh(), delay=3600)
        assert not last.existed


async def test_the_key_is_free_after_a_death(bb: Backburner) -> None:
    """A dead letter holds its key only if ``states`` says so."""

    @bb.job
    async def refresh() -> None:
        raise Reject("no")

    async with bb:
        with pytest.raises(JobDead):
            await (await bb.create_task(refresh(), unique=Unique()))
        dead = await bb.create_task(refresh(), unique=Unique())
        assert not dead.existed
        with pytest.raises(JobDead):
            await dead
        holding = Unique(states=["pending", "running", "dead"])
        dead = await bb.create_task(refresh(), unique=holding)
        assert not dead.existed
        with pytest.raises(JobDead):
            await dead
        again = await bb.create_task(refresh(), unique=holding)
        assert (again.existed, again.id) == (True, dead.id)
        with pytest.raises(JobDead):
            await again


async def test_the_key_is_free_after_the_expiry(make_local: Callable[..., Backburner]) -> None:
    """A job that expired holds its key no more, once it is found expired."""
    clock = FakeClock()
    bb = make_local(queues={"other": 1}, clock=clock)

    @bb.job(unique=Unique())
    async def refresh() -> None: ...

    async with bb:
        first = await bb.create_task(refresh(), expires=60)
        assert (await bb.create_task(refresh())).existed
        waiting = asyncio.ensure_future(first.wait(50))
        while not waiting.done():
            await clock.advance(30)
        with pytest.raises(JobExpired):
            await first
        second = await bb.create_task(refresh())
        assert not second.existed


async def test_the_named_states_hold_it(bb: Backburner) -> None:
    """``states=["completed"]`` is once for as long as the job is kept; ``["pending"]`` lets the next in at the start."""
    started, release = asyncio.Event(), asyncio.Event()

    @bb.job
    async def refresh() -> str:
        started.set()
        await release.wait()
        return current_job().id

    only_pending = Unique(states=["pending"])
    always = Unique(by=[], states=["pending", "running", "completed", "cancelled", "dead"])
    async with bb:
        scheduled = await bb.create_task(refresh(), unique=only_pending, delay=0.02)
        assert (await bb.create_task(refresh(), unique=only_pending)).existed
        await started.wait()
        follower = await bb.create_task(refresh(), unique=only_pending, delay=3600)
        assert not follower.existed
        release.set()
        assert await scheduled == scheduled.id
        await follower.cancel()

        once = await bb.create_task(refresh(), unique=always)
        assert not once.existed
        assert await once == once.id
        again = await bb.create_task(refresh(), unique=always)
        assert again.existed
        assert await again == once.id


async def test_a_period_holds_it_whatever_the_state(make_local: Callable[..., Backburner]) -> None:
    """For ``period`` from its storing a job holds its key, completed or not; then the key is free."""
    clock = FakeClock()
    bb = make_local(clock=clock)

    @bb.job(unique=Unique(period=timedelta(minutes=10)))
    async def remind() -> None: ...

    async with bb:
        first = await bb.create_task(remind())
        await first
        await clock.advance(599)
        again = await bb.create_task(remind())
        assert (again.existed, again.id) == (True, first.id)
        await clock.advance(1)
        second = await bb.create_task(remind())
        assert not second.existed
        await second
        await clock.advance(599)
        assert (await bb.create_task(remind())).existed


async def test_a_job_outlives_its_period(make_local: Callable[..., Backburner]) -> None:
    """A job that still waits after the period holds its key by its state, unless no state is named."""
    clock = FakeClock()
    bb = make_local(clock=clock)

    @bb.job
    async def remind(whom: str) -> None: ...

    async def existed(whom: str, unique: Unique) -> bool:
        return (await bb.create_task(remind(whom), unique=unique, delay=3600)).existed

    async with bb:
        assert not await existed("ada", Unique(period=60))
        assert not await existed("eve", Unique(states=[], period=60))
        await clock.advance(59)
        assert await existed("ada", Unique(period=60))
        assert await existed("eve", Unique(states=[], period=60))
        await clock.advance(2)
        assert await existed("ada", Unique(period=60))
        assert not await existed("eve", Unique(states=[], period=60))


async def test_pruned_it_holds_nothing(make_local: Callable[..., Backburner]) -> None:
    """A completed job that holds its key lets go when its retention has passed and it is deleted."""
    clock = FakeClock()
    bb = make_local(clock=clock, keep={"completed": 3600})

    @bb.job(unique=Unique(states=["completed"]))
    async def once() -> None: ...

    async with bb:
        first = await bb.create_task(once())
        await first
        assert (await bb.create_task(once())).existed
        while True:
            await clock.advance(600)
            try:
                await bb.handle(first.id, once).status()
            except JobNotFound:
                break
        assert not (await bb.create_task(once())).existed


async def test_a_follow_up_takes_the_key_that_a_period_lets_go(make_local: Callable[..., Backburner]) -> None:
    """A follow-up that waits for a key is let in when the period has passed, though nobody did anything."""
    clock = FakeClock()
    bb = make_local(clock=clock)
    said: list[str] = []

    @bb.job(unique=Unique(period=60))
    async def remind() -> str:
        return "reminded"

    @bb.job
    async def first() -> None:
        said.append(current_job().then(remind()))

    async with bb:
        await (await bb.create_task(remind()))
        await (await bb.create_task(first()))
        parked = bb.handle(said[0], remind)
        assert (await parked.status()).attempt == 0
        waiting = asyncio.ensure_future(parked.wait(50))
        while not waiting.done():
            await clock.advance(10)
        assert await parked == "reminded"


# ---- what is wrong with it -----------------------------------------------------------------------------------------


def test_it_is_checked_where_it_is_written(bb: Backburner) -> None:
    """A misspelt state or argument, a text in place of a list, or what holds nothing is refused at once."""
    with pytest.raises(InvalidOption, match="no state 'runing'"):
        Unique(states=["runing"])
    with pytest.raises(InvalidOption, match=r"by=\['to'\]"):
        Unique(by="to")
    with pytest.raises(InvalidOption, match=r"states=\['running'\]"):
        Unique(states="running")
    with pytest.raises(InvalidOption, match="holds nothing"):
        Unique(states=[])
    with pytest.raises(InvalidOption, match="period"):
        Unique(period=-1)
    with pytest.raises(InvalidOption, match="no argument 'too' to be unique by; it has to, text"):

        @bb.job(unique=Unique(by=["too"]))
        async def send(to: str, text: str) -> None: ...


async def test_it_is_checked_at_the_call_too(bb: Backburner) -> None:
    """``unique=`` of a call takes a `Unique` by the job's own arguments."""

    @bb.job
    async def send(to: str) -> None: ...

    async with bb:
        with pytest.raises(InvalidOption, match="no argument 'too'"):
            await bb.create_task(send("a"), unique=Unique(by=["too"]))
        with pytest.raises(InvalidOption, match=r"write Unique\(by=\[…\]\)"):
            await bb.create_task(send("a"), unique=True)  # type: ignore[arg-type]
