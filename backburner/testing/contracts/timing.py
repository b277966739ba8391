"""What `JobReader.timings` promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backburner.model.clock import SECOND
from backburner.model.job import CANCELLED, Ending, JobState
from backburner.model.query import Condition, JobFilter, Shown
from backburner.ports.jobs import Keep, Timing, Timings
from backburner.testing.contracts.making import (
    LEASE,
    add,
    add_claimed,
    claim,
    dead,
    ended,
    ids,
    new,
    publish,
    read,
    recover,
    settle,
    to_settle,
)

if TYPE_CHECKING:
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["TimingContract"]

FINAL = (JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD)
EVERYTHING = JobFilter()


async def _found(
    backend: Backend,
    state: JobState = JobState.COMPLETED,
    within: int = LEASE,
    **where: Any,  # noqa: ANN401 - any field of a filter
) -> list[str]:
    """Return the ids of the jobs that went so, in their order."""
    page = await backend.reader.timings(state, JobFilter(**where), within=within, limit=1_000)
    assert page.after is None
    return [timing.id for timing in page.jobs]


async def _one(backend: Backend, state: JobState) -> Timing:
    """Return how the one job went that ended so, which says what its record says."""
    (timing,) = (await backend.reader.timings(state, EVERYTHING, within=LEASE, limit=2)).jobs
    record = await read(backend, timing.id)
    assert timing == Timing(**{name: getattr(record, name) for name in Timing.__struct_fields__})
    return timing


@pytest.mark.anyio
class TimingContract:
    """How jobs went that ended of late is read without a look at those that ended before."""

    async def test_every_field(self, harness: Harness) -> None:
        """A job's timing says when it was stored, due, claimed and ended, and what it was; on every connection."""
        await publish(harness.backend)
        start = harness.clock.now()
        job = await add(harness.backend, kind="größe:🙂", queue="ünï", delay=2 * SECOND)
        harness.clock.move(5)
        (claimed,) = await claim(harness.backend, queues=("ünï",), kinds=("größe:🙂",))
        harness.clock.move(3)
        await settle(harness.backend, claimed)
        timing = Timing(
            id=job.id,
            kind="größe:🙂",
            queue="ünï",
            attempt=1,
            failures=0,
            created_at=start,
            due_at=start + 2 * SECOND,
            started_at=start + 5 * SECOND,
            ended_at=start + 8 * SECOND,
        )
        harness.clock.move(1)
        for backend in (harness.backend, await harness.second()):
            page = await backend.reader.timings(JobState.COMPLETED, EVERYTHING, within=LEASE, limit=10)
            assert page == Timings(harness.clock.now(), (timing,), None)
        assert await _one(harness.backend, JobState.COMPLETED) == timing

    async def test_the_last_run(self, harness: Harness) -> None:
        """Of a job that was tried again its last run is told: when that was due, and when it began."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        failure: dict[str, Any] = {"ending": Ending.FAILED, "failed": 1, "error": "E"}
        await settle(harness.backend, claimed, JobState.PENDING, delay=10 * SECOND, **failure)
        due = harness.clock.now() + 10 * SECOND
        harness.clock.move(15)
        (claimed,) = await claim(harness.backend)
        began = harness.clock.now()
        harness.clock.move(1)
        await settle(harness.backend, claimed, JobState.DEAD, **failure)
        timing = await _one(harness.backend, JobState.DEAD)
        assert (timing.attempt, timing.failures, timing.due_at, timing.started_at) == (2, 2, due, began)

    async def test_ended_before_it_ran_again(self, harness: Harness) -> None:
        """A job that was to run again and ended while it waited was due after its last run began."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        began = harness.clock.now()
        await settle(harness.backend, claimed, JobState.PENDING, ending=Ending.FAILED, failed=1, delay=60 * SECOND)
        harness.clock.move(1)
        await harness.backend.admin.cancel([claimed.id])
        timing = await _one(harness.backend, JobState.CANCELLED)
        assert (timing.attempt, timing.due_at, timing.started_at) == (1, began + 60 * SECOND, began)

    async def test_never_ran(self, harness: Harness) -> None:
        """A job that was cancelled, or expired, before it ran has no beginning."""
        await publish(harness.backend)
        await add(harness.backend, delay=60 * SECOND, expires_in=SECOND)
        harness.clock.move(1)
        (recovered,) = (await recover(harness.backend)).jobs
        await settle(harness.backend, recovered.claim, JobState.DEAD, reason="expired", unstarted=True)
        timing = await _one(harness.backend, JobState.DEAD)
        assert (timing.attempt, timing.started_at) == (0, None)
        await harness.backend.admin.cancel([(await add(harness.backend)).id])
        assert (await _one(harness.backend, JobState.CANCELLED)).started_at is None

    async def test_brought_forward(self, harness: Harness) -> None:
        """A job that was brought forward was due from then on."""
        await publish(harness.backend)
        job = await add(harness.backend, delay=60 * SECOND)
        harness.clock.move(1)
        await harness.backend.admin.expedite([job.id])
        due = harness.clock.now()
        harness.clock.move(1)
        (claimed,) = await claim(harness.backend)
        await settle(harness.backend, claimed)
        timing = await _one(harness.backend, JobState.COMPLETED)
        assert (timing.due_at, timing.started_at) == (due, due + SECOND)

    async def test_each_state_by_itself(self, harness: Harness) -> None:
        """Only jobs of the state asked for are found, and of those that have not ended there are none."""
        await publish(harness.backend)
        made = {state: await ended(harness.backend, state) for state in FINAL}
        await add_claimed(harness.backend)
        await add(harness.backend)
        for state in JobState:
            expected = [made[state]] if state in made else []
            assert await _found(harness.backend, state) == expected
            assert await _found(harness.backend, state, states=(Shown.RUNNING,)) == expected

    async def test_the_last_to_end_first(self, harness: Harness) -> None:
        """Jobs come by when they ended, the last first, whatever their ids; those of one moment by id, the greatest first."""
        await publish(harness.backend)
        jobs = [await add_claimed(harness.backend) for _ in range(9)]
        moments = [jobs[0:1], jobs[6:9], jobs[3:6], jobs[1:3]]
        for claims in moments:
            await harness.backend.jobs.settle("node", [to_settle(claimed) for claimed in claims])
            harness.clock.move(1)
        expected = [claimed.id for claims in reversed(moments) for claimed in reversed(claims)]
        assert await _found(harness.backend) == expected

    async def test_ids_of_one_moment(self, harness: Harness) -> None:
        """Ids of one moment are ordered by the numbers of their characters."""
        await publish(harness.backend)
        given = ["a", "B", "b", "é", "🙂", "\uffee", "a/b", "aa"]
        claims = [await add_claimed(harness.backend, id=job_id) for job_id in given]
        await harness.backend.jobs.settle("node", [to_settle(claimed) for claimed in claims])
        expected = sorted(given, reverse=True)
        assert await _found(harness.backend) == expected
        assert await self._paged(harness.backend, 1) == expected

    @staticmethod
    async def _paged(backend: Backend, limit: int, **where: Any) -> list[str]:  # noqa: ANN401 - any field of a filter
        """Return the ids of the completed jobs that match, read page by page."""
        found: list[str] = []
        after = None
        while True:
            page = await backend.reader.timings(
                JobState.COMPLETED, JobFilter(**where), within=LEASE, limit=limit, after=after
            )
            assert len(page.jobs) <= limit
            found += [timing.id for timing in page.jobs]
            if page.after is None:
                return found
            after = page.after

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    async def test_pages(self, harness: Harness, limit: int) -> None:
        """Pages follow one another without a gap and without a job twice, also within one moment and with a filter."""
        await publish(harness.backend)
        for number in (1, 4, 2, 5):
            claims = [await add_claimed(harness.backend, tags=(f"t{nth % 2}",)) for nth in range(number)]
            await harness.backend.jobs.settle("node", [to_settle(claimed) for claimed in claims])
            harness.clock.move(1)
        expected = await _found(harness.backend)
        assert len(expected) == 12
        assert await self._paged(harness.backend, limit) == expected
        tagged = await _found(harness.backend, tags=("t1",))
        assert len(tagged) == 5
        assert await self._paged(harness.backend, limit, tags=("t1",)) == tagged

    async def test_stable_while_others_end(self, harness: Harness) -> None:
        """A next page goes on from where the one before ended, whatever has ended or was deleted meanwhile."""
        await publish(harness.backend)
        jobs: list[str] = []
        for _ in range(4):
            jobs.append(await ended(harness.backend, JobState.COMPLETED))
            harness.clock.move(1)
        reader = harness.backend.reader
        page = await reader.timings(JobState.COMPLETED, EVERYTHING, within=LEASE, limit=2)
        assert [timing.id for timing in page.jobs] == [jobs[3], jobs[2]]
        await ended(harness.backend, JobState.COMPLETED)
        await harness.backend.admin.prune(Keep(completed=4 * SECOND, cancelled=0, dead=0), 1)
        page = await reader.timings(JobState.COMPLETED, EVERYTHING, within=LEASE, limit=2, after=page.after)
        assert ([timing.id for timing in page.jobs], page.after) == ([jobs[1]], None)

    async def test_within(self, harness: Harness) -> None:
        """What ended within so many microseconds is found, to the microsecond; pages do not look back further."""
        await publish(harness.backend)
        old = await ended(harness.backend, JobState.COMPLETED)
        harness.clock.move(10)
        young = await ended(harness.backend, JobState.COMPLETED)
        assert await _found(harness.backend, within=10 * SECOND) == [young, old]
        assert await _found(harness.backend, within=10 * SECOND - 1) == [young]
        assert await _found(harness.backend, within=0) == [young]
        assert await _found(harness.backend, within=10**20) == [young, old]
        harness.clock.move(1)
        assert await _found(harness.backend, within=0) == []

    async def test_a_window_of_pages(self, harness: Harness) -> None:
        """The last page within the time asked for says that there is no next one."""
        await publish(harness.backend)
        await ended(harness.backend, JobState.COMPLETED)
        harness.clock.move(10)
        young = await ended(harness.backend, JobState.COMPLETED)
        page = await harness.backend.reader.timings(JobState.COMPLETED, EVERYTHING, within=SECOND, limit=1)
        assert ([timing.id for timing in page.jobs], page.after) == ([young], None)

    async def test_filters(self, harness: Harness) -> None:
        """Every field of the filter but the states is looked at, and all must hold."""
        await publish(harness.backend)
        await publish(harness.backend, "other")
        start = harness.clock.now()
        letter = (await dead(harness.backend, fingerprint="f2", error="KeyError", message="no such thing")).id
        harness.clock.move(1)
        other = (
            await dead(
                harness.backend, "other", kind="mail", queue="slow", tags=("a", "b"), args='{"n":7}', parent=letter
            )
        ).id
        both = [other, letter]
        cases: tuple[tuple[dict[str, Any], list[str]], ...] = (
            ({}, both),
            ({"kinds": ("mail", "x")}, [other]),
            ({"kinds": ("note", "mail")}, both),
            ({"queues": ("slow",)}, [other]),
            ({"error": "such"}, [letter]),
            ({"error": "Value"}, [other]),
            ({"fingerprint": "f2"}, [letter]),
            ({"tags": ("b", "c")}, [other]),
            ({"since": start + 1}, [other]),
            ({"until": start + 1}, [letter]),
            ({"where": (Condition(("n",), "=", 7),)}, [other]),
            ({"prefix": letter}, [letter]),
            ({"parents": (letter,)}, [other]),
            ({"ended_before": start + SECOND}, [letter]),
            ({"node": "other"}, [other]),
            ({"states": (Shown.WAITING,)}, both),
            ({"kinds": ("mail",), "queues": ("default",)}, []),
            ({"prefix": "\0"}, []),
        )
        for where, expected in cases:
            assert (await _found(harness.backend, JobState.DEAD, **where)) == expected, where

    async def test_a_child_kept_for_its_parent(self, harness: Harness) -> None:
        """A child whose own time has passed, and that is kept for its parent, is left out until it is let go."""
        await publish(harness.backend)
        parent = await add_claimed(harness.backend)
        child = await ended(harness.backend, JobState.COMPLETED, parent=parent.id)
        assert await _found(harness.backend) == [child]
        harness.clock.move(1)
        await harness.backend.admin.prune(Keep(completed=0, cancelled=0, dead=0), 10)
        assert await _found(harness.backend) == []
        assert (await read(harness.backend, child)).state is JobState.COMPLETED
        await settle(harness.backend, parent)
        assert await _found(harness.backend) == [parent.id]

    async def test_many(self, harness: Harness) -> None:
        """Of thousands that ended in one moment each page has its own."""
        await publish(harness.backend)
        jobs = [new() for _ in range(2_500)]
        await harness.backend.jobs.enqueue([jobs])
        await harness.backend.admin.cancel(ids(jobs), CANCELLED)
        found: list[str] = []
        after = None
        for expected in (1_000, 1_000, 500):
            page = await harness.backend.reader.timings(
                JobState.CANCELLED, EVERYTHING, within=LEASE, limit=1_000, after=after
            )
            assert len(page.jobs) == expected
            found += [timing.id for timing in page.jobs]
            after = page.after
        assert after is None
        assert found == ids(jobs)[::-1]
