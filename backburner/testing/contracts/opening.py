"""What `JobStore` promises of those who stand at a lane: what lets them in, how many, in which order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from backburner.model.clock import SECOND
from backburner.model.job import JobState
from backburner.testing.contracts.limiting import GATE, add_in, declare, fill, lane, places, strand
from backburner.testing.contracts.making import ask, claim, ids, new, publish, recover, settle, to_settle

if TYPE_CHECKING:
    from backburner.testing.harness import Harness

__all__ = ["OpeningContract"]

#: The most that one claim lets in.
LET_IN = 1_000
#: More claims than four nodes need, unless a lane is never opened again.
PATIENCE = 5_000

ENDS: list[dict[str, Any]] = [
    {"state": JobState.COMPLETED},
    {"state": JobState.CANCELLED},
    {"state": JobState.DEAD},
    {"state": JobState.PENDING, "delay": SECOND, "failed": 1},
    {"state": JobState.PENDING, "delay": SECOND, "unstarted": True},
]


@pytest.mark.anyio
class OpeningContract:
    """Who makes room lets in as many as there is room for, first come first."""

    @pytest.mark.parametrize("end", ENDS, ids=repr)
    async def test_every_end_lets_the_next_in(self, harness: Harness, end: dict[str, Any]) -> None:
        """However a run ends, its lane opens, which is answered; the claim after that hands out the next."""
        await publish(harness.backend)
        await declare(harness.backend, slots=1)
        (holder,) = await fill(harness.backend, 1)
        jobs = await add_in(harness.backend, 2)
        assert await claim(harness.backend) == ()
        assert (await harness.backend.jobs.settle("node", [to_settle(holder, **end)])).let_in == 1
        assert ids(await claim(harness.backend)) == [jobs[0].id]
        assert await places(harness.backend, jobs) == ["running", GATE]

    async def test_the_claim_that_rides_along_gets_it(self, harness: Harness) -> None:
        """The claim of the very write that ends a run hands out the next."""
        await publish(harness.backend)
        await declare(harness.backend, slots=1)
        (holder,) = await fill(harness.backend, 1)
        jobs = await add_in(harness.backend, 3)
        assert await claim(harness.backend) == ()
        for job in jobs:
            batch = (await harness.backend.jobs.settle("node", [to_settle(holder)], ask())).batch
            assert batch is not None
            (holder,) = batch.claims
            assert holder.id == job.id

    async def test_each_lane_that_opens_is_counted(self, harness: Harness) -> None:
        """Those lanes are counted where jobs stand, and those alone; a repeated write opens none."""
        await publish(harness.backend)
        for name in "abc":
            await declare(harness.backend, name, slots=1)
        (holder,) = await fill(harness.backend, 1, "a", "b", "c")
        await add_in(harness.backend, 1, "a")
        await add_in(harness.backend, 2, "b")
        assert await claim(harness.backend) == ()
        write = [to_settle(holder)]
        assert (await harness.backend.jobs.settle("node", write)).let_in == 2
        assert len(await claim(harness.backend)) == 2
        assert (await harness.backend.jobs.settle("node", write)).let_in == 0

    async def test_a_stale_settlement_opens_nothing(self, harness: Harness) -> None:
        """A settlement that is not applied frees no slot."""
        await publish(harness.backend)
        await declare(harness.backend, slots=1)
        (holder,) = await fill(harness.backend, 1)
        await add_in(harness.backend, 1)
        assert await claim(harness.backend) == ()
        settled = await harness.backend.jobs.settle("other", [to_settle(holder)])
        assert (settled.stale, settled.let_in) == ((holder.id,), 0)
        assert await claim(harness.backend) == ()
        assert (await lane(harness.backend)).holders == (holder.id,)

    async def test_in_order_and_as_many_as_there_is_room_for(self, harness: Harness) -> None:
        """By priority, due time, id, so many are let in as have ended; the others stay."""
        await publish(harness.backend)
        await declare(harness.backend, slots=3)
        holders = await fill(harness.backend, 3)
        now = harness.clock.now()
        jobs = [
            new(lanes=("x",), priority=priority, at=now + SECOND - age)
            for priority, age in ((9, 5), (5, 0), (5, 3), (0, 0), (5, 3), (0, 1))
        ]
        await harness.backend.jobs.enqueue([jobs])
        harness.clock.move(1)
        assert await claim(harness.backend) == ()
        order = [jobs[number].id for number in (5, 3, 2, 4, 1, 0)]
        await harness.backend.jobs.settle("node", [to_settle(holder) for holder in holders[:2]])
        claims = await claim(harness.backend)
        assert ids(claims) == order[:2]
        assert (await places(harness.backend, jobs)).count(GATE) == 4
        await harness.backend.jobs.settle("node", [to_settle(holder) for holder in (*claims, holders[2])])
        assert ids(await claim(harness.backend)) == order[2:5]

    async def test_of_each_queue(self, harness: Harness) -> None:
        """Those of one queue wait for no node of another: of each as many are let in as there is room for."""
        await publish(harness.backend)
        await declare(harness.backend, slots=1)
        (holder,) = await fill(harness.backend, 1)
        first = await add_in(harness.backend, 2, queue="a", priority=0)
        other = await add_in(harness.backend, 2, queue="b", priority=9)
        assert await claim(harness.backend, queues=("a", "b")) == ()
        await settle(harness.backend, holder)
        (claimed,) = await claim(harness.backend, queues=("b",))
        assert claimed.id == other[0].id
        assert await claim(harness.backend, queues=("a",)) == ()
        assert await places(harness.backend, first, other) == [GATE, GATE, "running", GATE]
        await settle(harness.backend, claimed)
        assert ids(await claim(harness.backend, queues=("a", "b"))) == [first[0].id]

    async def test_any_node_s_claim_opens(self, harness: Harness) -> None:
        """A lane is opened by the next claim, of whichever node and queue."""
        await publish(harness.backend)
        await declare(harness.backend, slots=1)
        (holder,) = await fill(harness.backend, 1)
        jobs = await add_in(harness.backend, 2)
        assert await claim(harness.backend) == ()
        await settle(harness.backend, holder)
        second = await harness.second()
        await publish(second, "other")
        assert await claim(second, "other", queues=("elsewhere",)) == ()
        assert await places(harness.backend, jobs) == ["", GATE]

    async def test_a_lent_slot_lets_the_next_in(self, harness: Harness) -> None:
        """A run whose slot is lent is not counted; the claim of the very write that lends hands out the next."""
        await publish(harness.backend)
        await declare(harness.backend, slots=1)
        (holder,) = await fill(harness.backend, 1)
        jobs = await add_in(harness.backend, 2)
        assert await claim(harness.backend) == ()
        settled = await harness.backend.jobs.settle("node", [to_settle(holder, JobState.RUNNING, lent=True)], ask())
        assert settled.let_in == 1
        assert settled.batch is not None
        assert ids(settled.batch.claims) == [jobs[0].id]
        assert (await lane(harness.backend)).holders == (jobs[0].id,)

    async def test_a_slot_is_taken_back_over_the_limit(self, harness: Harness) -> None:
        """Taken back, a slot counts whatever the lane allows; the next comes once fewer run than there are slots."""
        await publish(harness.backend)
        await declare(harness.backend, slots=1)
        (holder,) = await fill(harness.backend, 1)
        await settle(harness.backend, holder, JobState.RUNNING, lent=True)
        (borrower,) = await fill(harness.backend, 1)
        await settle(harness.backend, holder, JobState.RUNNING, lent=False)
        record = await lane(harness.backend)
        assert (record.running, record.holders) == (2, (holder.id, borrower.id))
        (job,) = await add_in(harness.backend, 1)
        assert await claim(harness.backend) == ()
        await settle(harness.backend, borrower)
        assert await claim(harness.backend) == ()
        await settle(harness.backend, holder)
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_a_slot_that_is_lent_ends_with_its_run(self, harness: Harness) -> None:
        """A run that ends while its slot is lent frees nothing twice."""
        await publish(harness.backend)
        await declare(harness.backend, slots=1)
        (holder,) = await fill(harness.backend, 1)
        await settle(harness.backend, holder, JobState.RUNNING, lent=True)
        (borrower,) = await fill(harness.backend, 1)
        (job,) = await add_in(harness.backend, 1)
        await settle(harness.backend, holder)
        assert await claim(harness.backend) == ()
        assert await places(harness.backend, [job, borrower]) == [GATE, "running"]

    async def test_a_dead_node_s_run_keeps_its_slot_until_it_is_settled(self, harness: Harness) -> None:
        """A crash leaks nothing and frees nothing early: the slot comes back when the recovered run is settled."""
        for node in ("node", "doomed"):
            await publish(harness.backend, node)
        await declare(harness.backend, slots=2)
        holders = await fill(harness.backend, 2, node="doomed")
        jobs = await add_in(harness.backend, 3)
        assert await claim(harness.backend) == ()
        await harness.die("doomed")
        assert await claim(harness.backend) == ()
        recovered = [found.claim for found in (await recover(harness.backend)).jobs]
        assert await claim(harness.backend) == ()
        assert (await lane(harness.backend)).holders == tuple(ids(holders))
        ends = [to_settle(found, JobState.PENDING, crashed=1, delay=SECOND) for found in recovered]
        assert (await harness.backend.jobs.settle("node", ends)).let_in == 1
        assert ids(await claim(harness.backend)) == ids(jobs[:2])
        assert (await lane(harness.backend)).running == 2

    async def test_a_thousand_at_a_time(self, harness: Harness) -> None:
        """A claim lets in at most a thousand, and says that it is worth asking again until all are in."""
        await publish(harness.backend)
        await declare(harness.backend, slots=0)
        number = 2 * LET_IN + 500
        await harness.backend.jobs.enqueue([[new(lanes=("x",)) for _ in range(number)]])
        while (await harness.backend.jobs.claim(ask())).wait == 0:
            pass
        await declare(harness.backend)
        sizes: list[int] = []
        batch = await harness.backend.jobs.claim(ask(limit=number))
        while batch.claims:
            sizes.append(len(batch.claims))
            assert batch.wait == (None if sum(sizes) == number else 0)
            batch = await harness.backend.jobs.claim(ask(limit=number))
        assert sum(sizes) == number
        assert max(sizes) <= LET_IN

    async def test_release_finds_room_that_was_left(self, harness: Harness) -> None:
        """`release` opens lanes that have room for those who stand there, and tells how many; full ones stay shut."""
        await publish(harness.backend)
        (job,) = await strand(harness.backend, "x")
        assert await harness.backend.admin.release(100) == 1
        assert ids(await claim(harness.backend, queues=("x",))) == [job.id]
        assert await harness.backend.admin.release(100) == 0

    async def test_release_counts_none_that_opens_already(self, harness: Harness) -> None:
        """A lane that the next claim opens anyhow is not opened, nor told of, by a `release`."""
        await publish(harness.backend)
        await declare(harness.backend, slots=1)
        (holder,) = await fill(harness.backend, 1)
        (job,) = await add_in(harness.backend, 1)
        assert await claim(harness.backend) == ()
        await settle(harness.backend, holder)
        assert await harness.backend.admin.release(100) == 0
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_release_looks_at_all_within_a_few(self, harness: Harness) -> None:
        """At most so many lanes are opened by one `release` as it is asked for, and the rest by the next."""
        await publish(harness.backend)
        names = [f"l{number}" for number in range(7)]
        jobs = await strand(harness.backend, *names)
        opened = [await harness.backend.admin.release(3) for _ in range(12)]
        assert max(opened) <= 3
        assert sorted(ids(await claim(harness.backend, queues=names))) == ids(jobs)

    async def test_ended_in_a_caller_s_transaction(self, harness: Harness) -> None:
        """A run completed in a caller's transaction has its slot until that commits; `release` then opens the lane."""
        transaction = harness.transaction()
        if transaction is None:
            pytest.skip("this store joins no transaction")
        await publish(harness.backend)
        await declare(harness.backend, slots=1)
        (holder,) = await fill(harness.backend, 1)
        (job,) = await add_in(harness.backend, 1)
        assert await claim(harness.backend) == ()
        async with transaction as tx:
            await harness.backend.jobs.settle("node", [to_settle(holder)], tx=tx)
            assert (await lane(harness.backend)).holders == (holder.id,)
        assert (await lane(harness.backend)).running == 0
        assert await harness.backend.admin.release(100) == 1
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_many_nodes_share_a_lane(self, harness: Harness) -> None:
        """Four nodes on two connections run through a lane: never more at once than it has slots, and all in the end."""
        backends = [harness.backend, await harness.second()]
        await declare(harness.backend, slots=3)
        jobs = [new(lanes=("x",)) for _ in range(120)]
        await harness.backend.jobs.enqueue([jobs])
        running: set[str] = set()
        done: list[str] = []
        asked = 0

        async def work(number: int) -> None:
            nonlocal asked
            backend, node = backends[number % 2], f"node-{number}"
            await publish(backend, node)
            while len(done) < len(jobs):
                asked += 1
                assert asked < PATIENCE
                claims = await claim(backend, node, limit=2)
                running.update(ids(claims))
                assert len(running) <= 3
                for claimed in claims:
                    running.discard(claimed.id)
                    await settle(backend, claimed, node=node)
                    done.append(claimed.id)

        await asyncio.gather(*[work(number) for number in range(4)])
        assert sorted(done) == ids(jobs)
        assert (await lane(harness.backend)).running == 0
