"""What `ScheduleStore.due` promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from backburner.model.clock import SECOND
from backburner.model.job import JobState
from backburner.model.schedule import ScheduleChange
from backburner.ports.jobs import Keep
from backburner.ports.schedules import Due
from backburner.testing.contracts.making import add, add_claimed, claim, ended, new, publish, settle
from backburner.testing.contracts.scheduling import change, fire, plan, schedule, stored

if TYPE_CHECKING:
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["DueContract"]


async def _due(backend: Backend, limit: int = 10) -> tuple[list[str], int | None]:
    """Return the names that are due, in their order, and the wait."""
    due = await backend.schedules.due(limit)
    return [record.name for record in due.schedules], due.wait


async def _move(backend: Backend, name: str, due_at: int | None) -> None:
    """Have a schedule be due at another moment, as a change does that decided of its tick."""
    record = msgspec.structs.replace(await stored(backend, name), due_at=due_at)
    await change(backend, ScheduleChange(schedule=record))


@pytest.mark.anyio
class DueContract:
    """What is due by the store's now, and until when there is nothing to do."""

    async def test_none(self, harness: Harness) -> None:
        """Where there are no schedules nothing is due, and nothing ever is."""
        assert await harness.backend.schedules.due(10) == Due(now=harness.clock.now())

    async def test_due_to_the_microsecond(self, harness: Harness) -> None:
        """A schedule is due from its moment on, to the microsecond, on every connection; until then it is waited for."""
        await plan(harness.backend, due_at=harness.clock.now() + 90 * SECOND)
        second = await harness.second()
        for backend in (harness.backend, second):
            assert await _due(backend) == ([], 90 * SECOND)
        harness.clock.move(89.999999)
        assert await _due(second) == ([], 1)
        harness.clock.move(0.000001)
        for backend in (harness.backend, second):
            due = await backend.schedules.due(10)
            assert due == Due(now=harness.clock.now(), schedules=(await stored(harness.backend),))
        harness.clock.move(3600)
        assert await _due(harness.backend) == (["daily"], None)

    async def test_asking_changes_nothing(self, harness: Harness) -> None:
        """A schedule is due for all who ask until a change says otherwise."""
        before = await plan(harness.backend, due_at=harness.clock.now())
        for _ in range(3):
            assert await _due(harness.backend) == (["daily"], None)
        assert await stored(harness.backend) == before
        await _move(harness.backend, "daily", harness.clock.now() + 7)
        assert await _due(harness.backend) == ([], 7)
        await _move(harness.backend, "daily", None)
        assert await _due(harness.backend) == ([], None)
        await _move(harness.backend, "daily", harness.clock.now())
        assert await _due(harness.backend) == (["daily"], None)

    async def test_back_to_a_moment(self, harness: Harness) -> None:
        """A schedule that was moved away and back again, or removed and put again, is due once."""
        now = harness.clock.now()
        await plan(harness.backend, due_at=now)
        for due_at in (now + 5, now, None, now, now):
            await _move(harness.backend, "daily", due_at)
        assert await _due(harness.backend) == (["daily"], None)
        assert await _due(harness.backend, 1) == (["daily"], None)
        await harness.backend.schedules.remove("daily", 6)
        await plan(harness.backend, due_at=now)
        await plan(harness.backend, "other", due_at=now)
        assert await _due(harness.backend, 1) == (["daily"], 0)
        assert await _due(harness.backend) == (["daily", "other"], None)

    async def test_the_earliest_first(self, harness: Harness) -> None:
        """They come by the moment they are due, then by name as code points go."""
        now = harness.clock.now()
        for name, ago in (("c", 1), ("b", 3), ("ä", 2), ("a", 1), ("z", 2), ("B", 2), ("🙂", 2), ("\uff5e", 2)):
            await plan(harness.backend, name, due_at=now - ago * SECOND)
        assert await _due(harness.backend) == (["b", "B", "z", "ä", "\uff5e", "🙂", "a", "c"], None)

    async def test_as_many_as_are_asked_for(self, harness: Harness) -> None:
        """At most ``limit`` are answered; the wait is 0 while more are due, and else until the next that is not."""
        now = harness.clock.now()
        for number in range(5):
            await plan(harness.backend, f"s{number}", due_at=now - 5 + number)
        assert await _due(harness.backend, 1) == (["s0"], 0)
        assert await _due(harness.backend, 4) == (["s0", "s1", "s2", "s3"], 0)
        assert await _due(harness.backend, 5) == (["s0", "s1", "s2", "s3", "s4"], None)
        await plan(harness.backend, "later", due_at=now + 17)
        await plan(harness.backend, "latest", due_at=now + 19)
        assert await _due(harness.backend, 4) == (["s0", "s1", "s2", "s3"], 0)
        assert await _due(harness.backend, 5) == (["s0", "s1", "s2", "s3", "s4"], 17)
        assert await _due(harness.backend, 100) == (["s0", "s1", "s2", "s3", "s4"], 17)

    async def test_waits_for_the_first_to_come(self, harness: Harness) -> None:
        """Where none is due the wait is until the first that will be, however far that is."""
        now = harness.clock.now()
        await plan(harness.backend, "far", due_at=now + 10**13 + 1)
        assert await _due(harness.backend) == ([], 10**13 + 1)
        await plan(harness.backend, "near", due_at=now + 2)
        assert await _due(harness.backend) == ([], 2)
        await _move(harness.backend, "near", now + 10**13 + 3)
        assert await _due(harness.backend) == ([], 10**13 + 1)
        await harness.backend.schedules.remove("far", 1)
        assert await _due(harness.backend) == ([], 10**13 + 3)

    async def test_never_due(self, harness: Harness) -> None:
        """A schedule without a moment to look at it is never due and never waited for: paused, retired or at its end."""
        await plan(harness.backend, "ended", next_tick=None)
        await plan(harness.backend, "paused", paused=True, next_tick=1)
        await plan(harness.backend, "retired", retired=True, next_tick=1)
        harness.clock.move(10**8)
        assert await _due(harness.backend) == ([], None)

    async def test_only_the_moment_counts(self, harness: Harness) -> None:
        """Whatever else a schedule says, its moment makes it due: the end of a pause is one."""
        now = harness.clock.now()
        await plan(harness.backend, "paused", paused=True, paused_until=now + 5, next_tick=1, due_at=now + 5)
        await plan(harness.backend, "retired", retired=True, declared=True, due_at=now + 6)
        assert await _due(harness.backend) == ([], 5)
        harness.clock.move(0.000006)
        assert await _due(harness.backend) == (["paused", "retired"], None)

    async def test_no_more_once_it_fired(self, harness: Harness) -> None:
        """A change that fires and says when it is due next makes it due then."""
        now = harness.clock.now()
        seen = await plan(harness.backend, due_at=now)
        job = (await add(harness.backend)).id
        assert await _due(harness.backend) == (["daily"], None)
        fired = msgspec.structs.replace(seen, due_at=now + SECOND, last_job=job)
        await change(harness.backend, ScheduleChange(schedule=fired))
        assert await _due(harness.backend) == ([], SECOND)

    # ---- whose last job has not ended ------------------------------------------------------------------------------

    async def test_whose_last_job_has_not_ended(self, harness: Harness) -> None:
        """Those are told of whose last job is pending, at a gate, running or retrying; not those whose job has ended."""
        await publish(harness.backend)
        retrying = await add_claimed(harness.backend)
        await settle(harness.backend, retrying, JobState.PENDING, delay=3600 * SECOND, failed=1)
        jobs = {
            "completed": await ended(harness.backend, JobState.COMPLETED),
            "cancelled": await ended(harness.backend, JobState.CANCELLED),
            "dead": await ended(harness.backend, JobState.DEAD),
            "missing": "nobody",
            "retrying": retrying.id,
            "running": (await add_claimed(harness.backend)).id,
            "parked": (await add(harness.backend, gate="elsewhere")).id,
            "later": (await add(harness.backend, delay=SECOND)).id,
            "pending": (await add(harness.backend)).id,
        }
        now = harness.clock.now()
        for name, job_id in jobs.items():
            await plan(harness.backend, name, due_at=now, last_job=job_id)
        await plan(harness.backend, "none", due_at=now)
        # One that is not due is not told of.
        await plan(harness.backend, "not yet", due_at=now + 1, last_job=jobs["pending"])
        for backend in (harness.backend, await harness.second()):
            due = await backend.schedules.due(20)
            assert len(due.schedules) == 10
            assert due.unended == {"retrying", "running", "parked", "later", "pending"}

    async def test_two_of_one_job(self, harness: Harness) -> None:
        """Schedules that wait for the same job are all told of."""
        job = await add(harness.backend)
        now = harness.clock.now()
        for name in "ab":
            await plan(harness.backend, name, due_at=now, last_job=job.id)
        assert (await harness.backend.schedules.due(1)).unended == {"a"}
        assert (await harness.backend.schedules.due(9)).unended == {"a", "b"}

    async def test_until_it_ends(self, harness: Harness) -> None:
        """A job that a change stored is unended until it ends, also when it was asked to; and not once it is gone."""
        await publish(harness.backend)
        job = new()
        await change(harness.backend, fire(job, schedule(due_at=harness.clock.now())))

        async def unended() -> bool:
            due = await harness.backend.schedules.due(5)
            assert [record.name for record in due.schedules] == ["daily"]
            return "daily" in due.unended

        assert await unended()
        (claimed,) = await claim(harness.backend)
        await harness.backend.admin.cancel([job.id])
        assert await unended()
        await settle(harness.backend, claimed, JobState.PENDING)
        assert not await unended()
        assert await harness.backend.admin.prune(Keep(completed=0, cancelled=0, dead=0), 10) == 1
        assert not await unended()
