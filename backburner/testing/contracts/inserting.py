"""What `JobStore.enqueue` promises of groups and jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backburner.model.clock import SECOND
from backburner.model.job import JobRecord, JobState, UniqueKey
from backburner.model.query import JobFilter
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    add_each,
    claim,
    ended,
    ids,
    new,
    publish,
    read,
    settle,
)

if TYPE_CHECKING:
    from backburner.testing.harness import Harness

__all__ = ["InsertingContract"]

MEBIBYTE = 1 << 20

#: What no store can keep: text that is not Unicode, numbers beyond 64 bits.
POISON: list[dict[str, Any]] = [
    {"id": "\ud800"},
    {"kind": "\udfff"},
    {"queue": "\ud800"},
    {"args": '{"name": "\ud83d"}'},
    {"tags": ("good", "\ud800")},
    {"retry": "\ud800"},
    {"headers": "\ud800"},
    {"parent": "\ud800"},
    {"unique": UniqueKey("\ud800", (JobState.PENDING,))},
    {"unique": UniqueKey("key", (JobState.PENDING,), 2**70)},
    {"timeout": 2**70},
    {"delay": 2**70},
    {"at": 2**70},
    {"expires_in": 2**70},
    {"expires_at": 2**70},
]


@pytest.mark.anyio
class InsertingContract:
    """Groups are stored whole or not at all; an id is one job for ever."""

    async def test_a_minimal_job_has_the_defaults(self, harness: Harness) -> None:
        """A job stored with nothing but what it must have is pending, due now, with nothing in its history."""
        job = new()
        answer = await harness.backend.jobs.enqueue([[job]])
        now = harness.clock.now()
        assert answer.now == now
        assert await read(harness.backend, job.id) == JobRecord(
            id=job.id,
            kind="note",
            queue="default",
            state=JobState.PENDING,
            gate="",
            priority=5,
            args="{}",
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
            created_at=now,
            due_at=now,
            expires_at=None,
            started_at=None,
            ended_at=None,
            error="",
            message="",
            fingerprint="",
            headers=None,
            parent=None,
            unique=None,
            checkpoint=None,
            done=None,
            total=None,
        )
        assert await harness.backend.reader.history(job.id) == ()

    async def test_every_field_comes_back_as_it_went_in(self, harness: Harness) -> None:
        """Every field of a job comes back unchanged: Unicode, microseconds, 64-bit numbers, text of any shape."""
        job = new(
            kind="büro.schicken",
            queue="größe",
            args='{"text":"naïve 🙂 \\u0000 \\" \u2028","big":9007199254740993,"deep":[[{"a":null}]]}',
            priority=0,
            at=harness.clock.now() + 123_456_789,
            expires_at=2**62,
            timeout=2**53 + 1,
            retry='{"attempts":3}',
            tags=("tenant:7", "ünïcode", "with space", 'quote"'),
            gate="lane:tenant:7",
            headers='{"größe":"🙂"}',
            parent="älter",
            unique=UniqueKey("schlüssel 🙂", (JobState.PENDING, JobState.DEAD), 2**53 + 1),
        )
        await add_each(harness.backend, [job])
        record = await read(harness.backend, job.id)
        for field in (
            "kind",
            "queue",
            "args",
            "priority",
            "timeout",
            "retry",
            "tags",
            "gate",
            "expires_at",
            "headers",
            "parent",
        ):
            assert getattr(record, field) == getattr(job, field), field
        assert record.unique == "schlüssel 🙂"
        assert record.due_at == job.at

    async def test_arguments_of_a_mebibyte_come_back(self, harness: Harness) -> None:
        """A mebibyte of non-ASCII arguments comes back unchanged, read and claimed."""
        args = msgspec.json.encode({"text": "é" * (MEBIBYTE // 2)}).decode()
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend, args=args)
        assert claimed.args == args
        assert (await read(harness.backend, claimed.id)).args == args

    async def test_durations_count_from_the_store_s_now(self, harness: Harness) -> None:
        """A delay and an expiry given as durations are added to the store's own now."""
        job = await add(harness.backend, delay=90 * SECOND + 1, expires_in=100 * SECOND + 2)
        record = await read(harness.backend, job.id)
        assert record.due_at == harness.clock.now() + 90 * SECOND + 1
        assert record.expires_at == harness.clock.now() + 100 * SECOND + 2

    async def test_what_lies_in_the_past_is_due_now(self, harness: Harness) -> None:
        """A negative delay and an instant in the past are due now."""
        now = harness.clock.now()
        late = await add(harness.backend, delay=-5 * SECOND)
        past = await add(harness.backend, at=now - 3600 * SECOND)
        assert (await read(harness.backend, late.id)).due_at == now
        assert (await read(harness.backend, past.id)).due_at == now

    @pytest.mark.parametrize("size", [0, 1, 1_000, 10_001])
    async def test_a_group_of_any_size_is_stored_in_order(self, harness: Harness, size: int) -> None:
        """A group of none, one, a thousand or ten thousand jobs is stored whole, and handed out in its order."""
        jobs = [new() for _ in range(size)]
        answer = await harness.backend.jobs.enqueue([jobs])
        assert [(group.duplicates, group.refused) for group in answer.groups] == [((), None)]
        assert sum((await harness.backend.reader.count(JobFilter())).values()) == size
        await publish(harness.backend)
        assert ids(await claim(harness.backend, limit=20)) == ids(jobs[:20])

    async def test_no_groups_are_answered_by_none(self, harness: Harness) -> None:
        """Nothing to store is fine, and answered with the store's now."""
        answer = await harness.backend.jobs.enqueue([])
        assert (answer.now, answer.groups) == (harness.clock.now(), ())

    async def test_each_group_answers_for_itself_in_order(self, harness: Harness) -> None:
        """The answers come one a group, in the order of the groups."""
        known = await add(harness.backend)
        bad = new(args="\ud800")
        answers = (await harness.backend.jobs.enqueue([[new()], [known], [bad], [], [new(), new()]])).groups
        assert [group.duplicates for group in answers] == [(), (known.id,), (), (), ()]
        assert [group.refused is None for group in answers] == [True, True, False, True, True]

    @pytest.mark.parametrize("poison", POISON, ids=repr)
    async def test_a_poisoned_group_stands_alone(self, harness: Harness, poison: dict[str, Any]) -> None:
        """A group refused for its content stores nothing of itself, says why, and harms no other group."""
        before, inside, after = [new(), new()], [new(), new(**poison), new()], [new()]
        answers = (await harness.backend.jobs.enqueue([before, inside, after])).groups
        assert [group.refused is None for group in answers] == [True, False, True]
        assert answers[1].refused
        page = await harness.backend.reader.find(JobFilter(), limit=10)
        assert sorted(ids(page.jobs)) == sorted(ids([*before, *after]))

    async def test_poison_after_poison(self, harness: Harness) -> None:
        """Several poisoned groups of one write are each refused, and those between them stored."""
        good = [new() for _ in range(4)]
        groups = [[job] for job in good]
        groups[1:1] = [[new(args="\ud800")]]
        groups[4:4] = [[new(timeout=2**70)], [new(kind="\udc00")]]
        answers = (await harness.backend.jobs.enqueue(groups)).groups
        assert [group.refused is not None for group in answers] == [False, True, False, False, True, True, False]
        page = await harness.backend.reader.find(JobFilter(), limit=10)
        assert sorted(ids(page.jobs)) == ids(good)

    async def test_the_store_works_on_after_poison(self, harness: Harness) -> None:
        """After a refusal the next write is taken as if nothing had been."""
        await add(harness.backend, args="\ud800")
        job = await add(harness.backend)
        assert (await read(harness.backend, job.id)).state is JobState.PENDING

    async def test_a_repeated_write_changes_nothing(self, harness: Harness) -> None:
        """A write repeated word for word is answered as duplicates, and the jobs stay as they are."""
        jobs = [new(delay=5 * SECOND), new()]
        await harness.backend.jobs.enqueue([jobs])
        before = [await read(harness.backend, job.id) for job in jobs]
        harness.clock.move(60)
        answer = await harness.backend.jobs.enqueue([jobs])
        assert sorted(answer.groups[0].duplicates) == ids(jobs)
        assert [await read(harness.backend, job.id) for job in jobs] == before

    async def test_an_id_is_the_same_job_in_whatever_state(self, harness: Harness) -> None:
        """A job id stored before is a duplicate whether it is pending, running or ended, and is left as it is."""
        await publish(harness.backend)
        known = [
            await ended(harness.backend, JobState.COMPLETED),
            await ended(harness.backend, JobState.CANCELLED),
            await ended(harness.backend, JobState.DEAD),
            (await add_claimed(harness.backend)).id,
            (await add(harness.backend)).id,
        ]
        before = [await read(harness.backend, job_id) for job_id in known]
        answers = await add_each(harness.backend, [new(id=job_id, args='{"other":1}', priority=1) for job_id in known])
        assert [group.duplicates for group in answers] == [(job_id,) for job_id in known]
        assert [await read(harness.backend, job_id) for job_id in known] == before

    async def test_a_group_with_a_duplicate_is_stored_all_the_same(self, harness: Harness) -> None:
        """A duplicate does not keep the rest of its group from being stored."""
        known = await add(harness.backend)
        fresh = [new(), new()]
        answer = await harness.backend.jobs.enqueue([[fresh[0], known, fresh[1]]])
        assert answer.groups[0].duplicates == (known.id,)
        assert len((await harness.backend.reader.get(ids(fresh))).jobs) == len(fresh)

    async def test_one_id_twice_in_one_write_is_one_job(self, harness: Harness) -> None:
        """The same id twice in one write is stored once, and the second is the duplicate."""
        job = new(args='{"first":true}')
        again = new(id=job.id)
        answer = await harness.backend.jobs.enqueue([[job], [again]])
        assert [group.duplicates for group in answer.groups] == [(), (job.id,)]
        assert (await read(harness.backend, job.id)).args == job.args

    async def test_a_duplicate_of_a_refused_job_is_stored(self, harness: Harness) -> None:
        """What was refused was never stored: the same id, mended, is a new job."""
        job = new(args="\ud800")
        await add_each(harness.backend, [job])
        (answer,) = await add_each(harness.backend, [new(id=job.id)])
        assert answer.duplicates == ()
        assert (await read(harness.backend, job.id)).args == "{}"

    async def test_a_settled_job_s_id_does_not_run_again(self, harness: Harness) -> None:
        """Storing a completed job's id again hands nothing out."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        await settle(harness.backend, claimed)
        await add_each(harness.backend, [new(id=claimed.id)])
        assert await claim(harness.backend) == ()
