"""Schedules changed while somebody else is at it, each step held until the other has come where it shall."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backburner.backends.postgres.changing import document_of_changes
from backburner.errors import StoreFull
from backburner.model.schedule import Outcome, ScheduleChange
from backburner.ports.schedules import ChangeAnswer
from backburner.testing.contracts.making import ids, keyed, new
from backburner.testing.contracts.scheduling import change, fire, known, ledger, plan, schedule, stored
from tests.unit.postgres.stranger import connect, stranger

if TYPE_CHECKING:
    from backburner.backends.postgres.backend import PostgresBackend
    from backburner.backends.postgres.link import Link
    from backburner.backends.postgres.place import PostgresPlace
    from tests.unit.postgres.stranger import Stranger

DONE, OUTRUN, BUSY = ChangeAnswer(), ChangeAnswer(outrun=True), ChangeAnswer(busy=True)


async def _changed(node: Stranger, *changes: ScheduleChange) -> None:
    """Have another node make changes, in a transaction that it has not ended."""
    answer = await node.call("change", parts=[document_of_changes(changes)])
    assert answer["parts"] == [{"outrun": [], "busy": [], "holders": {}}]


@pytest.mark.parametrize("version", [0, 1])
async def test_the_one_who_waited_is_outrun(patient: PostgresBackend, place: PostgresPlace, version: int) -> None:
    """Of two nodes that decide about one tick the second waits for the first, then is outrun, and stores no job."""
    if version:
        await plan(patient)
    first, second, beside = new(), new(), new()
    async with stranger(place) as node:
        await _changed(node, fire(first, schedule(version=version)))
        task = asyncio.ensure_future(
            change(patient, fire(beside, schedule("another")), fire(second, schedule(version=version)))
        )
        await node.blocks(task)
        await node.commit()
        assert await task == (DONE, OUTRUN)
    assert ids((await patient.reader.get(ids([first, second]))).jobs) == [first.id]
    assert (await stored(patient)).last_job == first.id
    assert {line.job for line in await ledger(patient)} == {first.id, beside.id}


@pytest.mark.parametrize("version", [0, 1])
async def test_the_one_who_waited_is_heard(patient: PostgresBackend, place: PostgresPlace, version: int) -> None:
    """Where the first node's transaction comes to nothing, the second one's change is made."""
    if version:
        await plan(patient)
    job = new()
    async with stranger(place) as node:
        await _changed(node, fire(new(), schedule(version=version)))
        task = asyncio.ensure_future(change(patient, fire(job, schedule(version=version))))
        await node.blocks(task)
        await node.connection.execute("ROLLBACK")
        assert await task == (DONE,)
    assert (await stored(patient)).last_job == job.id


async def test_a_removal_that_was_waited_for(patient: PostgresBackend, place: PostgresPlace) -> None:
    """A schedule that is removed while a change waits for it stays removed, and no job is stored."""
    await plan(patient)
    job = new()
    async with stranger(place) as person:
        await person.connection.execute(f"DELETE FROM {place.schema}.schedules")  # noqa: S608 - a name of our own
        task = asyncio.ensure_future(change(patient, fire(job, schedule(version=1))))
        await person.blocks(task)
        await person.commit()
        assert await task == (OUTRUN,)
    assert await known(patient, ["daily"]) == []
    assert (await patient.reader.get([job.id])).jobs == ()


@pytest.mark.parametrize("version", [0, 1])
async def test_a_long_transaction_is_not_waited_for(
    backend: PostgresBackend, place: PostgresPlace, version: int
) -> None:
    """A schedule that somebody's long transaction has locked or is making is busy; those beside it are changed."""
    if version:
        await plan(backend)
    held_up = fire(new(), schedule(version=version))
    async with stranger(place) as person:
        if version:
            await person.connection.execute(f"SELECT FROM {place.schema}.schedules FOR UPDATE")
        else:
            await _changed(person, ScheduleChange(schedule=schedule()))
        others = [fire(new(), schedule("before")), fire(new(), schedule("after"))]
        assert await change(backend, others[0], held_up, others[1]) == (DONE, BUSY, DONE)
        await person.connection.execute("ROLLBACK")
    assert [line.schedule for line in await ledger(backend)] == ["before", "after"]
    assert await change(backend, held_up) == (DONE,)


async def test_a_job_that_somebody_is_storing(backend: PostgresBackend, place: PostgresPlace) -> None:
    """A change whose job id is in somebody's open transaction is busy, done later, and the job is the other's."""
    job, beside = new(args='{"ours":1}'), new()
    async with stranger(place) as app:
        await backend.jobs.enqueue([[new(id=job.id)]], tx=app.connection)
        changes = [fire(beside, schedule("beside")), fire(job)]
        assert await change(backend, *changes) == (DONE, BUSY)
        assert await known(backend, ["beside", "daily"]) == ["beside"]
        await app.commit()
    assert await change(backend, changes[1]) == (DONE,)
    (found,) = (await backend.reader.get([job.id])).jobs
    assert found.args == "{}"


async def test_a_busy_change_of_a_stored_schedule(backend: PostgresBackend, place: PostgresPlace) -> None:
    """A change whose key somebody's open transaction decides about leaves the schedule as it was, due as before."""
    before = await plan(backend, due_at=1)
    async with stranger(place) as app:
        await backend.jobs.enqueue([[new(unique=keyed())]], tx=app.connection)
        beside = new()
        held_up, free = fire(new(unique=keyed()), before), fire(beside, schedule("beside"))
        assert await change(backend, held_up, free) == (BUSY, DONE)
        assert await stored(backend) == before
        assert (await backend.schedules.due(5)).schedules == (before,)
        assert [line.job for line in await ledger(backend)] == [beside.id]
        await app.commit()
    ((told,), (line,)) = (await change(backend, held_up), await ledger(backend, outcomes=[Outcome.SKIPPED]))
    assert list(told.holders.values()) == [line.job]


async def test_a_name_too_long_for_an_index(backend: PostgresBackend) -> None:
    """What the server alone can say is wrong is said in its words, and harms no other change."""
    # Nothing in it repeats, or it would be packed.
    name = "".join(chr(0x4E00 + number) for number in range(5000))
    answers = await change(backend, fire(new(), schedule(name)), fire(new(), schedule("good")))
    assert answers[0].refused is not None
    assert "SQLSTATE 54000" in answers[0].refused
    assert answers[1] == DONE


async def test_a_later_portion_that_fails(backend: PostgresBackend, place: PostgresPlace) -> None:
    """Of changes that make several steps some may have been made when the rest fails, and the error says so."""
    connection = await connect(place)
    await connection.execute(f"""
        CREATE FUNCTION {place.schema}.fill() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF new.kind = 'late' THEN RAISE disk_full; END IF; RETURN new; END $$;
        CREATE TRIGGER fill BEFORE UPDATE ON {place.schema}.schedules
            FOR EACH ROW EXECUTE FUNCTION {place.schema}.fill()
    """)
    await connection.close()
    late = ScheduleChange(schedule=schedule(version=1, kind="late"))
    with pytest.raises(StoreFull) as caught:
        await change(backend, ScheduleChange(schedule=schedule()), late)
    assert caught.value.stored == "unknown"
    assert (await stored(backend)).version == 1
    with pytest.raises(StoreFull) as caught:
        await change(backend, late)
    assert caught.value.stored == "no"


async def test_very_many_unique_keys(backend: PostgresBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write of very many unique keys is several, each of a bounded number, and all of it is made."""
    jobs = [new(unique=keyed(str(number))) for number in range(1200)]
    changes = [
        ScheduleChange(schedule=schedule(f"s{number}"), jobs=tuple(jobs[number * 300 : (number + 1) * 300]))
        for number in range(4)
    ]
    call = backend._session.call
    sent: list[str] = []

    async def counted(link: Link, function: str, document: bytes) -> str:
        sent.append(function)
        return await call(link, function, document)

    monkeypatch.setattr(backend._session, "call", counted)
    assert await change(backend, *changes) == (DONE,) * 4
    assert sent == ["change"] * 4
    assert len((await backend.reader.get(ids(jobs))).jobs) == 1200
