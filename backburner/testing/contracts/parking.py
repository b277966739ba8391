"""What `JobStore.enqueue` promises of jobs that name lanes, and how those leave that stand at a lane's gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from backburner.model.clock import SECOND
from backburner.model.job import SUSPECT_GATE, Cause, JobState
from backburner.model.lane import LANE_GATE, Rate
from backburner.ports.jobs import Birth, Keep
from backburner.testing.contracts.limiting import GATE, add_in, declare, fill, lane, places
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    add_each,
    ask,
    claim,
    dead,
    ids,
    new,
    publish,
    read,
    recover,
    settle,
)

if TYPE_CHECKING:
    from backburner.model.job import Claim, NewJob
    from backburner.testing.harness import Harness

__all__ = ["ParkingContract"]

NOT_AT_ALL = Keep(completed=0, cancelled=0, dead=0)


async def _crowd(harness: Harness, *lanes: str) -> tuple[Claim, NewJob]:
    """Let one job run in these lanes, of one slot each, and one stand at the first of them."""
    for name in lanes or ("x",):
        await declare(harness.backend, name, slots=1)
    (holder,) = await fill(harness.backend, 1, *lanes)
    (job,) = await add_in(harness.backend, 1, *lanes)
    assert await claim(harness.backend) == ()
    return holder, job


@pytest.mark.anyio
class ParkingContract:
    """Where others stand already, a new job stands behind them; what is cancelled or expired leaves the gate."""

    async def test_a_job_with_lanes_is_not_born(self, harness: Harness) -> None:
        """A job that names a lane is stored pending, whatever the lane allows."""
        await publish(harness.backend)
        job = new(lanes=("x",))
        answer = await harness.backend.jobs.enqueue([[job]], Birth("node", {job.id: 7}))
        assert answer.groups[0].born == ()
        assert await places(harness.backend, [job]) == [""]
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_a_full_lane_alone_parks_nothing(self, harness: Harness) -> None:
        """Where nobody stands, a new job goes into the line: the next claim sees to it."""
        await publish(harness.backend)
        await declare(harness.backend, slots=1)
        await fill(harness.backend, 1)
        (job,) = await add_in(harness.backend, 1)
        assert await places(harness.backend, [job]) == [""]

    async def test_parked_where_others_stand(self, harness: Harness) -> None:
        """A job that is due at once is parked with those that stand at its lane; it stands in the line elsewhere."""
        await publish(harness.backend)
        await _crowd(harness)
        now = harness.clock.now()
        jobs = [
            new(lanes=("x",)),
            new(lanes=("x",), at=now - SECOND, priority=0),
            new(lanes=("x",), queue="other", kind="rare"),
            new(lanes=("y",)),
            new(lanes=("x/7",)),
            new(),
        ]
        await add_each(harness.backend, jobs)
        assert await places(harness.backend, jobs) == [GATE, GATE, GATE, "", "", ""]

    async def test_not_before_it_is_due(self, harness: Harness) -> None:
        """A job that is not due at once, or has a gate, stands where it was to stand."""
        await publish(harness.backend)
        await _crowd(harness)
        jobs = [new(lanes=("x",), delay=1), new(lanes=("x",), gate=SUSPECT_GATE)]
        await add_each(harness.backend, jobs)
        assert await places(harness.backend, jobs) == ["", SUSPECT_GATE]

    async def test_a_new_job_does_not_stand_behind_retries(self, harness: Harness) -> None:
        """Where retries stand at a dry budget, a new job goes into the line: it has not failed, so none asks it."""
        await publish(harness.backend)
        await declare(harness.backend, rate=Rate(limit=1, period=60 * SECOND), deposit=0)
        claims = await fill(harness.backend, 2)
        for claimed in claims:
            await settle(harness.backend, claimed, JobState.PENDING, failed=1)
        assert len(await claim(harness.backend, queues=("holders",))) == 1
        assert await places(harness.backend, claims) == ["running", GATE]
        (job,) = await add_in(harness.backend, 1)
        assert await places(harness.backend, [job]) == [""]

    async def test_at_the_first_lane_where_others_stand(self, harness: Harness) -> None:
        """Of several lanes where others stand, it is the first; one where nobody stands is passed over."""
        await publish(harness.backend)
        await _crowd(harness, "a")
        await _crowd(harness, "b")
        jobs = [new(lanes=lanes) for lanes in (("a", "b"), ("b", "a"), ("free", "b"))]
        await add_each(harness.backend, jobs)
        assert await places(harness.backend, jobs) == [f"{LANE_GATE}{name}" for name in "abb"]

    async def test_follow_ups_too(self, harness: Harness) -> None:
        """A follow-up stands where others of its lane stand; one of another lane goes into the line."""
        await publish(harness.backend)
        await _crowd(harness)
        jobs = [new(lanes=("x",)), new(lanes=("y",)), new(lanes=("x",), delay=SECOND)]
        await settle(harness.backend, await add_claimed(harness.backend, queue="parents"), jobs=tuple(jobs))
        assert await places(harness.backend, jobs) == [GATE, "", ""]

    async def test_nobody_overtakes(self, harness: Harness) -> None:
        """Once there is room, those who came before it goes first; one of a smaller priority goes before them."""
        await publish(harness.backend)
        holder, first = await _crowd(harness)
        await settle(harness.backend, holder)
        second, urgent = [await add(harness.backend, lanes=("x",), priority=priority) for priority in (5, 0)]
        order: list[str] = []
        while claims := await claim(harness.backend, limit=1):
            order += ids(claims)
            await settle(harness.backend, claims[0])
        assert order == [urgent.id, first.id, second.id]

    async def test_not_in_a_caller_s_transaction(self, harness: Harness) -> None:
        """Stored in a caller's transaction it goes into the line, where the next claim judges it."""
        transaction = harness.transaction()
        if transaction is None:
            pytest.skip("this store joins no transaction")
        await publish(harness.backend)
        await _crowd(harness)
        job = new(lanes=("x",))
        async with transaction as tx:
            await harness.backend.jobs.enqueue([[job]], tx=tx)
        assert await places(harness.backend, [job]) == [""]
        assert await claim(harness.backend) == ()
        assert await places(harness.backend, [job]) == [GATE]

    async def test_cancelled_at_the_gate(self, harness: Harness) -> None:
        """A job cancelled where it stands is gone from there: the next is let in, and an empty lane refuses nobody."""
        await publish(harness.backend)
        holder, first = await _crowd(harness)
        (second,) = await add_in(harness.backend, 1)
        await harness.backend.admin.cancel([first.id])
        await settle(harness.backend, holder)
        (claimed,) = await claim(harness.backend)
        assert claimed.id == second.id
        (third,) = await add_in(harness.backend, 1)
        assert await claim(harness.backend) == ()
        await harness.backend.admin.cancel([third.id])
        assert not (await lane(harness.backend)).parked
        await settle(harness.backend, claimed)
        (last,) = await add_in(harness.backend, 1)
        assert ids(await claim(harness.backend)) == [last.id]

    async def test_expired_at_the_gate(self, harness: Harness) -> None:
        """A job that expires where it stands is recovered from there, and holds no slot while it is settled."""
        await publish(harness.backend)
        await declare(harness.backend, slots=1)
        (holder,) = await fill(harness.backend, 1)
        await add_in(harness.backend, 1, expires_in=SECOND)
        assert await claim(harness.backend) == ()
        harness.clock.move(1)
        (found,) = (await recover(harness.backend)).jobs
        assert (found.cause, found.claim.gate, found.claim.lanes) == (Cause.EXPIRED, GATE, ("x",))
        await settle(harness.backend, holder)
        assert (await lane(harness.backend)).running == 0
        (other,) = await add_in(harness.backend, 1)
        assert ids(await claim(harness.backend)) == [other.id]
        await settle(harness.backend, found.claim, JobState.CANCELLED, reason="expired")
        assert (await lane(harness.backend)).running == 1

    async def test_what_is_pruned_leaves_the_others(self, harness: Harness) -> None:
        """Pruning takes no lane away where jobs stand or run, nor a meter that is not full."""
        await publish(harness.backend)
        holder, first = await _crowd(harness)
        await declare(harness.backend, "rate", rate=Rate(limit=1, period=60 * SECOND))
        await fill(harness.backend, 1, "rate")
        while await harness.backend.admin.prune(NOT_AT_ALL, 100):
            pass
        (late,) = await add_in(harness.backend, 1, "rate")
        assert await claim(harness.backend) == ()
        assert (await lane(harness.backend)).holders == (holder.id,)
        await settle(harness.backend, holder)
        assert ids(await claim(harness.backend)) == [first.id]
        harness.clock.move(60)
        assert ids(await claim(harness.backend)) == [late.id]

    async def test_pruning_ends(self, harness: Harness) -> None:
        """What is left of lanes that nobody uses any more goes once, a bounded number at a time."""
        await publish(harness.backend)
        await declare(harness.backend, rate=Rate(limit=2, period=SECOND))
        await add_each(harness.backend, [new(lanes=(f"x/{number}",)) for number in range(20)])
        assert len(await claim(harness.backend)) == 20
        harness.clock.move(10)
        changed = [await harness.backend.admin.prune(NOT_AT_ALL, 7) for _ in range(10)]
        assert max(changed) <= 7
        assert changed[-1] == 0

    async def test_moved_to_another_store(self, harness: Harness) -> None:
        """Lanes are exported and restored; one that stood at a gate is let in where there is room."""
        await publish(harness.backend)
        holder, job = await _crowd(harness, "x", "y")
        (image,) = (
            image for image in (await harness.backend.reader.export(limit=10)).jobs if image.record.id == job.id
        )
        assert (image.record.lanes, image.record.gate) == (("x", "y"), GATE)
        await harness.backend.admin.cancel([job.id])
        await harness.backend.admin.prune(NOT_AT_ALL, 10)
        assert (await harness.backend.reader.get([job.id])).jobs == ()
        await harness.backend.admin.restore([image])
        assert await read(harness.backend, job.id) == image.record
        assert (await harness.backend.jobs.claim(ask())).claims == ()
        assert await places(harness.backend, [job]) == [GATE]
        await settle(harness.backend, holder)
        assert [claimed.lanes for claimed in await claim(harness.backend)] == [("x", "y")]

    async def test_restored_where_nothing_refuses(self, harness: Harness) -> None:
        """Restored at the gate of a lane that has room, or of which this store knows nothing, a job is handed out."""
        await publish(harness.backend)
        _, job = await _crowd(harness)
        (image,) = (
            image for image in (await harness.backend.reader.export(limit=10)).jobs if image.record.id == job.id
        )
        await harness.backend.admin.cancel([job.id])
        await harness.backend.admin.prune(NOT_AT_ALL, 10)
        await declare(harness.backend)
        await harness.backend.admin.restore([image])
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_replayed_at_a_lane_s_gate(self, harness: Harness) -> None:
        """A letter that is replayed at a lane's gate is let in from there as the lane has room, and stands there else."""
        await publish(harness.backend)
        letters = [await dead(harness.backend, lanes=("x",)) for _ in range(2)]
        await declare(harness.backend, slots=1)
        gated = [msgspec.structs.replace(letter, gate=GATE) for letter in letters]
        assert (await harness.backend.admin.replay(gated)).missed == ()
        (claimed,) = await claim(harness.backend)
        assert claimed.id == letters[0].id
        assert await places(harness.backend, [await read(harness.backend, letters[1].id)]) == [GATE]
        await settle(harness.backend, claimed)
        assert ids(await claim(harness.backend)) == [letters[1].id]
