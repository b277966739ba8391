"""What `JobStore.claim` promises."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from backburner.errors import LeaseLost
from backburner.model.clock import SECOND
from backburner.model.job import Claim, JobState
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    add_each,
    ask,
    claim,
    ended,
    ids,
    new,
    publish,
    read,
    settle,
)

if TYPE_CHECKING:
    from backburner.testing.harness import Harness

__all__ = ["ClaimingContract"]

CLAIMERS = 8
JOBS = 1_000


@pytest.mark.anyio
class ClaimingContract:
    """Due jobs are handed out, each to one node, in order."""

    async def test_a_claim_carries_the_job(self, harness: Harness) -> None:
        """A claim tells all that a run needs, under the store's now."""
        await publish(harness.backend)
        job = await add(
            harness.backend,
            args='{"a":"ü"}',
            priority=2,
            timeout=7,
            retry='{"attempts":2}',
            expires_in=60 * SECOND,
            headers='{"trace":"ü"}',
        )
        created = harness.clock.now()
        harness.clock.move(3)
        batch = await harness.backend.jobs.claim(ask())
        assert batch.now == harness.clock.now()
        (claimed,) = batch.claims
        assert claimed == Claim(
            id=job.id,
            kind="note",
            queue="default",
            args='{"a":"ü"}',
            priority=2,
            attempt=1,
            failures=0,
            crashes=0,
            interruptions=0,
            token=claimed.token,
            timeout=7,
            retry='{"attempts":2}',
            backoff=None,
            created_at=created,
            due_at=created,
            expires_at=created + 60 * SECOND,
            claimed_at=harness.clock.now(),
            gate="",
            headers='{"trace":"ü"}',
            checkpoint=None,
        )

    async def test_a_claimed_job_runs(self, harness: Harness) -> None:
        """Its attempt goes up by one, its token grows, its state becomes running, its gate is cleared."""
        await publish(harness.backend)
        first = await add_claimed(harness.backend)
        record = await read(harness.backend, first.id)
        assert (record.state, record.attempt, record.gate) == (JobState.RUNNING, 1, "")
        assert (record.node, record.token, record.started_at) == ("node", first.token, harness.clock.now())
        await settle(harness.backend, first, JobState.PENDING)
        (second,) = await claim(harness.backend)
        assert second.attempt == 2
        assert second.token > first.token > 0

    async def test_only_what_is_due_is_handed_out(self, harness: Harness) -> None:
        """A job is handed out from the very microsecond it is due, by the store's clock."""
        await publish(harness.backend)
        job = await add(harness.backend, delay=SECOND)
        harness.clock.move(0.999999)
        assert await claim(harness.backend) == ()
        harness.clock.move(0.000001)
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_only_asked_queues_give(self, harness: Harness) -> None:
        """Queues that were not asked, or have no free slot, give nothing."""
        await publish(harness.backend)
        job, _, _ = [await add(harness.backend, queue=queue) for queue in ("a", "b", "c")]
        assert ids(await claim(harness.backend, queues={"a": 5, "b": 0})) == [job.id]
        assert await claim(harness.backend, queues={}) == ()
        assert await claim(harness.backend, queues=("unheard-of",)) == ()

    async def test_only_pending_jobs_are_handed_out(self, harness: Harness) -> None:
        """Jobs that run or have ended are never handed out."""
        await publish(harness.backend)
        for state in (JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD):
            await ended(harness.backend, state)
        await add_claimed(harness.backend)
        assert await claim(harness.backend) == ()

    async def test_never_more_than_the_limit(self, harness: Harness) -> None:
        """No more claims are answered than each queue has free slots, and than the whole request allows."""
        await publish(harness.backend)
        await add_each(harness.backend, [new(queue=queue) for queue in "ab" * 20])
        got = await claim(harness.backend, limit=10, queues={"a": 3, "b": 20})
        assert Counter(claimed.queue for claimed in got) == {"a": 3, "b": 7}
        assert await claim(harness.backend, limit=0, queues={"a": 5}) == ()

    async def test_priority_then_due_then_id(self, harness: Harness) -> None:
        """Jobs come by priority, due time, id, within one claim and from claim to claim, over all asked queues."""
        await publish(harness.backend)
        now = harness.clock.now()
        jobs = [
            new(priority=number * 7 % 10, at=now + number * 3 % 4 * SECOND, queue="ab"[number % 2])
            for number in range(60)
        ]
        await add_each(harness.backend, reversed(jobs))
        harness.clock.move(10)
        expected = ids(sorted(jobs, key=lambda job: (job.priority, job.at, job.id)))
        got = [ids(await claim(harness.backend, limit=limit, queues=("a", "b"))) for limit in (7, 1, 25, 60)]
        assert got == [expected[:7], expected[7:8], expected[8:33], expected[33:]]

    async def test_every_priority_is_served(self, harness: Harness) -> None:
        """Priorities 0 to 9 are handed out first to last, one a claim as well as all in one."""
        await publish(harness.backend)
        for _ in range(2):
            await add_each(harness.backend, [new(priority=priority) for priority in (9, 3, 0, 7, 5, 1, 8, 2, 6, 4)])
        one = [claimed.priority for _ in range(10) for claimed in await claim(harness.backend, limit=1)]
        rest = [claimed.priority for claimed in await claim(harness.backend)]
        assert one + rest == sorted([*range(10), *range(10)])

    async def test_a_retried_job_stands_by_its_new_due_time(self, harness: Harness) -> None:
        """A job settled to pending goes back into the line by when it is due again."""
        await publish(harness.backend)
        first = await add_claimed(harness.backend)
        harness.clock.move(1)
        second = await add(harness.backend)
        harness.clock.move(1)
        await settle(harness.backend, first, JobState.PENDING)
        assert ids(await claim(harness.backend)) == [second.id, first.id]

    async def test_an_expired_job_is_handed_out_and_says_so(self, harness: Harness) -> None:
        """An expired job is handed out like any other; its claim says so by ``expires_at <= claimed_at``."""
        await publish(harness.backend)
        await add(harness.backend, expires_in=SECOND)
        harness.clock.move(1)
        (claimed,) = await claim(harness.backend)
        assert claimed.expires_at is not None
        assert claimed.expires_at <= claimed.claimed_at

    async def test_nothing_for_a_node_without_a_lease(self, harness: Harness) -> None:
        """`LeaseLost` is raised for a node never published, withdrawn or dead, and nothing is claimed."""
        job = await add(harness.backend)
        with pytest.raises(LeaseLost):
            await claim(harness.backend, "stranger")
        await publish(harness.backend, "gone")
        await harness.backend.nodes.withdraw("gone")
        with pytest.raises(LeaseLost):
            await claim(harness.backend, "gone")
        await publish(harness.backend, "dead")
        await harness.die("dead")
        with pytest.raises(LeaseLost):
            await claim(harness.backend, "dead")
        assert (await read(harness.backend, job.id)).state is JobState.PENDING

    async def test_each_job_goes_to_one_of_many_claimers(self, harness: Harness) -> None:
        """Eight claimers at once, on two connections, share a thousand jobs: each is handed out exactly once."""
        backends = [harness.backend, await harness.second()]
        jobs = [new() for _ in range(JOBS)]
        await harness.backend.jobs.enqueue([jobs])
        got: list[str] = []

        async def take(number: int) -> None:
            backend, node = backends[number % 2], f"node-{number}"
            await publish(backend, node)
            while claims := await claim(backend, node, limit=7):
                got.extend(ids(claims))

        await asyncio.gather(*[take(number) for number in range(CLAIMERS)])
        assert sorted(got) == ids(jobs)

    async def test_wait_tells_the_next_due_time(self, harness: Harness) -> None:
        """``wait`` is the time until the next job of the asked queues is due."""
        await publish(harness.backend)
        await add(harness.backend, delay=90 * SECOND)
        await add(harness.backend, delay=60 * SECOND, priority=9)
        await add(harness.backend, delay=SECOND, queue="other")
        assert (await harness.backend.jobs.claim(ask())).wait == 60 * SECOND
        harness.clock.move(59)
        assert (await harness.backend.jobs.claim(ask())).wait == SECOND

    async def test_wait_is_none_without_anything_to_come(self, harness: Harness) -> None:
        """``wait`` is None when no time brings anything: no job, or all of them claimed."""
        await publish(harness.backend)
        assert (await harness.backend.jobs.claim(ask())).wait is None
        await add(harness.backend)
        batch = await harness.backend.jobs.claim(ask())
        assert (len(batch.claims), batch.wait) == (1, None)

    async def test_wait_is_zero_when_due_jobs_were_left(self, harness: Harness) -> None:
        """``wait`` is 0 when due jobs were left behind for want of room in the request."""
        await publish(harness.backend)
        await add_each(harness.backend, [new(), new(), new()])
        assert (await harness.backend.jobs.claim(ask(limit=2))).wait == 0
        assert (await harness.backend.jobs.claim(ask(limit=2))).wait is None

    async def test_wait_sees_past_the_unknown(self, harness: Harness) -> None:
        """Jobs left behind for want of room are told of also where unknown ones stood between them."""
        await publish(harness.backend)
        await add_each(harness.backend, [new(kind=kind) for kind in ("note", "rare", "note", "note")])
        batch = await harness.backend.jobs.claim(ask(limit=5, queues={"default": 2}))
        assert (len(batch.claims), batch.wait) == (2, 0)

    async def test_the_backlog_does_not_matter(self, harness: Harness) -> None:
        """Jobs finished, scheduled and at gates are passed by, however many."""
        await publish(harness.backend)
        crowd = [new(delay=3600 * SECOND, priority=0) for _ in range(300)]
        crowd += [new(gate="lane:full", priority=0) for _ in range(300)]
        await harness.backend.jobs.enqueue([crowd])
        job = await add(harness.backend, priority=9)
        assert ids(await claim(harness.backend, limit=1)) == [job.id]
