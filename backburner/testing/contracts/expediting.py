"""What `JobAdmin.expedite` promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backburner.model.clock import SECOND
from backburner.model.job import SUSPECT_GATE, UNIQUE_GATE, Ending, JobState
from backburner.model.lane import Limit
from backburner.model.query import JobFilter, Shown
from backburner.ports.jobs import Birth, ExpediteAnswer, GroupAnswer, QueueBacklog
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    add_each,
    ask,
    claim,
    dead,
    ended,
    ids,
    keyed,
    new,
    publish,
    put,
    read,
    recover,
    settle,
)
from backburner.testing.contracts.telling import kept, names, subscribe

if TYPE_CHECKING:
    from backburner.testing.harness import Harness

__all__ = ["ExpeditingContract"]

FINAL = (JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD)


@pytest.mark.anyio
class ExpeditingContract:
    """What was to run later is due now, and nothing else of it is other."""

    async def test_due_now(self, harness: Harness) -> None:
        """A job of the line that is due later is due at the store's now, and only that of it changes."""
        await publish(harness.backend)
        job = await add(
            harness.backend,
            delay=3600 * SECOND,
            expires_in=7200 * SECOND,
            priority=3,
            tags=("a",),
            unique=keyed(),
            lanes=("lane/1",),
            headers='{"a":"b"}',
        )
        before = await read(harness.backend, job.id)
        harness.clock.move(1)
        answer = await harness.backend.admin.expedite([job.id])
        assert answer == ExpediteAnswer(now=harness.clock.now(), expedited=(job.id,))
        after = await read(await harness.second(), job.id)
        assert after == msgspec.structs.replace(before, due_at=harness.clock.now())
        assert await harness.backend.reader.history(job.id) == ()
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_what_is_to_be_tried_again(self, harness: Harness) -> None:
        """A job that waits for its next try keeps what was counted, its last error and its backoff."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        failure: dict[str, Any] = {
            "error": "E",
            "message": "m",
            "traceback": "t",
            "fingerprint": "f",
            "backoff": 60 * SECOND,
        }
        await settle(
            harness.backend, claimed, JobState.PENDING, ending=Ending.FAILED, failed=1, delay=60 * SECOND, **failure
        )
        before = await read(harness.backend, claimed.id)
        history = await harness.backend.reader.history(claimed.id)
        harness.clock.move(1)
        assert (await harness.backend.admin.expedite([claimed.id])).expedited == (claimed.id,)
        after = await read(harness.backend, claimed.id)
        assert after == msgspec.structs.replace(before, due_at=harness.clock.now())
        assert await harness.backend.reader.history(claimed.id) == history
        (again,) = await claim(harness.backend)
        assert (again.id, again.attempt, again.failures, again.token) == (claimed.id, 2, 1, claimed.token + 1)

    async def test_due_already(self, harness: Harness) -> None:
        """A job that is due keeps the moment since which it is, to the microsecond."""
        job = await add(harness.backend, delay=SECOND)
        harness.clock.move(1)
        before = await read(harness.backend, job.id)
        assert await harness.backend.admin.expedite([job.id]) == ExpediteAnswer(now=harness.clock.now(), due=(job.id,))
        harness.clock.move(5)
        assert (await harness.backend.admin.expedite([job.id])).due == (job.id,)
        assert await read(harness.backend, job.id) == before

    @pytest.mark.parametrize("gate", ["g", "lane:x", f"{UNIQUE_GATE}key", SUSPECT_GATE])
    async def test_at_a_gate(self, harness: Harness, gate: str) -> None:
        """A job at a gate is left there with its moment, due or not."""
        jobs = [
            await add(harness.backend, gate=gate, delay=delay, unique=keyed() if gate.startswith(UNIQUE_GATE) else None)
            for delay in (0, 60 * SECOND)
        ]
        before = [await read(harness.backend, job.id) for job in jobs]
        harness.clock.move(1)
        answer = await harness.backend.admin.expedite(ids(jobs))
        assert answer == ExpediteAnswer(now=harness.clock.now(), gated=tuple(ids(jobs)))
        assert [await read(harness.backend, job.id) for job in jobs] == before

    async def test_a_running_job_is_left(self, harness: Harness) -> None:
        """A job that runs is left as it is, and what it is settled to stands."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        before = await read(harness.backend, claimed.id)
        harness.clock.move(1)
        answer = await harness.backend.admin.expedite([claimed.id])
        assert answer == ExpediteAnswer(now=harness.clock.now(), running=(claimed.id,))
        assert await read(harness.backend, claimed.id) == before
        await settle(harness.backend, claimed, JobState.PENDING, ending=Ending.SNOOZED, delay=60 * SECOND)
        assert (await read(harness.backend, claimed.id)).due_at == harness.clock.now() + 60 * SECOND

    @pytest.mark.parametrize("state", FINAL)
    async def test_an_ended_job_is_left(self, harness: Harness, state: JobState) -> None:
        """A job that has ended is left as it is."""
        await publish(harness.backend)
        job_id = await ended(harness.backend, state)
        before = await read(harness.backend, job_id)
        harness.clock.move(1)
        answer = await harness.backend.admin.expedite([job_id])
        assert answer == ExpediteAnswer(now=harness.clock.now(), ended=(job_id,))
        assert await read(harness.backend, job_id) == before

    async def test_each_id_is_answered_once(self, harness: Harness) -> None:
        """Each id is answered once, under what was found, however often it was named, in the order given."""
        await publish(harness.backend)
        running = (await add_claimed(harness.backend)).id
        letter = (await dead(harness.backend)).id
        due, gated = (await add(harness.backend)).id, (await add(harness.backend, gate="g")).id
        first, second = [(await add(harness.backend, delay=SECOND)).id for _ in range(2)]
        asked = [second, "nobody", running, letter, gated, due, first]
        answer = await harness.backend.admin.expedite([*asked, *reversed(asked), "ünï 🙂"])
        assert answer == ExpediteAnswer(
            now=harness.clock.now(),
            expedited=(second, first),
            due=(due,),
            gated=(gated,),
            running=(running,),
            ended=(letter,),
            missing=("nobody", "ünï 🙂"),
        )
        assert (await harness.backend.admin.expedite([first, second])).due == (first, second)

    async def test_nothing(self, harness: Harness) -> None:
        """No ids, no answers."""
        assert await harness.backend.admin.expedite([]) == ExpediteAnswer(now=harness.clock.now())

    async def test_many(self, harness: Harness) -> None:
        """Thousands of jobs are brought forward in one step, and only those."""
        await publish(harness.backend)
        jobs = [new(delay=60 * SECOND) for _ in range(3_000)]
        await harness.backend.jobs.enqueue([jobs])
        answer = await harness.backend.admin.expedite(ids(jobs[1:]))
        assert [*answer.expedited] == ids(jobs[1:])
        assert ids(await claim(harness.backend, limit=5_000)) == ids(jobs[1:])
        assert (await harness.backend.jobs.claim(ask())).wait == 60 * SECOND

    async def test_where_they_are_claimed(self, harness: Harness) -> None:
        """They come after all of their priority that were due before, among themselves by id, and by their priority."""
        await publish(harness.backend)
        late, later = new(delay=50 * SECOND), new(delay=40 * SECOND)
        urgent = new(delay=90 * SECOND, priority=0)
        due = new(delay=SECOND)
        await add_each(harness.backend, [late, later, urgent, due])
        harness.clock.move(2)
        await harness.backend.admin.expedite([later.id, urgent.id, late.id])
        harness.clock.move(1)
        last = await add(harness.backend)
        assert ids(await claim(harness.backend)) == [urgent.id, due.id, late.id, later.id, last.id]

    async def test_who_comes_next_is_told_anew(self, harness: Harness) -> None:
        """Once a job is brought forward nobody waits for the moment that it had, and those due later stay in their order."""
        await publish(harness.backend)
        first, second, third = [await add(harness.backend, delay=delay * SECOND) for delay in (10, 20, 30)]
        assert (await harness.backend.jobs.claim(ask())).wait == 10 * SECOND
        await harness.backend.admin.expedite([second.id])
        batch = await harness.backend.jobs.claim(ask())
        assert (ids(batch.claims), batch.wait) == ([second.id], 10 * SECOND)
        await harness.backend.admin.expedite([first.id])
        batch = await harness.backend.jobs.claim(ask())
        assert (ids(batch.claims), batch.wait) == ([first.id], 30 * SECOND)
        harness.clock.move(30)
        assert ids(await claim(harness.backend)) == [third.id]

    async def test_what_is_shown(self, harness: Harness) -> None:
        """It is counted with those that wait, since it was brought forward."""
        await add(harness.backend, delay=60 * SECOND)
        job = await add(harness.backend, delay=60 * SECOND)
        harness.clock.move(1)
        await harness.backend.admin.expedite([job.id])
        assert await harness.backend.reader.count(JobFilter()) == {Shown.WAITING: 1, Shown.SCHEDULED: 1}
        (queue,) = (await harness.backend.reader.backlog()).queues
        assert queue == QueueBacklog(queue="default", waiting=1, oldest=harness.clock.now(), scheduled=1)

    async def test_nobody_is_born_ahead_of_it(self, harness: Harness) -> None:
        """A job of its queue is not born running while it waits."""
        await publish(harness.backend)
        job = await add(harness.backend, delay=60 * SECOND)
        await harness.backend.admin.expedite([job.id])
        child = new()
        answer = await harness.backend.jobs.enqueue([[child]], Birth("node", {child.id: 7}))
        assert answer.groups == (GroupAnswer(),)
        assert ids(await claim(harness.backend)) == [job.id, child.id]

    async def test_its_lanes_are_asked(self, harness: Harness) -> None:
        """Whatever else holds a due job back holds it back too: it takes no slot that its lane does not have."""
        await publish(harness.backend)
        await harness.backend.limits.override("l", Limit(slots=1), by=None, reason=None)
        running = await add_claimed(harness.backend, lanes=("l",))
        job = await add(harness.backend, lanes=("l",), delay=60 * SECOND)
        await harness.backend.admin.expedite([job.id])
        assert await claim(harness.backend) == ()
        assert (await harness.backend.admin.expedite([job.id])).gated == (job.id,)
        await settle(harness.backend, running)
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_it_keeps_its_key(self, harness: Harness) -> None:
        """It holds its unique key as before."""
        job = await add(harness.backend, unique=keyed(), delay=60 * SECOND)
        await harness.backend.admin.expedite([job.id])
        rival = new(unique=keyed())
        assert await put(harness.backend, rival) == GroupAnswer(holders={rival.id: job.id})

    async def test_it_expires_when_it_was_to(self, harness: Harness) -> None:
        """Its expiry stays: brought forward and not claimed, it is recovered at that moment."""
        await publish(harness.backend)
        job = await add(harness.backend, delay=60 * SECOND, expires_in=10 * SECOND)
        await harness.backend.admin.expedite([job.id])
        harness.clock.move(9.999999)
        assert (await recover(harness.backend)).jobs == ()
        harness.clock.move(0.000001)
        (recovered,) = (await recover(harness.backend)).jobs
        assert recovered.claim.id == job.id

    async def test_it_can_be_cancelled(self, harness: Harness) -> None:
        """It leaves the line like any other, from where it stands now."""
        await publish(harness.backend)
        jobs = [await add(harness.backend, delay=60 * SECOND) for _ in range(2)]
        await harness.backend.admin.expedite(ids(jobs))
        assert (await harness.backend.admin.cancel([jobs[0].id])).cancelled == (jobs[0].id,)
        assert ids(await claim(harness.backend)) == [jobs[1].id]
        harness.clock.move(60)
        assert await claim(harness.backend) == ()

    async def test_events(self, harness: Harness) -> None:
        """Events are stored if any job was expedited, and not otherwise; nothing else is told."""
        await publish(harness.backend)
        due, later = (await add(harness.backend)).id, (await add(harness.backend, delay=SECOND)).id
        await subscribe(harness.backend)
        await harness.backend.admin.expedite([due, "nobody"], [kept("none")])
        await harness.backend.admin.expedite([], [kept("none")])
        assert await names(harness.backend) == []
        await harness.backend.admin.expedite([due, later], [kept("some"), kept("more")])
        await harness.backend.admin.expedite([due, later], [kept("again")])
        assert await names(harness.backend) == ["some", "more"]
