"""Jobs stored while somebody else is at it, each step held until the other has come where it shall."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import pytest

from backburner.backends.postgres.backend import PostgresBackend
from backburner.backends.postgres.place import PostgresPlace
from backburner.errors import StoreBusy, StoreFull, StoreUnsupported
from backburner.model.clock import SystemClock
from backburner.model.job import GROUP_CANCELLED, JobState
from backburner.ports.jobs import GroupAnswer, Keep
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    ended,
    ids,
    keyed,
    new,
    publish,
    put,
    read,
    to_settle,
)
from tests.unit.postgres.stranger import connect, stranger

if TYPE_CHECKING:
    from tests.servers.postgres import Postgres


async def test_an_id_that_commits_while_it_is_waited_for(patient: PostgresBackend, place: PostgresPlace) -> None:
    """Stored meanwhile by somebody's transaction, a job is answered as a duplicate, in a caller's own one too."""
    job = new()
    async with stranger(place) as first, stranger(place) as second:
        await patient.jobs.enqueue([[job]], tx=first.connection)
        task = asyncio.ensure_future(patient.jobs.enqueue([[job, new()]], tx=second.connection))
        await first.blocks(task)
        await first.commit()
        assert (await task).groups == (GroupAnswer(duplicates=(job.id,)),)
        await second.commit()


@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
async def test_an_old_snapshot_gives_no_key_away(
    backend: PostgresBackend, place: PostgresPlace, isolation: str
) -> None:
    """A transaction that cannot see who holds a key by now stores no job of that key, and stays usable."""
    async with stranger(place, f"BEGIN ISOLATION LEVEL {isolation}") as app:
        await app.look()
        holder = await add(backend, unique=keyed())
        answer = await backend.jobs.enqueue([[new(unique=keyed())]], tx=app.connection)
        assert answer.groups[0].refused is not None
        assert "READ COMMITTED" in answer.groups[0].refused
        plain = new()
        assert (await backend.jobs.enqueue([[plain]], tx=app.connection)).groups == (GroupAnswer(),)
        await app.commit()
    assert await put(backend, late := new(unique=keyed())) == GroupAnswer(holders={late.id: holder.id})
    assert ids((await backend.reader.get([plain.id])).jobs) == [plain.id]


async def test_a_follow_up_in_an_old_snapshot_is_parked(backend: PostgresBackend, place: PostgresPlace) -> None:
    """A follow-up stored where nobody can see who holds its key waits at its gate until that is seen."""
    await publish(backend)
    claimed = await add_claimed(backend)
    async with stranger(place, "BEGIN ISOLATION LEVEL REPEATABLE READ") as app:
        await app.look()
        holder = await add(backend, unique=keyed())
        follower = new(unique=keyed())
        await backend.jobs.settle("node", [to_settle(claimed, jobs=(follower,))], tx=app.connection)
        await app.commit()
    assert (await read(backend, follower.id)).gate == "unique:key"
    await backend.admin.cancel([holder.id])
    assert (await read(backend, follower.id)).gate == ""


async def test_a_child_that_ends_while_it_is_asked_for(patient: PostgresBackend, place: PostgresPlace) -> None:
    """A child that its group cancels in the very moment in which it is stored again runs again."""
    await publish(patient)
    claimed = await add_claimed(patient, parent="parent")
    child = new(id=claimed.id, parent="parent")
    await patient.admin.cancel([child.id], GROUP_CANCELLED)
    async with stranger(place) as node:
        asked = msgspec.to_builtins(to_settle(claimed, JobState.PENDING))
        await node.call("settle", node="node", others=[asked])
        task = asyncio.ensure_future(put(patient, child))
        await node.blocks(task)
        await node.commit()
        assert await task == GroupAnswer()
    assert (await read(patient, child.id)).state is JobState.PENDING


async def test_a_key_decided_elsewhere_is_not_taken_over(backend: PostgresBackend, place: PostgresPlace) -> None:
    """Jobs taken over from another store wait for nobody's decision about their key."""
    async with stranger(place) as app:
        await backend.jobs.enqueue([[new(unique=keyed())]], tx=app.connection)
        source = await add(backend, unique=keyed("other"))
        (image,) = (await backend.reader.export(limit=1)).jobs
        await backend.admin.cancel([source.id])
        record = msgspec.structs.replace(image.record, id="taken over", unique="key")
        with pytest.raises(StoreBusy):
            await backend.admin.restore([msgspec.structs.replace(image, record=record)])
        await app.commit()
    restored = await backend.admin.restore([msgspec.structs.replace(image, record=record)])
    assert list(restored.holders) == ["taken over"]


@pytest.mark.parametrize("verb", ["enqueue", "restore"])
async def test_a_child_that_comes_while_its_parent_is_lifted_out(
    patient: PostgresBackend, place: PostgresPlace, verb: str
) -> None:
    """An ended job kept for its own parent's sake lets a child go that was stored while it was being set aside."""
    await publish(patient)
    grandparent = await add(patient, queue="elsewhere")
    (image,) = (await patient.reader.export(limit=1)).jobs
    parent = await ended(patient, JobState.COMPLETED, parent=grandparent.id)
    late = new(parent=parent)
    record = msgspec.structs.replace(image.record, id=late.id, parent=parent)
    async with stranger(place) as steward:
        await steward.call("prune", now=(await patient.reader.get([])).now, limit=100, completed=0)
        storing = (
            put(patient, late)
            if verb == "enqueue"
            else patient.admin.restore([msgspec.structs.replace(image, record=record)])
        )
        task: asyncio.Future[Any] = asyncio.ensure_future(storing)
        await steward.blocks(task)
        await steward.commit()
        await task
    await patient.admin.prune(Keep(completed=0, cancelled=0, dead=0), 100)
    assert (await read(patient, late.id)).parent is None


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
async def test_a_database_of_old_snapshots(postgres_database: Postgres, isolation: str) -> None:
    """What a database has for isolation is no matter: own connections see what has committed, an upgrade's too."""
    connection = await connect(place := PostgresPlace(dsn=postgres_database.url, address="the server"))
    database = urlsplit(place.dsn).path.removeprefix("/")
    await connection.execute(f"ALTER DATABASE {database} SET default_transaction_isolation = '{isolation}'")
    await connection.close()
    several = [PostgresBackend(place, clock=SystemClock()) for _ in range(3)]
    for each in several:
        await each.open(create=True)
    states = await asyncio.gather(*[each.schema.upgrade() for each in several])
    assert sorted(len(state.pending) for state in states) == [0, 0, len(several[0].schema.steps)]
    jobs = [new(unique=keyed()) for _ in several]
    answers = [await put(each, job) for each, job in zip(several, jobs, strict=True)]
    assert [set(answer.holders.values()) for answer in answers] == [set(), {jobs[0].id}, {jobs[0].id}]
    for each in several:
        await each.close()
    pooled = PostgresBackend(replace(place, listen=False), clock=SystemClock())
    with pytest.raises(StoreUnsupported, match=f"{isolation.upper()}.* by ALTER ROLE"):
        await pooled.open(create=True)


async def test_a_later_portion_that_fails(backend: PostgresBackend, place: PostgresPlace) -> None:
    """Of a write too large for one step some may have been stored when the rest fails, and the error says so."""
    groups = [[new(unique=keyed(str(number)))] for number in range(600)]
    connection = await connect(place)
    await connection.execute(f"""
        CREATE FUNCTION {place.schema}.fill() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF new.unique_key = '599' THEN RAISE disk_full; END IF; RETURN new; END $$;
        CREATE TRIGGER fill BEFORE INSERT ON {place.schema}.jobs FOR EACH ROW EXECUTE FUNCTION {place.schema}.fill()
    """)
    await connection.close()
    with pytest.raises(StoreFull) as caught:
        await backend.jobs.enqueue(groups)
    assert caught.value.stored == "unknown"
    assert ids((await backend.reader.get([groups[0][0].id])).jobs) == [groups[0][0].id]
