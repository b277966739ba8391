"""What `JobStore.settle` promises of notes: settlements that leave their job running."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backburner.errors import StoreRefused
from backburner.model.clock import SECOND
from backburner.model.job import Ending, JobState, Settlement
from backburner.model.node import QueueRecord
from backburner.ports.jobs import Birth
from backburner.testing.contracts.limiting import declare, fill, lane
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    add_each,
    ask,
    claim,
    held,
    ids,
    new,
    publish,
    read,
    recover,
    settle,
    to_settle,
)

if TYPE_CHECKING:
    from backburner.model.job import Claim
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["NoteContract"]


async def _note(backend: Backend, claimed: Claim, **fields: Any) -> None:  # noqa: ANN401 - any field of a settlement
    """Write a note of a live run."""
    await settle(backend, claimed, JobState.RUNNING, **fields)


@pytest.mark.anyio
class NoteContract:
    """A run tells how far it has come, saves what the next one needs, and lends its slot."""

    async def test_a_note_leaves_the_job_running(self, harness: Harness) -> None:
        """Of all that is known of a job, a note changes its progress and its checkpoint."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        before = await read(harness.backend, claimed.id)
        assert (before.done, before.total, before.checkpoint) == (None, None, None)
        harness.clock.move(1)
        await _note(harness.backend, claimed, progress=(3, 10), checkpoint='{"at":"ü"}')
        after = await read(harness.backend, claimed.id)
        assert (after.done, after.total, after.checkpoint) == (3, 10, '{"at":"ü"}')
        told = {name: getattr(before, name) for name in before.__struct_fields__}
        kept = {name: getattr(after, name) for name in after.__struct_fields__}
        assert kept == told | {"done": 3, "total": 10, "checkpoint": '{"at":"ü"}'}
        assert await held(harness.backend) == {claimed.id: claimed.token}

    async def test_what_is_not_given_is_kept(self, harness: Harness) -> None:
        """Progress without a checkpoint keeps the checkpoint, and the other way round; a total may be unknown."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        await _note(harness.backend, claimed, checkpoint="1", progress=(1, 10))
        await _note(harness.backend, claimed, progress=(2, None))
        record = await read(harness.backend, claimed.id)
        assert (record.done, record.total, record.checkpoint) == (2, None, "1")
        await _note(harness.backend, claimed, checkpoint="null")
        record = await read(harness.backend, claimed.id)
        assert (record.done, record.total, record.checkpoint) == (2, None, "null")

    async def test_only_a_note_s_own_fields_are_looked_at(self, harness: Harness) -> None:
        """What else a settlement to running names counts nothing, writes no history and stores no follow-ups."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        before = await read(harness.backend, claimed.id)
        job = new()
        await _note(
            harness.backend,
            claimed,
            failed=1,
            crashed=1,
            interrupted=1,
            ending=Ending.FAILED,
            error="E",
            reason="no",
            gate="lane:x",
            result="1",
            unstarted=True,
            backoff=1,
            delay=SECOND,
            jobs=(job,),
        )
        assert await read(harness.backend, claimed.id) == before
        assert await harness.backend.reader.history(claimed.id) == ()
        assert (await harness.backend.reader.get([job.id])).jobs == ()

    async def test_a_stale_note_changes_nothing(self, harness: Harness) -> None:
        """A note under another token, by another node or of no job is answered as stale."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        token = claimed.token
        note: dict[str, Any] = {"state": JobState.RUNNING, "progress": (1, 2), "checkpoint": "1", "lent": True}
        wrong = Settlement(id=claimed.id, token=token + 1, **note)
        nobody = Settlement(id="nobody", token=token, **note)
        assert set((await harness.backend.jobs.settle("node", [wrong, nobody])).stale) == {claimed.id, "nobody"}
        right = Settlement(id=claimed.id, token=token, **note)
        assert (await harness.backend.jobs.settle("other", [right])).stale == (claimed.id,)
        record = await read(harness.backend, claimed.id)
        assert (record.done, record.checkpoint) == (None, None)

    @pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.PENDING])
    async def test_a_note_after_the_end_changes_nothing(self, harness: Harness, state: JobState) -> None:
        """A note that comes after its run was settled is not stale, and changes nothing."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        await settle(harness.backend, claimed, state)
        before = await read(harness.backend, claimed.id)
        await _note(harness.backend, claimed, progress=(1, 2), checkpoint="1", lent=True)
        assert await read(harness.backend, claimed.id) == before

    async def test_applied_in_the_order_given(self, harness: Harness) -> None:
        """Of notes and an end in one write each is applied where it stands: the last note before the end counts."""
        await publish(harness.backend)
        claims = [await add_claimed(harness.backend) for _ in range(2)]
        one, other = claims
        write = [
            to_settle(one, JobState.RUNNING, progress=(1, 3), checkpoint="1"),
            to_settle(other, JobState.RUNNING, progress=(7, 8)),
            to_settle(one, JobState.RUNNING, progress=(2, 3)),
            to_settle(one, JobState.COMPLETED, result="2"),
            to_settle(one, JobState.RUNNING, progress=(3, 3), checkpoint="3"),
            to_settle(other, JobState.RUNNING, progress=(6, 8)),
        ]
        assert (await harness.backend.jobs.settle("node", write)).stale == ()
        record = await read(harness.backend, one.id)
        assert (record.state, record.result) == (JobState.COMPLETED, "2")
        assert (record.done, record.total, record.checkpoint) == (2, 3, "1")
        assert (await read(harness.backend, other.id)).done == 6

    async def test_of_two_ends_the_first_counts(self, harness: Harness) -> None:
        """Two ends of one claim in one write: the first is applied, the second finds it applied before."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        write = [to_settle(claimed, result="1"), to_settle(claimed, JobState.DEAD, failed=1, ending=Ending.FAILED)]
        assert (await harness.backend.jobs.settle("node", write)).stale == ()
        record = await read(harness.backend, claimed.id)
        assert (record.state, record.result, record.failures) == (JobState.COMPLETED, "1", 0)
        assert await harness.backend.reader.history(claimed.id) == ()

    async def test_an_end_may_carry_the_last_note(self, harness: Harness) -> None:
        """A settlement that ends the run writes its progress and checkpoint too."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        await settle(harness.backend, claimed, progress=(9, 9), checkpoint="9")
        record = await read(harness.backend, claimed.id)
        assert (record.state, record.done, record.total, record.checkpoint) == (JobState.COMPLETED, 9, 9, "9")

    async def test_the_next_run_is_handed_the_checkpoint(self, harness: Harness) -> None:
        """What one run saved the next is handed, after a failure as after a crash; progress stays until told anew."""
        await publish(harness.backend)
        await publish(harness.backend, "rescuer")
        claimed = await add_claimed(harness.backend)
        assert claimed.checkpoint is None
        await _note(harness.backend, claimed, checkpoint='"ä"', progress=(1, 2))
        await settle(harness.backend, claimed, JobState.PENDING, failed=1)
        (second,) = await claim(harness.backend)
        assert second.checkpoint == '"ä"'
        await _note(harness.backend, second, checkpoint="2")
        await harness.die("node")
        (found,) = (await recover(harness.backend, "rescuer")).jobs
        assert found.claim.checkpoint == "2"
        await settle(harness.backend, found.claim, JobState.PENDING, node="rescuer", crashed=1)
        (third,) = await claim(harness.backend, "rescuer")
        assert third.checkpoint == "2"
        assert (await read(harness.backend, third.id)).done == 1

    async def test_a_note_cancels_nothing(self, harness: Harness) -> None:
        """A note of a job that was asked to be cancelled is written down, and the job runs on, still asked."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        await harness.backend.admin.cancel([claimed.id])
        settled = await harness.backend.jobs.settle("node", [to_settle(claimed, JobState.RUNNING, progress=(1, 1))])
        assert (settled.stale, settled.cancelled) == ((), {})
        record = await read(harness.backend, claimed.id)
        assert (record.state, record.cancel, record.done) == (JobState.RUNNING, True, 1)

    @pytest.mark.parametrize("poison", [{"checkpoint": '"\ud800"'}, {"progress": (2**70, None)}], ids=repr)
    async def test_a_poisoned_note_is_refused(self, harness: Harness, poison: dict[str, Any]) -> None:
        """A write with a note that cannot be stored raises `StoreRefused`, and nothing of it is applied."""
        await publish(harness.backend)
        good, bad = await add_claimed(harness.backend), await add_claimed(harness.backend)
        with pytest.raises(StoreRefused):
            await harness.backend.jobs.settle("node", [to_settle(good), to_settle(bad, JobState.RUNNING, **poison)])
        assert set(await held(harness.backend)) == {good.id, bad.id}

    async def test_a_lent_slot_is_free(self, harness: Harness) -> None:
        """A run whose slot is lent does not count against an operator's slots, in a claim or a birth."""
        await publish(harness.backend)
        await harness.backend.queues.set(QueueRecord(name="default", slots=1))
        claimed = await add_claimed(harness.backend)
        await add_each(harness.backend, [new() for _ in range(2)])
        assert await claim(harness.backend) == ()
        note = to_settle(claimed, JobState.RUNNING, lent=True)
        batch = (await harness.backend.jobs.settle("node", [note], ask())).batch
        assert batch is not None
        (child,) = batch.claims
        assert await claim(harness.backend) == ()
        await _note(harness.backend, child, lent=True)
        job = new(priority=0)
        answer = await harness.backend.jobs.enqueue([[job]], Birth("node", {job.id: 1000}))
        assert answer.groups[0].born == (job.id,)

    async def test_a_slot_taken_back_counts(self, harness: Harness) -> None:
        """Taken back, it counts again, above the operator's slots if need be; nothing more is claimed until then."""
        await publish(harness.backend)
        await harness.backend.queues.set(QueueRecord(name="default", slots=1))
        parent = await add_claimed(harness.backend)
        await _note(harness.backend, parent, lent=True)
        child = await add_claimed(harness.backend)
        job = await add(harness.backend)
        await _note(harness.backend, parent, lent=False)
        await _note(harness.backend, parent, progress=(1, 1))
        batch = await harness.backend.jobs.claim(ask())
        assert (batch.claims, batch.capped) == ((), ("default",))
        await settle(harness.backend, child)
        assert await claim(harness.backend) == ()
        await settle(harness.backend, parent)
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_a_slot_stays_lent_until_taken_back(self, harness: Harness) -> None:
        """A note that does not speak of the slot leaves it lent."""
        await publish(harness.backend)
        await harness.backend.queues.set(QueueRecord(name="default", slots=1))
        parent = await add_claimed(harness.backend)
        await _note(harness.backend, parent, lent=True)
        await _note(harness.backend, parent, progress=(1, 1))
        assert (await add_claimed(harness.backend)).attempt == 1

    async def test_the_next_run_has_lent_nothing(self, harness: Harness) -> None:
        """Settled otherwise than to running, a job is no longer lent: its next run takes a slot."""
        await publish(harness.backend)
        await harness.backend.queues.set(QueueRecord(name="default", slots=1))
        parent = await add_claimed(harness.backend, priority=0)
        await _note(harness.backend, parent, lent=True)
        await settle(harness.backend, parent, JobState.PENDING)
        await add(harness.backend)
        assert ids(await claim(harness.backend)) == [parent.id]
        assert await claim(harness.backend) == ()

    async def test_a_slot_taken_back_at_the_end_is_held_no_more(self, harness: Harness) -> None:
        """Lent or not before, a run that takes its slot back and ends, however it does, in one write leaves its lane free."""
        await publish(harness.backend)
        await declare(harness.backend, slots=5)
        lent: dict[str, Any] = {"state": JobState.RUNNING, "lent": True}
        back: dict[str, Any] = {"state": JobState.RUNNING, "lent": False}
        ends: list[dict[str, Any]] = [{}, {"state": JobState.PENDING, "delay": SECOND}]
        for end in ends:
            for notes in ([back], [lent, back], [back, lent, back]):
                (run,) = await fill(harness.backend, 1)
                if notes[0] is back:
                    await _note(harness.backend, run, lent=True)
                await harness.backend.jobs.settle("node", [to_settle(run, **each) for each in (*notes, end)])
                assert (await lane(harness.backend)).holders == ()
