"""What `JobStore.recover` promises."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backburner.model.clock import SECOND
from backburner.model.job import SUSPECT_GATE, Cause, Ending, JobState
from backburner.model.node import QueueRecord
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    add_each,
    claim,
    held,
    ids,
    new,
    publish,
    read,
    recover,
    settle,
)

if TYPE_CHECKING:
    from backburner.testing.harness import Harness

__all__ = ["RecoveringContract"]


@pytest.mark.anyio
class RecoveringContract:
    """What nobody will settle is handed to one node that does."""

    async def test_nothing_to_recover(self, harness: Harness) -> None:
        """Living nodes' claims, pending jobs and ended ones are left alone."""
        await publish(harness.backend)
        await publish(harness.backend, "rescuer")
        await settle(harness.backend, await add_claimed(harness.backend, expires_in=SECOND))
        await add_claimed(harness.backend, expires_in=SECOND)
        await add(harness.backend, expires_in=3 * SECOND)
        await add(harness.backend)
        harness.clock.move(2)
        recovery = await recover(harness.backend, "rescuer")
        assert (recovery.now, recovery.jobs) == (harness.clock.now(), ())

    async def test_a_dead_node_s_claims_are_handed_over(self, harness: Harness) -> None:
        """The claims of a dead node are handed over, running, under new tokens, with their attempt and node told."""
        await publish(harness.backend)
        await publish(harness.backend, "rescuer")
        claimed = await add_claimed(harness.backend)
        harness.clock.move(1)
        await harness.die("node")
        (found,) = (await recover(harness.backend, "rescuer")).jobs
        assert (found.cause, found.node, found.cancel) == (Cause.LAPSED, "node", False)
        assert (found.claim.id, found.claim.attempt, found.claim.args) == (claimed.id, 1, claimed.args)
        assert found.claim.token > claimed.token
        assert (await read(harness.backend, claimed.id)).state is JobState.RUNNING
        assert await held(harness.backend, "rescuer") == {claimed.id: found.claim.token}

    async def test_each_is_handed_over_once(self, harness: Harness) -> None:
        """What was handed over is not handed over again while its new holder lives."""
        await publish(harness.backend)
        await publish(harness.backend, "rescuer")
        await add_claimed(harness.backend)
        await harness.die("node")
        assert len((await recover(harness.backend, "rescuer")).jobs) == 1
        assert (await recover(harness.backend, "rescuer")).jobs == ()

    async def test_two_nodes_recover_each_job_once(self, harness: Harness) -> None:
        """Two nodes that recover at once, on two connections, share the jobs: each is handed to one of them only."""
        second = await harness.second()
        for node in ("node", "one", "two"):
            await publish(harness.backend, node)
        jobs = [new() for _ in range(40)]
        await add_each(harness.backend, jobs[:30])
        await claim(harness.backend)
        await add_each(harness.backend, [new(id=job.id, expires_in=-1) for job in jobs[30:]])
        await harness.die("node")
        found: list[str] = []

        async def take(node: str) -> None:
            backend = harness.backend if node == "one" else second
            while batch := (await recover(backend, node, limit=3)).jobs:
                found.extend(recovered.claim.id for recovered in batch)

        await asyncio.gather(take("one"), take("two"))
        assert sorted(found) == ids(jobs)

    async def test_never_more_than_the_limit(self, harness: Harness) -> None:
        """At most ``limit`` jobs are handed over at a time; the rest comes next."""
        await publish(harness.backend)
        await publish(harness.backend, "rescuer")
        await add_each(harness.backend, [new() for _ in range(5)])
        await claim(harness.backend)
        await add_each(harness.backend, [new(expires_in=0) for _ in range(5)])
        await harness.die("node")
        sizes = [len((await recover(harness.backend, "rescuer", limit=limit)).jobs) for limit in (0, 3, 3, 3, 3)]
        assert sizes == [0, 3, 3, 3, 1]

    async def test_a_withdrawn_node_s_claims_have_lapsed(self, harness: Harness) -> None:
        """What a withdrawn node still held is recovered as lapsed."""
        await publish(harness.backend)
        await publish(harness.backend, "rescuer")
        claimed = await add_claimed(harness.backend)
        await harness.backend.nodes.withdraw("node")
        (found,) = (await recover(harness.backend, "rescuer")).jobs
        assert (found.claim.id, found.cause, found.node) == (claimed.id, Cause.LAPSED, "node")

    async def test_expired_jobs_are_handed_over(self, harness: Harness) -> None:
        """Pending jobs whose expiry has passed are handed over whatever their queue, pause or gate, due or not."""
        await publish(harness.backend, "rescuer")
        await harness.backend.queues.set(QueueRecord(name="paused", paused=True))
        expired = [
            new(expires_in=SECOND),
            new(queue="paused", expires_in=SECOND),
            new(gate="lane:x", expires_in=SECOND),
            new(gate=SUSPECT_GATE, expires_in=SECOND),
            new(kind="unknown", expires_at=harness.clock.now() + SECOND),
            new(delay=3600 * SECOND, expires_in=SECOND),
        ]
        kept = new(expires_in=SECOND + 1)
        await add_each(harness.backend, [*expired, kept])
        harness.clock.move(1)
        found = (await recover(harness.backend, "rescuer")).jobs
        assert sorted(recovered.claim.id for recovered in found) == ids(expired)
        assert {(recovered.cause, recovered.node, recovered.claim.attempt) for recovered in found} == {
            (Cause.EXPIRED, None, 0)
        }
        gates = {recovered.claim.id: recovered.claim.gate for recovered in found}
        assert [gates[job.id] for job in expired] == ["", "", "lane:x", SUSPECT_GATE, "", ""]
        assert ids(await claim(harness.backend, "rescuer", kinds=("note", "unknown"))) == [kept.id]

    async def test_an_expired_job_is_settled_like_any_claim(self, harness: Harness) -> None:
        """The node it was handed to settles an expired job as cancelled, under the token it was given."""
        await publish(harness.backend, "rescuer")
        job = await add(harness.backend, expires_in=-SECOND)
        (found,) = (await recover(harness.backend, "rescuer")).jobs
        await settle(harness.backend, found.claim, JobState.CANCELLED, node="rescuer", reason="expired")
        record = await read(harness.backend, job.id)
        assert (record.state, record.reason, record.attempt) == (JobState.CANCELLED, "expired", 0)

    async def test_a_retry_can_expire(self, harness: Harness) -> None:
        """A job that ran, and waits for its retry past its expiry, is handed over."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend, expires_in=5 * SECOND)
        await settle(harness.backend, claimed, JobState.PENDING, delay=60 * SECOND, failed=1)
        harness.clock.move(5)
        (found,) = (await recover(harness.backend)).jobs
        assert (found.claim.id, found.cause, found.claim.attempt) == (claimed.id, Cause.EXPIRED, 1)

    async def test_lapsed_again_keeps_the_first_time(self, harness: Harness) -> None:
        """Handed over and lapsed again, a job keeps the cause, the node and the attempt of the first time."""
        for node in ("node", "second", "third"):
            await publish(harness.backend, node)
        await add_claimed(harness.backend)
        await harness.die("node")
        (first,) = (await recover(harness.backend, "second")).jobs
        await harness.die("second")
        (again,) = (await recover(harness.backend, "third")).jobs
        assert (again.cause, again.node, again.claim.attempt) == (first.cause, "node", first.claim.attempt)
        assert again.claim.token > first.claim.token

    async def test_expired_and_lapsed_keeps_expired(self, harness: Harness) -> None:
        """An expired job whose new holder dies is handed over as expired again, with no node to blame."""
        for node in ("node", "second"):
            await publish(harness.backend, node)
        await add(harness.backend, expires_in=-1)
        await recover(harness.backend)
        await harness.die("node")
        (again,) = (await recover(harness.backend, "second")).jobs
        assert (again.cause, again.node, again.claim.attempt) == (Cause.EXPIRED, None, 0)

    async def test_settled_and_lapsed_anew_is_a_new_lapse(self, harness: Harness) -> None:
        """Once settled, a recovered job that is claimed and lapses again names the node of that time."""
        for node in ("node", "second", "third"):
            await publish(harness.backend, node)
        await add_claimed(harness.backend)
        await harness.die("node")
        (first,) = (await recover(harness.backend, "second")).jobs
        await settle(harness.backend, first.claim, JobState.PENDING, node="second", crashed=1)
        await claim(harness.backend, "second")
        await harness.die("second")
        (again,) = (await recover(harness.backend, "third")).jobs
        assert (again.node, again.claim.attempt, again.claim.crashes) == ("second", 2, 1)

    async def test_a_wish_to_cancel_is_handed_over(self, harness: Harness) -> None:
        """A lapsed job that a person asked to cancel says so, and becomes cancelled where it was to be pending."""
        await publish(harness.backend)
        await publish(harness.backend, "rescuer")
        claimed = await add_claimed(harness.backend)
        await harness.backend.admin.cancel([claimed.id])
        await harness.die("node")
        (found,) = (await recover(harness.backend, "rescuer")).jobs
        assert found.cancel
        await settle(harness.backend, found.claim, JobState.PENDING, node="rescuer", crashed=1)
        assert (await read(harness.backend, claimed.id)).state is JobState.CANCELLED

    async def test_the_history_names_the_node_that_died(self, harness: Harness) -> None:
        """A crash is written down with the node that ran the attempt and the moment it was claimed there."""
        await publish(harness.backend)
        await publish(harness.backend, "rescuer")
        claimed = await add_claimed(harness.backend)
        started = harness.clock.now()
        harness.clock.move(7)
        await harness.die("node")
        (found,) = (await recover(harness.backend, "rescuer")).jobs
        harness.clock.move(1)
        await settle(harness.backend, found.claim, JobState.PENDING, node="rescuer", ending=Ending.CRASHED, crashed=1)
        (attempt,) = await harness.backend.reader.history(claimed.id)
        assert (attempt.attempt, attempt.ending, attempt.node) == (1, Ending.CRASHED, "node")
        assert (attempt.started_at, attempt.ended_at) == (started, harness.clock.now())

    async def test_a_paused_queue_is_recovered(self, harness: Harness) -> None:
        """A pause and an operator's slots do not keep lapsed jobs from being settled."""
        await publish(harness.backend)
        await publish(harness.backend, "rescuer")
        claimed = await add_claimed(harness.backend)
        await harness.backend.queues.set(QueueRecord(name="default", paused=True, slots=0))
        await harness.die("node")
        (found,) = (await recover(harness.backend, "rescuer")).jobs
        assert found.claim.id == claimed.id

    async def test_two_deaths_recovered_together(self, harness: Harness) -> None:
        """The claims of several dead nodes are handed over together, each naming its own."""
        for node in ("one", "two", "three", "rescuer"):
            await publish(harness.backend, node)
        claims = {node: await add_claimed(harness.backend, node) for node in ("one", "two", "three")}
        await harness.die("one")
        await harness.die("three")
        found = (await recover(harness.backend, "rescuer")).jobs
        assert {(recovered.node, recovered.claim.id) for recovered in found} == {
            ("one", claims["one"].id),
            ("three", claims["three"].id),
        }
        assert await held(harness.backend, "two") == {claims["two"].id: claims["two"].token}
