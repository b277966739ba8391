"""What `JobReader.backlog` promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner.model.clock import SECOND
from backburner.model.job import UNIQUE_GATE, Ending, JobState
from backburner.ports.jobs import Backlog, QueueBacklog
from backburner.testing.contracts.making import add, add_claimed, claim, dead, ended, keyed, new, publish, settle

if TYPE_CHECKING:
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["BacklogContract"]


async def _of(backend: Backend, queue: str = "default") -> QueueBacklog:
    return next(one for one in (await backend.reader.backlog()).queues if one.queue == queue)


@pytest.mark.anyio
class BacklogContract:
    """Of each queue it is known how much waits, since when, and where."""

    async def test_nothing(self, harness: Harness) -> None:
        """Queues that hold nothing, or only what is completed or cancelled, are not named."""
        assert await harness.backend.reader.backlog() == Backlog(now=harness.clock.now(), queues=())
        await publish(harness.backend)
        await ended(harness.backend, JobState.COMPLETED)
        await ended(harness.backend, JobState.CANCELLED)
        harness.clock.move(1)
        for backend in (harness.backend, await harness.second()):
            assert await backend.reader.backlog() == Backlog(now=harness.clock.now(), queues=())

    async def test_what_waits(self, harness: Harness) -> None:
        """What is due in the line waits, of every priority, since the first of it was due; expired or not."""
        start = harness.clock.now()
        await add(harness.backend, delay=2 * SECOND, priority=0)
        await add(harness.backend, delay=SECOND, priority=9)
        await add(harness.backend, delay=3 * SECOND, expires_in=3 * SECOND)
        for moved, waiting, oldest in ((1, 1, 1), (1, 2, 1), (1, 3, 1)):
            harness.clock.move(moved)
            expected = QueueBacklog(
                queue="default", waiting=waiting, oldest=start + oldest * SECOND, scheduled=3 - waiting
            )
            assert await _of(harness.backend) == expected
        await publish(harness.backend)
        await claim(harness.backend, limit=2)
        assert await _of(harness.backend) == QueueBacklog(queue="default", waiting=1, oldest=start + SECOND, running=2)

    async def test_what_is_tried_again(self, harness: Harness) -> None:
        """What is due later is counted by whether it has failed before, as people are shown it; what is due waits."""
        await publish(harness.backend)
        failed, snoozed, back = [await add_claimed(harness.backend) for _ in range(3)]
        await settle(harness.backend, failed, JobState.PENDING, ending=Ending.FAILED, failed=1, delay=SECOND)
        await settle(harness.backend, snoozed, JobState.PENDING, ending=Ending.SNOOZED, delay=SECOND)
        await settle(harness.backend, back, JobState.PENDING, unstarted=True, delay=SECOND)
        assert await _of(harness.backend) == QueueBacklog(queue="default", scheduled=2, retrying=1)
        due = harness.clock.now() + SECOND
        harness.clock.move(1)
        assert await _of(harness.backend) == QueueBacklog(queue="default", waiting=3, oldest=due)

    async def test_what_is_held(self, harness: Harness) -> None:
        """What stands at a gate is held, due or not, and does not wait; a gate is anyone's: a key's and a lane's too."""
        await publish(harness.backend)
        await add(harness.backend, gate="g")
        await add(harness.backend, gate="lane:x", delay=SECOND)
        await add(harness.backend, gate=f"{UNIQUE_GATE}key", unique=keyed())
        claimed = await add_claimed(harness.backend, queue="other", unique=keyed("follow", (JobState.RUNNING,)))
        first = new(queue="other", unique=keyed("other"), delay=SECOND)
        second = new(queue="other", unique=keyed("other"))
        await settle(harness.backend, claimed, jobs=(first, second))
        assert (await harness.backend.reader.backlog()).queues == (
            QueueBacklog(queue="default", held=3),
            QueueBacklog(queue="other", scheduled=1, held=1),
        )

    async def test_by_queue(self, harness: Harness) -> None:
        """Each queue is counted for itself, and they come by name, by code point."""
        now = harness.clock.now()
        await publish(harness.backend)
        given = ["b", "a", "B", "é", "🙂", "\uffee", "z"]
        for queue in given:
            await add(harness.backend, queue=queue)
        await add_claimed(harness.backend, queue="running")
        await dead(harness.backend, queue="dead")
        await dead(harness.backend, queue="dead")
        queues = (await (await harness.second()).reader.backlog()).queues
        assert [one.queue for one in queues] == sorted([*given, "running", "dead"])
        assert {one.queue: one for one in queues} == {
            **{queue: QueueBacklog(queue=queue, waiting=1, oldest=now) for queue in given},
            "running": QueueBacklog(queue="running", running=1),
            "dead": QueueBacklog(queue="dead", dead=2),
        }

    async def test_unknown_kinds(self, harness: Harness) -> None:
        """How many stand at the gates of unknown kinds is told by kind, over all queues; they are held."""
        await publish(harness.backend)
        for kind, queue in (("x", "default"), ("x", "other"), ("größe:🙂", "other"), ("note", "default")):
            await add(harness.backend, kind=kind, queue=queue)
        await claim(harness.backend, queues=("default", "other"))
        backlog = await harness.backend.reader.backlog()
        assert backlog.unknown == {"x": 2, "größe:🙂": 1}
        assert backlog.queues == (
            QueueBacklog(queue="default", held=1, running=1),
            QueueBacklog(queue="other", held=2),
        )
        await claim(harness.backend, queues=("default", "other"), kinds=("note", "x"))
        backlog = await harness.backend.reader.backlog()
        assert backlog.unknown == {"größe:🙂": 1}
