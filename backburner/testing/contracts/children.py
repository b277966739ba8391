"""What the roles promise of children: stored anew after their own group cancelled them, kept for their parent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backburner.model.clock import SECOND
from backburner.model.job import CANCELLED, GROUP_CANCELLED, Ending, JobState
from backburner.model.query import JobFilter
from backburner.ports.jobs import Birth, GroupAnswer, Keep
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    claim,
    ended,
    held,
    ids,
    keyed,
    new,
    publish,
    put,
    read,
    settle,
    to_settle,
)

if TYPE_CHECKING:
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["ChildContract"]

FINAL = (JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD)
NOT_AT_ALL = Keep(completed=0, cancelled=0, dead=0)


async def _stored(backend: Backend) -> list[str]:
    """Return the ids of all jobs, smallest first."""
    return sorted(ids((await backend.reader.find(JobFilter(), limit=1000)).jobs))


async def _prune(backend: Backend, keep: Keep = NOT_AT_ALL) -> int:
    """Prune until nothing changes any more; return how many calls changed something."""
    calls = 0
    while await backend.admin.prune(keep, 100):
        calls += 1
    return calls


@pytest.mark.anyio
class ChildContract:
    """Children belong to the job in whose run they were stored."""

    async def test_a_child_names_its_parent(self, harness: Harness) -> None:
        """The parent is read back, whether it is stored itself or not."""
        parent = await add(harness.backend)
        for name in (parent.id, "nobody"):
            child = await add(harness.backend, parent=name)
            assert (await read(harness.backend, child.id)).parent == name
        assert (await read(harness.backend, parent.id)).parent is None

    async def test_stored_anew_after_its_group_cancelled_it(self, harness: Harness) -> None:
        """A pending child that its own group cancelled is stored anew when stored again: answered as any new job."""
        await publish(harness.backend)
        child = await add(harness.backend, parent="parent")
        await harness.backend.admin.cancel([child.id], GROUP_CANCELLED)
        record = await read(harness.backend, child.id)
        assert (record.state, record.reason) == (JobState.CANCELLED, GROUP_CANCELLED)
        harness.clock.move(60)
        assert await put(harness.backend, child) == GroupAnswer()
        record = await read(harness.backend, child.id)
        now = harness.clock.now()
        assert (record.state, record.reason, record.ended_at) == (JobState.PENDING, None, None)
        assert (record.created_at, record.due_at) == (now, now)
        assert ids(await claim(harness.backend)) == [child.id]

    async def test_nothing_of_its_first_life_but_history_and_token(self, harness: Harness) -> None:
        """Stored anew, a child is as if never stored before, but for its history, and its token, which grows on."""
        await publish(harness.backend)
        child = new(parent="parent", headers='{"a":"1"}', tags=("old",), expires_in=SECOND, timeout=5)
        await put(harness.backend, child)
        (claimed,) = await claim(harness.backend)
        words = {"error": "E", "message": "m", "fingerprint": "f"}
        fields: dict[str, Any] = {
            "failed": 1,
            "crashed": 1,
            "interrupted": 1,
            "backoff": 7,
            "progress": (1, 2),
            "checkpoint": "1",
        }
        await settle(harness.backend, claimed, JobState.PENDING, ending=Ending.FAILED, **words, **fields)
        await harness.backend.admin.cancel([child.id], GROUP_CANCELLED)
        history = await harness.backend.reader.history(child.id)
        again = new(id=child.id, parent="parent", args='{"again":1}', queue="other", priority=1, unique=keyed())
        twin = msgspec.structs.replace(again, id=new().id, unique=None)
        await put(harness.backend, again)
        await put(harness.backend, twin)
        fresh = await read(harness.backend, twin.id)
        expected = msgspec.structs.replace(fresh, id=child.id, unique="key", token=claimed.token)
        assert await read(harness.backend, child.id) == expected
        assert await harness.backend.reader.history(child.id) == history
        (second, _) = await claim(harness.backend, queues=("other",))
        assert (second.id, second.attempt, second.failures, second.backoff) == (child.id, 1, 0, None)
        assert second.checkpoint is None
        assert second.token > claimed.token
        await settle(harness.backend, second, JobState.PENDING, ending=Ending.FAILED, failed=1)
        assert [attempt.attempt for attempt in await harness.backend.reader.history(child.id)] == [1, 1]

    async def test_cancelled_by_its_group_while_it_ran(self, harness: Harness) -> None:
        """A child that was running, and ended for its group's reason, is stored anew; late writes of it are stale."""
        await publish(harness.backend)
        child = new(parent="parent")
        await put(harness.backend, child)
        (claimed,) = await claim(harness.backend)
        await harness.backend.admin.cancel([child.id], GROUP_CANCELLED)
        await settle(harness.backend, claimed, JobState.PENDING, interrupted=1, ending=Ending.INTERRUPTED)
        record = await read(harness.backend, child.id)
        assert (record.state, record.reason) == (JobState.CANCELLED, GROUP_CANCELLED)
        assert await put(harness.backend, child) == GroupAnswer()
        late = await harness.backend.jobs.settle("node", [to_settle(claimed, result='"late"')])
        assert late.stale == (child.id,)
        assert (await read(harness.backend, child.id)).state is JobState.PENDING

    async def test_one_that_still_runs_is_asked_no_more(self, harness: Harness) -> None:
        """A running child that its group asked to cancel runs on when stored again, answered as stored."""
        await publish(harness.backend)
        child = new(parent="parent")
        await put(harness.backend, child)
        (claimed,) = await claim(harness.backend)
        await harness.backend.admin.cancel([child.id], GROUP_CANCELLED)
        assert await put(harness.backend, child) == GroupAnswer()
        record = await read(harness.backend, child.id)
        assert (record.state, record.cancel, record.token) == (JobState.RUNNING, False, claimed.token)
        settled = await harness.backend.jobs.settle("node", [to_settle(claimed, JobState.PENDING)])
        assert settled.cancelled == {}
        assert (await read(harness.backend, child.id)).state is JobState.PENDING

    @pytest.mark.parametrize("state", FINAL)
    async def test_one_that_ended_otherwise_is_left(self, harness: Harness, state: JobState) -> None:
        """A child that ended for any other reason is a duplicate, as every stored id is."""
        await publish(harness.backend)
        job_id = await ended(harness.backend, state, parent="parent")
        before = await read(harness.backend, job_id)
        assert await put(harness.backend, new(id=job_id, parent="parent")) == GroupAnswer(duplicates=(job_id,))
        assert await read(harness.backend, job_id) == before

    async def test_one_that_a_person_cancelled_is_left(self, harness: Harness) -> None:
        """A child that a person cancelled, or asked to cancel, stays so, also where its group asked too."""
        await publish(harness.backend)
        waiting, running = new(parent="parent", queue="line"), new(parent="parent")
        await harness.backend.jobs.enqueue([[waiting, running]])
        (claimed,) = await claim(harness.backend)
        for reason in (GROUP_CANCELLED, CANCELLED, GROUP_CANCELLED):
            await harness.backend.admin.cancel([running.id], reason)
        await harness.backend.admin.cancel([waiting.id])
        answer = await harness.backend.jobs.enqueue([[waiting, running]])
        assert sorted(answer.groups[0].duplicates) == sorted(ids([waiting, running]))
        assert (await read(harness.backend, waiting.id)).reason == CANCELLED
        assert (await read(harness.backend, running.id)).cancel
        settled = await harness.backend.jobs.settle("node", [to_settle(claimed, JobState.PENDING)])
        assert settled.cancelled == {running.id: CANCELLED}

    async def test_a_live_child_is_joined(self, harness: Harness) -> None:
        """A child that waits or runs, cancelled by nobody, is a duplicate."""
        await publish(harness.backend)
        running = await add_claimed(harness.backend, parent="parent")
        waiting = await add(harness.backend, parent="parent")
        for job_id in (running.id, waiting.id):
            assert (await put(harness.backend, new(id=job_id, parent="parent"))).duplicates == (job_id,)
        assert await held(harness.backend) == {running.id: running.token}

    @pytest.mark.parametrize(("was", "names"), [(None, None), ("one", None), (None, "one"), ("one", "other")])
    async def test_only_its_own_parent_s_child_is_stored_anew(
        self, harness: Harness, was: str | None, names: str | None
    ) -> None:
        """A job that does not name the parent it was stored with is a duplicate, for whatever reason it was cancelled."""
        await publish(harness.backend)
        running = await add_claimed(harness.backend, parent=was)
        job = await add(harness.backend, parent=was)
        await harness.backend.admin.cancel([job.id, running.id], GROUP_CANCELLED)
        for job_id in (job.id, running.id):
            again = new(id=job_id, parent=names)
            assert await put(harness.backend, again) == GroupAnswer(duplicates=(job_id,))
        assert (await read(harness.backend, job.id)).state is JobState.CANCELLED
        assert (await read(harness.backend, running.id)).cancel

    async def test_stored_anew_it_is_pending(self, harness: Harness) -> None:
        """A child stored anew is never born running, booked or not; at a repeated write it is a duplicate."""
        await publish(harness.backend)
        child = await add(harness.backend, parent="parent")
        await harness.backend.admin.cancel([child.id], GROUP_CANCELLED)
        birth = Birth("node", {child.id: 1001})
        assert (await harness.backend.jobs.enqueue([[child]], birth)).groups == (GroupAnswer(),)
        assert (await read(harness.backend, child.id)).state is JobState.PENDING
        assert (await harness.backend.jobs.enqueue([[child]], birth)).groups[0].duplicates == (child.id,)

    async def test_a_held_key_keeps_it_cancelled(self, harness: Harness) -> None:
        """A child whose key another job holds by now is not stored anew; the holder is answered."""
        child = await add(harness.backend, parent="parent", unique=keyed())
        await harness.backend.admin.cancel([child.id], GROUP_CANCELLED)
        holder = await add(harness.backend, unique=keyed())
        assert await put(harness.backend, child) == GroupAnswer(holders={child.id: holder.id})
        assert (await read(harness.backend, child.id)).state is JobState.CANCELLED
        await harness.backend.admin.cancel([holder.id])
        assert await put(harness.backend, child) == GroupAnswer()
        late = new(unique=keyed())
        assert (await put(harness.backend, late)).holders == {late.id: child.id}

    async def test_its_own_period_does_not_keep_it_cancelled(self, harness: Harness) -> None:
        """A child that itself holds its key, by a period not over, is stored anew."""
        child = await add(harness.backend, parent="parent", unique=keyed(period=60 * SECOND))
        await harness.backend.admin.cancel([child.id], GROUP_CANCELLED)
        assert await put(harness.backend, child) == GroupAnswer()
        assert (await read(harness.backend, child.id)).state is JobState.PENDING

    async def test_one_pruned_is_a_new_job(self, harness: Harness) -> None:
        """A child stored anew and ended is pruned once, with its whole history."""
        await publish(harness.backend)
        child = await add(harness.backend, parent="parent")
        await harness.backend.admin.cancel([child.id], GROUP_CANCELLED)
        await put(harness.backend, child)
        assert await harness.backend.admin.prune(NOT_AT_ALL, 10) == 0
        (claimed,) = await claim(harness.backend)
        await settle(harness.backend, claimed, JobState.DEAD, ending=Ending.FAILED)
        assert await harness.backend.admin.prune(NOT_AT_ALL, 10) == 1
        assert await harness.backend.reader.history(child.id) == ()
        assert await put(harness.backend, child) == GroupAnswer()

    @pytest.mark.parametrize("state", FINAL)
    async def test_kept_as_long_as_its_parent(self, harness: Harness, state: JobState) -> None:
        """A child's time may have passed for long: while its parent is kept, so is it."""
        await publish(harness.backend)
        parent = await add_claimed(harness.backend)
        child = await ended(harness.backend, state, parent=parent.id)
        harness.clock.move(3600)
        assert await harness.backend.admin.prune(NOT_AT_ALL, 10) == 0
        await settle(harness.backend, parent, JobState.DEAD)
        keep = Keep(completed=0, cancelled=0, dead=60 * SECOND)
        assert await _prune(harness.backend, keep) == 0
        assert await _stored(harness.backend) == sorted([parent.id, child])
        harness.clock.move(60)
        assert await _prune(harness.backend, keep) > 0
        # A dead child has its own time, which began before its parent's.
        assert await _stored(harness.backend) == []

    async def test_a_child_outlives_its_parent_by_its_own_time(self, harness: Harness) -> None:
        """Where the parent's time has passed it goes, and its children, nobody's from then on, keep their own time."""
        await publish(harness.backend)
        parent = await add_claimed(harness.backend)
        children = [
            await ended(harness.backend, JobState.COMPLETED, parent=parent.id),
            await ended(harness.backend, JobState.DEAD, parent=parent.id),
            (await add(harness.backend, parent=parent.id)).id,
        ]
        await settle(harness.backend, parent)
        keep = Keep(completed=0, cancelled=None, dead=60 * SECOND)
        await _prune(harness.backend, keep)
        assert await _stored(harness.backend) == sorted(children[1:])
        assert {(await read(harness.backend, job_id)).parent for job_id in children[1:]} == {None}
        harness.clock.move(60)
        await _prune(harness.backend, keep)
        assert await _stored(harness.backend) == children[2:]

    async def test_letting_children_go_is_bounded(self, harness: Harness) -> None:
        """At most ``limit`` rows change a call, children that become nobody's among them; the parent goes last."""
        await publish(harness.backend)
        parent = await add_claimed(harness.backend)
        children = [await add(harness.backend, parent=parent.id) for _ in range(5)]
        await settle(harness.backend, parent)
        changed: list[int] = []
        while parent.id in await _stored(harness.backend):
            changed.append(await harness.backend.admin.prune(NOT_AT_ALL, 2))
            assert len(changed) < 10
        assert sum(changed) == 6
        assert set(changed) == {2}
        assert await _stored(harness.backend) == ids(children)
        assert {(await read(harness.backend, child.id)).parent for child in children} == {None}

    async def test_three_generations(self, harness: Harness) -> None:
        """A child that is a parent itself lets its children go by its own time, and goes after its own parent."""
        await publish(harness.backend)
        eldest = await add_claimed(harness.backend)
        parent = await add_claimed(harness.backend, parent=eldest.id)
        await ended(harness.backend, JobState.COMPLETED, parent=parent.id)
        assert await _prune(harness.backend) == 0
        await settle(harness.backend, parent)
        await _prune(harness.backend)
        assert await _stored(harness.backend) == [eldest.id, parent.id]
        await settle(harness.backend, eldest)
        await _prune(harness.backend)
        assert await _stored(harness.backend) == []

    @pytest.mark.parametrize("fields", [{}, {"parent": "nobody"}], ids=repr)
    async def test_nobody_s_child_is_pruned_like_any(self, harness: Harness, fields: dict[str, Any]) -> None:
        """A job without a parent, or whose parent is not stored, is kept for its own time alone."""
        await publish(harness.backend)
        await ended(harness.backend, JobState.COMPLETED, **fields)
        assert await harness.backend.admin.prune(NOT_AT_ALL, 10) == 1
        assert await _stored(harness.backend) == []
