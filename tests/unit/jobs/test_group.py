"""A TaskGroup's edges: what is stored, what is cancelled, what is raised, and who is left alone."""

# ruff: noqa: PT012 - the block of a group is what raises

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from backburner import JobCancelled, JobDead, NotRunning, Reject, StoreUnavailable, TaskGroup, Unique
from backburner.errors import AlreadyEnded, InvalidOption, StoreRefused, TransactionRefused
from backburner.jobs.run import Why
from tests.unit.jobs.engines import House, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from backburner import Job, JobHandle


class Jobs(House):
    """An engine with three jobs: one that answers, one that fails, and one that waits for `gate`."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.waiting: list[int] = []
        self.ended: list[int] = []

        @self.bb.job
        async def double(number: int) -> int:
            return 2 * number

        @self.bb.job
        async def fail(why: str = "no") -> None:
            raise Reject(why)

        @self.bb.job
        async def wait(number: int = 0) -> int:
            self.waiting.append(number)
            try:
                await self.gate.wait()
            finally:
                self.ended.append(number)
            return number

        self.double: Job[[int], int] = double
        self.fail: Job[..., None] = fail
        self.wait: Job[..., int] = wait


@pytest.fixture
async def jobs() -> AsyncIterator[Jobs]:
    """Bring the engine, entered."""
    made = Jobs()
    async with made.bb:
        yield made
        made.gate.set()


def leaves(error: BaseException) -> list[str]:
    """The types that a group raised, those of groups in it too."""
    if isinstance(error, BaseExceptionGroup):
        return sorted(name for each in error.exceptions for name in leaves(each))
    return [type(error).__name__]


# ---- storing -------------------------------------------------------------------------------------------------------


async def test_a_group_is_one_write(jobs: Jobs) -> None:
    """What the body noted is stored at its end, in one write; the block ends when all have ended."""
    orders = jobs.obey()
    async with jobs.bb.TaskGroup() as group:
        handles = [group.create_task(jobs.double(number)) for number in range(5)]
        assert jobs.ids == []
    assert [handle.done() for handle in handles] == [True] * 5
    assert [await handle for handle in handles] == [0, 2, 4, 6, 8]
    assert orders.writes("enqueue") == [tuple(handle.id for handle in handles)]


async def test_the_first_await_stores_what_was_noted(jobs: Jobs) -> None:
    """Awaiting one handle stores all that was noted; what is noted later is stored at the end."""
    orders = jobs.obey()
    async with jobs.bb.TaskGroup() as group:
        first, second = group.create_task(jobs.double(1)), group.create_task(jobs.double(2))
        assert await first == 2
        third = group.create_task(jobs.double(3))
        assert len(jobs.ids) == 2
    assert (await second, await third) == (4, 6)
    assert orders.writes("enqueue") == [(first.id, second.id), (third.id,)]


@pytest.mark.parametrize("ask", ["wait", "status", "cancel"])
async def test_asking_for_a_noted_job_stores_it(jobs: Jobs, ask: str) -> None:
    """Whatever asks a handle for more than it knows stores the group first."""
    async with jobs.bb.TaskGroup() as group:
        handle = group.create_task(jobs.wait(), delay=0)
        asked = handle.wait(0.01) if ask == "wait" else getattr(handle, ask)()
        await asked
        assert jobs.ids == [handle.id]
        jobs.gate.set()


async def test_a_body_that_raises_first_stores_nothing(jobs: Jobs) -> None:
    """A body that raises before anything was awaited stores nothing; its handles say so."""
    handles: list[JobHandle[int]] = []
    with pytest.raises(ExceptionGroup) as caught:
        async with jobs.bb.TaskGroup() as group:
            handles.append(group.create_task(jobs.double(1)))
            raise ValueError
    assert leaves(caught.value) == ["ValueError"]
    assert jobs.ids == []
    with pytest.raises(AlreadyEnded, match="before it stored"):
        await handles[0]


async def test_a_waiter_beside_a_body_that_raises_stores_nothing(jobs: Jobs) -> None:
    """A task that begins to wait as the body raises does not bring to life what the body gave up."""
    waiters: list[asyncio.Future[int]] = []

    with pytest.raises(ExceptionGroup):
        async with jobs.bb.TaskGroup() as group:
            handle = group.create_task(jobs.wait())
            waiters.append(asyncio.ensure_future(handle))
            raise ValueError
    with pytest.raises(AlreadyEnded):
        await waiters[0]
    assert jobs.ids == []


async def test_a_write_under_way_as_the_body_raises_is_cancelled(jobs: Jobs) -> None:
    """What another task is storing just as the body raises is stored, then cancelled: nothing lives on unseen."""
    orders = jobs.obey()
    waiters: list[asyncio.Future[int]] = []

    orders.hold("enqueue")
    asyncio.get_running_loop().call_later(0.05, orders.release, "enqueue")
    with pytest.raises(ExceptionGroup) as caught:
        async with jobs.bb.TaskGroup() as group:
            handle = group.create_task(jobs.wait())
            waiters.append(asyncio.ensure_future(handle))
            await until(lambda: orders.under_way == 1)
            raise ValueError
    assert leaves(caught.value) == ["ValueError"]
    assert jobs.states() == {"wait": ["cancelled"]}
    with pytest.raises(JobCancelled, match="group"):
        await waiters[0]


async def test_two_who_wait_for_one_noted_job_store_it_once(jobs: Jobs) -> None:
    """Two tasks that await handles of one group share its write."""
    orders = jobs.obey()
    async with jobs.bb.TaskGroup() as group:
        handle, other = group.create_task(jobs.double(1)), group.create_task(jobs.double(2))
        assert list(await asyncio.gather(handle, handle, other)) == [2, 2, 4]
    assert len(orders.writes("enqueue")) == 1


async def test_a_waiter_cancelled_while_the_group_is_written_loses_nothing(jobs: Jobs) -> None:
    """The one who gave up while the group was written leaves it to the end of the block: each job is there once."""
    orders = jobs.obey()
    async with jobs.bb.TaskGroup() as group:
        handles = [group.create_task(jobs.double(number)) for number in (1, 2)]
        orders.hold("enqueue")
        waiter = asyncio.ensure_future(handles[0])
        await until(lambda: orders.under_way == 1)
        waiter.cancel()
        await asyncio.wait([waiter])
        orders.release("enqueue")
    assert [await handle for handle in handles] == [2, 4]
    assert len(jobs.ids) == 2


async def test_a_refused_group_stores_nothing_and_raises(jobs: Jobs) -> None:
    """A group that the store refuses for its content is raised at the end of the block; nothing of it exists."""
    jobs.obey().fail("enqueue", StoreRefused("it is odd", stored="no"))
    with pytest.raises(ExceptionGroup) as caught:
        async with jobs.bb.TaskGroup() as group:
            group.create_task(jobs.double(1))
    assert leaves(caught.value) == ["StoreRefused"]
    assert jobs.ids == []


async def test_a_body_may_catch_what_storing_raised(jobs: Jobs) -> None:
    """A store that failed once takes the same group at the next try; each job is there once."""
    orders = jobs.obey()
    orders.fail("enqueue", StoreRefused("not now", stored="no"))
    async with jobs.bb.TaskGroup() as group:
        handle = group.create_task(jobs.double(4))
        with pytest.raises(StoreRefused):
            await handle
    assert await handle == 8
    assert len(jobs.ids) == 1


async def test_a_write_whose_answer_was_lost_is_cancelled(jobs: Jobs) -> None:
    """Jobs that may have been stored by a write that failed are cancelled, and the group waits until they have ended."""
    orders = jobs.obey()
    orders.lose("enqueue", RuntimeError("the answer was lost"))
    with pytest.raises(ExceptionGroup) as caught:
        async with jobs.bb.TaskGroup() as group:
            group.create_task(jobs.wait(), queue="elsewhere")
    assert leaves(caught.value) == ["RuntimeError"]
    assert jobs.states() == {"wait": ["cancelled"]}


# ---- failing -------------------------------------------------------------------------------------------------------


async def test_a_dead_job_cancels_the_others(jobs: Jobs) -> None:
    """Once one job is dead the others are cancelled, for the reason `group`, and have ended when the block has."""
    with pytest.raises(ExceptionGroup) as caught:
        async with jobs.bb.TaskGroup() as group:
            running = group.create_task(jobs.wait(1))
            later = group.create_task(jobs.wait(2), delay=3600)
            await running.status()
            await until(lambda: jobs.waiting == [1])
            group.create_task(jobs.fail())
    assert leaves(caught.value) == ["JobDead"]
    assert jobs.ended == [1]
    for handle in (running, later):
        assert handle.done()
        with pytest.raises(JobCancelled) as cancelled:
            await handle
        assert cancelled.value.reason == "group"


async def test_every_dead_job_is_told_of_once(jobs: Jobs) -> None:
    """All failures come together, each once, also the one that the body saw itself."""
    with pytest.raises(ExceptionGroup) as caught:
        async with jobs.bb.TaskGroup() as group:
            handles = [group.create_task(jobs.fail(str(number))) for number in range(3)]
            await handles[1]
    failed = [error.job_id for error in caught.value.exceptions if isinstance(error, JobDead)]
    assert sorted(failed) == sorted(handle.id for handle in handles)
    assert len(caught.value.exceptions) == 3


async def test_a_dead_job_ends_the_body(jobs: Jobs) -> None:
    """A body that waits for something else is cancelled when a job dies, as in asyncio."""
    with pytest.raises(ExceptionGroup) as caught:
        async with jobs.bb.TaskGroup() as group:
            group.create_task(jobs.fail())
            waiting = group.create_task(jobs.wait())
            await waiting
    assert leaves(caught.value) == ["JobDead"]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_job_cancelled_alone_fails_nobody(jobs: Jobs) -> None:
    """A job that somebody cancelled only shows where its handle is awaited."""
    async with jobs.bb.TaskGroup() as group:
        gone = group.create_task(jobs.double(1), delay=3600)
        stays = group.create_task(jobs.double(2))
        assert await gone.cancel()
    assert await stays == 4
    with pytest.raises(JobCancelled):
        await gone


async def test_a_cancelled_body_cancels_the_jobs(jobs: Jobs) -> None:
    """Cancelling the task that waits in a group cancels its jobs, waits for them, and ends as cancelled."""

    async def work() -> None:
        async with jobs.bb.TaskGroup() as group:
            group.create_task(jobs.wait())

    task = asyncio.create_task(work())
    await until(lambda: jobs.waiting == [0])
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert jobs.states() == {"wait": ["cancelled"]}


async def test_a_timeout_around_a_group_cancels_the_jobs(jobs: Jobs) -> None:
    """`asyncio.timeout` works around a group as around any other."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), jobs.bb.TaskGroup() as group:
            group.create_task(jobs.wait())
    assert jobs.states() == {"wait": ["cancelled"]}


async def test_a_store_that_cannot_cancel_is_told_of(jobs: Jobs) -> None:
    """A store that fails while the jobs are cancelled joins what is raised; a cancellation does not hide it."""
    orders = jobs.obey()
    orders.fail("cancel", StoreRefused("no room", stored="no"))
    with pytest.raises(ExceptionGroup) as caught:
        async with jobs.bb.TaskGroup() as group:
            handle = group.create_task(jobs.wait())
            await handle.status()
            raise ValueError
    assert leaves(caught.value) == ["StoreRefused", "ValueError"]

    async def work() -> None:
        async with jobs.bb.TaskGroup() as group:
            group.create_task(jobs.wait(1))

    orders.fail("cancel", StoreRefused("no room", stored="no"))
    task = asyncio.create_task(work())
    await until(lambda: 1 in jobs.waiting)
    task.cancel()
    with pytest.raises(BaseExceptionGroup) as caught_too:
        await task
    assert leaves(caught_too.value) == ["StoreRefused"]


async def test_an_interrupt_of_the_body_comes_through_bare(jobs: Jobs) -> None:
    """SystemExit in the body is raised as it is, after the jobs were cancelled."""
    with pytest.raises(SystemExit):
        async with jobs.bb.TaskGroup() as group:
            handle = group.create_task(jobs.wait())
            await handle.status()
            raise SystemExit
    assert jobs.states() == {"wait": ["cancelled"]}


async def test_the_holder_of_a_unique_key_is_not_the_groups_to_cancel(jobs: Jobs) -> None:
    """A job of somebody else's that holds the key of one in the group is awaited, but lives on when the group fails."""
    theirs = await jobs.bb.create_task(jobs.wait(7), unique=Unique())
    with pytest.raises(ExceptionGroup):
        async with jobs.bb.TaskGroup() as group:
            ours = group.create_task(jobs.wait(7), unique=Unique())
            await ours.status()
            assert (ours.id, ours.existed) == (theirs.id, True)
            raise ValueError
    assert not theirs.done()
    jobs.gate.set()
    async with jobs.bb.TaskGroup() as group:
        again = group.create_task(jobs.wait(7), unique=Unique())
    assert await again == 7
    assert await theirs == 7


async def test_groups_nest(jobs: Jobs) -> None:
    """A group within a group: the inner one's failure ends the outer body, and the outer jobs with it."""
    with pytest.raises(ExceptionGroup) as caught:
        async with jobs.bb.TaskGroup() as outer:
            waiting = outer.create_task(jobs.wait())
            await waiting.status()
            async with jobs.bb.TaskGroup() as inner:
                inner.create_task(jobs.fail())
    assert leaves(caught.value) == ["JobDead"]
    assert isinstance(caught.value.exceptions[0], ExceptionGroup)
    assert jobs.states() == {"wait": ["cancelled"], "fail": ["dead"]}


# ---- as asyncio has it ---------------------------------------------------------------------------------------------


async def answer() -> int:
    """Return."""
    return 2


async def refuse() -> None:
    """Raise what stands for a dead job."""
    raise JobDead("no", job_id="x")


async def pause() -> None:
    """Never return."""
    await asyncio.Event().wait()


BODIES = {
    "nothing": (),
    "all well": ("answer", "answer"),
    "one fails": ("answer", "pause", "refuse"),
    "two fail": ("refuse", "refuse", "pause"),
    "the body raises": ("pause", "raise"),
    "the body awaits the failure": ("pause", "await refuse"),
    "the body awaits another": ("refuse", "await pause"),
    "a failure after an answer": ("await answer", "refuse"),
    "the body is interrupted": ("pause", "exit"),
    "the body is cancelled": ("pause", "cancel"),
}


async def play(group: Any, begin: Mapping[str, Callable[[], Any]], steps: tuple[str, ...]) -> None:  # noqa: ANN401 - of either kind
    """Do as told in the body of a group."""
    async with group:
        for step in steps:
            verb, _, name = step.rpartition(" ")
            if name in begin:
                started = group.create_task(begin[name]())
                if verb:
                    await started
            elif name == "raise":
                raise ValueError
            elif name == "exit":
                raise SystemExit
            else:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()


async def raised(work: Awaitable[None]) -> list[str]:
    """Return the types of what it raises."""
    try:
        await work
    except BaseException as error:  # noqa: BLE001 - whatever it is, both have to raise the same
        return leaves(error)
    return []


@pytest.mark.parametrize("steps", BODIES.values(), ids=BODIES.keys())
async def test_as_asyncio_has_it(jobs: Jobs, steps: tuple[str, ...]) -> None:
    """Whatever the body and its jobs do, the group raises what `asyncio.TaskGroup` raises for the same tasks."""
    tasks = {"answer": answer, "refuse": refuse, "pause": pause}
    calls: dict[str, Callable[[], object]] = {
        "answer": partial(jobs.double, 1),
        "refuse": jobs.fail,
        "pause": jobs.wait,
    }
    theirs = await asyncio.create_task(raised(play(asyncio.TaskGroup(), tasks, steps)))
    ours = await asyncio.create_task(raised(play(jobs.bb.TaskGroup(), calls, steps)))
    assert ours == theirs


# ---- inside a job --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", [Why.TIMEOUT, Why.SHUTDOWN, Why.LOST])
async def test_children_are_spared_where_nobody_gave_them_up(jobs: Jobs, why: Why) -> None:
    """A parent that is out of time, given back or fenced leaves its children alone."""

    @jobs.bb.job
    async def parent() -> None:
        async with jobs.bb.TaskGroup() as group:
            group.create_task(jobs.wait())

    await jobs.bb.create_task(parent())
    await until(lambda: jobs.waiting == [0])
    run = jobs.run("parent")
    jobs.worker._claimer.stop()
    jobs.executor.end(run, why)
    await until(lambda: run.id not in jobs.executor.runs)
    assert jobs.states()["wait"] == ["running"]
    assert jobs.ended == []


async def test_a_cancelled_parent_takes_its_children_along(jobs: Jobs) -> None:
    """A person's cancel of the parent cancels its children."""

    @jobs.bb.job
    async def parent() -> None:
        async with jobs.bb.TaskGroup() as group:
            group.create_task(jobs.wait())

    handle = await jobs.bb.create_task(parent())
    await until(lambda: jobs.waiting == [0])
    assert await handle.cancel()
    with pytest.raises(JobCancelled):
        await handle
    assert jobs.states() == {"parent": ["cancelled"], "wait": ["cancelled"]}


async def test_a_parents_group_lends_its_slot(jobs: Jobs) -> None:
    """While the block waits for its children the parent's slot is another's; the ledger is even afterwards."""

    @jobs.bb.job
    async def parent() -> None:
        async with jobs.bb.TaskGroup() as group:
            group.create_task(jobs.wait())

    handle = await jobs.bb.create_task(parent())
    await until(lambda: jobs.waiting == [0])
    assert (len(jobs.executor.runs), jobs.slots.taken, jobs.slots.busy) == (2, 1, True)
    jobs.gate.set()
    await handle
    await jobs.slots.idle()
    assert (jobs.slots.taken, jobs.slots._lent) == (0, 0)


# ---- refused -------------------------------------------------------------------------------------------------------


async def test_what_a_group_refuses(jobs: Jobs) -> None:
    """A group takes jobs inside its one block, and no ``tx`` for one of them."""
    group = jobs.bb.TaskGroup()
    with pytest.raises(AlreadyEnded, match="inside its block"):
        group.create_task(jobs.double(1))
    async with group:
        with pytest.raises(InvalidOption, match="TaskGroup\\(tx=") as caught:
            group.create_task(jobs.double(1), tx=object())
        assert caught.value.option == "tx"
    with pytest.raises(AlreadyEnded, match="inside its block"):
        group.create_task(jobs.double(1))
    with pytest.raises(AlreadyEnded, match="entered once"):
        await group.__aenter__()
    assert jobs.ids == []


async def test_a_group_in_what_cannot_be_joined_stores_nothing(jobs: Jobs) -> None:
    """A group given a ``tx`` that the store cannot join is refused at the end of its block."""
    with pytest.raises(ExceptionGroup) as caught:
        async with TaskGroup(jobs.engine.client, tx=object()) as group:
            group.create_task(jobs.double(1))
    assert leaves(caught.value) == [TransactionRefused.__name__]
    assert jobs.ids == []


# ---- callbacks and stops -------------------------------------------------------------------------------------------


async def test_a_callback_on_a_noted_job_comes_once_it_has_ended(jobs: Jobs) -> None:
    """A callback may be added before the group is stored; it stores nothing by itself."""
    heard: list[str] = []
    async with jobs.bb.TaskGroup() as group:
        handle = group.create_task(jobs.double(1))
        handle.add_done_callback(lambda ended: heard.append(ended.id))
        await until(lambda: True)
        assert jobs.ids == []
    await until(lambda: heard == [handle.id])


async def test_an_engine_that_stops_tells_the_group() -> None:
    """A group outside of any job that waits while the engine stops is told; its jobs are left alone."""
    house = Jobs()
    heard: list[object] = []

    async def work() -> None:
        async with house.bb.TaskGroup() as group:
            handle = group.create_task(house.wait(), queue="elsewhere")
            handle.add_done_callback(heard.append)

    async with house.bb:
        task = asyncio.create_task(work())
        await until(lambda: len(house.ids) == 1)
        database = house.database
    async with asyncio.timeout(5):
        with pytest.raises(ExceptionGroup) as caught:
            await task
    assert leaves(caught.value) == [NotRunning.__name__]
    assert [row.state.value for row in database.jobs.values()] == ["pending"]
    assert heard == []


async def test_a_store_away_for_long_ends_the_group() -> None:
    """A group that cannot be stored within `write_timeout` raises what says whether it may have been."""
    house = House(write_timeout=0.1)

    @house.bb.job
    async def work() -> None: ...

    async with house.bb:
        orders = house.obey()
        orders.fail("enqueue", *[StoreUnavailable("away", stored="no")] * 99)
        with pytest.raises(ExceptionGroup) as caught:
            async with house.bb.TaskGroup() as group:
                group.create_task(work())
        orders.mend("enqueue")
    assert leaves(caught.value) == ["StoreUnavailable"]
    assert isinstance(caught.value.exceptions[0], StoreUnavailable)
    assert caught.value.exceptions[0].stored == "no"
