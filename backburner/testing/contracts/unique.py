"""What `JobStore.enqueue` promises of unique keys."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backburner.model.clock import SECOND
from backburner.model.job import UNIQUE_GATE, JobState
from backburner.model.query import JobFilter
from backburner.ports.jobs import Birth, GroupAnswer, Keep
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    claim,
    ended,
    held,
    keyed,
    new,
    publish,
    put,
    read,
    settle,
)

if TYPE_CHECKING:
    from backburner.model.job import NewJob
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["UniqueContract"]

FINAL = (JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD)


async def _holder(backend: Backend, key: str = "key") -> str | None:
    """Try to store a job with the key; return who holds it. A job that was stored is cancelled, so holds nothing."""
    job = new(unique=keyed(key))
    answer = await put(backend, job)
    assert set(answer.holders) <= {job.id}
    if not answer.holders:
        await backend.admin.cancel([job.id])
    return answer.holders.get(job.id)


async def _insist(backend: Backend, job: NewJob) -> GroupAnswer:
    """Store a job, again as long as its key is busy."""
    while (answer := await put(backend, job)).busy:
        pass
    return answer


@pytest.mark.anyio
class UniqueContract:
    """A key is one job's at a time; whoever comes second is told whose."""

    async def test_a_held_key_is_answered_by_its_holder(self, harness: Harness) -> None:
        """A job whose key is held by another is not stored; the holder is answered, and left as it is."""
        first = await add(harness.backend, unique=keyed())
        before = await read(harness.backend, first.id)
        harness.clock.move(1)
        second = new(unique=keyed(), queue="other", kind="other", args='{"other":1}')
        assert await put(harness.backend, second) == GroupAnswer(holders={second.id: first.id})
        assert (await harness.backend.reader.get([second.id])).jobs == ()
        assert await read(harness.backend, first.id) == before

    async def test_the_key_is_read_back(self, harness: Harness) -> None:
        """A job's key is told of it whether it holds the key or not."""
        key = "ünïque:ключ"
        job = await add(harness.backend, unique=keyed(key, (JobState.RUNNING,), SECOND))
        assert (await read(harness.backend, job.id)).unique == key
        await harness.backend.admin.cancel([job.id])
        harness.clock.move(1)
        assert (await read(harness.backend, job.id)).unique == key

    async def test_the_second_of_one_write_is_not_stored(self, harness: Harness) -> None:
        """Of two jobs of one key in one write, in one group or in two, the first is stored and holds it."""
        first, second, third = [new(unique=keyed()) for _ in range(3)]
        answer = await harness.backend.jobs.enqueue([[first, second], [third]])
        assert [group.holders for group in answer.groups] == [{second.id: first.id}, {third.id: first.id}]
        assert (await harness.backend.reader.get([second.id, third.id])).jobs == ()
        assert (await read(harness.backend, first.id)).state is JobState.PENDING

    async def test_a_conflict_harms_no_other(self, harness: Harness) -> None:
        """The other jobs of the group, with other keys or none, are stored."""
        holder = await add(harness.backend, unique=keyed())
        jobs = [new(), new(unique=keyed()), new(unique=keyed("other")), new(unique=keyed()), new()]
        answer = await harness.backend.jobs.enqueue([jobs, [new()]])
        assert answer.groups[0] == GroupAnswer(holders={jobs[1].id: holder.id, jobs[3].id: holder.id})
        assert answer.groups[1] == GroupAnswer()
        stored = (await harness.backend.reader.find(JobFilter(), limit=10)).jobs
        assert len(stored) == 5

    async def test_an_id_is_looked_at_first(self, harness: Harness) -> None:
        """A repeated write is a duplicate, not a conflict: with itself, or with who came to the key after it."""
        job = await add(harness.backend, unique=keyed())
        assert await put(harness.backend, job) == GroupAnswer(duplicates=(job.id,))
        await harness.backend.admin.cancel([job.id])
        await add(harness.backend, unique=keyed())
        assert await put(harness.backend, job) == GroupAnswer(duplicates=(job.id,))

    @pytest.mark.parametrize("state", JobState)
    async def test_held_in_the_named_states(self, harness: Harness, state: JobState) -> None:
        """A key is held while its job's state is one of those named, and free in every other."""
        await publish(harness.backend)
        others = [other for other in JobState if other is not state]
        for key, states in (("in", [state]), ("out", others)):
            unique = keyed(key, states)
            if state is JobState.PENDING:
                job_id = (await add(harness.backend, unique=unique, queue="line")).id
            elif state is JobState.RUNNING:
                job_id = (await add_claimed(harness.backend, unique=unique)).id
            else:
                job_id = await ended(harness.backend, state, unique=unique)
            assert await _holder(harness.backend, key) == (job_id if key == "in" else None)

    async def test_a_job_that_waits_again_holds_its_key(self, harness: Harness) -> None:
        """A retry, a suspect and a parked job are pending: they hold their key like any other."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend, unique=keyed())
        await settle(harness.backend, claimed, JobState.PENDING, delay=SECOND, failed=1)
        assert await _holder(harness.backend) == claimed.id
        parked = await add(harness.backend, kind="unknown", unique=keyed("other"))
        await claim(harness.backend)
        assert await _holder(harness.backend, "other") == parked.id

    @pytest.mark.parametrize("state", FINAL)
    async def test_held_for_a_period_whatever_the_state(self, harness: Harness, state: JobState) -> None:
        """For its period from storing a job holds its key whatever becomes of it, to the microsecond."""
        await publish(harness.backend)
        job_id = await ended(harness.backend, state, unique=keyed(states=(), period=10 * SECOND))
        harness.clock.move(9.999999)
        assert await _holder(harness.backend) == job_id
        harness.clock.move(0.000001)
        assert await _holder(harness.backend) is None

    async def test_the_period_counts_from_storing(self, harness: Harness) -> None:
        """A delay, a run or a retry does not start the period anew."""
        await publish(harness.backend)
        job = await add(harness.backend, unique=keyed(states=(), period=10 * SECOND), delay=9 * SECOND)
        harness.clock.move(9)
        (claimed,) = await claim(harness.backend)
        assert await _holder(harness.backend) == job.id
        await settle(harness.backend, claimed, JobState.PENDING, delay=60 * SECOND)
        harness.clock.move(1)
        assert await _holder(harness.backend) is None

    async def test_the_states_outlast_the_period(self, harness: Harness) -> None:
        """After its period a job holds its key in the named states all the same."""
        await publish(harness.backend)
        job = await add(harness.backend, unique=keyed(period=SECOND))
        harness.clock.move(3600)
        assert await _holder(harness.backend) == job.id
        (claimed,) = await claim(harness.backend)
        await settle(harness.backend, claimed)
        assert await _holder(harness.backend) is None

    async def test_the_holder_s_own_terms_count(self, harness: Harness) -> None:
        """How long a key is held is as its holder was stored, whatever the one that comes asks for."""
        await publish(harness.backend)
        job_id = await ended(harness.backend, JobState.COMPLETED, unique=keyed())
        job = new(unique=keyed(states=JobState, period=3600 * SECOND))
        assert await put(harness.backend, job) == GroupAnswer()
        assert await _holder(harness.backend) == job.id != job_id

    async def test_of_several_holders_the_first_id_is_answered(self, harness: Harness) -> None:
        """Where states that are left and entered again let several hold one key, the first id among them is told."""
        await publish(harness.backend)
        unique = keyed(states=(JobState.RUNNING,))
        first, second = new(unique=unique), new(unique=unique)
        assert (await harness.backend.jobs.enqueue([[second, first]])).groups == (GroupAnswer(),)
        assert len(await claim(harness.backend)) == 2
        assert await _holder(harness.backend) == first.id

    async def test_a_refused_group_takes_no_key(self, harness: Harness) -> None:
        """Of a group refused for its content no job holds its key, and the next group may have it."""
        taken, bad, free = new(unique=keyed()), new(args="\ud800"), new(unique=keyed())
        answer = await harness.backend.jobs.enqueue([[taken, bad], [free]])
        assert [group.refused is None for group in answer.groups] == [False, True]
        assert answer.groups[1] == GroupAnswer()

    async def test_a_birth_holds_its_key(self, harness: Harness) -> None:
        """A job may be born with a key; one whose key is held is not born."""
        await publish(harness.backend)
        first, second = new(unique=keyed()), new(unique=keyed())
        birth = Birth("node", {first.id: 1001, second.id: 1002})
        answer = await harness.backend.jobs.enqueue([[first, second]], birth)
        assert answer.groups == (GroupAnswer(born=(first.id,), holders={second.id: first.id}),)
        assert await held(harness.backend) == {first.id: 1001}
        again = await harness.backend.jobs.enqueue([[first, second]], birth)
        assert again.groups == answer.groups

    async def test_cancelled_at_its_gate_it_holds_by_time(self, harness: Harness) -> None:
        """A job cancelled while it waited for its key stands there no more: its own period, if not over, counts then."""
        await publish(harness.backend)
        holder = await add_claimed(harness.backend, unique=keyed())
        first, second = new(unique=keyed(period=60 * SECOND), queue="line"), new(unique=keyed(), queue="line")
        await settle(harness.backend, await add_claimed(harness.backend), jobs=(first, second))
        await harness.backend.admin.cancel([first.id])
        await settle(harness.backend, holder)
        assert await _holder(harness.backend) == first.id
        assert (await read(harness.backend, second.id)).gate == f"{UNIQUE_GATE}key"
        harness.clock.move(60)
        await harness.backend.admin.release(10)
        assert await _holder(harness.backend) == second.id

    async def test_a_deleted_holder_holds_nothing(self, harness: Harness) -> None:
        """A key is free once the job that held it was pruned."""
        await publish(harness.backend)
        job_id = await ended(harness.backend, JobState.COMPLETED, unique=keyed(states=FINAL, period=3600 * SECOND))
        assert await _holder(harness.backend) == job_id
        assert await harness.backend.admin.prune(Keep(completed=0, cancelled=None, dead=None), 10) == 1
        assert await _holder(harness.backend) is None

    async def test_fifty_at_once_are_one_job(self, harness: Harness) -> None:
        """Fifty stores of one key at once, on two connections, store one job, and all others are told of it.

        One that is told that others are about to decide asks again.
        """
        backends = [harness.backend, await harness.second()]
        jobs = [new(unique=keyed()) for _ in range(50)]
        answers = await asyncio.gather(*[_insist(backends[number % 2], job) for number, job in enumerate(jobs)])
        (stored,) = (await harness.backend.reader.find(JobFilter(), limit=100)).jobs
        told = [holder for answer in answers for holder in answer.holders.values()]
        assert told == [stored.id] * 49
