"""What the roles promise of whole jobs: read out of one store, kept by another as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backburner.errors import StoreRefused
from backburner.model.clock import SECOND
from backburner.model.job import CANCELLED, GROUP_CANCELLED, UNIQUE_GATE, Cause, Ending, JobImage, JobRecord, JobState
from backburner.model.query import Condition, JobFilter, Shown
from backburner.ports.jobs import Keep
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    add_each,
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
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["MovingContract"]

NOT_AT_ALL = Keep(completed=0, cancelled=0, dead=0)
FINAL = (JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD)
#: The fake clock's now is above this.
LONG_AGO = 1_000_000 * SECOND


async def _export(backend: Backend, limit: int = 100, where: JobFilter | None = None) -> dict[str, JobImage]:
    """Read every whole job, or those that match, page by page."""
    found: dict[str, JobImage] = {}
    after = None
    while True:
        page = await backend.reader.export(limit=limit, after=after, where=where)
        assert len(page.jobs) <= limit
        found |= {image.record.id: image for image in page.jobs}
        if page.after is None:
            return found
        after = page.after


def _image(**fields: Any) -> JobImage:  # noqa: ANN401 - any field of an image or its record
    """Make the image of a job that waits, unless fields say otherwise."""
    given: dict[str, Any] = {
        **msgspec.structs.asdict(
            JobRecord(
                id=new().id,
                kind="note",
                queue="default",
                state=JobState.PENDING,
                gate="",
                priority=5,
                args='{"to":"ada"}',
                result=None,
                reason=None,
                tags=(),
                attempt=0,
                failures=0,
                crashes=0,
                interruptions=0,
                token=0,
                node=None,
                cancel=False,
                timeout=None,
                retry=None,
                backoff=None,
                created_at=LONG_AGO,
                due_at=LONG_AGO,
                expires_at=None,
                started_at=None,
                ended_at=None,
                error="",
                message="",
                fingerprint="",
            )
        )
    }
    own = {name: fields.pop(name) for name in ("unique_states", "unique_until", "asked", "history") if name in fields}
    return JobImage(record=JobRecord(**given | fields), **own)


async def _restore(backend: Backend, *images: JobImage) -> None:
    """Restore jobs, all of which must be stored."""
    restored = await backend.admin.restore(images)
    assert (restored.known, restored.holders) == ((), {})


async def _gone(harness: Harness, images: Sequence[JobImage]) -> None:
    """Make room for jobs of the same ids: end and delete all there is."""
    backend = harness.backend
    await backend.admin.cancel([image.record.id for image in images])
    while await backend.admin.prune(NOT_AT_ALL, 100):
        pass
    assert (await backend.reader.find(JobFilter(), limit=1)).jobs == ()


async def _fail(backend: Backend, job_id: str, queue: str, **fields: Any) -> None:  # noqa: ANN401 - of a settlement
    """Claim the one job of a queue and have it retried."""
    (claimed,) = await claim(backend, queues=(queue,))
    assert claimed.id == job_id
    told: dict[str, Any] = {
        "failed": 1,
        "backoff": 7 * SECOND,
        "ending": Ending.FAILED,
        "error": "ValueError",
        "message": "no \N{SNOWMAN}",
        "traceback": "Traceback\n  line 1",
        "fingerprint": "f" * 12,
    }
    await settle(backend, claimed, JobState.PENDING, **told | fields)


@pytest.mark.anyio
class MovingContract:
    """`JobReader.export` and `JobAdmin.restore`."""

    async def test_nothing_to_export(self, harness: Harness) -> None:
        """An empty store exports one empty page, with its now."""
        page = await harness.backend.reader.export(limit=10)
        assert (page.jobs, page.after, page.now) == ((), None, harness.clock.now())

    async def test_pages(self, harness: Harness) -> None:
        """Every job is exported once, whatever its state, smallest id first, in pages of at most the limit."""
        await publish(harness.backend)
        running = await add_claimed(harness.backend)
        others = [await ended(harness.backend, state) for state in FINAL]
        waiting = [await add(harness.backend, delay=SECOND) for _ in range(3)]
        expected = sorted([running.id, *others, *ids(waiting)])
        for limit in (1, 2, 7, 100):
            assert list(await _export(harness.backend, limit)) == expected
        page = await harness.backend.reader.export(limit=len(expected))
        assert page.after is None
        assert (await harness.backend.reader.export(limit=10, after=expected[-1])).jobs == ()

    async def test_those_that_match(self, harness: Harness) -> None:
        """With a filter those that match are exported, whole, smallest id first, and no others."""
        await publish(harness.backend)
        full: dict[str, Any] = {"queue": "q", "kind": "other", "unique": keyed(period=60 * SECOND), "tags": ("a",)}
        mail = [(await add(harness.backend, queue="q", args='{"to":"ada"}')).id for _ in range(3)]
        other = await add(harness.backend, delay=SECOND, **full)
        gone = await ended(harness.backend, JobState.DEAD)
        everything = await _export(harness.backend)
        filters: list[tuple[JobFilter, list[str]]] = [
            (JobFilter(), [*mail, other.id, gone]),
            (JobFilter(queues=("q",)), [*mail, other.id]),
            (JobFilter(states=(Shown.DEAD, Shown.SCHEDULED)), [other.id, gone]),
            (JobFilter(where=(Condition(("to",), "=", "ada"),)), mail),
            (JobFilter(kinds=("other",), tags=("a",)), [other.id]),
            (JobFilter(ended_before=harness.clock.now() + 1), [gone]),
            (JobFilter(prefix=mail[1]), [mail[1]]),
            (JobFilter(error="\0"), []),
        ]
        for where, expected in filters:
            for limit in (1, 2, 100):
                found = await _export(harness.backend, limit, where)
                assert found == {job_id: everything[job_id] for job_id in expected}, where
                assert list(found) == expected

    async def test_stable_while_others_insert(self, harness: Harness) -> None:
        """A job stored between two pages is exported if its id is above the last, and moves no other."""
        jobs = [new() for _ in range(5)]
        await add_each(harness.backend, (jobs[position] for position in (1, 3)))
        page = await harness.backend.reader.export(limit=1)
        await add_each(harness.backend, (jobs[position] for position in (0, 2, 4)))
        rest = await harness.backend.reader.export(limit=10, after=page.after)
        assert [image.record.id for image in (*page.jobs, *rest.jobs)] == [job.id for job in jobs[1:]]

    async def test_an_image_has_everything(self, harness: Harness) -> None:
        """The record is the one that is read; the history comes with its tracebacks, the key with its terms."""
        await publish(harness.backend)
        states = (JobState.PENDING, JobState.DEAD)
        job = await add(harness.backend, unique=keyed(states=states, period=60 * SECOND), queue="q")
        now = harness.clock.now()
        await _fail(harness.backend, job.id, "q")
        (image,) = (await _export(harness.backend)).values()
        assert image.record == await read(harness.backend, job.id)
        assert image.history == await harness.backend.reader.history(job.id)
        assert image.history[0].traceback == "Traceback\n  line 1"
        assert (set(image.unique_states), image.unique_until) == (set(states), now + 60 * SECOND)

    async def test_the_terms_of_a_key_nobody_holds(self, harness: Harness) -> None:
        """A job keeps the terms of its key when it holds it no more; one without a key has none."""
        await publish(harness.backend)
        keyed_id = await ended(harness.backend, JobState.COMPLETED, unique=keyed(states=(JobState.PENDING,)))
        plain = await add(harness.backend)
        images = await _export(harness.backend)
        assert (images[keyed_id].unique_states, images[keyed_id].unique_until) == ((JobState.PENDING,), None)
        assert (images[plain.id].unique_states, images[plain.id].unique_until) == ((), None)

    async def test_why_a_running_one_is_asked_to_end(self, harness: Harness) -> None:
        """Of a running job the image says for which reason it was asked to be cancelled."""
        await publish(harness.backend)
        jobs = [await add(harness.backend) for _ in range(3)]
        await claim(harness.backend)
        await harness.backend.admin.cancel([jobs[0].id])
        await harness.backend.admin.cancel([jobs[1].id], GROUP_CANCELLED)
        images = await _export(harness.backend)
        assert [images[job.id].asked for job in jobs] == [CANCELLED, GROUP_CANCELLED, None]

    async def test_there_and_back(self, harness: Harness) -> None:
        """What is restored is exported again as it was: records, histories, terms of keys."""
        await publish(harness.backend)
        full: dict[str, Any] = {
            "tags": ("a", "b"),
            "headers": '{"trace":"1"}',
            "timeout": 5 * SECOND,
            "retry": '{"attempts":3}',
            "priority": 2,
            "expires_in": 3600 * SECOND,
            "args": '{"name":"Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}"}',
        }
        retried = await add(harness.backend, queue="q", unique=keyed(period=60 * SECOND), **full)
        await _fail(harness.backend, retried.id, "q", progress=(1, 3), checkpoint='{"at":1}', delay=60 * SECOND)
        for state, more in zip(
            FINAL, ({"result": '{"sum":3}'}, {"reason": "own words"}, {"reason": "exhausted"}), strict=True
        ):
            claimed = await add_claimed(harness.backend, unique=keyed(f"key {state}", FINAL), **full)
            await settle(harness.backend, claimed, state, ending=None if state is FINAL[0] else Ending.REJECTED, **more)
        await add(harness.backend, gate="suspect", delay=9 * SECOND)
        await add(harness.backend, parent=retried.id)
        before = await _export(harness.backend)
        await _gone(harness, tuple(before.values()))
        harness.clock.move(1)
        await _restore(harness.backend, *before.values())
        assert await _export(harness.backend) == before
        assert await harness.backend.reader.history(retried.id) == before[retried.id].history

    async def test_known(self, harness: Harness) -> None:
        """A job stored before is left as it is, and answered; so a repeated write changes nothing."""
        fresh, other = _image(), _image()
        await _restore(harness.backend, fresh)
        await harness.backend.admin.cancel([fresh.record.id])
        before = await read(harness.backend, fresh.record.id)
        again = await harness.backend.admin.restore([fresh, other])
        assert (again.known, again.holders, again.now) == ((fresh.record.id,), {}, harness.clock.now())
        assert await read(harness.backend, fresh.record.id) == before
        repeated = await harness.backend.admin.restore([fresh, other])
        assert set(repeated.known) == {fresh.record.id, other.record.id}

    async def test_one_id_twice(self, harness: Harness) -> None:
        """Of two of one id the first is stored; the second is known."""
        first = _image(queue="first")
        second = JobImage(record=msgspec.structs.replace(first.record, queue="second"))
        restored = await harness.backend.admin.restore([first, second])
        assert restored.known == (first.record.id,)
        assert await read(harness.backend, first.record.id) == first.record

    async def test_its_history_is_not_written_twice(self, harness: Harness) -> None:
        """A known job's history stays as it is."""
        await publish(harness.backend)
        job = await add(harness.backend, queue="q")
        await _fail(harness.backend, job.id, "q")
        image = (await _export(harness.backend))[job.id]
        await harness.backend.admin.restore([image])
        assert await harness.backend.reader.history(job.id) == image.history

    async def test_nothing_to_restore(self, harness: Harness) -> None:
        """Nothing given, nothing stored."""
        await _restore(harness.backend)
        assert await _export(harness.backend) == {}

    async def test_running_is_refused(self, harness: Harness) -> None:
        """No running job is taken over: it is named, and nothing is stored."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        image = (await _export(harness.backend))[claimed.id]
        moved = JobImage(record=msgspec.structs.replace(image.record, id=new().id))
        with pytest.raises(StoreRefused) as refused:
            await harness.backend.admin.restore([_image(), moved])
        assert (refused.value.job_id, refused.value.stored) == (moved.record.id, "no")
        assert list(await _export(harness.backend)) == [claimed.id]

    @pytest.mark.parametrize(
        "flaw",
        [
            {"args": '{"a":"\ud800"}'},
            {"kind": "a\0b"},
            {"checkpoint": "\ud800"},
            {"due_at": 1 << 63},
            {"token": 1 << 63},
            {"priority": 10},
            {"ended_at": 1},
            {"state": JobState.DEAD},
        ],
        ids=repr,
    )
    async def test_content_is_refused(self, harness: Harness, flaw: dict[str, Any]) -> None:
        """What no store can keep, or fits no state, is refused: the job is named, and nothing is stored."""
        bad = _image(**flaw)
        with pytest.raises(StoreRefused) as refused:
            await harness.backend.admin.restore([_image(), bad])
        assert (refused.value.job_id, refused.value.stored) == (bad.record.id, "no")
        assert await _export(harness.backend) == {}

    async def test_it_runs_in_its_turn(self, harness: Harness) -> None:
        """What waits is claimed by priority, the moment it came with, and id; what is not due yet, then."""
        await publish(harness.backend)
        late, early = _image(due_at=LONG_AGO + 1), _image(due_at=LONG_AGO)
        first = _image(priority=0, due_at=harness.clock.now())
        later = _image(due_at=harness.clock.now() + 10 * SECOND)
        await _restore(harness.backend, late, early, first, later)
        expected = [image.record.id for image in (first, early, late)]
        assert ids(await claim(harness.backend)) == expected
        harness.clock.move(10)
        assert ids(await claim(harness.backend)) == [later.record.id]

    async def test_it_goes_on_counting(self, harness: Harness) -> None:
        """The next claim has the next attempt, a greater token, the counters, the backoff and the checkpoint."""
        await publish(harness.backend)
        image = _image(
            attempt=3, failures=2, crashes=1, interruptions=4, token=77, backoff=5, checkpoint="{}", node="before"
        )
        await _restore(harness.backend, image)
        (claimed,) = await claim(harness.backend)
        assert (claimed.attempt, claimed.failures, claimed.crashes, claimed.interruptions) == (4, 2, 1, 4)
        assert (claimed.backoff, claimed.checkpoint, claimed.created_at) == (5, "{}", LONG_AGO)
        assert claimed.token > 77

    async def test_at_a_gate(self, harness: Harness) -> None:
        """What stood at a gate stands there, and is let through as ever."""
        await publish(harness.backend)
        unknown, suspect = _image(gate="unknown:note"), _image(gate="suspect")
        await _restore(harness.backend, unknown, suspect)
        assert ids(await claim(harness.backend, kinds=("other",), suspect=False)) == []
        assert {claimed.gate for claimed in await claim(harness.backend)} == {"unknown:note", "suspect"}

    async def test_expired(self, harness: Harness) -> None:
        """What waits and has expired is recovered."""
        await publish(harness.backend)
        image = _image(expires_at=LONG_AGO)
        await _restore(harness.backend, image, _image(expires_at=harness.clock.now() + SECOND))
        (recovered,) = (await recover(harness.backend)).jobs
        assert (recovered.claim.id, recovered.cause) == (image.record.id, Cause.EXPIRED)

    @pytest.mark.parametrize("state", FINAL)
    async def test_retention_counts_from_its_end(self, harness: Harness, state: JobState) -> None:
        """What ended is pruned once the time since its own end has passed, with its history."""
        now = harness.clock.now()
        old, fresh = (_image(state=state, ended_at=at, started_at=at) for at in (LONG_AGO, now))
        await _restore(harness.backend, old, fresh)
        keep = Keep(completed=60 * SECOND, cancelled=60 * SECOND, dead=60 * SECOND)
        assert await harness.backend.admin.prune(keep, 10) == 1
        assert list(await _export(harness.backend)) == [fresh.record.id]

    @pytest.mark.parametrize("state", [JobState.PENDING, JobState.DEAD])
    async def test_a_key_held_by_state(self, harness: Harness, state: JobState) -> None:
        """A restored job holds its key by its state, as long as that is one of those it came with."""
        image = _image(state=state, unique="key", unique_states=(state,), **_ended(state))
        await _restore(harness.backend, image)
        job = new(unique=keyed())
        assert (await put(harness.backend, job)).holders == {job.id: image.record.id}

    async def test_a_key_held_by_time(self, harness: Harness) -> None:
        """A restored job holds its key until the moment it came with, whatever its state, and no longer."""
        until = harness.clock.now() + 10 * SECOND
        image = _image(unique="key", unique_until=until, state=JobState.COMPLETED, **_ended(JobState.COMPLETED))
        await _restore(harness.backend, image)
        job = new(unique=keyed())
        assert (await put(harness.backend, job)).holders == {job.id: image.record.id}
        harness.clock.move(10)
        assert (await put(harness.backend, job)).holders == {}

    async def test_a_key_not_held(self, harness: Harness) -> None:
        """A job that holds its key no more is stored beside one that does, and does not hold it."""
        holder = await add(harness.backend, unique=keyed())
        past = harness.clock.now()
        by_state = _image(unique="key", unique_states=(JobState.RUNNING,))
        by_time = _image(unique="key", unique_until=past, state=JobState.DEAD, **_ended(JobState.DEAD))
        await _restore(harness.backend, by_state, by_time)
        await harness.backend.admin.cancel([holder.id])
        assert (await put(harness.backend, new(unique=keyed()))).holders == {}

    async def test_a_key_that_another_holds(self, harness: Harness) -> None:
        """A job that would hold a key which another holds is not stored; the holder is answered, the rest is stored."""
        holder = await add(harness.backend, unique=keyed())
        pending = _image(unique="key", unique_states=(JobState.PENDING,))
        until = harness.clock.now() + SECOND
        kept = _image(unique="key", unique_until=until, state=JobState.COMPLETED, **_ended(JobState.COMPLETED))
        plain = _image()
        restored = await harness.backend.admin.restore([pending, kept, plain])
        assert restored.holders == {pending.record.id: holder.id, kept.record.id: holder.id}
        assert restored.known == ()
        assert list(await _export(harness.backend)) == [holder.id, plain.record.id]
        assert (await harness.backend.admin.restore([pending])).holders == {pending.record.id: holder.id}

    async def test_the_smallest_holder_is_answered(self, harness: Harness) -> None:
        """Where several hold a key, the smallest id is answered."""
        await publish(harness.backend)
        waits = keyed(states=(JobState.PENDING,))
        first = await add_claimed(harness.backend, unique=waits)
        await add(harness.backend, unique=waits)
        await settle(harness.backend, first, JobState.PENDING)
        image = _image(unique="key", unique_states=(JobState.PENDING,))
        assert (await harness.backend.admin.restore([image])).holders == {image.record.id: first.id}

    async def test_two_that_would_hold_one_key(self, harness: Harness) -> None:
        """Of two such jobs of one call the first is stored, and holds the key."""
        first, second = (_image(unique="key", unique_states=(JobState.PENDING,)) for _ in range(2))
        restored = await harness.backend.admin.restore([first, second])
        assert restored.holders == {second.record.id: first.record.id}
        assert list(await _export(harness.backend)) == [first.record.id]

    async def test_a_known_one_is_no_conflict(self, harness: Harness) -> None:
        """An id stored before is known, whoever holds its key."""
        holder = await add(harness.backend, unique=keyed())
        image = _image(id=holder.id, unique="key", unique_states=(JobState.PENDING,))
        restored = await harness.backend.admin.restore([image])
        assert (restored.known, restored.holders) == ((holder.id,), {})

    async def test_at_the_gate_of_its_key(self, harness: Harness) -> None:
        """What stands at its key's gate does not hold it, and is let through when that comes free."""
        await publish(harness.backend)
        holder = await add(harness.backend, unique=keyed(), queue="other")
        waiting = _image(gate=UNIQUE_GATE + "key", unique="key", unique_states=(JobState.PENDING,))
        await _restore(harness.backend, waiting)
        assert await claim(harness.backend) == ()
        await harness.backend.admin.cancel([holder.id])
        assert (await read(harness.backend, waiting.record.id)).gate == ""
        job = new(unique=keyed())
        assert (await put(harness.backend, job)).holders == {job.id: waiting.record.id}

    async def test_at_the_gate_of_a_free_key(self, harness: Harness) -> None:
        """What stands at the gate of a key that nobody holds is released."""
        waiting = _image(gate=UNIQUE_GATE + "key", unique="key", unique_states=(JobState.PENDING,))
        await _restore(harness.backend, waiting)
        assert await harness.backend.admin.release(10) == 1
        assert (await read(harness.backend, waiting.record.id)).gate == ""

    @pytest.mark.parametrize("child_first", [True, False])
    @pytest.mark.parametrize("apart", [True, False])
    async def test_a_child_is_kept_for_its_parent(self, harness: Harness, *, child_first: bool, apart: bool) -> None:
        """An ended child stays as long as its parent, whichever came first; then both go."""
        parent = _image()
        child = _image(parent=parent.record.id, state=JobState.COMPLETED, **_ended(JobState.COMPLETED))
        images = (child, parent) if child_first else (parent, child)
        for part in [[image] for image in images] if apart else [images]:
            await _restore(harness.backend, *part)
        assert await harness.backend.admin.prune(NOT_AT_ALL, 10) == 0
        found = await harness.backend.reader.find(JobFilter(parents=(parent.record.id,)), limit=10)
        assert [job.id for job in found.jobs] == [child.record.id]
        await harness.backend.admin.cancel([parent.record.id])
        while await harness.backend.admin.prune(NOT_AT_ALL, 10):
            pass
        assert await _export(harness.backend) == {}

    async def test_a_child_of_one_that_is_kept_for_its_own_parent(self, harness: Harness) -> None:
        """A child restored after its ended parent, which was looked at and kept for its own parent, is let go by it."""
        eldest = _image()
        parent = _image(parent=eldest.record.id, state=JobState.COMPLETED, **_ended(JobState.COMPLETED))
        await _restore(harness.backend, eldest, parent)
        assert await harness.backend.admin.prune(NOT_AT_ALL, 10) == 0
        child = _image(parent=parent.record.id, state=JobState.COMPLETED, **_ended(JobState.COMPLETED))
        await _restore(harness.backend, child)
        while await harness.backend.admin.prune(NOT_AT_ALL, 10):
            pass
        assert list(await _export(harness.backend)) == [eldest.record.id, parent.record.id]

    async def test_a_child_kept_for_its_parent_moves_as_such(self, harness: Harness) -> None:
        """A child whose own time has passed, and which waits for its parent's, does so where it is restored."""
        await publish(harness.backend)
        parent = await add_claimed(harness.backend)
        child = await ended(harness.backend, JobState.COMPLETED, parent=parent.id)
        assert await harness.backend.admin.prune(NOT_AT_ALL, 10) == 0
        before = (await _export(harness.backend))[child]
        await settle(harness.backend, parent)
        await _gone(harness, [before])
        waiting = _image(id=parent.id)
        await _restore(harness.backend, waiting, before)
        assert await harness.backend.admin.prune(NOT_AT_ALL, 10) == 0
        await harness.backend.admin.cancel([parent.id])
        while await harness.backend.admin.prune(NOT_AT_ALL, 10):
            pass
        assert await _export(harness.backend) == {}

    async def test_a_child_cancelled_by_its_group_is_stored_anew(self, harness: Harness) -> None:
        """A restored child that its own group had cancelled is taken up again by the parent's next run."""
        child = _image(parent="parent", state=JobState.CANCELLED, reason=GROUP_CANCELLED, ended_at=LONG_AGO, token=9)
        await _restore(harness.backend, child)
        assert (await put(harness.backend, new(id=child.record.id, parent="parent"))).duplicates == ()
        record = await read(harness.backend, child.record.id)
        assert (record.state, record.token >= 9) == (JobState.PENDING, True)

    async def test_others_see_it(self, harness: Harness) -> None:
        """What is restored here is seen, and claimed, by another connection."""
        second = await harness.second()
        image = _image()
        await _restore(harness.backend, image)
        assert await read(second, image.record.id) == image.record
        await publish(second, "other")
        assert ids(await claim(second, "other")) == [image.record.id]


def _ended(state: JobState) -> dict[str, int]:
    """Return what an ended job needs beside its state."""
    return {} if state is JobState.PENDING else {"ended_at": LONG_AGO, "started_at": LONG_AGO}
