"""What `backburner.ports.events` promises that stores tell of jobs and nodes: each change once, with its data, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backburner.model.clock import SECOND
from backburner.model.job import CANCELLED, GROUP_CANCELLED, Ending, JobState
from backburner.model.operation import OperationRecord
from backburner.ports.jobs import Birth, Keep, Letter
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    ask,
    claim,
    dead,
    ended,
    keyed,
    new,
    publish,
    put,
    recover,
    settle,
    to_settle,
)
from backburner.testing.contracts.scheduling import change, fire
from backburner.testing.contracts.telling import last, log, names, subscribe, told

if TYPE_CHECKING:
    from backburner.model.job import Claim
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["JobEventContract"]

FAILED: dict[str, Any] = {
    "error": "größe.Error",
    "message": 'line one\nline "two" \u2028 🙂 \\',
    "fingerprint": "f1",
    "traceback": "not told",
}
#: To pending: the ending, what else is settled, the name, what is told beside the node.
TO_PENDING: dict[str, tuple[Ending | None, dict[str, Any], str, dict[str, Any]]] = {
    "failed": (
        Ending.FAILED,
        {**FAILED, "failed": 1, "delay": 1_500_000, "backoff": 7},
        "job.retry",
        {"error": FAILED["error"], "message": FAILED["message"], "fingerprint": "f1", "delay": 1.5},
    ),
    "failed at once": (
        Ending.FAILED,
        {"failed": 1, "error": "E", "delay": -5},
        "job.retry",
        {"error": "E", "delay": 0},
    ),
    "snoozed": (
        Ending.SNOOZED,
        {"message": "later", "delay": 60 * SECOND},
        "job.snoozed",
        {"message": "later", "delay": 60},
    ),
    "interrupted": (
        Ending.INTERRUPTED,
        {"interrupted": 1, "message": "shutdown", "error": "Stop", "fingerprint": "f"},
        "job.interrupted",
        {"message": "shutdown", "error": "Stop"},
    ),
    "crashed": (Ending.CRASHED, {"crashed": 1, "message": "killed"}, "job.crashed", {"message": "killed"}),
    "misfit": (
        Ending.MISFIT,
        {"error": "Misfit", "message": "no such argument", "gate": "misfit:note:1"},
        "job.misfit",
        {"error": "Misfit", "message": "no such argument"},
    ),
    "asked no more": (Ending.CANCELLED, {"message": "m"}, "job.interrupted", {"message": "m"}),
    "given back": (None, {"delay": 250_000}, "job.released", {"delay": 0.25}),
    "never begun": (None, {"unstarted": True}, "job.released", {"delay": 0}),
}
#: To an end: the state, what else is settled, the name, what is told beside the node.
TO_AN_END: dict[str, tuple[JobState, dict[str, Any], str, dict[str, Any]]] = {
    "completed": (JobState.COMPLETED, {"result": '{"a":1}'}, "job.completed", {}),
    "cancelled": (
        JobState.CANCELLED,
        {"reason": "größe", "ending": Ending.CANCELLED, "message": "not told"},
        "job.cancelled",
        {"reason": "größe"},
    ),
    "cancelled for nothing": (JobState.CANCELLED, {}, "job.cancelled", {}),
    "expired": (JobState.CANCELLED, {"reason": "expired", "unstarted": True}, "job.cancelled", {"reason": "expired"}),
    "dead": (
        JobState.DEAD,
        {**FAILED, "failed": 1, "ending": Ending.FAILED, "reason": "exhausted"},
        "job.dead",
        {"reason": "exhausted", "error": FAILED["error"], "message": FAILED["message"], "fingerprint": "f1"},
    ),
    "poison": (
        JobState.DEAD,
        {"crashed": 1, "ending": Ending.CRASHED, "reason": "poison"},
        "job.dead",
        {"reason": "poison"},
    ),
}


def _about(attempt: int = 1, **beside: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever is told
    """Return the data of an event about a job as `new` makes them."""
    return {"kind": "note", "queue": "default", "attempt": attempt, **beside}


async def _claimed_again(backend: Backend, attempts: int) -> Claim:
    """Store a job and claim it so many times; return the last claim."""
    claimed = await add_claimed(backend)
    for _ in range(attempts - 1):
        await settle(backend, claimed, JobState.PENDING, ending=Ending.INTERRUPTED, interrupted=1)
        (claimed,) = await claim(backend)
    assert claimed.attempt == attempts
    return claimed


@pytest.mark.anyio
class JobEventContract:
    """Every change of a job is told in its own step, to those who ask: once, with its data, in order."""

    # ---- stored ----------------------------------------------------------------------------------------------------

    async def test_nobody_asks(self, harness: Harness) -> None:
        """Without a subscription to it nothing is stored of any change; asked for is only what a pattern names."""
        second = await harness.second()
        await publish(harness.backend)
        await publish(second, "other")
        await subscribe(harness.backend, "order.*", "job", "jobs.*", name="other")
        await ended(harness.backend, JobState.COMPLETED)
        await dead(harness.backend)
        assert await log(harness.backend) == []
        await subscribe(harness.backend, "job.dead", "job.completed")
        await ended(harness.backend, JobState.COMPLETED)
        await dead(harness.backend)
        await ended(second, JobState.CANCELLED, "other")
        assert await names(harness.backend) == ["job.completed", "job.dead"]

    @pytest.mark.parametrize("pattern", ["job.enqueued", "job.*", "*"])
    async def test_enqueued(self, harness: Harness, pattern: str) -> None:
        """A stored job is told of, at the store's now, whatever it is and wherever it stands."""
        await subscribe(harness.backend, pattern)
        now = harness.clock.now()
        job = await add(harness.backend, kind="größe 🙂", queue="qüeue", priority=1, tags=("a",), args='{"a":1}')
        await add(harness.backend, delay=SECOND, gate="g", unique=keyed(), parent="p", lanes=("l",), expires_in=1)
        (record, other) = await log(harness.backend)
        assert (record.name, record.subject, record.time, record.id) == ("job.enqueued", job.id, now, None)
        assert await told(harness.backend, job.id) == [
            ("job.enqueued", {"kind": "größe 🙂", "queue": "qüeue", "attempt": 0})
        ]
        assert await told(harness.backend, other.subject) == [("job.enqueued", _about(0))]

    async def test_not_stored(self, harness: Harness) -> None:
        """Nothing is told of jobs stored before, of those whose key is held, and of groups that are refused."""
        held = await add(harness.backend, unique=keyed())
        await subscribe(harness.backend)
        job, twin = new(), new(unique=keyed())
        await harness.backend.jobs.enqueue([[job, held], [job], [twin], [new(), new(kind="a\0")]])
        assert [(one.name, one.subject) for one in await log(harness.backend)] == [("job.enqueued", job.id)]

    async def test_born(self, harness: Harness) -> None:
        """A birth is told as stored and claimed, once, however often the write is repeated."""
        await publish(harness.backend)
        await subscribe(harness.backend)
        job, waiting = new(), new(queue="other", gate="g")
        birth = Birth("node", {job.id: 7, waiting.id: 7})
        for _ in range(2):
            (group, _) = (await harness.backend.jobs.enqueue([[job], [waiting]], birth)).groups
            assert group.born == (job.id,)
        expected = [("job.enqueued", _about(0)), ("job.claimed", _about(1, node="node"))]
        assert await told(harness.backend, job.id) == expected
        assert await told(harness.backend, waiting.id) == [("job.enqueued", _about(0) | {"queue": "other"})]

    async def test_stored_anew(self, harness: Harness) -> None:
        """A child that its group had cancelled is told as stored when it is stored anew, and not when it is asked no more."""
        await publish(harness.backend)
        running = await add_claimed(harness.backend, parent="p")
        child = await add(harness.backend, parent="p", kind="old")
        await harness.backend.admin.cancel([child.id, running.id], GROUP_CANCELLED)
        await subscribe(harness.backend)
        again = new(id=child.id, parent="p", kind="new")
        for _ in range(2):
            await harness.backend.jobs.enqueue([[again, new(id=running.id, parent="p")]])
        assert await told(harness.backend) == [("job.enqueued", _about(0) | {"kind": "new"})]

    async def test_by_a_schedule(self, harness: Harness) -> None:
        """A job that is stored for a tick is told of; one that is stored before, held up or outrun is not."""
        job = await add(harness.backend, unique=keyed())
        await subscribe(harness.backend)
        fired = new()
        await change(harness.backend, fire(fired), fire(job, None), fire(new(unique=keyed()), None))
        assert [(one.name, one.subject) for one in await log(harness.backend)] == [("job.enqueued", fired.id)]

    # ---- claimed ---------------------------------------------------------------------------------------------------

    async def test_claimed(self, harness: Harness) -> None:
        """Each claim is told with its node and the number of the run; what a claim parks or lets in tells nothing."""
        node = await publish(harness.backend, "nöde")
        await add(harness.backend, kind="unknown")
        job = await add(harness.backend)
        await subscribe(harness.backend)
        (claimed,) = await claim(harness.backend, node)
        await settle(harness.backend, claimed, JobState.PENDING, node=node)
        await claim(harness.backend, node)
        assert [one.subject for one in await log(harness.backend)] == [job.id] * 3
        assert await told(harness.backend) == [
            ("job.claimed", _about(1, node="nöde")),
            ("job.released", _about(1, node="nöde", delay=0)),
            ("job.claimed", _about(2, node="nöde")),
        ]

    async def test_claimed_with_a_settlement(self, harness: Harness) -> None:
        """The claim that rides along comes after the settlements, also of one job, and of its follow-ups."""
        await publish(harness.backend)
        back, done = await add_claimed(harness.backend), await add_claimed(harness.backend)
        follow = new()
        await subscribe(harness.backend)
        settlements = [to_settle(back, JobState.PENDING, unstarted=True), to_settle(done, jobs=(follow,))]
        settled = await harness.backend.jobs.settle("node", settlements, ask())
        assert settled.batch is not None
        assert len(settled.batch.claims) == 2
        assert await told(harness.backend, back.id) == [
            ("job.released", _about(1, node="node", delay=0)),
            ("job.claimed", _about(1, node="node")),
        ]
        assert await told(harness.backend, done.id) == [("job.completed", _about(1, node="node"))]
        assert await told(harness.backend, follow.id) == [
            ("job.enqueued", _about(0)),
            ("job.claimed", _about(1, node="node")),
        ]

    # ---- settled ---------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(("ending", "fields", "name", "beside"), TO_PENDING.values(), ids=TO_PENDING)
    async def test_settled_to_pending(
        self, harness: Harness, ending: Ending | None, fields: dict[str, Any], name: str, beside: dict[str, Any]
    ) -> None:
        """A run that is to run again is told by how it ended; of the run that ended, whatever number the next will have."""
        await publish(harness.backend)
        claimed = await _claimed_again(harness.backend, 3)
        await subscribe(harness.backend)
        now = harness.clock.now()
        await settle(harness.backend, claimed, JobState.PENDING, ending=ending, **fields)
        assert [(one.subject, one.time, one.id) for one in await log(harness.backend)] == [(claimed.id, now, None)]
        assert await told(harness.backend) == [(name, _about(3, node="node", **beside))]

    @pytest.mark.parametrize(("state", "fields", "name", "beside"), TO_AN_END.values(), ids=TO_AN_END)
    async def test_settled_to_an_end(
        self, harness: Harness, state: JobState, fields: dict[str, Any], name: str, beside: dict[str, Any]
    ) -> None:
        """The end of a job is told by its state, with what was settled."""
        await publish(harness.backend)
        claimed = await _claimed_again(harness.backend, 2)
        await subscribe(harness.backend)
        await settle(harness.backend, claimed, state, **fields)
        assert [one.subject for one in await log(harness.backend)] == [claimed.id]
        assert await told(harness.backend) == [(name, _about(2, node="node", **beside))]

    async def test_told_once(self, harness: Harness) -> None:
        """A settlement that was applied before, or is stale, tells nothing; nor do those that leave the job running."""
        await publish(harness.backend)
        first, second, third = [await add_claimed(harness.backend) for _ in range(3)]
        await subscribe(harness.backend)
        settlements = [
            to_settle(first),
            to_settle(first),
            to_settle(second, JobState.PENDING, ending=Ending.FAILED, delay=SECOND),
            msgspec.structs.replace(to_settle(third), token=third.token - 1),
            to_settle(third, JobState.RUNNING, progress=(1, 2), checkpoint="1", lent=True),
            to_settle(msgspec.structs.replace(third, id="nobody")),
        ]
        for _ in range(2):
            await harness.backend.jobs.settle("node", settlements)
        await harness.backend.jobs.settle("other", [to_settle(third)])
        assert await names(harness.backend) == ["job.completed", "job.retry"]

    async def test_asked_to_be_cancelled(self, harness: Harness) -> None:
        """To ask a running job tells nothing; what was to be pending and becomes cancelled is told so, as it was asked for."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        other = await add_claimed(harness.backend)
        await subscribe(harness.backend)
        await harness.backend.admin.cancel([claimed.id, other.id], "önly so")
        assert await log(harness.backend) == []
        fields: dict[str, Any] = {"ending": Ending.FAILED, "failed": 1, **FAILED}
        await settle(harness.backend, claimed, JobState.PENDING, **fields)
        await settle(harness.backend, other, JobState.DEAD, reason="exhausted", ending=Ending.FAILED)
        assert await told(harness.backend, claimed.id) == [("job.cancelled", _about(1, node="node", reason="önly so"))]
        assert await told(harness.backend, other.id) == [("job.dead", _about(1, node="node", reason="exhausted"))]

    async def test_follow_ups(self, harness: Harness) -> None:
        """A follow-up is told as stored, wherever it stands, by the settlement that was applied and by no other."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        known = await add(harness.backend, delay=SECOND)
        await add(harness.backend, unique=keyed(), delay=SECOND)
        await subscribe(harness.backend, "job.enqueued")
        jobs = (new(), new(unique=keyed(), queue="other"), known)
        for _ in range(2):
            await harness.backend.jobs.settle("node", [to_settle(claimed, jobs=jobs)])
        late = msgspec.structs.replace(to_settle(claimed, jobs=(new(),)), token=claimed.token - 1)
        await harness.backend.jobs.settle("node", [late])
        assert [(one.name, one.subject) for one in await log(harness.backend)] == [
            ("job.enqueued", jobs[0].id),
            ("job.enqueued", jobs[1].id),
        ]

    async def test_let_in(self, harness: Harness) -> None:
        """What is let in, since a key came free, is told by nobody, before it is claimed."""
        await publish(harness.backend)
        first = await add_claimed(harness.backend, unique=keyed())
        second = await add_claimed(harness.backend)
        await settle(harness.backend, second, jobs=(waiting := new(unique=keyed()),))
        await subscribe(harness.backend)
        await settle(harness.backend, first)
        await harness.backend.admin.release(10)
        assert await names(harness.backend, subject=waiting.id) == []
        await claim(harness.backend)
        assert await names(harness.backend, subject=waiting.id) == ["job.claimed"]

    # ---- by a person -----------------------------------------------------------------------------------------------

    async def test_cancelled(self, harness: Harness) -> None:
        """A pending job that is cancelled is told of, with the reason and without a node; one that had ended is not."""
        await publish(harness.backend)
        over = await ended(harness.backend, JobState.COMPLETED)
        tried = await _claimed_again(harness.backend, 2)
        await settle(harness.backend, tried, JobState.PENDING)
        job = await add(harness.backend, gate="g")
        await subscribe(harness.backend)
        await harness.backend.admin.cancel([job.id, over, "nobody", job.id])
        await harness.backend.admin.cancel([job.id])
        await harness.backend.admin.cancel([tried.id], "größe")
        assert await told(harness.backend, job.id) == [("job.cancelled", _about(0, reason=CANCELLED))]
        assert await told(harness.backend, tried.id) == [("job.cancelled", _about(2, reason="größe"))]
        assert len(await log(harness.backend)) == 2

    async def test_replayed(self, harness: Harness) -> None:
        """A letter brought back is told of, by the number of its last run; one that is missed or kept is not."""
        await publish(harness.backend)
        letter = await dead(harness.backend)
        kept = await dead(harness.backend, unique=keyed())
        await add(harness.backend, unique=keyed(), delay=SECOND)
        await subscribe(harness.backend)
        letters = [letter, letter, kept, Letter(id="nobody", token=1)]
        for _ in range(2):
            await harness.backend.admin.replay(letters)
        assert [one.subject for one in await log(harness.backend)] == [letter.id]
        assert await told(harness.backend) == [("job.replayed", _about(1))]

    async def test_purged(self, harness: Harness) -> None:
        """A letter that is deleted is told of, with its reason; one that is missed or kept is not."""
        await publish(harness.backend)
        parent = await add(harness.backend, delay=SECOND)
        letter = await dead(harness.backend)
        needed = await dead(harness.backend, parent=parent.id)
        await subscribe(harness.backend)
        for _ in range(2):
            await harness.backend.admin.purge([letter, needed, Letter(id="nobody", token=1)])
        assert [one.subject for one in await log(harness.backend)] == [letter.id]
        assert await told(harness.backend) == [("job.purged", _about(1, reason="purged"))]

    async def test_disposed_of_for_an_operation_that_was_outrun(self, harness: Harness) -> None:
        """Where nothing is done, nothing is told."""
        await publish(harness.backend)
        letter = await dead(harness.backend)
        await subscribe(harness.backend)
        operation = OperationRecord(id="01", action="replay", state="{}")
        assert (await harness.backend.admin.replay([letter], operation)).outrun
        assert (await harness.backend.admin.purge([letter], operation)).outrun
        assert await log(harness.backend) == []

    async def test_pruned(self, harness: Harness) -> None:
        """A dead letter whose time has passed is told of; other jobs go without a word, and so does what is kept."""
        await publish(harness.backend)
        await ended(harness.backend, JobState.COMPLETED)
        await ended(harness.backend, JobState.CANCELLED)
        letters = [await dead(harness.backend) for _ in range(3)]
        child = await dead(harness.backend, parent=letters[0].id)
        harness.clock.move(10)
        await dead(harness.backend)
        await subscribe(harness.backend)
        keep = Keep(completed=0, cancelled=0, dead=10 * SECOND)
        while await harness.backend.admin.prune(keep, 2):
            pass
        found = await log(harness.backend)
        assert sorted(one.subject for one in found) == sorted(letter.id for letter in (*letters, child))
        assert await told(harness.backend) == [("job.purged", _about(1, reason="retention"))] * 4

    async def test_restored(self, harness: Harness) -> None:
        """Jobs that are taken over from another store tell nothing."""
        await publish(harness.backend)
        job = await add(harness.backend, delay=SECOND)
        letter = await dead(harness.backend)
        images = (await harness.backend.reader.export(limit=10)).jobs
        assert {image.record.id for image in images} == {job.id, letter.id}
        await subscribe(harness.backend)
        renamed = [
            msgspec.structs.replace(image, record=msgspec.structs.replace(image.record, id=f"{image.record.id}0"))
            for image in images
        ]
        await harness.backend.admin.restore(renamed)
        assert await log(harness.backend) == []

    # ---- nodes that died ---------------------------------------------------------------------------------------------

    async def test_lost(self, harness: Harness) -> None:
        """The first to take over a dead node's claims tells of it, once, before it settles them under its own name."""
        await publish(harness.backend, "alive")
        await publish(harness.backend, "dead")
        jobs = [await add_claimed(harness.backend, "dead") for _ in range(3)]
        await subscribe(harness.backend)
        assert (await recover(harness.backend, "alive")).jobs == ()
        assert await log(harness.backend) == []
        await harness.die("dead")
        recovered = [*(await recover(harness.backend, "alive", limit=1)).jobs]
        assert [(one.name, one.subject) for one in await log(harness.backend)] == [("node.lost", "dead")]
        second = await harness.second()
        while found := (await recover(second, "alive", limit=1)).jobs:
            recovered += found
        assert len(recovered) == len(jobs)
        assert await told(harness.backend) == [("node.lost", {"host": "host"})]
        fields: dict[str, Any] = {"ending": Ending.CRASHED, "crashed": 1, "message": "died"}
        await settle(harness.backend, recovered[0].claim, JobState.PENDING, node="alive", **fields)
        expected = [("job.crashed", _about(1, node="alive", message="died"))]
        assert await told(harness.backend, recovered[0].claim.id) == expected
        assert len(await log(harness.backend)) == 2

    async def test_lost_that_held_nothing(self, harness: Harness) -> None:
        """A dead node that holds nothing, and one that was withdrawn, go without a word of the store's."""
        await publish(harness.backend, "alive")
        await publish(harness.backend, "idle")
        await publish(harness.backend, "gone")
        claimed = await add_claimed(harness.backend, "gone")
        await subscribe(harness.backend)
        await harness.backend.nodes.withdraw("gone")
        await harness.die("idle")
        (recovered,) = (await recover(harness.backend, "alive")).jobs
        assert recovered.claim.id == claimed.id
        assert await log(harness.backend) == []

    async def test_several_lost(self, harness: Harness) -> None:
        """Each of several is told of."""
        await publish(harness.backend, "alive")
        for node in ("a", "b", "c"):
            await publish(harness.backend, node)
            await add_claimed(harness.backend, node)
        await subscribe(harness.backend, "node.*")
        for node in ("a", "b"):
            await harness.die(node)
        assert len((await recover(harness.backend, "alive")).jobs) == 2
        assert sorted(one.subject for one in await log(harness.backend)) == ["a", "b"]
        await harness.die("c")
        await recover(harness.backend, "alive")
        assert [one.subject for one in await log(harness.backend)][2:] == ["c"]

    async def test_expired(self, harness: Harness) -> None:
        """To hand over an expired job tells nothing; its settlement does, by the node that recovered it."""
        await publish(harness.backend)
        job = await add(harness.backend, expires_in=SECOND)
        await subscribe(harness.backend)
        harness.clock.move(1)
        (recovered,) = (await recover(harness.backend)).jobs
        assert await log(harness.backend) == []
        await settle(harness.backend, recovered.claim, JobState.CANCELLED, reason="expired", unstarted=True)
        assert await told(harness.backend, job.id) == [("job.cancelled", _about(0, node="node", reason="expired"))]

    # ---- a whole life ----------------------------------------------------------------------------------------------

    async def test_a_whole_life(self, harness: Harness) -> None:
        """All that happens to one job stands in the log in its order, whichever connections do it."""
        second = await harness.second()
        await publish(harness.backend)
        await publish(second, "other")
        await subscribe(harness.backend)
        start = await last(harness.backend)
        job = new()
        await put(second, job)
        (claimed,) = await claim(harness.backend)
        await settle(harness.backend, claimed, JobState.PENDING, ending=Ending.FAILED, failed=1)
        (claimed,) = await claim(second, "other")
        failed: dict[str, Any] = {"reason": "exhausted", "ending": Ending.FAILED, "failed": 1}
        await settle(second, claimed, JobState.DEAD, node="other", **failed)
        await harness.backend.admin.replay([Letter(id=job.id, token=claimed.token)])
        (claimed,) = await claim(second, "other")
        await settle(second, claimed, node="other")
        found = await log(second, subject=job.id, after=start)
        assert [one.name for one in found] == [
            *("job.enqueued", "job.claimed", "job.retry", "job.claimed", "job.dead"),
            *("job.replayed", "job.claimed", "job.completed"),
        ]
        assert [data["attempt"] for _, data in await told(second, job.id)] == [0, 1, 1, 2, 2, 2, 3, 3]
