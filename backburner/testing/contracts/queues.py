"""What `QueueStore` promises, and `JobStore.claim` of pauses and slots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner.model.clock import SECOND
from backburner.model.node import QueueRecord
from backburner.testing.contracts.making import add, add_each, ask, claim, ids, new, publish, settle

if TYPE_CHECKING:
    from backburner.testing.harness import Harness

__all__ = ["QueueContract"]


@pytest.mark.anyio
class QueueContract:
    """Operators pause queues and bound them; claims obey in their own step."""

    async def test_settings_come_back(self, harness: Harness) -> None:
        """Settings are listed as they were set, by name, on every connection."""
        until = harness.clock.now() + 3600 * SECOND
        records = [
            QueueRecord(name="a", paused=True, paused_until=until, reason="dëploy", by="ada", slots=3),
            QueueRecord(name="b", slots=0),
            QueueRecord(name="ü", paused=True),
        ]
        for record in reversed(records):
            await harness.backend.queues.set(record)
        assert await harness.backend.queues.list() == tuple(records)
        assert await (await harness.second()).queues.list() == tuple(records)

    async def test_settings_replace_those_before(self, harness: Harness) -> None:
        """Set again, a queue's settings stand in place of all those before."""
        await harness.backend.queues.set(QueueRecord(name="a", paused=True, reason="x", by="ada", slots=3))
        await harness.backend.queues.set(QueueRecord(name="a", slots=4))
        assert await harness.backend.queues.list() == (QueueRecord(name="a", slots=4),)

    async def test_no_settings_no_queues(self, harness: Harness) -> None:
        """Queues without settings are not listed, jobs or no jobs."""
        await add(harness.backend)
        assert await harness.backend.queues.list() == ()

    async def test_a_paused_queue_gives_nothing(self, harness: Harness) -> None:
        """A paused queue gives nothing, from the line or a gate; resumed, it gives what waited."""
        await publish(harness.backend)
        await harness.backend.queues.set(QueueRecord(name="default", paused=True))
        jobs = [await add(harness.backend), await add(harness.backend, gate="suspect")]
        open_job = await add(harness.backend, queue="open")
        assert ids(await claim(harness.backend, queues=("default", "open"))) == [open_job.id]
        assert (await harness.backend.jobs.claim(ask())).wait is None
        await harness.backend.queues.set(QueueRecord(name="default"))
        assert ids(await claim(harness.backend)) == ids(jobs)

    async def test_a_pause_ends_by_itself(self, harness: Harness) -> None:
        """A pause whose end has passed is no pause: it holds until the very microsecond, and is waited for."""
        await publish(harness.backend)
        job = await add(harness.backend)
        until = harness.clock.now() + 60 * SECOND
        await harness.backend.queues.set(QueueRecord(name="default", paused=True, paused_until=until, slots=7))
        assert (await harness.backend.jobs.claim(ask())).wait == 60 * SECOND
        harness.clock.move(59.999999)
        assert await claim(harness.backend) == ()
        (shown,) = await harness.backend.queues.list()
        assert shown.paused
        harness.clock.move(0.000001)
        (shown,) = await harness.backend.queues.list()
        assert (shown.name, shown.paused, shown.paused_until, shown.slots) == ("default", False, None, 7)
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_pausing_a_queue_nobody_uses(self, harness: Harness) -> None:
        """A queue without jobs may be paused, and is when they come."""
        await publish(harness.backend)
        await harness.backend.queues.set(QueueRecord(name="later", paused=True))
        await add(harness.backend, queue="later")
        assert await claim(harness.backend, queues=("later",)) == ()

    async def test_slots_cap_what_a_node_runs(self, harness: Harness) -> None:
        """An operator's slots cap what a node runs of a queue, counting what runs already."""
        await publish(harness.backend)
        await harness.backend.queues.set(QueueRecord(name="default", slots=3))
        jobs = [new() for _ in range(6)]
        await add_each(harness.backend, jobs)
        first = await claim(harness.backend, limit=2)
        second = await claim(harness.backend)
        assert [ids(first), ids(second)] == [ids(jobs[:2]), ids(jobs[2:3])]
        assert await claim(harness.backend) == ()
        await settle(harness.backend, first[0])
        assert ids(await claim(harness.backend)) == [jobs[3].id]

    async def test_a_capped_queue_is_told_of(self, harness: Harness) -> None:
        """A claim names the queues of which the node runs as many as an operator allows, and no others."""
        await publish(harness.backend)
        await harness.backend.queues.set(QueueRecord(name="default", slots=1))
        await harness.backend.queues.set(QueueRecord(name="wide", slots=9))
        await add_each(harness.backend, [new(), new(), new(queue="wide")])
        asked = ask("node", queues=("default", "wide"))
        first = await harness.backend.jobs.claim(asked)
        assert (len(first.claims), first.capped) == (2, ("default",))
        again = await harness.backend.jobs.claim(asked)
        assert (again.claims, again.capped, again.wait) == ((), ("default",), None)
        await settle(harness.backend, first.claims[0])
        assert len((await harness.backend.jobs.claim(asked)).claims) == 1

    async def test_slots_do_not_raise_what_is_asked(self, harness: Harness) -> None:
        """Slots beyond what the node asks for hand out no more than it asks for."""
        await publish(harness.backend)
        await harness.backend.queues.set(QueueRecord(name="default", slots=50))
        await add_each(harness.backend, [new(), new(), new()])
        assert len(await claim(harness.backend, limit=9, queues={"default": 2})) == 2

    async def test_no_slots_no_jobs(self, harness: Harness) -> None:
        """A queue of no slots gives nothing; slots lowered below what runs give nothing either."""
        await publish(harness.backend)
        await add_each(harness.backend, [new() for _ in range(4)])
        await claim(harness.backend, limit=2)
        for slots in (1, 0):
            await harness.backend.queues.set(QueueRecord(name="default", slots=slots))
            assert await claim(harness.backend) == ()

    async def test_slots_are_a_node_s_own(self, harness: Harness) -> None:
        """Each node has the slots to itself, and other queues are not capped."""
        for node in ("node", "other"):
            await publish(harness.backend, node)
        await harness.backend.queues.set(QueueRecord(name="default", slots=1))
        await add_each(harness.backend, [new(queue=queue) for queue in ("default", "default", "free", "free")])
        taken = await claim(harness.backend, queues=("default", "free"))
        assert [found.queue for found in taken] == ["default", "free", "free"]
        assert len(await claim(harness.backend, "other")) == 1

    async def test_full_slots_are_not_waited_for(self, harness: Harness) -> None:
        """Jobs held back by the operator's slots do not make ``wait`` 0: time will not bring them."""
        await publish(harness.backend)
        await harness.backend.queues.set(QueueRecord(name="default", slots=1))
        await add_each(harness.backend, [new(), new()])
        for _ in range(2):
            assert (await harness.backend.jobs.claim(ask())).wait is None
