"""What `JobStore.settle` promises of node and token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backburner.model.clock import SECOND
from backburner.model.job import Ending, JobState, Settlement
from backburner.ports.jobs import Keep
from backburner.testing.contracts.making import (
    add_claimed,
    add_each,
    claim,
    new,
    publish,
    read,
    recover,
    settle,
    to_settle,
)

if TYPE_CHECKING:
    from backburner.testing.harness import Harness

__all__ = ["FencingContract"]

#: Every way a claim ends, as the engine writes it.
OUTCOMES: list[dict[str, Any]] = [
    {"state": JobState.COMPLETED, "result": "42"},
    {"state": JobState.DEAD, "reason": "exhausted", "ending": Ending.FAILED, "failed": 1, "error": "ValueError"},
    {"state": JobState.CANCELLED, "reason": "no need", "ending": Ending.CANCELLED},
    {
        "state": JobState.PENDING,
        "delay": SECOND,
        "backoff": 7,
        "ending": Ending.FAILED,
        "failed": 1,
        "error": "OSError",
    },
    {"state": JobState.PENDING, "ending": Ending.SNOOZED, "delay": SECOND},
    {"state": JobState.PENDING, "ending": Ending.INTERRUPTED, "interrupted": 1},
    {"state": JobState.PENDING, "unstarted": True},
]


@pytest.mark.anyio
class FencingContract:
    """Every write about a run names the claim; a stale one changes nothing."""

    @pytest.mark.parametrize("outcome", OUTCOMES, ids=repr)
    async def test_a_wrong_token_changes_nothing(self, harness: Harness, outcome: dict[str, Any]) -> None:
        """Under another token, smaller or larger, no settlement is applied, and it is answered as stale."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        before = await read(harness.backend, claimed.id)
        for token in (claimed.token - 1, claimed.token + 1):
            settled = await harness.backend.jobs.settle("node", [Settlement(id=claimed.id, token=token, **outcome)])
            assert settled.stale == (claimed.id,)
        assert await read(harness.backend, claimed.id) == before
        assert await harness.backend.reader.history(claimed.id) == ()

    async def test_a_wrong_node_changes_nothing(self, harness: Harness) -> None:
        """Another node's settlement is stale, also under the right token."""
        await publish(harness.backend)
        await publish(harness.backend, "other")
        claimed = await add_claimed(harness.backend)
        before = await read(harness.backend, claimed.id)
        settled = await harness.backend.jobs.settle("other", [to_settle(claimed)])
        assert settled.stale == (claimed.id,)
        assert await read(harness.backend, claimed.id) == before

    @pytest.mark.parametrize("outcome", OUTCOMES, ids=repr)
    async def test_a_repeated_settlement_is_not_stale(self, harness: Harness, outcome: dict[str, Any]) -> None:
        """A settlement that was applied before is not stale, and applies nothing again."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        write = [Settlement(id=claimed.id, token=claimed.token, **outcome)]
        await harness.backend.jobs.settle("node", write)
        before = await read(harness.backend, claimed.id)
        history = await harness.backend.reader.history(claimed.id)
        harness.clock.move(5)
        assert (await harness.backend.jobs.settle("node", write)).stale == ()
        assert await read(harness.backend, claimed.id) == before
        assert await harness.backend.reader.history(claimed.id) == history

    async def test_one_claim_ends_once(self, harness: Harness) -> None:
        """Of two outcomes of one claim the first counts; in one write exactly one does, whichever."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        completed = to_settle(claimed, result="1")
        dead = to_settle(claimed, JobState.DEAD, reason="exhausted", ending=Ending.FAILED, failed=1)
        await harness.backend.jobs.settle("node", [completed])
        assert (await harness.backend.jobs.settle("node", [dead])).stale == ()
        record = await read(harness.backend, claimed.id)
        assert (record.state, record.result, record.failures) == (JobState.COMPLETED, "1", 0)
        assert await harness.backend.reader.history(claimed.id) == ()
        for write in ([completed, dead], [dead, completed]):
            claimed = await add_claimed(harness.backend)
            outcomes = [msgspec.structs.replace(each, id=claimed.id, token=claimed.token) for each in write]
            assert (await harness.backend.jobs.settle("node", outcomes)).stale == ()
            record = await read(harness.backend, claimed.id)
            history = await harness.backend.reader.history(claimed.id)
            either = {JobState.COMPLETED: ("1", 0, 0), JobState.DEAD: (None, 1, 1)}
            assert (record.result, record.failures, len(history)) == either[record.state]

    async def test_stale_after_recovery(self, harness: Harness) -> None:
        """Once its job was recovered, the first claim's settlement is stale."""
        await publish(harness.backend)
        await publish(harness.backend, "rescuer")
        claimed = await add_claimed(harness.backend)
        await harness.die("node")
        await recover(harness.backend, "rescuer")
        before = await read(harness.backend, claimed.id)
        assert (await harness.backend.jobs.settle("node", [to_settle(claimed)])).stale == (claimed.id,)
        assert await read(harness.backend, claimed.id) == before

    async def test_stale_after_the_same_node_claimed_again(self, harness: Harness) -> None:
        """A settlement of an earlier claim by the same node is stale: the token differs."""
        await publish(harness.backend)
        first = await add_claimed(harness.backend)
        await settle(harness.backend, first, JobState.PENDING, unstarted=True)
        (second,) = await claim(harness.backend)
        assert (await harness.backend.jobs.settle("node", [to_settle(first)])).stale == (first.id,)
        assert (await read(harness.backend, first.id)).state is JobState.RUNNING
        await settle(harness.backend, second)

    async def test_tokens_only_grow(self, harness: Harness) -> None:
        """Each claim and each recovery of a job has a larger token than all before."""
        await publish(harness.backend, "rescuer")
        tokens: list[int] = []
        job = new()
        await add_each(harness.backend, [job])
        for number in range(3):
            node = await publish(harness.backend, f"node-{number}")
            (claimed,) = await claim(harness.backend, node)
            await harness.die(node)
            ((recovered),) = (await recover(harness.backend, "rescuer")).jobs
            await settle(harness.backend, recovered.claim, JobState.PENDING, node="rescuer", crashed=1)
            tokens += [claimed.token, recovered.claim.token]
        assert tokens == sorted(set(tokens))

    async def test_what_is_gone_is_stale(self, harness: Harness) -> None:
        """A settlement of a job that was deleted, or never was, is answered as stale."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        await settle(harness.backend, claimed)
        await harness.backend.admin.prune(Keep(completed=0, cancelled=None, dead=None), 10)
        never = Settlement(id="never", token=1, state=JobState.COMPLETED)
        settled = await harness.backend.jobs.settle("node", [to_settle(claimed), never])
        assert settled.stale == (claimed.id, "never")
        assert (await harness.backend.reader.get([claimed.id, "never"])).jobs == ()

    async def test_the_valid_among_the_stale_are_applied(self, harness: Harness) -> None:
        """Of a mixed batch the valid settlements are applied and exactly the stale ones are answered."""
        await publish(harness.backend)
        await add_each(harness.backend, [new() for _ in range(20)])
        claims = await claim(harness.backend)
        write = [
            Settlement(id=claimed.id, token=claimed.token + number % 2, state=JobState.COMPLETED)
            for number, claimed in enumerate(claims)
        ]
        settled = await harness.backend.jobs.settle("node", write)
        assert sorted(settled.stale) == [claimed.id for claimed in claims[1::2]]
        records = (await harness.backend.reader.get([claimed.id for claimed in claims])).jobs
        states = {record.id: record.state for record in records}
        assert [states[claimed.id] for claimed in claims] == [JobState.COMPLETED, JobState.RUNNING] * 10

    async def test_a_pending_job_cannot_be_settled(self, harness: Harness) -> None:
        """A job that was never claimed is not settled, whatever token is guessed."""
        await publish(harness.backend)
        job = new()
        await add_each(harness.backend, [job])
        for token in (0, 1):
            write = Settlement(id=job.id, token=token, state=JobState.COMPLETED)
            assert (await harness.backend.jobs.settle("node", [write])).stale == (job.id,)
        assert (await read(harness.backend, job.id)).state is JobState.PENDING
