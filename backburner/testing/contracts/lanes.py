"""What `JobStore.claim` promises of jobs that name lanes: who is refused, by which, and where they stand then."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from backburner.model.clock import SECOND
from backburner.model.job import MISFIT_GATE, PAUSED_GATE, SUSPECT_GATE, UNKNOWN_GATE, JobState
from backburner.model.lane import LANE_GATE, Rate
from backburner.model.node import KindRecord
from backburner.testing.contracts.limiting import GATE, add_in, declare, fill, lane, places
from backburner.testing.contracts.making import add, ask, claim, ids, new, publish, read, settle

if TYPE_CHECKING:
    from backburner.testing.harness import Harness

__all__ = ["LaneContract"]

#: The most that one claim parks, and the most that it passes over who stay where they are.
PARKED = 1_000
PASSED = 50


@pytest.mark.anyio
class LaneContract:
    """A job runs when none of its lanes refuses it, and stands at the gate of the first that does."""

    async def test_slots_are_shared_by_all_nodes(self, harness: Harness) -> None:
        """No more jobs of a lane run than it has slots, over all nodes and connections."""
        second = await harness.second()
        await publish(harness.backend)
        await publish(second, "other")
        await declare(harness.backend, slots=3)
        jobs = await add_in(harness.backend, 6)
        assert ids(await claim(harness.backend, limit=2)) == ids(jobs[:2])
        assert ids(await claim(second, "other")) == ids(jobs[2:3])
        assert await claim(harness.backend) == await claim(second, "other") == ()

    async def test_a_refused_job_is_parked(self, harness: Harness) -> None:
        """A due job that is refused is parked, still pending and as it was; no time is told when it comes."""
        await publish(harness.backend)
        await declare(harness.backend, slots=1)
        await fill(harness.backend, 1)
        (job,) = await add_in(harness.backend, 1)
        before = await read(harness.backend, job.id)
        for _ in range(2):
            batch = await harness.backend.jobs.claim(ask())
            assert (batch.claims, batch.wait, batch.parked) == ((), None, {})
        record = await read(harness.backend, job.id)
        assert (record.state, record.gate) == (JobState.PENDING, GATE)
        assert (record.attempt, record.token, record.due_at) == (before.attempt, before.token, before.due_at)

    async def test_a_job_keeps_its_lanes(self, harness: Harness) -> None:
        """Lanes come back in their order, in what is read and what is claimed, the first time and again."""
        await publish(harness.backend)
        lanes = ("z", "concurrency:mail/ü 7", "a")
        job = await add(harness.backend, lanes=lanes)
        for _ in range(2):
            assert (await read(harness.backend, job.id)).lanes == lanes
            (claimed,) = await claim(harness.backend)
            assert claimed.lanes == lanes
            await settle(harness.backend, claimed, JobState.PENDING)

    async def test_each_key_is_a_lane_of_its_own(self, harness: Harness) -> None:
        """What a lane allows is the limit named by all before its first slash; each key has it to itself."""
        await publish(harness.backend)
        await declare(harness.backend, "concurrency:x", slots=1)
        keys = ("7", "8", "a/b", "a/c", "")
        jobs = [(await add_in(harness.backend, 2, f"concurrency:x/{key}"))[0] for key in keys]
        plain = await add_in(harness.backend, 2, "concurrency:x")
        assert ids(await claim(harness.backend)) == [*ids(jobs), plain[0].id]
        assert await places(harness.backend, plain) == ["running", f"{LANE_GATE}concurrency:x"]

    async def test_a_limit_that_nobody_set_refuses_nobody(self, harness: Harness) -> None:
        """Without a limit a lane refuses nobody; nor does one of a longer or shorter name."""
        await publish(harness.backend)
        await declare(harness.backend, "ab", slots=0)
        jobs = await add_in(harness.backend, 3, "a", "abc", "a/ab", "b")
        assert ids(await claim(harness.backend)) == ids(jobs)

    async def test_a_limit_of_nothing_refuses_nobody(self, harness: Harness) -> None:
        """A limit with neither slots nor a rate is none."""
        await publish(harness.backend)
        await declare(harness.backend)
        jobs = await add_in(harness.backend, 3)
        assert ids(await claim(harness.backend)) == ids(jobs)

    async def test_no_slots_hold_all(self, harness: Harness) -> None:
        """A lane of no slots lets nobody run, and those of other lanes pass."""
        await publish(harness.backend)
        await declare(harness.backend, slots=0)
        jobs = await add_in(harness.backend, 2)
        (free,) = await add_in(harness.backend, 1, "y")
        assert ids(await claim(harness.backend)) == [free.id]
        assert await places(harness.backend, jobs) == [GATE, GATE]

    async def test_the_first_that_refuses_is_the_gate(self, harness: Harness) -> None:
        """Lanes are asked in the job's order: of several that refuse, the first is where it stands."""
        await publish(harness.backend)
        for name in ("a", "b"):
            await declare(harness.backend, name, slots=0)
        jobs = [new(lanes=lanes) for lanes in (("a", "b"), ("b", "a"), ("free", "b"), ("b",))]
        await harness.backend.jobs.enqueue([jobs])
        assert await claim(harness.backend) == ()
        assert await places(harness.backend, jobs) == [f"{LANE_GATE}{name}" for name in "abbb"]

    async def test_nothing_is_taken_where_one_refuses(self, harness: Harness) -> None:
        """A job refused by one of its lanes takes neither a slot nor a permit of the others."""
        await publish(harness.backend)
        await declare(harness.backend, "slot", slots=1)
        await declare(harness.backend, "rate", rate=Rate(limit=1, period=60 * SECOND))
        await declare(harness.backend, "shut", slots=0)
        refused = new(lanes=("slot", "rate", "shut"))
        first, second = new(lanes=("slot", "rate")), new(lanes=("rate", "slot"))
        await harness.backend.jobs.enqueue([[refused, first, second]])
        assert ids(await claim(harness.backend)) == [first.id]
        assert await places(harness.backend, [refused, second]) == [f"{LANE_GATE}shut", f"{LANE_GATE}rate"]

    async def test_a_claim_sees_what_it_took(self, harness: Harness) -> None:
        """Jobs of one claim count for each other in the order in which they are handed out."""
        await publish(harness.backend)
        for name in ("a", "b"):
            await declare(harness.backend, name, slots=1)
        jobs = [
            new(lanes=lanes, priority=priority)
            for lanes, priority in ((("a",), 5), (("b", "a"), 3), (("b",), 4), (("a", "b"), 9), ((), 9))
        ]
        await harness.backend.jobs.enqueue([jobs])
        assert ids(await claim(harness.backend)) == [jobs[1].id, jobs[4].id]
        assert await places(harness.backend, jobs) == [
            f"{LANE_GATE}a",
            "running",
            f"{LANE_GATE}b",
            f"{LANE_GATE}a",
            "running",
        ]

    async def test_the_refused_take_no_room(self, harness: Harness) -> None:
        """A refused job takes no room in the request: the free one behind it is handed out in the same claim."""
        await publish(harness.backend)
        await declare(harness.backend, slots=0)
        await add_in(harness.backend, 3, priority=0)
        job = await add(harness.backend, priority=9)
        assert ids(await claim(harness.backend, limit=1)) == [job.id]

    async def test_ten_thousand_refused_do_not_starve_those_behind(self, harness: Harness) -> None:
        """However many are refused in front, a claim parks at most a thousand and says that it is worth asking again."""
        await publish(harness.backend)
        await declare(harness.backend, slots=0)
        await harness.backend.jobs.enqueue([[new(lanes=("x",), priority=0) for _ in range(10 * PARKED)]])
        job = await add(harness.backend, priority=9)
        asked = 1
        batch = await harness.backend.jobs.claim(ask(limit=1))
        while not batch.claims:
            assert batch.wait == 0
            asked += 1
            batch = await harness.backend.jobs.claim(ask(limit=1))
        assert ids(batch.claims) == [job.id]
        assert asked >= 10
        assert (await harness.backend.jobs.claim(ask())).wait is None

    async def test_whoever_is_parked_is_one_of_the_thousand(self, harness: Harness) -> None:
        """A claim parks a thousand in all: at lanes, for their unknown kinds, for their paused ones."""
        await publish(harness.backend)
        await declare(harness.backend, slots=0)
        await harness.backend.kinds.set(KindRecord(name="paused", paused=True))
        jobs = [new(kind=kind, lanes=("x",)) for kind in ("rare", "paused", "note") for _ in range(400)]
        await harness.backend.jobs.enqueue([jobs])
        job = await add(harness.backend, priority=9)
        asked = ask(kinds=("note", "paused"))
        batch = await harness.backend.jobs.claim(asked)
        assert (batch.claims, batch.wait, batch.parked) == ((), 0, {"rare": 400})
        assert Counter(await places(harness.backend, jobs)) == {
            f"{UNKNOWN_GATE}rare": 400,
            f"{PAUSED_GATE}paused": 400,
            GATE: 200,
            "": 200,
        }
        assert ids((await harness.backend.jobs.claim(asked)).claims) == [job.id]

    async def test_runs_from_before_the_limit_do_not_count(self, harness: Harness) -> None:
        """Slots count those that were claimed while the lane had slots."""
        await publish(harness.backend)
        await fill(harness.backend, 3)
        await declare(harness.backend, slots=2)
        jobs = await add_in(harness.backend, 3)
        assert ids(await claim(harness.backend)) == ids(jobs[:2])
        assert (await lane(harness.backend)).running == 2

    async def test_an_unknown_kind_goes_to_the_lane_s_gate(self, harness: Harness) -> None:
        """A job parked for its kind is refused by its lane when a node knows the kind, and stands there then."""
        await publish(harness.backend)
        await declare(harness.backend, slots=0)
        (job,) = await add_in(harness.backend, 1, kind="rare")
        assert (await harness.backend.jobs.claim(ask())).parked == {"rare": 1}
        assert await places(harness.backend, [job]) == [f"{UNKNOWN_GATE}rare"]
        batch = await harness.backend.jobs.claim(ask(kinds=("rare",)))
        assert (batch.claims, batch.wait, batch.parked) == ((), None, {})
        assert await places(harness.backend, [job]) == [GATE]

    @pytest.mark.parametrize("gate", [SUSPECT_GATE, f"{MISFIT_GATE}note:aa"])
    async def test_suspects_and_misfits_stay_where_they_are(self, harness: Harness, gate: str) -> None:
        """One that is refused stays at its gate, is asked about within a second, and runs once there is room."""
        await publish(harness.backend)
        await declare(harness.backend, slots=1)
        (holder,) = await fill(harness.backend, 1)
        (job,) = await add_in(harness.backend, 1, gate=gate)
        asked = ask(signatures={"note": "bb"})
        batch = await harness.backend.jobs.claim(asked)
        assert batch.claims == ()
        assert batch.wait is not None
        assert 0 < batch.wait <= SECOND
        assert await places(harness.backend, [job]) == [gate]
        await settle(harness.backend, holder)
        (claimed,) = (await harness.backend.jobs.claim(asked)).claims
        assert (claimed.id, claimed.gate) == (job.id, gate)
        assert (await lane(harness.backend)).holders == (job.id,)

    @pytest.mark.parametrize("gate", [SUSPECT_GATE, f"{MISFIT_GATE}note:aa"])
    async def test_a_refused_one_hides_no_other_of_its_gate(self, harness: Harness, gate: str) -> None:
        """A suspect or misfit behind one that is refused is handed out."""
        await publish(harness.backend)
        await declare(harness.backend, slots=0)
        await add_in(harness.backend, 1, gate=gate)
        other = await add(harness.backend, gate=gate)
        assert ids(await claim(harness.backend, signatures={"note": "bb"})) == [other.id]

    @pytest.mark.parametrize("gate", [SUSPECT_GATE, f"{MISFIT_GATE}note:aa"])
    async def test_fifty_refused_are_passed_over(self, harness: Harness, gate: str) -> None:
        """A claim passes over fifty who stay at their gate, however few it asks for, and looks at no more there."""
        await publish(harness.backend)
        await declare(harness.backend, slots=0)
        await add_in(harness.backend, PASSED - 1, gate=gate)
        (behind,) = await add_in(harness.backend, 1, "y", gate=gate)
        asked = ask(signatures={"note": "bb"}, limit=1)
        (claimed,) = (await harness.backend.jobs.claim(asked)).claims
        assert claimed.id == behind.id
        await add_in(harness.backend, 1, gate=gate)
        await add_in(harness.backend, 1, "y", gate=gate)
        batch = await harness.backend.jobs.claim(asked)
        assert (batch.claims, batch.wait) == ((), SECOND)

    async def test_a_scheduled_job_is_asked_when_it_is_due(self, harness: Harness) -> None:
        """A job that is not due yet stands in the line, and is refused only when it is."""
        await publish(harness.backend)
        await declare(harness.backend, slots=0)
        jobs = await add_in(harness.backend, 2, delay=SECOND)
        assert (await harness.backend.jobs.claim(ask())).wait == SECOND
        assert await places(harness.backend, jobs) == ["", ""]
        harness.clock.move(1)
        assert await claim(harness.backend) == ()
        assert await places(harness.backend, jobs) == [GATE, GATE]

    async def test_a_retry_asks_again(self, harness: Harness) -> None:
        """A job that ran and waits for its retry holds no slot, and asks for one anew."""
        await publish(harness.backend)
        await declare(harness.backend, slots=1)
        (first,) = await fill(harness.backend, 1)
        await settle(harness.backend, first, JobState.PENDING, delay=SECOND, failed=1)
        (second,) = await fill(harness.backend, 1)
        harness.clock.move(1)
        assert await claim(harness.backend, queues=("holders",)) == ()
        assert await places(harness.backend, [first]) == [GATE]
        await settle(harness.backend, second)
        (again,) = await claim(harness.backend, queues=("holders",))
        assert (again.id, again.attempt) == (first.id, 2)

    async def test_who_is_refused_lets_the_next_of_its_queue_come_first(self, harness: Harness) -> None:
        """Where a queue has one free slot and its first job is refused, its next goes before a later one of another queue."""
        await publish(harness.backend)
        await declare(harness.backend, "shut", slots=0)
        await declare(harness.backend, "one", slots=1)
        (refused,) = await add_in(harness.backend, 1, "shut", queue="q", priority=0)
        (urgent,) = await add_in(harness.backend, 1, "one", queue="q", priority=0)
        (later,) = await add_in(harness.backend, 1, "one", queue="r", priority=5)
        batch = await harness.backend.jobs.claim(ask(queues={"q": 1, "r": 2}, limit=3))
        assert ids(batch.claims) == [urgent.id]
        assert await places(harness.backend, [refused, urgent, later]) == [
            f"{LANE_GATE}shut",
            "running",
            f"{LANE_GATE}one",
        ]

    async def test_let_in_again_and_again(self, harness: Harness) -> None:
        """Who was let in and is refused by another lane stands there, and is let in from there."""
        await publish(harness.backend)
        for name in ("a", "b"):
            await declare(harness.backend, name, slots=1)
        (first,), (second,) = [await fill(harness.backend, 1, name) for name in ("a", "b")]
        (job,) = await add_in(harness.backend, 1, "a", "b")
        places_of: list[str] = []
        for ended in (None, first, second):
            if ended is not None:
                await settle(harness.backend, ended)
            await claim(harness.backend)
            places_of += await places(harness.backend, [job])
        assert places_of == [f"{LANE_GATE}a", f"{LANE_GATE}b", "running"]
