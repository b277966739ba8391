"""What `LimitStore` promises: what code declares, what operators set, and how lanes are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner.model.clock import SECOND
from backburner.model.job import JobState
from backburner.model.lane import LANE_GATE, Algorithm, LaneRecord, Limit, LimitRecord, Rate
from backburner.testing.contracts.limiting import GATE, add_in, declare, fill, lane, places, strand
from backburner.testing.contracts.making import ask, claim, ids, new, publish, settle

if TYPE_CHECKING:
    from backburner.testing.harness import Harness

__all__ = ["LimitContract"]

FULL = Limit(
    slots=3,
    rate=Rate(limit=5, period=60 * SECOND, burst=2),
    deposit=7 * SECOND,
)
MINUTELY = Rate(limit=1, period=60 * SECOND)


async def _override(harness: Harness, limit: Limit | None) -> None:
    await harness.backend.limits.override("x", limit, by="ada", reason="test")


@pytest.mark.anyio
class LimitContract:
    """Limits are shared by all nodes, the operator's before the code's; whatever changes one opens its lanes."""

    async def test_no_limits(self, harness: Harness) -> None:
        """A new store has none; lanes and jobs make none."""
        await publish(harness.backend)
        await fill(harness.backend, 2)
        assert await harness.backend.limits.list() == ()

    async def test_limits_come_back(self, harness: Harness) -> None:
        """What is declared is listed as it was declared, by name, on every connection."""
        limits = {
            "tenant:ü": FULL,
            "a": Limit(slots=0),
            "c": Limit(),
            "b": Limit(rate=Rate(limit=1000, period=86_400 * SECOND, algorithm=Algorithm.SLIDING)),
            "b:fixed": Limit(rate=Rate(limit=1, period=1, algorithm=Algorithm.FIXED)),
        }
        await harness.backend.limits.declare(limits)
        expected = tuple([LimitRecord(name=name, declared=limits[name]) for name in sorted(limits)])
        assert await harness.backend.limits.list() == expected
        assert await (await harness.second()).limits.list() == expected

    async def test_declared_again(self, harness: Harness) -> None:
        """Declared again, a limit stands in place of that before; the others stay."""
        await harness.backend.limits.declare({"x": FULL, "y": Limit(slots=1)})
        await harness.backend.limits.declare({"x": Limit(slots=2)})
        await harness.backend.limits.declare({})
        assert await harness.backend.limits.list() == (
            LimitRecord(name="x", declared=Limit(slots=2)),
            LimitRecord(name="y", declared=Limit(slots=1)),
        )

    async def test_an_override_and_back(self, harness: Harness) -> None:
        """An override stands beside what is declared, says who and why, survives a declaration, and can be taken back."""
        await declare(harness.backend, slots=1)
        await _override(harness, FULL)
        await declare(harness.backend, slots=2)
        (record,) = await harness.backend.limits.list()
        assert record == LimitRecord(name="x", declared=Limit(slots=2), override=FULL, by="ada", reason="test")
        await harness.backend.limits.override("x", Limit(), by=None, reason=None)
        (record,) = await harness.backend.limits.list()
        assert record == LimitRecord(name="x", declared=Limit(slots=2), override=Limit())
        await _override(harness, None)
        (record,) = await harness.backend.limits.list()
        assert (record.declared, record.override) == (Limit(slots=2), None)

    async def test_an_override_alone(self, harness: Harness) -> None:
        """An operator may limit what code does not; taken back, nothing is left, also where there was nothing."""
        await _override(harness, Limit(slots=1))
        (record,) = await harness.backend.limits.list()
        assert record == LimitRecord(name="x", override=Limit(slots=1), by="ada", reason="test")
        for _ in range(2):
            await _override(harness, None)
            assert await harness.backend.limits.list() == ()

    async def test_the_override_holds(self, harness: Harness) -> None:
        """What holds is the operator's, whole: also where it limits less than the code's, and where it is nothing."""
        await publish(harness.backend)
        await declare(harness.backend, slots=3, rate=MINUTELY)
        await _override(harness, Limit(slots=2))
        jobs = await add_in(harness.backend, 6)
        assert ids(await claim(harness.backend)) == ids(jobs[:2])
        assert (await lane(harness.backend)).limit == Limit(slots=2)
        await _override(harness, Limit())
        assert ids(await claim(harness.backend)) == ids(jobs[2:])

    async def test_a_limit_that_is_raised_lets_in_at_once(self, harness: Harness) -> None:
        """Declared with more slots, a lane has room for the first of those who stand there, in the very next claim."""
        await publish(harness.backend)
        await declare(harness.backend, slots=1)
        await fill(harness.backend, 1)
        jobs = await add_in(harness.backend, 5)
        assert await claim(harness.backend) == ()
        await declare(harness.backend, slots=3)
        assert ids(await claim(harness.backend)) == ids(jobs[:2])
        assert await places(harness.backend, jobs[2:]) == [GATE] * 3

    async def test_an_override_lets_in_and_so_does_its_end(self, harness: Harness) -> None:
        """Overridden, a limit opens its lanes; taken back, it does so again."""
        await publish(harness.backend)
        await declare(harness.backend, slots=0)
        jobs = await add_in(harness.backend, 3)
        assert await claim(harness.backend) == ()
        await _override(harness, Limit(slots=1))
        assert ids(await claim(harness.backend)) == [jobs[0].id]
        await declare(harness.backend, slots=3)
        assert await claim(harness.backend) == ()
        await _override(harness, None)
        assert ids(await claim(harness.backend)) == ids(jobs[1:])

    async def test_all_lanes_of_a_limit_open(self, harness: Harness) -> None:
        """A limit that changes opens the lanes of all its keys, and no others."""
        await publish(harness.backend)
        await harness.backend.limits.declare({"x": Limit(slots=0), "x2": Limit(slots=0)})
        jobs = [new(lanes=(name,)) for name in ("x/1", "x/2", "x", "x2/1")]
        await harness.backend.jobs.enqueue([jobs])
        assert await claim(harness.backend) == ()
        await declare(harness.backend, slots=1)
        assert ids(await claim(harness.backend)) == ids(jobs[:3])
        assert await places(harness.backend, jobs[3:]) == [f"{LANE_GATE}x2/1"]

    async def test_a_limit_that_is_lowered(self, harness: Harness) -> None:
        """Who runs already goes on; nobody comes until fewer run than there are slots."""
        await publish(harness.backend)
        await declare(harness.backend, slots=3)
        holders = await fill(harness.backend, 3)
        (job,) = await add_in(harness.backend, 1)
        await declare(harness.backend, slots=1)
        for holder in holders:
            assert await claim(harness.backend) == ()
            assert await places(harness.backend, [job]) == [GATE]
            await settle(harness.backend, holder)
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_declared_as_it_was_it_opens_nothing(self, harness: Harness) -> None:
        """Declared as it was, a limit changes nothing: who stands there stands there, also where there is room."""
        await publish(harness.backend)
        (job,) = await strand(harness.backend, "x")
        await harness.backend.limits.declare({"x": Limit(slots=1), "shut": Limit(slots=0)})
        assert await claim(harness.backend, queues=("x",)) == ()
        assert await places(harness.backend, [job]) == [GATE]
        await declare(harness.backend, slots=2)
        assert ids(await claim(harness.backend, queues=("x",))) == [job.id]

    async def test_the_use_of_a_rate_is_kept(self, harness: Harness) -> None:
        """Declared or set with other slots, the same rate goes on from what was used of it; another begins anew."""
        await publish(harness.backend)
        await declare(harness.backend, rate=MINUTELY)
        await fill(harness.backend, 1)
        (job,) = await add_in(harness.backend, 1)
        used = harness.clock.now() + 60 * SECOND
        for slots in (5, 6):
            await declare(harness.backend, slots=slots, rate=MINUTELY)
            assert await claim(harness.backend) == ()
            assert (await lane(harness.backend)).free_at == used
        await _override(harness, Limit(slots=7, rate=MINUTELY))
        assert await claim(harness.backend) == ()
        await _override(harness, Limit(rate=Rate(limit=1, period=10 * SECOND)))
        assert ids(await claim(harness.backend)) == [job.id]

    @pytest.mark.parametrize("deposit", [None, 0])
    async def test_a_raised_rate_lets_in_at_once(self, harness: Harness, deposit: int | None) -> None:
        """Who waits an hour for a permit does so no longer once the rate, or a budget's reserve, is raised."""
        await publish(harness.backend)
        await declare(harness.backend, rate=Rate(limit=1, period=3600 * SECOND, burst=3), deposit=deposit)
        for _ in range(4):
            await add_in(harness.backend, 1)
        first = await claim(harness.backend)
        if deposit is not None:
            for each in first:
                await settle(harness.backend, each, JobState.PENDING, failed=1)
            first = await claim(harness.backend)
        assert len(first) == 3
        await _override(harness, Limit(rate=Rate(limit=1000, period=SECOND), deposit=deposit))
        assert len(await claim(harness.backend)) == 1

    async def test_the_use_of_a_rate_outlives_a_time_without_one(self, harness: Harness) -> None:
        """A rate that was taken back and comes again goes on from what was used of it."""
        await publish(harness.backend)
        await declare(harness.backend, rate=MINUTELY)
        await fill(harness.backend, 1)
        used = harness.clock.now() + 60 * SECOND
        for without in (Limit(slots=5), Limit()):
            await harness.backend.limits.declare({"x": without})
            assert (await lane(harness.backend)).free_at is None
            await declare(harness.backend, rate=MINUTELY)
            assert (await lane(harness.backend)).free_at == used
        await add_in(harness.backend, 1)
        assert (await harness.backend.jobs.claim(ask())).wait == 60 * SECOND

    @pytest.mark.parametrize("algorithm", [Algorithm.FIXED, Algorithm.SLIDING])
    async def test_another_algorithm_begins_anew(self, harness: Harness, algorithm: Algorithm) -> None:
        """What was used of a rate is forgotten when its algorithm changes."""
        await publish(harness.backend)
        await declare(harness.backend, rate=MINUTELY)
        await fill(harness.backend, 1)
        jobs = await add_in(harness.backend, 3)
        assert await claim(harness.backend) == ()
        await declare(harness.backend, rate=Rate(limit=2, period=60 * SECOND, algorithm=algorithm))
        assert ids(await claim(harness.backend)) == ids(jobs[:2])
        await _override(harness, Limit(rate=MINUTELY))
        assert ids(await claim(harness.backend)) == ids(jobs[2:])

    async def test_lanes_are_answered_in_the_order_asked(self, harness: Harness) -> None:
        """Lanes are answered as they were asked for, also those that nobody uses, or of which nobody has heard."""
        now = harness.clock.now()
        await harness.backend.limits.declare({"x": FULL, "y": Limit(slots=1)})
        answer = await harness.backend.limits.lanes(["y/2", "x", "unheard/of", "y"])
        assert answer.now == now
        assert answer.lanes == (
            LaneRecord(name="y/2", limit=Limit(slots=1)),
            LaneRecord(name="x", limit=FULL, free_at=now),
            LaneRecord(name="unheard/of", limit=Limit()),
            LaneRecord(name="y", limit=Limit(slots=1)),
        )
        assert (await harness.backend.limits.lanes([])).lanes == ()

    async def test_who_runs_in_a_lane(self, harness: Harness) -> None:
        """A lane tells how many count against its slots, and the first ten by id; lent and ended ones are none."""
        await publish(harness.backend)
        await declare(harness.backend, slots=20)
        claims = await fill(harness.backend, 14)
        record = await lane(harness.backend)
        assert (record.running, record.holders) == (14, tuple(ids(claims[:10])))
        await settle(harness.backend, claims[0])
        await settle(harness.backend, claims[2], JobState.RUNNING, lent=True)
        record = await lane(harness.backend)
        assert (record.running, record.holders) == (12, tuple(ids([claims[1], *claims[3:12]])))

    async def test_without_slots_nobody_is_counted(self, harness: Harness) -> None:
        """Runs of a lane without slots count against none."""
        await publish(harness.backend)
        await declare(harness.backend, rate=Rate(limit=9, period=SECOND, burst=9))
        await fill(harness.backend, 3)
        assert (await lane(harness.backend)).running == 0
        await fill(harness.backend, 3, "y")
        assert (await lane(harness.backend, "y")).running == 0

    async def test_whether_jobs_stand_there(self, harness: Harness) -> None:
        """A lane tells whether jobs stand at it."""
        await publish(harness.backend)
        await declare(harness.backend, slots=1)
        (holder,) = await fill(harness.backend, 1)
        assert not (await lane(harness.backend)).parked
        await add_in(harness.backend, 1)
        assert await claim(harness.backend) == ()
        assert (await lane(harness.backend)).parked
        assert not (await lane(harness.backend, "x/1")).parked
        await settle(harness.backend, holder)
        assert len(await claim(harness.backend)) == 1
        assert not (await lane(harness.backend)).parked

    async def test_when_a_permit_is_there(self, harness: Harness) -> None:
        """A lane with a rate tells when its next permit is there, and the store's now where one is; others tell none."""
        await publish(harness.backend)
        await declare(harness.backend, rate=Rate(limit=1, period=60 * SECOND, burst=2))
        start = harness.clock.now()
        moments: list[int | None] = []
        for _ in range(2):
            moments.append((await lane(harness.backend)).free_at)
            await fill(harness.backend, 1)
        harness.clock.move(20)
        moments.append((await lane(harness.backend)).free_at)
        harness.clock.move(100)
        moments.append((await lane(harness.backend)).free_at)
        assert moments == [start, start, start + 60 * SECOND, start + 120 * SECOND]
