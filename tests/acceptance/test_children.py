"""Jobs that store jobs: groups and children, found again by a parent that runs again."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import aiosqlite
import pytest
from anyio.lowlevel import checkpoint

from backburner import JobCancelled, JobDead, Reject, RetryPolicy, constant, current_job
from backburner.errors import AlreadyEnded, ArgumentNotStorable, InvalidOption, JobNotFound
from backburner.model.clock import SystemClock, from_micros
from backburner.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backburner import Backburner, JobHandle
    from tests.acceptance.conftest import Writes

#: So many runs that a parent may be interrupted in any way a test thinks of.
PATIENT = RetryPolicy(attempts=10, backoff=constant(0))


# ---- a group is asyncio's, of jobs ---------------------------------------------------------------------------------


async def test_a_group_waits_for_all_its_jobs(bb: Backburner) -> None:
    """`async with bb.TaskGroup()` ends when all its jobs have ended; the handles then have their results."""

    @bb.job
    async def square(n: int) -> int:
        return n * n

    async with bb:
        async with bb.TaskGroup() as group:
            handles = [group.create_task(square(n)) for n in range(10)]
        assert all(handle.done() for handle in handles)
        assert [await handle for handle in handles] == [n * n for n in range(10)]
        async with bb.TaskGroup():
            pass


async def test_a_chord_is_a_group_and_the_line_after_it(bb: Backburner) -> None:
    """What Celery calls a chord: a job stores a group, and goes on with its results."""

    @bb.job
    async def count(word: str) -> int:
        return len(word)

    @bb.job
    async def total(words: list[str]) -> int:
        async with bb.TaskGroup() as group:
            counts = [group.create_task(count(word)) for word in words]
        return sum([await each for each in counts])

    async with bb:
        assert await (await bb.create_task(total(["group", "and", "chord"]))) == 13


async def test_a_group_is_stored_as_one_write_at_the_blocks_end(bb: Backburner, writes: Writes) -> None:
    """`create_task` only notes a call: nothing is written before the block ends, and then all at once."""

    @bb.job
    async def square(n: int) -> int:
        return n * n

    async with bb, bb.TaskGroup() as group:
        handles = [group.create_task(square(n)) for n in range(10)]
        assert not any(handle.done() for handle in handles)
        assert writes.groups == []
    assert writes.groups == [["square"] * 10]


@pytest.mark.parametrize("use", ["await", "wait", "status", "cancel"])
async def test_a_group_is_stored_as_one_write_at_the_first_await_of_a_handle(
    bb: Backburner, writes: Writes, use: str
) -> None:
    """Awaiting anything of one handle stores all that was noted until then; what comes later is another write."""

    @bb.job
    async def square(n: int) -> int:
        return n * n

    async with bb:
        async with bb.TaskGroup() as group:
            handles = [group.create_task(square(n), delay=0 if use in {"await", "wait"} else 0.05) for n in range(3)]
            first = handles[0]
            match use:
                case "await":
                    assert await first == 0
                case "wait":
                    assert await first.wait(30)
                case "status":
                    assert (await first.status()).state == "scheduled"
                case _:
                    assert await first.cancel()
            assert writes.groups == [["square"] * 3]
            assert await handles[2] == 4
            group.create_task(square(9))
        assert writes.groups == [["square"] * 3, ["square"]]


async def test_a_callback_waits_for_the_group_to_be_stored(bb: Backburner, writes: Writes) -> None:
    """`add_done_callback` stores nothing by itself; the callback comes once the job has ended all the same."""
    called: list[JobHandle[int]] = []

    @bb.job
    async def square(n: int) -> int:
        return n * n

    async with bb:
        heard = asyncio.Event()

        def hear(handle: JobHandle[int]) -> None:
            called.append(handle)
            heard.set()

        async with bb.TaskGroup() as group:
            handle = group.create_task(square(3))
            handle.add_done_callback(hear)
            assert writes.groups == []
        await heard.wait()
        assert called == [handle]


async def test_a_body_that_raises_before_stores_nothing(bb: Backburner, writes: Writes) -> None:
    """Raised before the first await of a handle, an error leaves nothing behind; the handles say that it ended."""
    handles: list[JobHandle[None]] = []

    @bb.job
    async def never() -> None:
        raise AssertionError("it must not be stored")

    async def body() -> None:
        async with bb.TaskGroup() as group:
            handles.append(group.create_task(never()))
            raise KeyError("the body's own")

    async with bb:
        with pytest.raises(ExceptionGroup) as caught:
            await body()
        assert [type(error) for error in caught.value.exceptions] == [KeyError]
        assert writes.groups == []
        with pytest.raises(AlreadyEnded, match="before it stored this job"):
            await handles[0]


async def test_a_death_ends_the_group_as_it_ends_asyncios(bb: Backburner) -> None:
    """A dead job cancels its siblings and the body, and is raised in an `ExceptionGroup`, as `JobDead`."""
    siblings: list[JobHandle[None]] = []

    @bb.job
    async def doomed() -> None:
        raise Reject("no luck")

    @bb.job
    async def long() -> None:
        await asyncio.Event().wait()

    async def body() -> None:
        async with bb.TaskGroup() as group:
            siblings.append(group.create_task(long()))
            siblings.append(group.create_task(long(), delay=3600))
            await group.create_task(doomed()).wait()
            await asyncio.Event().wait()

    async with bb:
        with pytest.raises(ExceptionGroup, match="errors in a TaskGroup") as caught:
            await body()
        assert [type(error) for error in caught.value.exceptions] == [JobDead]
        assert "no luck" in str(caught.value.exceptions[0])
        for sibling in siblings:
            with pytest.raises(JobCancelled) as told:
                await sibling
            assert told.value.reason == "group"
            assert (await sibling.status()).state == "cancelled"


async def test_two_deaths_are_told_of_together(bb: Backburner) -> None:
    """Every job that died before the group ended is told of."""
    numbers: set[int] = set()
    both = asyncio.Event()

    async def body() -> None:
        # One future lets both go in the same turn of the loop, so that one write tells of both.
        doom = asyncio.get_running_loop().create_future()

        @bb.job
        async def doomed(n: int) -> None:
            numbers.add(n)
            if len(numbers) == 2:
                both.set()
            await doom
            raise Reject(f"number {n}")

        async with bb.TaskGroup() as group:
            await group.create_task(doomed(1)).status()
            await group.create_task(doomed(2)).status()
            await both.wait()
            doom.set_result(None)

    async with bb:
        with pytest.raises(ExceptionGroup) as caught:
            await body()
        reasons = {error.reason for error in caught.value.exceptions if isinstance(error, JobDead)}
    assert reasons == {"rejected: number 1", "rejected: number 2"}
    assert len(caught.value.exceptions) == 2


async def test_a_bodys_error_cancels_what_was_stored(bb: Backburner) -> None:
    """An error of the body after the group was stored cancels its jobs, and waits until they have ended."""
    handles: list[JobHandle[None]] = []
    started = asyncio.Event()

    @bb.job
    async def long() -> None:
        started.set()
        await asyncio.Event().wait()

    async def body() -> None:
        async with bb.TaskGroup() as group:
            handles.append(group.create_task(long()))
            await handles[0].status()
            await started.wait()
            raise KeyError("the body's own")

    async with bb:
        with pytest.raises(ExceptionGroup) as caught:
            await body()
        assert [type(error) for error in caught.value.exceptions] == [KeyError]
        assert handles[0].done()
        assert (await handles[0].status()).state == "cancelled"


async def test_a_cancelled_body_cancels_what_was_stored(bb: Backburner) -> None:
    """Cancelling the task that a group is in cancels the group's jobs, and raises `CancelledError` itself."""
    handles: list[JobHandle[None]] = []
    stored = asyncio.Event()

    @bb.job
    async def long() -> None:
        await asyncio.Event().wait()

    async def body() -> None:
        async with bb.TaskGroup() as group:
            handles.append(group.create_task(long()))
            await handles[0].status()
            stored.set()

    async with bb:
        task = asyncio.create_task(body())
        await stored.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await handles[0].status()).state == "cancelled"


async def test_a_job_cancelled_alone_does_not_end_its_group(bb: Backburner) -> None:
    """As in asyncio, a job that somebody cancels, and one that expires, leaves the others alone."""
    release = asyncio.Event()

    @bb.job
    async def long() -> str:
        await release.wait()
        return "done"

    async with bb:
        async with bb.TaskGroup() as group:
            other = group.create_task(long())
            cancelled = group.create_task(long(), delay=3600)
            expired = group.create_task(long(), delay=3600, expires=0)
            assert await cancelled.cancel()
            await expired.cancel()
            release.set()
        assert await other == "done"
        with pytest.raises(JobCancelled):
            await cancelled


async def test_a_group_is_used_as_a_block(bb: Backburner) -> None:
    """Outside its block a group takes nothing; it is entered once; ``tx`` is the whole group's."""

    @bb.job
    async def one() -> int:
        return 1

    async with bb:
        group = bb.TaskGroup()
        with pytest.raises(AlreadyEnded, match="inside its block"):
            group.create_task(one())
        async with group:
            with pytest.raises(InvalidOption, match="give tx to TaskGroup"):
                group.create_task(one(), tx=object())
            with pytest.raises(InvalidOption, match="names a child of the job"):
                group.create_task(one(), name="outside of a job")
        with pytest.raises(AlreadyEnded, match="inside its block"):
            group.create_task(one())
        with pytest.raises(AlreadyEnded, match="entered once"):
            await group.__aenter__()


async def test_a_groups_call_is_refused_where_it_is_noted(bb: Backburner, writes: Writes) -> None:
    """What cannot be stored is refused by the group's `create_task` itself."""

    @bb.job
    async def send(to: str) -> None: ...

    async def body() -> None:
        async with bb.TaskGroup() as group:
            group.create_task(send("a"))
            group.create_task(send(7))  # type: ignore[arg-type]

    async with bb:
        with pytest.raises(ExceptionGroup) as caught:
            await body()
        assert isinstance(caught.value.exceptions[0], ArgumentNotStorable)
    assert writes.groups == []


async def test_delay_and_at_mean_the_same_everywhere(bb: Backburner) -> None:
    """``delay=`` counts from storing and ``at=`` is a moment: for one job, many, a group and a follow-up alike."""
    clock = SystemClock()
    follow_ups: list[str] = []

    @bb.job
    async def later() -> None: ...

    @bb.job
    async def before() -> None:
        job = current_job()
        follow_ups.append(job.then(later(), delay=3600))
        follow_ups.append(job.then(later(), at=moment))

    async with bb:
        moment = from_micros(clock.now()) + timedelta(hours=1)
        both = [await bb.create_task(later(), delay=3600), await bb.create_task(later(), at=moment)]
        both += await bb.create_tasks([later()], delay=timedelta(hours=1))
        both += await bb.create_tasks([later()], at=moment)
        group = bb.TaskGroup()
        async with group:
            grouped = [group.create_task(later(), delay=3600), group.create_task(later(), at=moment)]
            for handle in grouped:
                both.append(handle)
                status = await handle.status()
                assert abs(status.due - moment) < timedelta(seconds=30)
                await handle.cancel()
        await (await bb.create_task(before()))
        both += [bb.handle(job_id, later) for job_id in follow_ups]
        assert len(both) == 8
        for handle in both:
            assert abs((await handle.status()).due - moment) < timedelta(seconds=30)


# ---- lending -------------------------------------------------------------------------------------------------------


async def test_ten_parents_of_eight_children_finish_in_ten_slots(bb: Backburner) -> None:
    """A job that awaits a handle lends its slot: ten parents in ten slots do not keep their children out."""
    working = most = 0

    @bb.job
    async def child(n: int) -> int:
        nonlocal working, most
        working += 1
        most = max(most, working)
        await checkpoint()
        working -= 1
        return n

    @bb.job
    async def parent(n: int) -> int:
        async with bb.TaskGroup() as group:
            children = [group.create_task(child(8 * n + k)) for k in range(8)]
        return sum([await each for each in children])

    async with bb:
        parents = await bb.create_tasks([parent(n) for n in range(10)])
        results = [await each for each in parents]
    assert results == [sum(range(8 * n, 8 * n + 8)) for n in range(10)]
    assert 1 < most <= 10


async def test_parents_two_levels_deep_finish_in_two_slots(make: Callable[..., Backburner]) -> None:
    """Grandparents and parents both lend: any depth finishes in few slots, by single handles as by groups."""
    bb = make(queues={"default": 2})

    @bb.job
    async def child(n: int) -> int:
        await checkpoint()
        return n

    @bb.job
    async def parent(n: int) -> int:
        return sum([await each for each in await bb.create_tasks([child(n), child(n + 1), child(n + 2)])])

    @bb.job
    async def grandparent(n: int) -> int:
        async with bb.TaskGroup() as group:
            parents = [group.create_task(parent(n)) for _ in range(3)]
        return sum([await each for each in parents])

    async with bb:
        grandparents = await bb.create_tasks([grandparent(n) for n in range(3)])
        assert [await each for each in grandparents] == [9, 18, 27]


async def test_lent_runs_do_not_count_against_an_operators_slots(bb: Backburner) -> None:
    """One slot, set for the queue by an operator, is enough for a parent and its children."""
    working = most = 0

    @bb.job
    async def child() -> int:
        nonlocal working, most
        working += 1
        most = max(most, working)
        await checkpoint()
        working -= 1
        return 1

    @bb.job
    async def parent() -> int:
        async with bb.TaskGroup() as group:
            children = [group.create_task(child()) for _ in range(5)]
        return sum([await each for each in children])

    async with bb:
        await bb.queues.set("default", slots=1)
        parents = await bb.create_tasks([parent(), parent()])
        assert [await each for each in parents] == [5, 5]
    assert most == 1


async def test_a_waiting_thread_lends_too(make: Callable[..., Backburner]) -> None:
    """A `def` job that waits for a child, by `bb.blocking`, lends its slot and its thread."""
    bb = make(queues={"default": 1}, threads=1)

    @bb.job
    def child(n: int) -> int:
        return n + 1

    @bb.job
    def parent(n: int) -> int:
        return bb.blocking.result(bb.blocking.create_task(child(n)))

    async with bb:
        handles = await bb.create_tasks([parent(n) for n in range(3)])
        assert [await handle for handle in handles] == [1, 2, 3]


# ---- a parent that runs again --------------------------------------------------------------------------------------


async def test_a_rerun_parent_gets_completed_results(bb: Backburner) -> None:
    """A child that completed in an earlier run of its parent is not run again: its result is there."""
    runs: Counter[int] = Counter()

    @bb.job
    async def child(n: int) -> int:
        runs[n] += 1
        return n * n

    @bb.job
    async def parent() -> list[int]:
        async with bb.TaskGroup() as group:
            children = [group.create_task(child(n)) for n in range(4)]
        if current_job().attempt < 3:
            raise ConnectionError
        assert all(each.existed for each in children)
        return [await each for each in children]

    async with bb:
        assert await (await bb.create_task(parent())) == [0, 1, 4, 9]
    assert runs == dict.fromkeys(range(4), 1)


async def test_a_rerun_parent_joins_live_children_after_a_timeout(bb: Backburner) -> None:
    """A timeout leaves children alone: they go on, and the parent's next run waits for the same ones."""
    runs: Counter[str] = Counter()
    release = asyncio.Event()

    @bb.job
    async def child(name: str) -> str:
        runs[name] += 1
        await release.wait()
        return name

    @bb.job(timeout=0.05)
    async def parent() -> list[str]:
        if current_job().attempt > 1:
            release.set()
        async with bb.TaskGroup() as group:
            children = [group.create_task(child(name)) for name in ("a", "b")]
        return [await each for each in children]

    async with bb:
        handle = await bb.create_task(parent(), retry=PATIENT)
        assert await handle == ["a", "b"]
        assert (await handle.status()).failures >= 1
    assert runs == {"a": 1, "b": 1}


async def test_a_shutdown_leaves_children_alone(make_sqlite: Callable[..., Backburner]) -> None:
    """A deploy, even without grace, cancels no child: the parent's next run finds each as it was."""
    bb = make_sqlite(grace=0)
    runs: Counter[str] = Counter()
    started, deployed = asyncio.Event(), asyncio.Event()

    @bb.job
    async def quick() -> str:
        runs["quick"] += 1
        return "quick"

    @bb.job
    async def slow() -> str:
        runs["slow"] += 1
        started.set()
        await deployed.wait()
        return "slow"

    @bb.job
    async def parent() -> list[str]:
        runs["parent"] += 1
        async with bb.TaskGroup() as group:
            children = [group.create_task(quick()), group.create_task(slow()), group.create_task(slow(), delay=0.2)]
        return [await each for each in children]

    async with bb:
        handle = await bb.create_task(parent())
        await started.wait()
        while not runs["quick"]:
            await checkpoint()
    deployed.set()
    async with bb:
        handle = bb.handle(handle.id, parent)
        assert await handle == ["quick", "slow", "slow"]
        status = await handle.status()
    # The slow one was interrupted by the deploy and ran again, as any job; the second slow had not begun.
    assert runs == {"parent": 2, "quick": 1, "slow": 3}
    assert (status.failures, status.interruptions) == (0, 1)


async def test_a_lost_claim_leaves_children_alone(make_sqlite: Callable[..., Backburner], tmp_path: Path) -> None:
    """A parent whose job is another's by now is stopped here; its children are that other run's, and go on."""
    bb = make_sqlite(grace=0)
    started, stopped, release = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @bb.job
    async def child() -> str:
        started.set()
        await release.wait()
        return "done"

    @bb.job
    async def parent() -> None:
        try:
            async with bb.TaskGroup() as group:
                group.create_task(child(), id="child")
        finally:
            stopped.set()

    async with bb:
        handle = await bb.create_task(parent())
        await started.wait()
        # As a node does that took this one for dead: the claim has another token.
        async with aiosqlite.connect(tmp_path / "jobs.db") as connection:
            await connection.execute("UPDATE backburner_jobs SET token = token + 1 WHERE id = ?", (handle.id,))
            await connection.commit()
        await stopped.wait()
        alive = bb.handle("child", child)
        assert (await alive.status()).state == "running"
        release.set()
        assert await alive == "done"


async def test_children_cancelled_by_the_bodys_own_error_are_stored_anew(bb: Backburner) -> None:
    """What a parent's group cancelled is stored anew when the parent runs again, and runs."""
    runs: Counter[str] = Counter()
    started = asyncio.Event()

    @bb.job
    async def child(name: str) -> str:
        runs[name] += 1
        if name == "running" and runs[name] == 1:
            started.set()
            await asyncio.Event().wait()
        return name

    @bb.job
    async def parent() -> list[str]:
        async with bb.TaskGroup() as group:
            running = group.create_task(child("running"))
            scheduled = group.create_task(child("scheduled"), delay=3600 if current_job().attempt == 1 else 0)
            if current_job().attempt == 1:
                await running.status()
                await started.wait()
                raise ConnectionError
        return [await running, await scheduled]

    async with bb:
        handle = await bb.create_task(parent())
        assert await handle == ["running", "scheduled"]
        assert (await handle.status()).failures == 1
    assert runs == {"running": 2, "scheduled": 1}


async def test_a_childs_death_cancels_siblings_which_are_stored_anew(bb: Backburner) -> None:
    """A death cancels the siblings; in the parent's next run they are new jobs, while the dead one stays dead."""
    runs: Counter[str] = Counter()
    started = asyncio.Event()

    @bb.job
    async def doomed() -> None:
        runs["doomed"] += 1
        await started.wait()
        raise Reject("no luck")

    @bb.job
    async def sibling() -> str:
        runs["sibling"] += 1
        started.set()
        if runs["sibling"] == 1:
            await asyncio.Event().wait()
        return "alive"

    @bb.job
    async def parent() -> tuple[str, str | None]:
        if current_job().attempt == 1:
            async with bb.TaskGroup() as group:
                group.create_task(sibling())
                group.create_task(doomed())
            raise AssertionError("the group must have raised")
        alive = await (await bb.create_task(sibling()))
        again = await bb.create_task(doomed())
        assert again.existed
        with pytest.raises(JobDead) as caught:
            await again
        return alive, caught.value.reason

    async with bb:
        handle = await bb.create_task(parent())
        assert await handle == ("alive", "rejected: no luck")
        assert (await handle.status()).failures == 1
    assert runs == {"doomed": 1, "sibling": 2}


async def test_a_child_still_running_when_its_parent_reruns_is_asked_no_more(bb: Backburner) -> None:
    """Cancelled by its group but not ended yet when the parent runs again, a child is that run's child after all."""
    runs: Counter[str] = Counter()
    started, cancelled, release = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @bb.job
    async def stubborn() -> str:
        runs["stubborn"] += 1
        if runs["stubborn"] > 1:
            return "at last"
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            await release.wait()
            raise
        raise AssertionError

    @bb.job(timeout=0.2)
    async def parent() -> str:
        runs["parent"] += 1
        async with bb.TaskGroup() as group:
            child = group.create_task(stubborn())
            if runs["parent"] == 1:
                await child.status()
                await started.wait()
                raise ConnectionError
            await child.status()
            assert cancelled.is_set()
            release.set()
        return await child

    async with bb:
        assert await (await bb.create_task(parent(), retry=PATIENT)) == "at last"
    assert runs["stubborn"] == 2


async def test_a_users_cancel_of_the_parent_cancels_its_children(bb: Backburner) -> None:
    """A parent that somebody cancels while its group waits takes its children along."""
    children: list[str] = []
    started = asyncio.Event()

    @bb.job
    async def child() -> None:
        started.set()
        await asyncio.Event().wait()

    @bb.job
    async def parent() -> None:
        async with bb.TaskGroup() as group:
            handles = [group.create_task(child()), group.create_task(child(), delay=3600)]
            children.extend(handle.id for handle in handles)

    async with bb:
        handle = await bb.create_task(parent())
        await started.wait()
        assert await handle.cancel()
        with pytest.raises(JobCancelled):
            await handle
        for child_id in children:
            with pytest.raises(JobCancelled) as caught:
                await bb.handle(child_id, child)
            assert caught.value.reason == "group"


async def test_dead_children_are_found_dead(bb: Backburner) -> None:
    """A child out of attempts is not tried again by its parent's next run: the same death is there at once."""
    runs: Counter[str] = Counter()

    @bb.job
    async def doomed() -> None:
        runs["doomed"] += 1
        raise Reject("no luck")

    @bb.job
    async def parent() -> None:
        runs["parent"] += 1
        async with bb.TaskGroup() as group:
            group.create_task(doomed())

    async with bb:
        with pytest.raises(JobDead, match="ExceptionGroup: errors in a TaskGroup"):
            await (await bb.create_task(parent()))
    assert runs == {"doomed": 1, "parent": 3}


async def test_many_stored_at_once_are_children_too(bb: Backburner) -> None:
    """`create_tasks` and `create_task` in a job store children as a group does; outside a group nothing cancels them."""
    runs: Counter[int] = Counter()

    @bb.job
    async def child(n: int) -> int:
        runs[n] += 1
        return n

    @bb.job
    async def parent() -> list[int]:
        many = await bb.create_tasks([child(1), child(2)])
        one = await bb.create_task(child(3))
        if current_job().attempt == 1:
            raise ConnectionError
        assert [handle.existed for handle in (*many, one)] == [True] * 3
        return [await handle for handle in (*many, one)]

    async with bb:
        handle = await bb.create_task(parent())
        assert await handle == [1, 2, 3]
    assert runs == {1: 1, 2: 1, 3: 1}


# ---- which child it is ---------------------------------------------------------------------------------------------


async def test_a_childs_id_is_that_of_its_parent_kind_and_arguments(bb: Backburner) -> None:
    """Equal calls of one run are told apart by their ordinal; calls of other arguments or kinds are other children."""
    seen: list[list[str]] = []

    @bb.job
    async def child(n: int) -> int:
        return n

    @bb.job
    async def other(n: int) -> int:
        return n

    @bb.job
    async def parent() -> None:
        if current_job().attempt == 1:
            calls = [child(1), child(1), child(2), other(1)]
        else:
            calls = [other(1), child(2), child(1), child(1)]
        seen.append([(await bb.create_task(call)).id for call in calls])
        if current_job().attempt == 1:
            raise ConnectionError

    async with bb:
        handle = await bb.create_task(parent())
        await handle
        status = await bb.handle(seen[0][0], child).status()
    first, second = seen
    assert len(set(first)) == 4
    assert second == [first[3], first[2], first[0], first[1]]
    assert status.parent == handle.id


async def test_a_childs_name_finds_it_whatever_its_arguments(bb: Backburner) -> None:
    """With ``name=`` a child is found again even if the parent's next run calls it with other arguments."""
    seen: list[int] = []

    @bb.job
    async def child(stamp: int) -> int:
        seen.append(stamp)
        return stamp

    @bb.job
    async def parent() -> int:
        handle = await bb.create_task(child(current_job().token), name="the one")
        other = await bb.create_task(child(-1), name="another")
        assert await other == -1
        first = await handle
        if current_job().attempt == 1:
            raise ConnectionError
        assert handle.existed
        assert first != current_job().token
        return first

    async with bb:
        assert await (await bb.create_task(parent())) == seen[0]
    assert sorted(seen) == sorted([seen[0], -1])


async def test_two_parents_have_their_own_children(bb: Backburner) -> None:
    """Equal calls in two jobs are two children."""
    ids: list[str] = []

    @bb.job
    async def child() -> None: ...

    @bb.job
    async def parent() -> None:
        handle = await bb.create_task(child(), name="same")
        ids.append(handle.id)
        await handle

    async with bb:
        for handle in await bb.create_tasks([parent(), parent()]):
            await handle
    assert len(set(ids)) == 2


async def test_an_id_and_a_name_are_not_both(bb: Backburner) -> None:
    """``id=`` names a job everywhere and ``name=`` a child among its siblings: one of them."""

    @bb.job
    async def child() -> None: ...

    @bb.job(retry="none")
    async def parent() -> None:
        await bb.create_task(child(), id="a", name="b")

    async with bb:
        with pytest.raises(JobDead, match="id and name both say which job it is"):
            await (await bb.create_task(parent()))
        with pytest.raises(InvalidOption, match="outside of one give id="):
            await bb.create_task(child(), name="b")


async def test_what_a_job_stores_while_it_awaits_a_call_is_its_child(bb: Backburner) -> None:
    """A call awaited inside a job runs in that job: what it stores is the job's child, and found again."""
    runs: Counter[str] = Counter()

    @bb.job
    async def child() -> str:
        runs["child"] += 1
        return "child"

    @bb.job
    async def helper() -> str:
        return await (await bb.create_task(child()))

    @bb.job
    async def parent() -> str:
        answer = await helper()
        if current_job().attempt == 1:
            raise ConnectionError
        return answer

    async with bb:
        assert await (await bb.create_task(parent())) == "child"
    assert runs == {"child": 1}


# ---- how long they are kept ----------------------------------------------------------------------------------------


async def test_children_are_kept_until_the_parent_is_final(make_local: Callable[..., Backburner]) -> None:
    """Retention does not take a child from under its parent: it goes once its parent has been final for its time."""
    clock = FakeClock()
    bb = make_local(clock=clock, keep={"completed": 60})
    stored, release = asyncio.Event(), asyncio.Event()
    children: list[str] = []

    @bb.job
    async def child() -> int:
        return 7

    @bb.job(timeout=None)
    async def parent() -> int:
        handle = await bb.create_task(child())
        children.append(handle.id)
        assert await handle == 7
        stored.set()
        await release.wait()
        again = await bb.create_task(child(), name="other")
        return await again + await bb.handle(children[0], child)

    async with bb:
        handle = await bb.create_task(parent())
        await stored.wait()
        for _ in range(30):
            await clock.advance(10)
        assert (await bb.handle(children[0], child).status()).state == "completed"
        release.set()
        assert await handle == 14
        while True:
            await clock.advance(10)
            try:
                await bb.handle(children[0], child).status()
            except JobNotFound:
                break
        with pytest.raises(JobNotFound):
            await handle.status()
