"""What `JobStore.settle` promises of how jobs end and of the claim that rides along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backburner.errors import LeaseLost, StoreRefused
from backburner.model.clock import SECOND
from backburner.model.job import Attempt, Ending, JobState
from backburner.model.node import QueueRecord
from backburner.model.query import JobFilter, Shown
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    ask,
    claim,
    held,
    ids,
    new,
    publish,
    read,
    settle,
    to_settle,
)

if TYPE_CHECKING:
    from backburner.testing.harness import Harness

__all__ = ["SettlingContract"]

BATCH = 5_000
FINAL = (JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD)


@pytest.mark.anyio
class SettlingContract:
    """Settlements are applied as they were worked out; the store decides nothing but a cancellation asked for."""

    async def test_completed_keeps_the_result(self, harness: Harness) -> None:
        """A completed job keeps its result, the moment it ended, and no history."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        harness.clock.move(2)
        settled = await harness.backend.jobs.settle("node", [to_settle(claimed, result='{"sum":"≈3"}')])
        assert settled.now == harness.clock.now()
        record = await read(harness.backend, claimed.id)
        assert (record.state, record.result, record.reason) == (JobState.COMPLETED, '{"sum":"≈3"}', None)
        assert (record.ended_at, record.node, record.attempt) == (harness.clock.now(), "node", 1)
        assert await held(harness.backend) == {}
        assert await harness.backend.reader.history(claimed.id) == ()

    @pytest.mark.parametrize("state", FINAL)
    async def test_a_final_job_keeps_its_reason(self, harness: Harness, state: JobState) -> None:
        """A job that ended keeps the reason given, and stands nowhere any more."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        await settle(harness.backend, claimed, state, reason="bücause")
        record = await read(harness.backend, claimed.id)
        assert (record.state, record.reason, record.ended_at) == (state, "bücause", harness.clock.now())
        assert await claim(harness.backend) == ()

    async def test_only_ended_jobs_have_an_end(self, harness: Harness) -> None:
        """A job has a moment when it ended if and only if its state is final."""
        await publish(harness.backend)
        seen = [await add(harness.backend)]
        claimed = await add_claimed(harness.backend, queue="second")
        assert [(await read(harness.backend, job_id)).ended_at for job_id in (seen[0].id, claimed.id)] == [None, None]
        await settle(harness.backend, claimed, JobState.PENDING)
        assert (await read(harness.backend, claimed.id)).ended_at is None
        for state in FINAL:
            claimed = await add_claimed(harness.backend, queue=state)
            await settle(harness.backend, claimed, state)
            assert (await read(harness.backend, claimed.id)).ended_at == harness.clock.now()

    async def test_a_retry_is_due_later(self, harness: Harness) -> None:
        """A retry is due its delay after the store's now, counts its failure, and remembers its backoff."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        harness.clock.move(3)
        await settle(
            harness.backend,
            claimed,
            JobState.PENDING,
            delay=30 * SECOND + 1,
            backoff=29 * SECOND,
            failed=1,
            ending=Ending.FAILED,
            error="builtins.ValueError",
            message="no ümlaut",
            fingerprint="abc",
        )
        record = await read(harness.backend, claimed.id)
        assert (record.state, record.gate, record.ended_at) == (JobState.PENDING, "", None)
        assert record.due_at == harness.clock.now() + 30 * SECOND + 1
        assert (record.failures, record.attempt, record.backoff) == (1, 1, 29 * SECOND)
        assert (record.error, record.message, record.fingerprint) == ("builtins.ValueError", "no ümlaut", "abc")
        harness.clock.move(31)
        (again,) = await claim(harness.backend)
        assert (again.attempt, again.failures, again.backoff) == (2, 1, 29 * SECOND)

    async def test_the_history_tells_each_attempt(self, harness: Harness) -> None:
        """Attempts that did not complete are kept, oldest first, with their node, their times and their error."""
        await publish(harness.backend)
        expected: list[Attempt] = []
        claimed = await add_claimed(harness.backend)
        for number, ending in enumerate((Ending.FAILED, Ending.SNOOZED, Ending.INTERRUPTED, Ending.REJECTED), 1):
            started = harness.clock.now()
            harness.clock.move(1)
            words = {"error": f"E{number}", "message": "wörds", "traceback": "a\nb", "fingerprint": f"f{number}"}
            state = JobState.DEAD if ending is Ending.REJECTED else JobState.PENDING
            await settle(harness.backend, claimed, state, ending=ending, **words)
            ended = harness.clock.now()
            expected.append(
                Attempt(attempt=number, ending=ending, node="node", started_at=started, ended_at=ended, **words)
            )
            harness.clock.move(1)
            if state is JobState.PENDING:
                (claimed,) = await claim(harness.backend)
        assert await harness.backend.reader.history(claimed.id) == tuple(expected)

    async def test_a_claim_given_back_leaves_nothing(self, harness: Harness) -> None:
        """A claim given back before it started gives its number back, and leaves no history."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        await settle(harness.backend, claimed, JobState.PENDING, unstarted=True)
        record = await read(harness.backend, claimed.id)
        assert (record.state, record.attempt) == (JobState.PENDING, 0)
        assert (record.failures, record.crashes, record.interruptions) == (0, 0, 0)
        assert await harness.backend.reader.history(claimed.id) == ()
        (again,) = await claim(harness.backend)
        assert again.attempt == 1

    @pytest.mark.parametrize(
        ("ending", "counted"),
        [(Ending.SNOOZED, {}), (Ending.INTERRUPTED, {"interrupted": 1}), (Ending.CRASHED, {"crashed": 1})],
    )
    async def test_no_failure_counted(self, harness: Harness, ending: Ending, counted: dict[str, Any]) -> None:
        """Counters are added as given: a snooze counts nothing, an interruption and a crash count as themselves."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        for _ in range(2):
            await settle(harness.backend, claimed, JobState.PENDING, ending=ending, **counted)
            (claimed,) = await claim(harness.backend)
        assert claimed.failures == 0
        assert claimed.crashes == 2 * counted.get("crashed", 0)
        assert claimed.interruptions == 2 * counted.get("interrupted", 0)

    async def test_what_is_not_given_is_kept(self, harness: Harness) -> None:
        """No backoff given keeps the stored one; no error given keeps the last one."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        words = {"error": "OSError", "message": "gone", "fingerprint": "f"}
        await settle(harness.backend, claimed, JobState.PENDING, backoff=5, ending=Ending.FAILED, failed=1, **words)
        (claimed,) = await claim(harness.backend)
        await settle(harness.backend, claimed, JobState.PENDING, ending=Ending.SNOOZED)
        (claimed,) = await claim(harness.backend)
        assert claimed.backoff == 5
        await settle(harness.backend, claimed)
        record = await read(harness.backend, claimed.id)
        assert (record.error, record.message, record.fingerprint) == ("OSError", "gone", "f")

    async def test_cancelled_instead_of_pending(self, harness: Harness) -> None:
        """A job that a person asked to cancel becomes cancelled where it was to be pending, and that is answered."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        await harness.backend.admin.cancel([claimed.id])
        write = [to_settle(claimed, JobState.PENDING, delay=SECOND, failed=1, ending=Ending.FAILED, error="E")]
        settled = await harness.backend.jobs.settle("node", write)
        assert (settled.stale, settled.cancelled) == ((), {claimed.id: "cancelled"})
        record = await read(harness.backend, claimed.id)
        assert (record.state, record.reason, record.gate) == (JobState.CANCELLED, "cancelled", "")
        assert (record.ended_at, record.failures) == (harness.clock.now(), 1)
        assert len(await harness.backend.reader.history(claimed.id)) == 1
        assert await claim(harness.backend) == ()

    @pytest.mark.parametrize("state", FINAL)
    async def test_what_was_reached_stands(self, harness: Harness, state: JobState) -> None:
        """A request to cancel does not change a run that ended for good: completed stays completed."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        await harness.backend.admin.cancel([claimed.id])
        settled = await harness.backend.jobs.settle("node", [to_settle(claimed, state, result="1", reason="mine")])
        assert settled.cancelled == {}
        record = await read(harness.backend, claimed.id)
        assert (record.state, record.reason) == (state, "mine")

    async def test_a_large_result_comes_back(self, harness: Harness) -> None:
        """A mebibyte of non-ASCII result comes back unchanged."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        result = f'"{"é" * (1 << 19)}"'
        await settle(harness.backend, claimed, result=result)
        assert (await read(harness.backend, claimed.id)).result == result

    async def test_five_thousand_outcomes_in_one_write(self, harness: Harness) -> None:
        """A batch of five thousand mixed outcomes is applied as it stands."""
        await publish(harness.backend)
        await harness.backend.jobs.enqueue([[new() for _ in range(BATCH)]])
        claims = await claim(harness.backend, limit=BATCH)
        assert len(claims) == BATCH
        states = [*FINAL, JobState.PENDING, JobState.PENDING]
        write = [
            to_settle(
                claimed,
                states[number % 5],
                failed=int(number % 5 == 4),
                ending=None if number % 5 == 0 else Ending.FAILED,
                delay=number % 5 * SECOND,
            )
            for number, claimed in enumerate(claims)
        ]
        settled = await harness.backend.jobs.settle("node", write)
        assert (settled.stale, settled.cancelled) == ((), {})
        assert await harness.backend.reader.count(JobFilter()) == {
            Shown.COMPLETED: BATCH // 5,
            Shown.CANCELLED: BATCH // 5,
            Shown.DEAD: BATCH // 5,
            Shown.SCHEDULED: BATCH // 5,
            Shown.RETRYING: BATCH // 5,
        }

    async def test_nothing_to_settle(self, harness: Harness) -> None:
        """An empty write is fine; without a claim there is no batch."""
        settled = await harness.backend.jobs.settle("stranger", [])
        assert (settled.now, settled.stale, settled.batch) == (harness.clock.now(), (), None)

    async def test_the_claim_sees_what_was_settled(self, harness: Harness) -> None:
        """The claim that rides along comes after the settlements: it takes the slots and the jobs they gave free."""
        await publish(harness.backend)
        await harness.backend.queues.set(QueueRecord(name="default", slots=1))
        claimed = await add_claimed(harness.backend)
        other = await add(harness.backend)
        batch = (await harness.backend.jobs.settle("node", [to_settle(claimed)], ask())).batch
        assert batch is not None
        assert (batch.now, ids(batch.claims)) == (harness.clock.now(), [other.id])
        write = [to_settle(batch.claims[0], JobState.PENDING, unstarted=True)]
        again = (await harness.backend.jobs.settle("node", write, ask())).batch
        assert again is not None
        assert [(found.id, found.attempt) for found in again.claims] == [(other.id, 1)]

    async def test_a_claim_refused_undoes_the_settlements(self, harness: Harness) -> None:
        """Settling and claiming are one transaction: when the claim raises `LeaseLost`, nothing was settled."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        await harness.die("node")
        with pytest.raises(LeaseLost):
            await harness.backend.jobs.settle("node", [to_settle(claimed)], ask())
        assert (await read(harness.backend, claimed.id)).state is JobState.RUNNING

    async def test_a_claim_not_yet_recovered_may_be_settled(self, harness: Harness) -> None:
        """A settlement needs no lease: until its job is recovered, node and token are enough."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        await harness.die("node")
        await settle(harness.backend, claimed)
        assert (await read(harness.backend, claimed.id)).state is JobState.COMPLETED

    @pytest.mark.parametrize(
        "poison", [{"result": '"\ud800"'}, {"reason": "\ud800"}, {"delay": 2**70, "state": JobState.PENDING}], ids=repr
    )
    async def test_a_poisoned_settlement_is_refused(self, harness: Harness, poison: dict[str, Any]) -> None:
        """A write with a settlement that cannot be stored raises `StoreRefused`, and nothing of it is applied."""
        await publish(harness.backend)
        good, bad = await add_claimed(harness.backend), await add_claimed(harness.backend)
        with pytest.raises(StoreRefused) as caught:
            await harness.backend.jobs.settle("node", [to_settle(good), to_settle(bad, **poison)])
        assert caught.value.stored == "no"
        assert set(await held(harness.backend)) == {good.id, bad.id}
        await settle(harness.backend, good)
        assert (await read(harness.backend, good.id)).state is JobState.COMPLETED
