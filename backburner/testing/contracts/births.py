"""What `JobStore.enqueue` promises of jobs that are born running."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backburner.model.clock import SECOND
from backburner.model.job import JobState, Settlement
from backburner.model.node import QueueRecord
from backburner.ports.jobs import Birth
from backburner.testing.contracts.making import add, claim, held, ids, new, publish, read, settle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.job import NewJob
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["BirthContract"]

TOKEN = 1_750_000_000_000_007


async def _bear(backend: Backend, jobs: Sequence[NewJob], *, token: int = TOKEN, node: str = "node") -> list[str]:
    """Store jobs, a group each, offering to run them all; return those born."""
    birth = Birth(node, dict.fromkeys(ids(jobs), token))
    answer = await backend.jobs.enqueue([[job] for job in jobs], birth)
    return [job_id for group in answer.groups for job_id in group.born]


def _completed(job_id: str, token: int) -> Settlement:
    return Settlement(id=job_id, token=token, state=JobState.COMPLETED)


@pytest.mark.anyio
class BirthContract:
    """A job may be born running, if nothing stands before it."""

    async def test_a_job_is_born_running(self, harness: Harness) -> None:
        """A born job runs as its first attempt, held by the offering node under the token it drew."""
        node = await publish(harness.backend)
        job = new(expires_in=SECOND)
        assert await _bear(harness.backend, [job]) == [job.id]
        record = await read(harness.backend, job.id)
        assert (record.state, record.attempt, record.node, record.token) == (JobState.RUNNING, 1, node, TOKEN)
        assert record.started_at == harness.clock.now()
        assert await held(harness.backend) == {job.id: TOKEN}

    async def test_a_born_job_is_settled_like_a_claimed_one(self, harness: Harness) -> None:
        """The drawn token fences: under it the job is settled."""
        await publish(harness.backend)
        job = new()
        await _bear(harness.backend, [job])
        assert await claim(harness.backend) == ()
        (stale,) = (await harness.backend.jobs.settle("node", [_completed(job.id, TOKEN + 1)])).stale
        assert stale == job.id
        assert (await harness.backend.jobs.settle("node", [_completed(job.id, TOKEN)])).stale == ()
        assert (await read(harness.backend, job.id)).state is JobState.COMPLETED

    @pytest.mark.parametrize("field", [{"gate": "lane:x"}, {"delay": 1}, {"delay": SECOND}], ids=repr)
    async def test_a_job_that_may_not_run_now_is_not_born(self, harness: Harness, field: dict[str, Any]) -> None:
        """A job with a gate or a delay is stored pending."""
        await publish(harness.backend)
        job = new(**field)
        assert await _bear(harness.backend, [job]) == []
        record = await read(harness.backend, job.id)
        assert (record.state, record.attempt, record.token, record.node) == (JobState.PENDING, 0, 0, None)

    async def test_an_instant_still_to_come_is_no_birth(self, harness: Harness) -> None:
        """A job named for a later instant is stored pending; one named for a past instant is born."""
        await publish(harness.backend)
        later, past = new(at=harness.clock.now() + 1), new(at=harness.clock.now() - 1, queue="other")
        assert await _bear(harness.backend, [later, past]) == [past.id]

    async def test_only_those_named_are_born(self, harness: Harness) -> None:
        """A job of the same write that no slot was booked for is stored pending."""
        await publish(harness.backend)
        booked, other = new(), new()
        answer = await harness.backend.jobs.enqueue([[booked, other]], Birth("node", {booked.id: TOKEN}))
        assert answer.groups[0].born == (booked.id,)
        assert (await read(harness.backend, other.id)).state is JobState.PENDING

    async def test_nothing_is_born_in_a_paused_queue(self, harness: Harness) -> None:
        """In a paused queue jobs are stored pending; a pause whose end has passed is no pause."""
        await publish(harness.backend)
        until = harness.clock.now() + 10 * SECOND
        await harness.backend.queues.set(QueueRecord(name="default", paused=True, paused_until=until))
        assert await _bear(harness.backend, [new(priority=9)]) == []
        harness.clock.move(10)
        first = new(priority=1)
        assert await _bear(harness.backend, [first]) == [first.id]

    @pytest.mark.parametrize(("ahead", "born"), [(4, False), (5, False), (6, True)])
    async def test_no_job_overtakes_the_line(self, harness: Harness, ahead: int, born: bool) -> None:
        """A due job of the same queue with the same or a smaller priority keeps a birth back; a larger one does not."""
        await publish(harness.backend)
        await add(harness.backend, priority=ahead)
        assert bool(await _bear(harness.backend, [new(priority=5)])) is born

    async def test_what_is_not_in_the_way_keeps_nobody_back(self, harness: Harness) -> None:
        """Jobs scheduled for later, running, ended or of other queues do not stand before a birth."""
        backend = harness.backend
        await publish(backend)
        await add(backend)
        (running,) = await claim(backend)
        await add(backend)
        (done,) = await claim(backend)
        await settle(backend, done)
        await add(backend, delay=SECOND, priority=0)
        await add(backend, queue="other", priority=0)
        assert len(await _bear(backend, [new()])) == 1
        assert (await read(backend, running.id)).state is JobState.RUNNING

    async def test_those_at_a_gate_are_not_in_the_line(self, harness: Harness) -> None:
        """A job at a gate is out of the line, so it keeps no birth back."""
        await publish(harness.backend)
        await add(harness.backend, gate="lane:x", priority=0)
        assert len(await _bear(harness.backend, [new()])) == 1

    async def test_births_of_one_write_do_not_stand_before_each_other(self, harness: Harness) -> None:
        """All jobs of one write with room are born, in whatever order of priority."""
        await publish(harness.backend)
        jobs = [new(priority=priority) for priority in (5, 3, 9, 0, 5)]
        assert sorted(await _bear(harness.backend, jobs)) == ids(jobs)

    async def test_births_stop_at_the_queue_s_slots(self, harness: Harness) -> None:
        """An operator's slots bound births, those of one write together, counting what the node runs already."""
        await publish(harness.backend)
        await harness.backend.queues.set(QueueRecord(name="default", slots=3))
        assert len(await _bear(harness.backend, [new()])) == 1
        jobs = [new() for _ in range(4)]
        assert await _bear(harness.backend, jobs) == ids(jobs[:2])
        assert [(await read(harness.backend, job.id)).state for job in jobs[2:]] == [JobState.PENDING] * 2

    async def test_slots_are_counted_by_queue_and_node(self, harness: Harness) -> None:
        """What other nodes run, and what this node runs of other queues, takes no slot here."""
        for node in ("node", "other"):
            await publish(harness.backend, node)
        await harness.backend.queues.set(QueueRecord(name="default", slots=1))
        assert len(await _bear(harness.backend, [new()], node="other")) == 1
        assert len(await _bear(harness.backend, [new(queue="second")])) == 1
        assert len(await _bear(harness.backend, [new()])) == 1
        assert len(await _bear(harness.backend, [new()])) == 0

    async def test_a_repeated_write_is_born_again(self, harness: Harness) -> None:
        """A write whose answer was lost, repeated, answers its births as born and changes nothing."""
        await publish(harness.backend)
        jobs = [new(), new(delay=SECOND)]
        birth = Birth("node", dict.fromkeys(ids(jobs), TOKEN))
        first = await harness.backend.jobs.enqueue([jobs], birth)
        before = [await read(harness.backend, job.id) for job in jobs]
        harness.clock.move(5)
        again = await harness.backend.jobs.enqueue([jobs], birth)
        assert first.groups[0].born == again.groups[0].born == (jobs[0].id,)
        assert again.groups[0].duplicates == (jobs[1].id,)
        assert [await read(harness.backend, job.id) for job in jobs] == before

    async def test_another_s_birth_is_a_duplicate(self, harness: Harness) -> None:
        """A job held under another token or by another node is answered as a duplicate, not as born."""
        await publish(harness.backend)
        await publish(harness.backend, "other")
        job = new()
        await _bear(harness.backend, [job])
        for birth in (Birth("node", {job.id: TOKEN + 1}), Birth("other", {job.id: TOKEN})):
            answer = await harness.backend.jobs.enqueue([[job]], birth)
            assert (answer.groups[0].born, answer.groups[0].duplicates) == ((), (job.id,))
        assert (await read(harness.backend, job.id)).token == TOKEN

    async def test_a_birth_that_has_ended_is_a_duplicate(self, harness: Harness) -> None:
        """A repeated write does not bear a job again that has ended meanwhile."""
        await publish(harness.backend)
        job = new()
        await _bear(harness.backend, [job])
        await harness.backend.jobs.settle("node", [_completed(job.id, TOKEN)])
        answer = await harness.backend.jobs.enqueue([[job]], Birth("node", {job.id: TOKEN}))
        assert (answer.groups[0].born, answer.groups[0].duplicates) == ((), (job.id,))

    async def test_a_refused_group_bears_nothing(self, harness: Harness) -> None:
        """Of a group refused for its content nothing is born, while the others are."""
        await publish(harness.backend)
        good, mate, bad = new(), new(), new(args="\ud800")
        birth = Birth("node", dict.fromkeys(ids([good, mate, bad]), TOKEN))
        answers = (await harness.backend.jobs.enqueue([[mate, bad], [good]], birth)).groups
        assert [group.born for group in answers] == [(), (good.id,)]
        assert await held(harness.backend) == {good.id: TOKEN}
