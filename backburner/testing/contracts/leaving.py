"""What `JobStore.claim` promises of the room that a job leaves which one lane let in and another refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner.model.clock import SECOND
from backburner.model.job import JobState
from backburner.model.lane import LANE_GATE, Limit, Rate
from backburner.testing.contracts.limiting import add_in, declare, fill, places
from backburner.testing.contracts.making import add_each, ask, claim, ids, new, publish, settle

if TYPE_CHECKING:
    from backburner.model.job import Claim
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["LeavingContract"]

NUMBER = 12
#: More claims in vain than these jobs need, unless they are never through.
PATIENCE = 200
HOUR = 3600 * SECOND


async def _claim_on(backend: Backend) -> tuple[tuple[Claim, ...], int]:
    """Claim as long as that is worth repeating and hands nothing out; return what it did then, and how many were in vain."""
    for vain in range(PATIENCE):
        batch = await backend.jobs.claim(ask())
        if batch.claims or batch.wait != 0:
            return batch.claims, vain
    pytest.fail("claims say for ever that they are worth repeating")


@pytest.mark.anyio
class LeavingContract:
    """What a refused job was let in for goes to those behind it, at once."""

    async def test_an_open_breaker_holds_up_no_other_kind(self, harness: Harness) -> None:
        """Jobs of a kind whose breaker is open leave their bulkhead to the kind that shares it, all of them."""
        await publish(harness.backend)
        await declare(harness.backend, "bulkhead", slots=1)
        (holder,) = await fill(harness.backend, 1, "bulkhead")
        mails = await add_in(harness.backend, NUMBER, "bulkhead", "breaker")
        thumbs = await add_in(harness.backend, 2, "bulkhead")
        assert await claim(harness.backend) == ()
        await declare(harness.backend, "breaker", slots=0)
        for thumb in thumbs:
            await settle(harness.backend, holder)
            ((holder,), _) = await _claim_on(harness.backend)
            assert holder.id == thumb.id
        assert set(await places(harness.backend, mails)) == {f"{LANE_GATE}breaker"}
        await settle(harness.backend, holder)
        assert (await harness.backend.jobs.claim(ask())).wait is None
        await declare(harness.backend, "breaker")
        assert ids((await _claim_on(harness.backend))[0]) == [mails[0].id]

    async def test_a_dry_budget_holds_up_no_first_attempt(self, harness: Harness) -> None:
        """Retries that a dry budget refuses leave the slots of their key to first attempts of it."""
        await publish(harness.backend)
        await declare(harness.backend, "concurrency", slots=1)
        await declare(harness.backend, "budget", rate=Rate(limit=1, period=HOUR), deposit=0)
        lanes = ("concurrency/7", "budget")
        retries: list[Claim] = []
        for _ in range(3):
            (claimed,) = await fill(harness.backend, 1, *lanes)
            await settle(harness.backend, claimed, JobState.PENDING, failed=1, delay=SECOND)
            retries.append(claimed)
        (holder,) = await fill(harness.backend, 1, *lanes)
        harness.clock.move(1)
        first = await add_in(harness.backend, 2, *lanes)
        asked = ask(queues=("holders", "default"))
        assert (await harness.backend.jobs.claim(asked)).claims == ()
        order: list[str] = []
        for _ in range(3):
            await settle(harness.backend, holder)
            batch = await harness.backend.jobs.claim(asked)
            while not batch.claims:
                assert batch.wait == 0
                batch = await harness.backend.jobs.claim(asked)
            (holder,) = batch.claims
            order.append(holder.id)
        assert order == [retries[0].id, *ids(first)]
        assert await places(harness.backend, retries[1:]) == [f"{LANE_GATE}budget"] * 2

    async def test_a_full_key_holds_up_no_other(self, harness: Harness) -> None:
        """Jobs of a key that runs as many as it may leave the lane that all keys share to those of other keys."""
        await publish(harness.backend)
        await harness.backend.limits.declare({"all": Limit(slots=0), "each": Limit(slots=1)})
        jobs = [new(lanes=("all", f"each/{key}")) for key in "a" * NUMBER + "bb"]
        await add_each(harness.backend, jobs)
        assert await claim(harness.backend) == ()
        await declare(harness.backend, "all", slots=2)
        order: list[Claim] = []
        for ended in (None, 0, 1):
            if ended is not None:
                await settle(harness.backend, order[ended])
            order += (await _claim_on(harness.backend))[0]
            order += (await _claim_on(harness.backend))[0]
        assert ids(order) == ids([jobs[0], jobs[NUMBER], jobs[1], jobs[NUMBER + 1]])

    async def test_it_is_told_where_others_stand(self, harness: Harness) -> None:
        """A claim that opens a lane by parking is worth repeating; where nobody stands, none opens."""
        await publish(harness.backend)
        await declare(harness.backend, "a", slots=1)
        (holder,) = await fill(harness.backend, 1, "a")
        jobs = [new(lanes=lanes) for lanes in (("a", "b"), ("a",))]
        await add_each(harness.backend, jobs)
        assert await claim(harness.backend) == ()
        await declare(harness.backend, "b", slots=0)
        await settle(harness.backend, holder)
        batches = [await harness.backend.jobs.claim(ask()) for _ in range(2)]
        assert [(ids(batch.claims), batch.wait) for batch in batches] == [([], 0), ([jobs[1].id], None)]
        await settle(harness.backend, batches[1].claims[0])
        jobs += await add_in(harness.backend, 1, "a", "c", "b", delay=SECOND)
        harness.clock.move(1)
        assert (await harness.backend.jobs.claim(ask())).wait is None
        assert await places(harness.backend, jobs) == [f"{LANE_GATE}b", "completed", f"{LANE_GATE}b"]

    async def test_what_is_asked_after_does_not_open(self, harness: Harness) -> None:
        """A lane asked after the one that refused stays shut: what waits for both would go back and forth for ever."""
        await publish(harness.backend)
        await harness.backend.limits.declare({"a": Limit(slots=1), "b": Limit(slots=1)})
        (of_a,), (of_b,) = [await fill(harness.backend, 1, name) for name in "ab"]
        both = await add_in(harness.backend, NUMBER, "a", "b")
        assert await claim(harness.backend) == ()
        await settle(harness.backend, of_a)
        assert await _claim_on(harness.backend) == ((), NUMBER - 1)
        assert await places(harness.backend, both) == [f"{LANE_GATE}b"] * NUMBER
        (of_a,) = await fill(harness.backend, 1, "a")
        await settle(harness.backend, of_b)
        assert await _claim_on(harness.backend) == ((), 0)
        assert await places(harness.backend, both) == [f"{LANE_GATE}a", *[f"{LANE_GATE}b"] * (NUMBER - 1)]
        await settle(harness.backend, of_a)
        assert ids(await claim(harness.backend)) == [both[0].id]

    async def test_a_slot_and_a_permit_in_turns(self, harness: Harness) -> None:
        """Where now the slots are short and now the permits, few claims are in vain, however many wait for both."""
        await publish(harness.backend)
        rate = Rate(limit=1, period=2 * SECOND)
        await harness.backend.limits.declare({"slots": Limit(slots=1), "rate": Limit(rate=rate)})
        await add_in(harness.backend, 4 * NUMBER, "slots", "rate")
        running: tuple[Claim, ...] = ()
        begun = ended = moved = 0
        for tick in range(16 * NUMBER):
            # Runs take half a second and three seconds in turns; permits come every other second.
            if running and tick >= ended:
                await settle(harness.backend, running[0])
                running = ()
            claims, vain = await _claim_on(harness.backend)
            moved += vain
            if claims:
                running, begun, ended = claims, begun + 1, tick + (1, 6)[begun % 2]
            harness.clock.move(0.5)
        assert begun >= NUMBER
        # Each goes from the one to the other once; back goes one a permit.
        assert moved <= 8 * NUMBER

    async def test_named_in_any_order_it_ends(self, harness: Harness) -> None:
        """However jobs name the lanes that they share: as long as nothing runs anew, each is parked once at most."""
        await publish(harness.backend)
        await harness.backend.limits.declare({name: Limit(slots=2) for name in "abc"})
        orders = ["abc", "cba", "ba", "ac", "ca", "bc", "a", "c"] * NUMBER
        await add_each(harness.backend, [new(lanes=tuple(names)) for names in orders])
        running: list[Claim] = []
        done = 0
        while done < len(orders):
            claims, vain = await _claim_on(harness.backend)
            assert vain <= len(orders)
            running += claims
            if running and not claims:
                await settle(harness.backend, running.pop(0))
                done += 1
            elif not running:
                # What a lane asked before had room for, or asked after.
                assert await harness.backend.admin.release(100) > 0
