"""What `JobStore.claim` promises of rates, in lanes and of queues: as `backburner.resilience.rates` reckons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backburner.model.clock import SECOND
from backburner.model.job import SUSPECT_GATE, JobState
from backburner.model.lane import Algorithm, Meter, Rate
from backburner.model.node import QueueRecord
from backburner.ports.jobs import Birth
from backburner.resilience.rates import next_at, permits, spent
from backburner.testing.contracts.limiting import add_in, declare, fill, lane, places
from backburner.testing.contracts.making import add, add_each, ask, claim, ids, new, publish, settle, to_settle

if TYPE_CHECKING:
    from backburner.testing.harness import Harness

__all__ = ["RateContract"]

#: Each with something that does not divide.
RATES = [
    Rate(limit=1, period=10 * SECOND),
    Rate(limit=7, period=10 * SECOND, burst=3),
    Rate(limit=3, period=10 * SECOND, algorithm=Algorithm.FIXED),
    Rate(limit=5, period=10 * SECOND, algorithm=Algorithm.SLIDING),
    Rate(limit=7, period=9_999_991, algorithm=Algorithm.SLIDING),
]
#: Seconds between claims: within an interval, over it, over a window, over two.
MOVES = (0, 0.000001, 1.4, 1.428572, 3.1, 0.3, 12, 7, 0.7, 2.2, 31, 9.999999, 0.000001, 5, 4)
MINUTELY = Rate(limit=1, period=60 * SECOND)
HOUR = 3600 * SECOND


async def _meet(harness: Harness, rate: Rate) -> None:
    """Claim again and again out of more jobs than there are permits, and reckon beside the store."""
    meter = Meter()
    for number, move in enumerate(MOVES):
        harness.clock.move(move)
        now = harness.clock.now()
        room = permits(rate, meter, now)
        batch = await harness.backend.jobs.claim(ask(limit=100))
        assert len(batch.claims) == room, f"claim {number}, at {now}"
        meter = spent(rate, meter, now, room)
        assert batch.wait == next_at(rate, meter, now) - now, f"claim {number}, at {now}"


async def _fail(harness: Harness, number: int, *lanes: str) -> list[str]:
    """Run jobs, out of a queue of their own, to be tried again at once; return their ids."""
    claims = await fill(harness.backend, number, *lanes)
    for claimed in claims:
        await settle(harness.backend, claimed, JobState.PENDING, failed=1)
    return ids(claims)


async def _retry(harness: Harness) -> list[str]:
    return ids(await claim(harness.backend, queues=("holders",)))


@pytest.mark.anyio
class RateContract:
    """So many start in so long, over all nodes; time brings the next."""

    @pytest.mark.parametrize("rate", RATES, ids=repr)
    async def test_a_lane_lets_as_many_start_as_there_are_permits(self, harness: Harness, rate: Rate) -> None:
        """Each claim hands out as many as have a permit, and ``wait`` is the time until the next one."""
        await publish(harness.backend)
        await declare(harness.backend, rate=rate)
        await add_in(harness.backend, 80)
        await _meet(harness, rate)

    @pytest.mark.parametrize("rate", RATES, ids=repr)
    async def test_a_queue_lets_as_many_start_as_there_are_permits(self, harness: Harness, rate: Rate) -> None:
        """So does a claim from a queue with a rate; its jobs are not parked."""
        await publish(harness.backend)
        await harness.backend.queues.set(QueueRecord(name="default", rate=rate))
        jobs = [new() for _ in range(80)]
        await add_each(harness.backend, jobs)
        await _meet(harness, rate)
        assert set(await places(harness.backend, jobs)) == {"running", ""}

    async def test_in_order_and_not_before_its_time(self, harness: Harness) -> None:
        """Time lets in by priority, due time and id, from the very microsecond of the permit."""
        await publish(harness.backend)
        await declare(harness.backend, rate=MINUTELY)
        await fill(harness.backend, 1)
        jobs = [new(lanes=("x",), priority=priority) for priority in (5, 5, 0)]
        await add_each(harness.backend, jobs)
        for job in (jobs[2], *jobs[:2]):
            assert (await harness.backend.jobs.claim(ask())).wait == 60 * SECOND
            harness.clock.move(59.999999)
            assert (await harness.backend.jobs.claim(ask())).wait == 1
            harness.clock.move(0.000001)
            assert ids(await claim(harness.backend)) == [job.id]

    async def test_a_burst(self, harness: Harness) -> None:
        """After a pause as many start at once as the burst says, however long it was."""
        await publish(harness.backend)
        await declare(harness.backend, rate=Rate(limit=1, period=60 * SECOND, burst=3))
        jobs = await add_in(harness.backend, 8)
        assert ids(await claim(harness.backend)) == ids(jobs[:3])
        harness.clock.move(24 * 3600)
        assert ids(await claim(harness.backend)) == ids(jobs[3:6])
        harness.clock.move(60)
        assert ids(await claim(harness.backend)) == ids(jobs[6:7])

    async def test_shared_by_nodes_and_queues_and_not_by_keys(self, harness: Harness) -> None:
        """A lane's permits are for all nodes and queues together; each key has its own."""
        second = await harness.second()
        await publish(harness.backend)
        await publish(second, "other")
        await declare(harness.backend, rate=MINUTELY)
        await add_in(harness.backend, 2, "x/1", queue="a")
        await add_in(harness.backend, 2, "x/1", queue="b")
        (other,) = await add_in(harness.backend, 1, "x/2", queue="b")
        assert len(await claim(harness.backend, queues=("a",))) == 1
        assert ids(await claim(second, "other", queues=("a", "b"))) == [other.id]
        assert (await second.jobs.claim(ask("other", queues=("b",)))).wait == 60 * SECOND

    async def test_the_end_of_a_run_brings_no_permit(self, harness: Harness) -> None:
        """A permit is taken at the start: the end of the run opens nothing, and its next attempt takes another."""
        await publish(harness.backend)
        await declare(harness.backend, rate=MINUTELY)
        (claimed,) = await fill(harness.backend, 1)
        await add_in(harness.backend, 1)
        assert await claim(harness.backend) == ()
        settled = await harness.backend.jobs.settle("node", [to_settle(claimed, JobState.PENDING, failed=1)])
        assert settled.let_in == 0
        assert await _retry(harness) == []
        harness.clock.move(60)
        assert len(await claim(harness.backend, queues=("default", "holders"))) == 1

    async def test_slots_and_a_rate(self, harness: Harness) -> None:
        """A lane of both refuses where either does; who waits for a slot is told of no time."""
        await publish(harness.backend)
        await declare(harness.backend, slots=1, rate=MINUTELY)
        (holder,) = await fill(harness.backend, 1)
        (job,) = await add_in(harness.backend, 1)
        assert await claim(harness.backend) == ()
        await settle(harness.backend, holder)
        assert (await harness.backend.jobs.claim(ask())).wait == 60 * SECOND
        harness.clock.move(60)
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_it_is_told_of_time_only_who_waits_for_time(self, harness: Harness) -> None:
        """Once a lane has let in as many as it has slots, no permit is waited for; with fewer permits than slots, one is."""
        await publish(harness.backend)
        rate = Rate(limit=1, period=60 * SECOND, burst=3)
        await declare(harness.backend, slots=0, rate=rate)
        await add_in(harness.backend, 9)
        assert (await harness.backend.jobs.claim(ask())).wait is None
        waits: list[int | None] = []
        for slots in (1, 2, 9):
            await declare(harness.backend, slots=slots, rate=rate)
            batch = await harness.backend.jobs.claim(ask())
            assert len(batch.claims) == 1
            waits.append(batch.wait)
        assert waits == [None, None, 60 * SECOND]

    async def test_a_suspect_takes_a_permit(self, harness: Harness) -> None:
        """A suspect without a permit stays where it is, and comes when there is one."""
        await publish(harness.backend)
        await declare(harness.backend, rate=MINUTELY)
        await fill(harness.backend, 1)
        (job,) = await add_in(harness.backend, 1, gate=SUSPECT_GATE)
        assert await claim(harness.backend) == ()
        assert await places(harness.backend, [job]) == [SUSPECT_GATE]
        harness.clock.move(60)
        assert ids(await claim(harness.backend)) == [job.id]
        assert (await lane(harness.backend)).free_at == harness.clock.now() + 60 * SECOND

    async def test_a_budget_asks_only_those_that_have_failed(self, harness: Harness) -> None:
        """Budgets let every job through that has not failed, the interrupted too; of the others as many as permits."""
        await publish(harness.backend)
        await declare(harness.backend, rate=Rate(limit=1, period=HOUR, burst=2), deposit=0)
        failed = await _fail(harness, 4)
        assert await _retry(harness) == failed[:2]
        fresh = await add_in(harness.backend, 5)
        claims = await claim(harness.backend)
        assert ids(claims) == ids(fresh)
        await settle(harness.backend, claims[0], JobState.PENDING, interrupted=1)
        assert ids(await claim(harness.backend)) == [fresh[0].id]
        assert await _retry(harness) == []

    async def test_a_dry_budget_parks_and_time_fills_it(self, harness: Harness) -> None:
        """A retry that a dry budget refuses stands at its gate until time has brought a permit, which ``wait`` tells."""
        await publish(harness.backend)
        await declare(harness.backend, rate=Rate(limit=2, period=120 * SECOND, burst=1), deposit=0)
        first, second = await _fail(harness, 2)
        asked = ask(queues=("holders",))
        batch = await harness.backend.jobs.claim(asked)
        assert (ids(batch.claims), batch.wait) == ([first], 60 * SECOND)
        assert (await lane(harness.backend)).parked
        harness.clock.move(60)
        assert await _retry(harness) == [second]

    async def test_first_attempts_fill_a_budget(self, harness: Harness) -> None:
        """Each first attempt gives back its deposit, a retry none; who stands there is let in by it."""
        await publish(harness.backend)
        await declare(harness.backend, rate=Rate(limit=1, period=HOUR), deposit=HOUR // 2)
        failed = await _fail(harness, 3)
        assert await _retry(harness) == failed[:1]
        assert await _retry(harness) == []
        for retried in failed[1:]:
            await add_in(harness.backend, 1)
            assert len(await claim(harness.backend)) == 1
            assert await _retry(harness) == []
            await add_in(harness.backend, 1)
            assert len(await claim(harness.backend)) == 1
            assert await _retry(harness) == [retried]

    async def test_a_deposit_brings_a_permit_sooner(self, harness: Harness) -> None:
        """What first attempts give back brings the moment nearer at which a retry is let in, also one claimed with it."""
        await publish(harness.backend)
        await declare(harness.backend, rate=Rate(limit=1, period=HOUR), deposit=HOUR // 4)
        assert await _fail(harness, 2)
        asked = ask(queues=("default", "holders"))
        waits = [(await harness.backend.jobs.claim(asked)).wait]
        for number in (1, 2):
            await add_in(harness.backend, number)
            waits.append((await harness.backend.jobs.claim(asked)).wait)
        assert waits == [HOUR, HOUR * 3 // 4, HOUR // 4]
        await add_in(harness.backend, 1)
        assert (await harness.backend.jobs.claim(asked)).wait == 0
        assert len(await _retry(harness)) == 1

    async def test_a_budget_is_never_more_than_full(self, harness: Harness) -> None:
        """However many first attempts there were, no more retries start at once than the burst."""
        await publish(harness.backend)
        await declare(harness.backend, rate=Rate(limit=1, period=HOUR, burst=3), deposit=HOUR)
        failed = await _fail(harness, 20)
        assert await _retry(harness) == failed[:3]
        harness.clock.move(3600)
        assert await _retry(harness) == failed[3:4]

    async def test_a_queue_s_rate_comes_back(self, harness: Harness) -> None:
        """A queue's rate is listed as it was set, of whatever algorithm."""
        records = tuple([QueueRecord(name=f"q{number}", slots=2, rate=rate) for number, rate in enumerate(RATES)])
        for record in records:
            await harness.backend.queues.set(record)
        assert await harness.backend.queues.list() == records

    async def test_a_queue_s_rate_is_for_all_nodes(self, harness: Harness) -> None:
        """Nodes share a queue's permits; other queues have theirs."""
        second = await harness.second()
        await publish(harness.backend)
        await publish(second, "other")
        await harness.backend.queues.set(QueueRecord(name="default", rate=MINUTELY))
        jobs = [await add(harness.backend, queue=queue) for queue in ("default", "default", "free", "free")]
        assert ids(await claim(harness.backend)) == [jobs[0].id]
        batch = await second.jobs.claim(ask("other", queues=("default", "free")))
        assert (ids(batch.claims), batch.wait, batch.capped) == (ids(jobs[2:]), 60 * SECOND, ())

    async def test_slots_and_a_queue_s_rate(self, harness: Harness) -> None:
        """A queue gives no more than its slots, its permits and the request allow."""
        await publish(harness.backend)
        rate = Rate(limit=1, period=60 * SECOND, burst=4)
        await harness.backend.queues.set(QueueRecord(name="default", slots=3, rate=rate))
        await add_each(harness.backend, [new() for _ in range(9)])
        first = await claim(harness.backend, limit=2)
        second = await claim(harness.backend)
        for claimed in (*first, *second):
            await settle(harness.backend, claimed)
        third = await claim(harness.backend)
        assert [len(claims) for claims in (first, second, third)] == [2, 1, 1]

    @pytest.mark.parametrize("given", [{"gate": SUSPECT_GATE}, {"lanes": ("y",)}], ids=repr)
    async def test_whatever_is_handed_out_takes_a_queue_s_permit(self, harness: Harness, given: dict[str, Any]) -> None:
        """A suspect takes one of its queue's permits, and so does a job with lanes."""
        await publish(harness.backend)
        await harness.backend.queues.set(QueueRecord(name="default", rate=MINUTELY))
        job = await add(harness.backend, **given)
        other = await add(harness.backend, **given)
        assert ids(await claim(harness.backend)) == [job.id]
        assert await claim(harness.backend) == ()
        harness.clock.move(60)
        assert ids(await claim(harness.backend)) == [other.id]

    async def test_the_refused_take_no_permit_of_their_queue(self, harness: Harness) -> None:
        """A job that its lane refuses leaves the queue's permit to the one behind it."""
        await publish(harness.backend)
        await declare(harness.backend, slots=0)
        await harness.backend.queues.set(QueueRecord(name="default", rate=MINUTELY))
        await add_in(harness.backend, 1)
        job = await add(harness.backend)
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_the_use_of_a_queue_s_rate_is_kept(self, harness: Harness) -> None:
        """Set anew, paused or not, a queue's rate goes on from what was used; another begins anew."""
        await publish(harness.backend)
        jobs = [await add(harness.backend) for _ in range(3)]
        await harness.backend.queues.set(QueueRecord(name="default", rate=MINUTELY))
        assert ids(await claim(harness.backend)) == [jobs[0].id]
        for record in (
            QueueRecord(name="default", paused=True, rate=MINUTELY),
            QueueRecord(name="default", slots=9, rate=MINUTELY),
        ):
            await harness.backend.queues.set(record)
            assert await claim(harness.backend) == ()
        harness.clock.move(60)
        assert ids(await claim(harness.backend)) == [jobs[1].id]
        window = Rate(limit=1, period=60 * SECOND, algorithm=Algorithm.FIXED)
        await harness.backend.queues.set(QueueRecord(name="default", rate=window))
        assert ids(await claim(harness.backend)) == [jobs[2].id]

    async def test_no_births_in_a_queue_with_a_rate(self, harness: Harness) -> None:
        """In a queue with a rate no job is born running, whatever permits there are."""
        await publish(harness.backend)
        await harness.backend.queues.set(QueueRecord(name="default", rate=MINUTELY))
        job, free = new(), new(queue="free")
        birth = Birth("node", dict.fromkeys(ids([job, free]), 7))
        answers = (await harness.backend.jobs.enqueue([[job], [free]], birth)).groups
        assert [answer.born for answer in answers] == [(), (free.id,)]
        assert ids(await claim(harness.backend)) == [job.id]
