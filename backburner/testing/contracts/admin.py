"""What `JobAdmin` promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner.model.clock import SECOND
from backburner.model.job import CANCELLED, GROUP_CANCELLED, SUSPECT_GATE, Ending, JobState
from backburner.model.query import JobFilter, Shown
from backburner.ports.jobs import CancelAnswer, Keep
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    claim,
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
    from backburner.testing.harness import Harness

__all__ = ["AdminContract"]

FINAL = (JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD)
FOR_EVER = Keep(completed=None, cancelled=None, dead=None)
NOT_AT_ALL = Keep(completed=0, cancelled=0, dead=0)


@pytest.mark.anyio
class AdminContract:
    """Cancelling and pruning."""

    @pytest.mark.parametrize("gate", ["", "lane:x", SUSPECT_GATE])
    async def test_a_pending_job_is_cancelled(self, harness: Harness, gate: str) -> None:
        """A pending job is cancelled at once, in the line or at a gate, reason ``cancelled``."""
        await publish(harness.backend)
        job = await add(harness.backend, gate=gate, expires_in=SECOND)
        harness.clock.move(1)
        answer = await harness.backend.admin.cancel([job.id])
        assert answer == CancelAnswer(now=harness.clock.now(), cancelled=(job.id,))
        record = await read(harness.backend, job.id)
        assert (record.state, record.reason, record.ended_at) == (
            JobState.CANCELLED,
            "cancelled",
            harness.clock.now(),
        )
        assert (record.cancel, record.attempt) == (False, 0)
        assert await claim(harness.backend) == ()
        assert (await recover(harness.backend)).jobs == ()

    async def test_scheduled_and_retrying_jobs_are_pending(self, harness: Harness) -> None:
        """Jobs that wait for their time are cancelled like those due."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        await settle(harness.backend, claimed, JobState.PENDING, failed=1, ending=Ending.FAILED, delay=SECOND)
        job = await add(harness.backend, delay=SECOND)
        answer = await harness.backend.admin.cancel([job.id, claimed.id])
        assert sorted(answer.cancelled) == [claimed.id, job.id]
        harness.clock.move(5)
        assert await claim(harness.backend) == ()

    async def test_a_running_job_is_asked(self, harness: Harness) -> None:
        """A running job stays with its node, which finds the wish in its next beat."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        answer = await harness.backend.admin.cancel([claimed.id])
        assert answer == CancelAnswer(now=harness.clock.now(), asked=(claimed.id,))
        record = await read(harness.backend, claimed.id)
        assert (record.state, record.cancel, record.token) == (JobState.RUNNING, True, claimed.token)
        async with harness.backend.keeper() as keeper:
            (found,) = (await keeper.beat("node", 30 * SECOND)).claims
        assert found.cancel

    @pytest.mark.parametrize("state", FINAL)
    async def test_an_ended_job_is_left(self, harness: Harness, state: JobState) -> None:
        """A job that has ended is left as it is."""
        await publish(harness.backend)
        job_id = await ended(harness.backend, state)
        before = await read(harness.backend, job_id)
        harness.clock.move(1)
        answer = await harness.backend.admin.cancel([job_id])
        assert answer == CancelAnswer(now=harness.clock.now(), ended=(job_id,))
        assert await read(harness.backend, job_id) == before

    async def test_each_id_is_answered_once(self, harness: Harness) -> None:
        """Each id is answered once, under what was found, however often it was named."""
        await publish(harness.backend)
        running = (await add_claimed(harness.backend)).id
        done = await ended(harness.backend, JobState.COMPLETED)
        pending = (await add(harness.backend)).id
        answer = await harness.backend.admin.cancel(
            [pending, "nobody", running, done, pending, running, "nobody", done]
        )
        assert answer == CancelAnswer(
            now=harness.clock.now(), cancelled=(pending,), asked=(running,), ended=(done,), missing=("nobody",)
        )
        again = await harness.backend.admin.cancel([pending])
        assert again.ended == (pending,)

    async def test_cancelling_nothing(self, harness: Harness) -> None:
        """No ids, no answers."""
        assert await harness.backend.admin.cancel([]) == CancelAnswer(now=harness.clock.now())

    async def test_cancelling_many(self, harness: Harness) -> None:
        """Thousands of jobs are cancelled in one step, and the line goes on behind them."""
        await publish(harness.backend)
        jobs = [new() for _ in range(3_000)]
        await harness.backend.jobs.enqueue([jobs])
        answer = await harness.backend.admin.cancel(ids(jobs[:-1]))
        assert sorted(answer.cancelled) == ids(jobs[:-1])
        assert ids(await claim(harness.backend)) == [jobs[-1].id]

    async def test_the_reason_is_the_one_given(self, harness: Harness) -> None:
        """A reason other than a person's own stands where it was given: at once, or once the run is settled."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        job = await add(harness.backend)
        answer = await harness.backend.admin.cancel([job.id, claimed.id], GROUP_CANCELLED)
        assert (answer.cancelled, answer.asked) == ((job.id,), (claimed.id,))
        assert (await read(harness.backend, job.id)).reason == GROUP_CANCELLED
        write = [to_settle(claimed, JobState.PENDING)]
        for _ in range(2):
            settled = await harness.backend.jobs.settle("node", write)
            assert (settled.stale, settled.cancelled) == ((), {claimed.id: GROUP_CANCELLED})
        assert (await read(harness.backend, claimed.id)).reason == GROUP_CANCELLED

    @pytest.mark.parametrize("reasons", [(CANCELLED, GROUP_CANCELLED), (GROUP_CANCELLED, CANCELLED)], ids=repr)
    async def test_a_person_s_wish_stands(self, harness: Harness, reasons: tuple[str, str]) -> None:
        """Of a person and a group that ask for a running job the person's reason stays, whoever came first."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        for reason in reasons:
            await harness.backend.admin.cancel([claimed.id], reason)
        settled = await harness.backend.jobs.settle("node", [to_settle(claimed, JobState.PENDING)])
        assert settled.cancelled == {claimed.id: CANCELLED}

    async def test_a_wish_is_gone_with_the_run(self, harness: Harness) -> None:
        """A reason given for one run does not outlive it, nor does it change what was reached."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        await harness.backend.admin.cancel([claimed.id], GROUP_CANCELLED)
        await settle(harness.backend, claimed, JobState.DEAD, reason="mine")
        record = await read(harness.backend, claimed.id)
        assert (record.state, record.reason, record.cancel) == (JobState.DEAD, "mine", False)

    async def test_pruning_deletes_job_and_history(self, harness: Harness) -> None:
        """A pruned job is gone with its history, and its id is free."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        await settle(harness.backend, claimed, JobState.DEAD, failed=1, ending=Ending.FAILED, error="E")
        assert await harness.backend.admin.prune(NOT_AT_ALL, 10) == 1
        assert (await harness.backend.reader.get([claimed.id])).jobs == ()
        assert await harness.backend.reader.history(claimed.id) == ()
        await harness.backend.jobs.enqueue([[new(id=claimed.id)]])
        assert (await read(harness.backend, claimed.id)).state is JobState.PENDING
        assert await harness.backend.reader.history(claimed.id) == ()

    async def test_what_has_not_ended_is_never_pruned(self, harness: Harness) -> None:
        """Pending and running jobs are never pruned, however old."""
        await publish(harness.backend)
        kept = [(await add_claimed(harness.backend)).id, (await add(harness.backend, gate="x")).id]
        kept.append((await add(harness.backend)).id)
        harness.clock.move(10**8)
        assert await harness.backend.admin.prune(NOT_AT_ALL, 10) == 0
        assert len((await harness.backend.reader.get(kept)).jobs) == len(kept)

    async def test_each_state_has_its_own_time(self, harness: Harness) -> None:
        """Each state is kept for its own time from the moment the job ended, to the microsecond; None is for ever."""
        await publish(harness.backend)
        made = {state: await ended(harness.backend, state, priority=1) for state in FINAL}
        keep = Keep(completed=10 * SECOND, cancelled=20 * SECOND, dead=None)
        harness.clock.move(9.999999)
        assert await harness.backend.admin.prune(keep, 10) == 0
        harness.clock.move(0.000001)
        assert await harness.backend.admin.prune(keep, 10) == 1
        assert sorted(ids((await harness.backend.reader.get([*made.values()])).jobs)) == sorted(
            [made[JobState.CANCELLED], made[JobState.DEAD]]
        )
        harness.clock.move(10**8)
        assert await harness.backend.admin.prune(FOR_EVER, 10) == 0
        assert await harness.backend.admin.prune(keep, 10) == 1
        assert ids((await harness.backend.reader.get([*made.values()])).jobs) == [made[JobState.DEAD]]

    async def test_pruning_is_bounded(self, harness: Harness) -> None:
        """At most ``limit`` jobs are deleted at a time, over all states, and how many is told."""
        await publish(harness.backend)
        for number in range(9):
            await ended(harness.backend, FINAL[number % 3])
        harness.clock.move(1)
        assert [await harness.backend.admin.prune(NOT_AT_ALL, limit) for limit in (0, 4, 4, 4)] == [0, 4, 4, 1]
        assert await harness.backend.reader.count(JobFilter()) == {}

    async def test_a_job_cancelled_while_pending_is_pruned(self, harness: Harness) -> None:
        """Jobs cancelled before they ran are kept and pruned like the other cancelled ones."""
        job = await add(harness.backend)
        await harness.backend.admin.cancel([job.id])
        keep = Keep(completed=0, cancelled=5 * SECOND, dead=0)
        assert await harness.backend.admin.prune(keep, 10) == 0
        assert await harness.backend.reader.count(JobFilter()) == {Shown.CANCELLED: 1}
        harness.clock.move(5)
        assert await harness.backend.admin.prune(keep, 10) == 1
