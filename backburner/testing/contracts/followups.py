"""What `JobStore.settle` promises of follow-ups, and of those that wait for a unique key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backburner.errors import StoreRefused
from backburner.model.clock import SECOND
from backburner.model.job import UNIQUE_GATE, Cause, JobState, Settlement
from backburner.ports.jobs import GroupAnswer, Keep
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    ask,
    claim,
    ended,
    ids,
    keyed,
    new,
    publish,
    put,
    read,
    recover,
    settle,
    to_settle,
)

if TYPE_CHECKING:
    from backburner.model.job import Claim, NewJob
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["FollowUpContract"]

GATE = f"{UNIQUE_GATE}key"
FINAL = (JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD)


async def _follow(backend: Backend, *jobs: NewJob) -> None:
    """Complete a job whose follow-ups these are."""
    claimed = await add_claimed(backend, queue="parent", priority=0)
    await settle(backend, claimed, jobs=jobs)


async def _hold(backend: Backend, **fields: Any) -> Claim:  # noqa: ANN401 - any field of a job
    """Store and claim a job that holds the key."""
    given: dict[str, Any] = {"queue": "holder", "unique": keyed()}
    return await add_claimed(backend, **given | fields)


async def _gates(backend: Backend, *jobs: NewJob) -> list[str]:
    """Return where these pending jobs stand."""
    records = [await read(backend, job.id) for job in jobs]
    assert {record.state for record in records} == {JobState.PENDING}
    return [record.gate for record in records]


@pytest.mark.anyio
class FollowUpContract:
    """Follow-ups are stored with the settlement or not at all; a busy key holds them up, never the settlement."""

    async def test_stored_in_the_same_step(self, harness: Harness) -> None:
        """A settlement's follow-ups are pending once it is answered, stored as they were given."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        harness.clock.move(5)
        now = harness.clock.now()
        plain, rich = (
            new(args='{"n":1}'),
            new(args='{"t":"ü"}', priority=1, delay=SECOND, expires_in=9, tags=("a",), headers='{"h":"1"}', timeout=7),
        )
        await settle(harness.backend, claimed, jobs=(plain, rich))
        record = await read(harness.backend, plain.id)
        assert (record.state, record.args, record.created_at, record.due_at) == (JobState.PENDING, '{"n":1}', now, now)
        record = await read(harness.backend, rich.id)
        assert (record.args, record.priority, record.tags, record.headers) == ('{"t":"ü"}', 1, ("a",), '{"h":"1"}')
        assert (record.due_at, record.expires_at, record.timeout) == (now + SECOND, now + 9, 7)

    @pytest.mark.parametrize("state", [*FINAL, JobState.PENDING])
    async def test_stored_with_whatever_was_applied(self, harness: Harness, state: JobState) -> None:
        """Follow-ups come with any settlement that ends the claim: which ends have any, the engine decides."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        job = new(queue="next")
        await settle(harness.backend, claimed, state, jobs=(job,))
        assert (await read(harness.backend, job.id)).state is JobState.PENDING

    async def test_never_without_the_settlement(self, harness: Harness) -> None:
        """A stale settlement stores none of its follow-ups, while those beside it do."""
        await publish(harness.backend)
        claimed, other = await add_claimed(harness.backend), await add_claimed(harness.backend)
        never, stored = new(), new()
        stale = Settlement(id=claimed.id, token=claimed.token + 1, state=JobState.COMPLETED, jobs=(never,))
        settled = await harness.backend.jobs.settle("node", [stale, to_settle(other, jobs=(stored,))])
        assert settled.stale == (claimed.id,)
        assert ids((await harness.backend.reader.get([never.id, stored.id])).jobs) == [stored.id]
        settled = await harness.backend.jobs.settle("other", [to_settle(claimed, jobs=(never,))])
        assert settled.stale == (claimed.id,)
        assert (await harness.backend.reader.get([never.id])).jobs == ()

    async def test_never_twice(self, harness: Harness) -> None:
        """A settlement repeated stores nothing again, also when its follow-up has ended or is gone by then."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        job = new()
        write = [to_settle(claimed, jobs=(job,))]
        await harness.backend.jobs.settle("node", write)
        before = await read(harness.backend, job.id)
        harness.clock.move(1)
        assert (await harness.backend.jobs.settle("node", write)).stale == ()
        assert await read(harness.backend, job.id) == before
        (following,) = await claim(harness.backend)
        await settle(harness.backend, following, JobState.DEAD)
        assert await harness.backend.admin.prune(Keep(completed=None, cancelled=None, dead=0), 10) == 1
        assert (await harness.backend.jobs.settle("node", write)).stale == ()
        assert (await harness.backend.reader.get([job.id])).jobs == ()

    async def test_an_id_stored_before_is_the_same_job(self, harness: Harness) -> None:
        """A follow-up whose id is stored is left as it is, and the settlement and its other follow-ups stand."""
        await publish(harness.backend)
        known = await add(harness.backend, args='{"first":1}', queue="known")
        job = new()
        await _follow(harness.backend, new(id=known.id), job)
        assert (await read(harness.backend, known.id)).args == '{"first":1}'
        assert (await read(harness.backend, job.id)).state is JobState.PENDING

    async def test_the_claim_that_rides_along_gets_it(self, harness: Harness) -> None:
        """A due follow-up may be claimed in the very write that stores it."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        job = new()
        batch = (await harness.backend.jobs.settle("node", [to_settle(claimed, jobs=(job,))], ask())).batch
        assert batch is not None
        assert ids(batch.claims) == [job.id]

    @pytest.mark.parametrize("poison", [{"args": "\ud800"}, {"timeout": 2**70}, {"unique": keyed("\ud800")}], ids=repr)
    async def test_a_poisoned_follow_up_refuses_the_write(self, harness: Harness, poison: dict[str, Any]) -> None:
        """A write with a follow-up that cannot be stored raises `StoreRefused`, and nothing of it is applied."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        good = new()
        with pytest.raises(StoreRefused) as caught:
            await harness.backend.jobs.settle("node", [to_settle(claimed, jobs=(good, new(**poison)))])
        assert caught.value.stored == "no"
        assert (await read(harness.backend, claimed.id)).state is JobState.RUNNING
        assert (await harness.backend.reader.get([good.id])).jobs == ()

    async def test_a_busy_key_parks_it(self, harness: Harness) -> None:
        """A follow-up whose key is held is stored at the key's gate, out of the line; the settlement is applied."""
        await publish(harness.backend)
        holder = await _hold(harness.backend)
        job = new(unique=keyed())
        await _follow(harness.backend, job)
        assert await _gates(harness.backend, job) == [GATE]
        assert await claim(harness.backend) == ()
        assert (await put(harness.backend, new(unique=keyed()))).holders.popitem()[1] == holder.id

    async def test_of_one_write_the_second_waits(self, harness: Harness) -> None:
        """Of two follow-ups of one key in one write, the first holds it and the second is parked."""
        await publish(harness.backend)
        jobs = [new(unique=keyed()) for _ in range(3)]
        one, other = await add_claimed(harness.backend), await add_claimed(harness.backend)
        write = [to_settle(one, jobs=jobs[:2]), to_settle(other, jobs=jobs[2:])]
        await harness.backend.jobs.settle("node", write)
        assert await _gates(harness.backend, *jobs) == ["", GATE, GATE]

    async def test_it_does_not_hold_the_key_it_waits_for(self, harness: Harness) -> None:
        """What stands at a key's own gate does not hold it: an expired period leaves the key to whoever comes."""
        await publish(harness.backend)
        await _hold(harness.backend, unique=keyed(states=(), period=SECOND))
        job = new(unique=keyed())
        await _follow(harness.backend, job)
        harness.clock.move(1)
        assert await put(harness.backend, new(unique=keyed())) == GroupAnswer()
        assert await _gates(harness.backend, job) == [GATE]

    async def test_stored_at_its_gate_it_holds_nothing(self, harness: Harness) -> None:
        """A job that is stored at its key's own gate does not hold the key, and `release` lets it through."""
        job = await add(harness.backend, unique=keyed(), gate=GATE)
        other = new(unique=keyed())
        assert await put(harness.backend, other) == GroupAnswer()
        await harness.backend.admin.cancel([other.id])
        await harness.backend.admin.release(10)
        assert await _gates(harness.backend, job) == [""]

    @pytest.mark.parametrize("state", FINAL)
    async def test_let_through_when_the_holder_ends(self, harness: Harness, state: JobState) -> None:
        """In the step in which the holder ends, the follow-up comes into the line and holds the key."""
        await publish(harness.backend)
        holder = await _hold(harness.backend)
        job = new(unique=keyed())
        await _follow(harness.backend, job)
        batch = (await harness.backend.jobs.settle("node", [to_settle(holder, state)], ask())).batch
        assert batch is not None
        assert [(found.id, found.gate) for found in batch.claims] == [(job.id, "")]
        late = new(unique=keyed())
        assert (await put(harness.backend, late)).holders == {late.id: job.id}

    async def test_a_holder_that_waits_again_lets_nobody_through(self, harness: Harness) -> None:
        """A holder settled to a state in which it holds its key keeps it."""
        await publish(harness.backend)
        holder = await _hold(harness.backend)
        job = new(unique=keyed())
        await _follow(harness.backend, job)
        await settle(harness.backend, holder, JobState.PENDING, failed=1)
        assert await _gates(harness.backend, job) == [GATE]

    async def test_let_through_when_the_holder_is_cancelled(self, harness: Harness) -> None:
        """In the step that cancels a pending holder the first that waits comes into the line."""
        await publish(harness.backend)
        holder = await add(harness.backend, unique=keyed(), queue="holder")
        jobs = [new(unique=keyed()) for _ in range(3)]
        await _follow(harness.backend, *jobs)
        await harness.backend.admin.cancel([holder.id])
        assert await _gates(harness.backend, *jobs) == ["", GATE, GATE]
        await harness.backend.admin.cancel([jobs[0].id, jobs[1].id])
        assert ids(await claim(harness.backend)) == [jobs[2].id]

    async def test_let_through_when_the_holder_is_asked_and_gives_back(self, harness: Harness) -> None:
        """A running holder that was asked to be cancelled frees its key when it is settled."""
        await publish(harness.backend)
        holder = await _hold(harness.backend)
        job = new(unique=keyed())
        await _follow(harness.backend, job)
        await harness.backend.admin.cancel([holder.id])
        assert await _gates(harness.backend, job) == [GATE]
        await settle(harness.backend, holder, JobState.PENDING)
        assert await _gates(harness.backend, job) == [""]

    async def test_let_through_when_the_holder_is_recovered(self, harness: Harness) -> None:
        """A holder that leaves the states in which it holds its key by being recovered frees it in that step."""
        await publish(harness.backend)
        await add(harness.backend, unique=keyed(states=(JobState.PENDING,)), expires_in=SECOND, queue="holder")
        job = new(unique=keyed())
        await _follow(harness.backend, job)
        harness.clock.move(1)
        (found,) = (await recover(harness.backend)).jobs
        assert found.cause is Cause.EXPIRED
        assert await _gates(harness.backend, job) == [""]

    async def test_let_through_by_time(self, harness: Harness) -> None:
        """`release` lets through what waits for a key whose period is over, to the microsecond, and says how many."""
        await publish(harness.backend)
        await ended(harness.backend, JobState.COMPLETED, unique=keyed(period=10 * SECOND))
        job = new(unique=keyed())
        await _follow(harness.backend, job)
        harness.clock.move(9.999999)
        assert await harness.backend.admin.release(10) == 0
        assert await _gates(harness.backend, job) == [GATE]
        harness.clock.move(0.000001)
        assert await harness.backend.admin.release(10) == 1
        assert await _gates(harness.backend, job) == [""]
        assert await harness.backend.admin.release(10) == 0

    async def test_releasing_is_bounded(self, harness: Harness) -> None:
        """`release` lets at most ``limit`` through at a time, one a key."""
        await publish(harness.backend)
        unique = [keyed(f"key{number}", states=(), period=SECOND) for number in range(5)]
        for each in unique:
            await add(harness.backend, unique=each, delay=3600 * SECOND, queue="holder")
        jobs = [new(unique=keyed(each.key)) for each in unique for _ in range(2)]
        await _follow(harness.backend, *jobs)
        harness.clock.move(1)
        assert [await harness.backend.admin.release(limit) for limit in (0, 2, 2, 2, 2)] == [0, 2, 2, 1, 0]
        assert sorted(ids(await claim(harness.backend))) == ids(jobs[::2])

    async def test_released_from_a_deleted_holder(self, harness: Harness) -> None:
        """What waits for a key whose holder was pruned is let through by the next `release`."""
        await publish(harness.backend)
        await ended(harness.backend, JobState.COMPLETED, unique=keyed(states=FINAL))
        job = new(unique=keyed())
        await _follow(harness.backend, job)
        await harness.backend.admin.prune(Keep(completed=0, cancelled=None, dead=None), 10)
        await harness.backend.admin.release(10)
        assert await _gates(harness.backend, job) == [""]

    async def test_let_through_in_order(self, harness: Harness) -> None:
        """One at a time is let through, by priority, due time and id, over all queues."""
        await publish(harness.backend)
        holder = await _hold(harness.backend)
        jobs = [
            new(unique=keyed(), priority=5, delay=2 * SECOND),
            new(unique=keyed(), priority=5, delay=SECOND, queue="b"),
            new(unique=keyed(), priority=5, delay=2 * SECOND, queue="b"),
            new(unique=keyed(), priority=1, delay=3 * SECOND),
            new(unique=keyed(), priority=9),
        ]
        await _follow(harness.backend, *jobs)
        harness.clock.move(3)
        order: list[str] = []
        while holder.id != jobs[4].id:
            await settle(harness.backend, holder)
            (holder,) = await claim(harness.backend, queues=("default", "b"))
            order.append(holder.id)
        assert order == ids([jobs[number] for number in (3, 1, 0, 2, 4)])

    async def test_the_answer_counts_who_was_let_in(self, harness: Harness) -> None:
        """A settlement tells how many were let into the line, so that its node may look there; nobody, mostly."""
        await publish(harness.backend)
        holders = [await _hold(harness.backend), await add_claimed(harness.backend, unique=keyed("other"))]
        other = await add_claimed(harness.backend)
        jobs = (new(unique=keyed()), new(unique=keyed()), new(unique=keyed("other")))
        stored = await harness.backend.jobs.settle("node", [to_settle(other, jobs=jobs)])
        freed = await harness.backend.jobs.settle("node", [to_settle(holder) for holder in holders])
        again = await harness.backend.jobs.settle("node", [to_settle(holder) for holder in holders])
        assert (stored.let_in, freed.let_in, again.let_in) == (0, 2, 0)

    async def test_a_chain_of_one_key(self, harness: Harness) -> None:
        """A job may follow itself under its own key: the key is free when the follow-up is stored."""
        await publish(harness.backend)
        holder = await _hold(harness.backend)
        job = new(unique=keyed())
        await settle(harness.backend, holder, jobs=(job,))
        assert await _gates(harness.backend, job) == [""]

    async def test_who_waits_comes_before_who_follows(self, harness: Harness) -> None:
        """A key that comes free goes to who waits for it, and not to the follow-up of the one that held it."""
        await publish(harness.backend)
        holder = await _hold(harness.backend)
        waiting, following = new(unique=keyed()), new(unique=keyed(), priority=0)
        await _follow(harness.backend, waiting)
        await settle(harness.backend, holder, jobs=(following,))
        assert await _gates(harness.backend, waiting, following) == ["", GATE]

    async def test_one_that_waits_may_be_cancelled(self, harness: Harness) -> None:
        """A follow-up that waits is cancelled like any pending job, and is let through no more."""
        await publish(harness.backend)
        holder = await _hold(harness.backend)
        jobs = [new(unique=keyed()), new(unique=keyed())]
        await _follow(harness.backend, *jobs)
        assert (await harness.backend.admin.cancel([jobs[0].id])).cancelled == (jobs[0].id,)
        await settle(harness.backend, holder)
        assert ids(await claim(harness.backend)) == [jobs[1].id]

    async def test_one_that_waits_may_expire(self, harness: Harness) -> None:
        """A follow-up that expires while it waits is recovered, its gate told."""
        await publish(harness.backend)
        holder = await _hold(harness.backend)
        job = new(unique=keyed(), expires_in=SECOND)
        await _follow(harness.backend, job)
        harness.clock.move(1)
        (found,) = (await recover(harness.backend)).jobs
        assert (found.claim.id, found.claim.gate, found.cause) == (job.id, GATE, Cause.EXPIRED)
        await settle(harness.backend, found.claim, JobState.CANCELLED, reason="expired")
        late = new(unique=keyed())
        assert (await put(harness.backend, late)).holders == {late.id: holder.id}

    async def test_a_free_key_parks_nobody(self, harness: Harness) -> None:
        """A follow-up with a key that nobody holds stands in the line and holds it."""
        await publish(harness.backend)
        job = new(unique=keyed())
        await _follow(harness.backend, job)
        late = new(unique=keyed())
        assert (await put(harness.backend, late)).holders == {late.id: job.id}
        assert ids(await claim(harness.backend)) == [job.id]
