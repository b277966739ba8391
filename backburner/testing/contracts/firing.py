"""What `ScheduleStore.change` promises of the jobs it stores."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backburner.model.clock import SECOND
from backburner.model.job import JobState, UniqueKey
from backburner.model.lane import LANE_GATE
from backburner.model.query import JobFilter
from backburner.model.schedule import UNIQUE, Outcome, ScheduleChange
from backburner.ports.schedules import ChangeAnswer
from backburner.testing.contracts.limiting import GATE, add_in, declare, fill, places
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    ask,
    claim,
    ended,
    held,
    ids,
    keyed,
    new,
    publish,
    put,
    read,
    settle,
)
from backburner.testing.contracts.scheduling import change, fire, known, ledger, plan, schedule, skip, stored, tick

if TYPE_CHECKING:
    from backburner.model.job import NewJob
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["FiringContract"]

DONE = ChangeAnswer()
#: Seconds after which a change that waits for somebody's transaction is waiting for its end.
PATIENCE = 0.5

#: What no store can keep of a job.
POISON: list[dict[str, Any]] = [
    {"id": "\ud800"},
    {"kind": "\udfff"},
    {"queue": "\ud800"},
    {"args": '{"name": "\ud83d"}'},
    {"tags": ("good", "\ud800")},
    {"headers": "\ud800"},
    {"parent": "\ud800"},
    {"unique": UniqueKey("\ud800", (JobState.PENDING,))},
    {"unique": UniqueKey("key", (JobState.PENDING,), 2**70)},
    {"timeout": 2**70},
    {"delay": 2**70},
    {"at": 2**70},
]


class _ChangedMind(Exception):
    """The caller's own reason to roll back."""


async def _crowd(harness: Harness, *lanes: str) -> None:
    """Let one job run in each of these lanes, of one slot, and one stand there."""
    await publish(harness.backend)
    for name in lanes:
        await declare(harness.backend, name, slots=1)
        await fill(harness.backend, 1, name)
        await add_in(harness.backend, 1, name)
    assert await claim(harness.backend) == ()


async def _insist(backend: Backend, each: ScheduleChange) -> ChangeAnswer:
    """Make a change, again as long as a key is busy."""
    while (answer := (await change(backend, each))[0]).busy:
        pass
    return answer


async def _stored(backend: Backend, *jobs: NewJob) -> list[str]:
    """Return which of these jobs are stored."""
    return sorted(ids((await backend.reader.get(ids(jobs))).jobs))


@pytest.mark.anyio
class FiringContract:
    """The jobs of a change are stored with it as `enqueue` stores them, and its lines tell what became of them."""

    async def test_stored_with_its_schedule(self, harness: Harness) -> None:
        """A job is stored in the step that writes the schedule and the line of the ledger, and is handed out."""
        await publish(harness.backend)
        job = new()
        fired = fire(job, schedule(next_tick=2_000, due_at=harness.clock.now() + 1))
        assert await change(harness.backend, fired) == (DONE,)
        second = await harness.second()
        for backend in (harness.backend, second):
            record = await stored(backend)
            assert (record.version, record.last_job, record.fired_at, record.last_tick) == (1, job.id, 1_000, 1_000)
            assert await ledger(backend) == [msgspec.structs.replace(fired.ticks[0], at=harness.clock.now())]
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_every_field_of_a_job(self, harness: Harness) -> None:
        """A job of a change is stored with every field as `enqueue` stores the same job."""
        fields: dict[str, Any] = {
            "kind": "büro.schicken",
            "queue": "größe",
            "args": '{"text":"naïve 🙂 \\u0000 \\" \u2028","big":9007199254740993,"deep":[[{"a":null}]]}',
            "priority": 0,
            "expires_at": 2**62,
            "timeout": 2**53 + 1,
            "retry": '{"attempts":3}',
            "tags": ("tenant:7", "ünïcode", "with space", 'quote"'),
            "headers": '{"größe":"🙂"}',
            "parent": "älter",
            "lanes": ("schedule/daily", "t/ü"),
        }
        times: list[dict[str, Any]] = [{}, {"delay": 90 * SECOND + 1}, {"delay": -5}, {"at": 5}, {"gate": "suspect"}]
        times += [{"at": harness.clock.now() + 123_456_789}, {"expires_at": None, "expires_in": 7}]
        jobs = [new(**fields | time) for time in times]
        twins = [msgspec.structs.replace(job, id=new().id) for job in jobs]
        jobs[0] = msgspec.structs.replace(jobs[0], unique=keyed("ü", period=2**53 + 1))
        twins[0] = msgspec.structs.replace(twins[0], unique=keyed("ü 2", period=2**53 + 1))
        fired = ScheduleChange(schedule=schedule(), jobs=tuple(jobs))
        assert await change(harness.backend, fired) == (DONE,)
        await harness.backend.jobs.enqueue([twins])
        for job, twin in zip(jobs, twins, strict=True):
            found, expected = await read(harness.backend, job.id), await read(harness.backend, twin.id)
            unique = None if job.unique is None else job.unique.key
            assert found == msgspec.structs.replace(expected, id=job.id, unique=unique)

    async def test_never_born(self, harness: Harness) -> None:
        """Nobody runs a job of a change before it was claimed: it is pending, and due jobs wake who asks."""
        await publish(harness.backend)
        jobs = [new(), new()]
        await change(harness.backend, ScheduleChange(schedule=schedule(), jobs=tuple(jobs)))
        assert await held(harness.backend) == {}
        records = [await read(harness.backend, job.id) for job in jobs]
        assert [(record.state, record.attempt, record.token) for record in records] == [(JobState.PENDING, 0, 0)] * 2
        assert (await harness.backend.jobs.claim(ask(limit=1))).wait == 0

    async def test_many_jobs_of_one_change(self, harness: Harness) -> None:
        """A change may store hundreds of jobs, each with its line, handed out in their order."""
        await publish(harness.backend)
        jobs = [new() for _ in range(300)]
        lines = tuple(tick(number, job=job.id, outcome=Outcome.BACKFILLED) for number, job in enumerate(jobs))
        assert await change(harness.backend, ScheduleChange(schedule=schedule(), ticks=lines, jobs=tuple(jobs))) == (
            DONE,
        )
        assert [line.job for line in await ledger(harness.backend)] == ids(jobs)
        assert ids(await claim(harness.backend, limit=20)) == ids(jobs[:20])

    async def test_a_claim_knows_of_it(self, harness: Harness) -> None:
        """A job that is due later is waited for by a claim to the microsecond, and handed out then."""
        await publish(harness.backend)
        job = new(delay=5)
        await change(harness.backend, fire(job))
        batch = await harness.backend.jobs.claim(ask())
        assert batch.claims == ()
        assert batch.wait is not None
        assert batch.wait <= 5
        harness.clock.move(0.000005)
        assert ids(await claim(harness.backend)) == [job.id]

    # ---- lanes -----------------------------------------------------------------------------------------------------

    async def test_parked_where_others_stand(self, harness: Harness) -> None:
        """A job due at once is parked where others stand at one of its lanes, the first; else it stands in the line."""
        await _crowd(harness, "x", "b")
        jobs = [
            *(new(lanes=("x",)), new(lanes=("free", "b", "x")), new(lanes=("x",), delay=1), new(lanes=("free",))),
            *(new(), new(lanes=("x",), gate="suspect"), new(lanes=("b",), at=5)),
        ]
        changes = [fire(job, schedule(f"s{number}")) for number, job in enumerate(jobs)]
        assert await change(harness.backend, *changes) == (DONE,) * len(jobs)
        assert await places(harness.backend, jobs) == [GATE, f"{LANE_GATE}b", "", "", "", "suspect", f"{LANE_GATE}b"]

    async def test_one_at_a_time(self, harness: Harness) -> None:
        """Jobs of one lane of one slot run one after the other, in the order in which they were fired."""
        await publish(harness.backend)
        await declare(harness.backend, "schedule", slots=1)
        jobs = [new(lanes=("schedule/daily",)) for _ in range(4)]
        await change(harness.backend, fire(jobs[0]))
        (running,) = await claim(harness.backend)
        for version, job in enumerate(jobs[1:], 1):
            await change(harness.backend, fire(job, schedule(version=version)))
        order: list[str] = []
        while True:
            order.append(running.id)
            await settle(harness.backend, running)
            claims = await claim(harness.backend)
            if not claims:
                break
            (running,) = claims
        assert order == ids(jobs)

    # ---- ids that were stored before -------------------------------------------------------------------------------

    async def test_an_id_stored_before(self, harness: Harness) -> None:
        """A job id stored before, in whatever state, is left as it is, and the change is made all the same."""
        await publish(harness.backend)
        before = [
            await ended(harness.backend, JobState.COMPLETED),
            (await add_claimed(harness.backend)).id,
            (await add(harness.backend, unique=keyed())).id,
        ]
        records = [await read(harness.backend, job_id) for job_id in before]
        fresh = new()
        jobs = [new(id=job_id, args='{"other":1}', unique=keyed()) for job_id in before]
        lines = tuple(tick(job=job.id) for job in (*jobs, fresh))
        fired = ScheduleChange(schedule=schedule(last_job=before[0]), ticks=lines, jobs=(*jobs, fresh))
        assert await change(harness.backend, fired) == (DONE,)
        assert [await read(harness.backend, job_id) for job_id in before] == records
        assert await _stored(harness.backend, fresh) == [fresh.id]
        assert [(line.outcome, line.job) for line in await ledger(harness.backend)] == [
            (Outcome.FIRED, job_id) for job_id in (*before, fresh.id)
        ]
        assert (await stored(harness.backend)).last_job == before[0]

    async def test_one_id_twice(self, harness: Harness) -> None:
        """An id that comes twice in one call is one job, the first."""
        job = new(args='{"first":true}')
        again = new(id=job.id)
        assert await change(harness.backend, fire(job), fire(again, schedule("other"))) == (DONE, DONE)
        assert (await read(harness.backend, job.id)).args == job.args
        assert [line.job for line in await ledger(harness.backend)] == [job.id] * 2

    # ---- unique keys -----------------------------------------------------------------------------------------------

    async def test_a_key_that_is_held(self, harness: Harness) -> None:
        """A job whose key is held is not stored: its line is skipped for that, with the holder, who is ``last_job`` too."""
        holder = await add(harness.backend, unique=keyed())
        before = await read(harness.backend, holder.id)
        harness.clock.move(1)
        job = new(unique=keyed(), args='{"other":1}')
        fired = fire(job, schedule(next_tick=2_000), due_at=1_500, by="ada", note="nöte", outcome=Outcome.TRIGGERED)
        assert await change(harness.backend, fired) == (ChangeAnswer(holders={job.id: holder.id}),)
        assert await _stored(harness.backend, job, holder) == [holder.id]
        assert await read(harness.backend, holder.id) == before
        now = harness.clock.now()
        assert await ledger(harness.backend) == [
            msgspec.structs.replace(fired.ticks[0], outcome=Outcome.SKIPPED, reason=UNIQUE, job=holder.id, at=now)
        ]
        assert await stored(harness.backend) == msgspec.structs.replace(
            fired.schedule, version=1, last_job=holder.id, created_at=now, changed_at=now
        )

    async def test_only_what_names_it(self, harness: Harness) -> None:
        """Each line that names a job which was not stored says so; the others, and a ``last_job`` of others, stay."""
        holder = await add(harness.backend, unique=keyed())
        stands, lost, stands_too = new(), new(unique=keyed()), new(unique=keyed("other"))
        lines = (
            *(tick(1, job=stands.id), tick(2, job=lost.id), skip(3), skip(4, job=lost.id, reason="overlap")),
            *(tick(5, job="elsewhere"), tick(6, job=stands_too.id), tick(7, job=lost.id, outcome=Outcome.BACKFILLED)),
        )
        fired = ScheduleChange(schedule=schedule(last_job=stands_too.id), ticks=lines, jobs=(stands, lost, stands_too))
        assert await change(harness.backend, fired) == (ChangeAnswer(holders={lost.id: holder.id}),)
        assert await _stored(harness.backend, stands, lost, stands_too) == ids([stands, stands_too])
        refused = {"outcome": Outcome.SKIPPED, "reason": UNIQUE, "job": holder.id}
        assert await ledger(harness.backend) == [
            msgspec.structs.replace(line, at=harness.clock.now(), **refused if line.tick in {2, 4, 7} else {})
            for line in lines
        ]
        assert (await stored(harness.backend)).last_job == stands_too.id

    async def test_the_second_of_one_change(self, harness: Harness) -> None:
        """Of several jobs of one key in one change the first is stored, and holds it for those after it."""
        jobs = [new(unique=keyed()) for _ in range(3)]
        lines = tuple(tick(number, job=job.id) for number, job in enumerate(jobs))
        fired = ScheduleChange(schedule=schedule(last_job=jobs[2].id), ticks=lines, jobs=tuple(jobs))
        first = jobs[0].id
        assert await change(harness.backend, fired) == (ChangeAnswer(holders=dict.fromkeys(ids(jobs[1:]), first)),)
        assert await _stored(harness.backend, *jobs) == [first]
        assert [(line.outcome, line.reason, line.job) for line in await ledger(harness.backend)] == [
            (Outcome.FIRED, None, first),
            *[(Outcome.SKIPPED, UNIQUE, first)] * 2,
        ]
        assert (await stored(harness.backend)).last_job == first

    async def test_the_second_of_one_call(self, harness: Harness) -> None:
        """Of several changes in one call whose jobs have one key the first stores its own, which holds it for the others."""
        jobs = [new(unique=keyed()) for _ in range(3)]
        fired = [fire(jobs[0]), fire(jobs[1], schedule("other")), fire(jobs[2], schedule(version=1))]
        answers = await change(harness.backend, *fired)
        assert [answer.holders for answer in answers] == [{}, {jobs[1].id: jobs[0].id}, {jobs[2].id: jobs[0].id}]
        assert await _stored(harness.backend, *jobs) == [jobs[0].id]
        assert (await stored(harness.backend, "other")).last_job == jobs[0].id
        assert [line.outcome for line in await ledger(harness.backend)] == [Outcome.FIRED, *[Outcome.SKIPPED] * 2]

    async def test_an_outrun_or_refused_change_takes_no_key(self, harness: Harness) -> None:
        """What was not done holds nothing: the key goes to the next change of the call that is made."""
        jobs = [new(unique=keyed()) for _ in range(4)]
        answers = await change(
            harness.backend,
            fire(jobs[0], schedule(version=3)),
            ScheduleChange(schedule=schedule("bad"), jobs=(jobs[1], new(args="\0\ud800"))),
            fire(jobs[2], schedule("good")),
            fire(jobs[3], schedule("late")),
        )
        assert [(answer.outrun, bool(answer.refused)) for answer in answers] == [
            *((True, False), (False, True), (False, False), (False, False))
        ]
        assert answers[3].holders == {jobs[3].id: jobs[2].id}
        assert await _stored(harness.backend, *jobs) == [jobs[2].id]

    async def test_a_key_that_came_free(self, harness: Harness) -> None:
        """Once its holder has ended, the next tick stores its job."""
        await publish(harness.backend)
        first, second = new(unique=keyed()), new(unique=keyed())
        await change(harness.backend, fire(first))
        (claimed,) = await claim(harness.backend)
        await settle(harness.backend, claimed)
        assert await change(harness.backend, fire(second, schedule(version=1))) == (DONE,)
        assert ids(await claim(harness.backend)) == [second.id]

    async def test_many_of_one_key_at_once(self, harness: Harness) -> None:
        """Many schedules that fire jobs of one key at once, on two connections, store one, and all others tell of it."""
        backends = [harness.backend, await harness.second()]
        jobs = [new(unique=keyed()) for _ in range(20)]
        changes = [fire(job, schedule(f"s{number:02}")) for number, job in enumerate(jobs)]
        answers = await asyncio.gather(*[_insist(backends[n % 2], each) for n, each in enumerate(changes)])
        (winner,) = (await harness.backend.reader.find(JobFilter(), limit=100)).jobs
        assert [holder for answer in answers for holder in answer.holders.values()] == [winner.id] * 19
        assert {line.job for line in await ledger(harness.backend)} == {winner.id}
        outcomes = [line.outcome for line in await ledger(harness.backend)]
        assert (outcomes.count(Outcome.FIRED), outcomes.count(Outcome.SKIPPED)) == (1, 19)

    # ---- whole or not at all ---------------------------------------------------------------------------------------

    @pytest.mark.parametrize("poison", POISON, ids=repr)
    async def test_a_poisoned_job(self, harness: Harness, poison: dict[str, Any]) -> None:
        """A change of which one job is refused for its content does nothing at all, and harms no other."""
        jobs = [new() for _ in range(4)]
        seen = await plan(harness.backend, "bad")
        bad = ScheduleChange(
            schedule=msgspec.structs.replace(seen, kind="changed"),
            ticks=(tick(schedule="bad", job=jobs[1].id), skip(schedule="bad")),
            jobs=(jobs[1], new(**poison), jobs[2]),
        )
        answers = await change(
            harness.backend, fire(jobs[0], schedule("before")), bad, fire(jobs[3], schedule("after"))
        )
        assert [answer.refused is None for answer in answers] == [True, False, True]
        assert answers[1] == ChangeAnswer(refused=answers[1].refused)
        assert answers[1].refused
        assert await stored(harness.backend, "bad") == seen
        assert [line.schedule for line in await ledger(harness.backend)] == ["before", "after"]
        assert await _stored(harness.backend, *jobs) == ids([jobs[0], jobs[3]])

    @pytest.mark.parametrize(
        "poison",
        [
            *(
                {field: text}
                for field in ("id", "schedule", "reason", "job", "by", "note")
                for text in ("\ud800", "\0")
            ),
            *({field: 2**70} for field in ("tick", "last", "count", "due_at", "at")),
        ],
        ids=repr,
    )
    async def test_a_poisoned_line(self, harness: Harness, poison: dict[str, Any]) -> None:
        """A change of which one line is refused for its content does nothing at all, and harms no other."""
        jobs = [new() for _ in range(3)]
        good = fire(jobs[1], schedule("bad"))
        bad = msgspec.structs.replace(good, ticks=(*good.ticks, skip(**poison)))
        answers = await change(
            harness.backend, fire(jobs[0], schedule("before")), bad, fire(jobs[2], schedule("after"))
        )
        assert [answer.refused is None for answer in answers] == [True, False, True]
        assert answers[1] == ChangeAnswer(refused=answers[1].refused)
        assert answers[1].refused
        assert await known(harness.backend, ["before", "bad", "after"]) == ["after", "before"]
        assert [line.schedule for line in await ledger(harness.backend)] == ["before", "after"]
        assert await _stored(harness.backend, *jobs) == ids([jobs[0], jobs[2]])

    @pytest.mark.parametrize("minded", ["commits", "rolls back"])
    async def test_a_key_in_somebodys_transaction(self, harness: Harness, minded: str) -> None:
        """A change whose key is in an open transaction is busy, and nothing of it is done, or waits for that to end.

        Those beside it are made. Made again, it stores its job if the key is free by then, and tells of the holder else.
        """
        transaction = harness.transaction()
        if transaction is None:
            pytest.skip("this store joins no transaction")
        holder, job = new(unique=keyed()), new(unique=keyed())
        before, after = fire(new(), schedule("before")), fire(new(), schedule("after"))
        held_up = fire(job)
        calls: list[asyncio.Task[tuple[ChangeAnswer, ...]]] = []
        with suppress(_ChangedMind):
            async with transaction as tx:
                await harness.backend.jobs.enqueue([[holder]], tx=tx)
                call = asyncio.create_task(change(harness.backend, before, held_up, after))
                calls.append(call)
                await asyncio.wait(calls, timeout=PATIENCE)
                if call.done():
                    assert call.result() == (DONE, ChangeAnswer(busy=True), DONE)
                    assert await known(harness.backend, ["before", "daily", "after"]) == ["after", "before"]
                    assert await _stored(harness.backend, job) == []
                    assert await ledger(harness.backend, schedule="daily") == []
                if minded == "rolls back":
                    raise _ChangedMind
        (answers,) = [await call for call in calls]
        assert (answers[0], answers[2]) == (DONE, DONE)
        answer = await _insist(harness.backend, held_up) if answers[1].busy else answers[1]
        assert answer == (DONE if minded == "rolls back" else ChangeAnswer(holders={job.id: holder.id}))
        assert await _stored(harness.backend, job, holder) == [job.id if minded == "rolls back" else holder.id]
        assert (await stored(harness.backend)).version == 1
        (line,) = await ledger(harness.backend, schedule="daily")
        assert line.outcome is (Outcome.FIRED if minded == "rolls back" else Outcome.SKIPPED)

    async def test_the_store_works_on(self, harness: Harness) -> None:
        """After refusals and conflicts the next write, of changes or of jobs, is taken as if nothing had been."""
        await publish(harness.backend)
        await change(harness.backend, fire(new(args="\ud800")), fire(new(), schedule(version=9)))
        assert await put(harness.backend, new()) is not None
        assert await change(harness.backend, fire(new())) == (DONE,)
        assert len(await claim(harness.backend)) == 2
