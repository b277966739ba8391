"""Letters, operations and leases under several connections at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from backburner.model.clock import SECOND
from backburner.model.job import JobState
from backburner.model.operation import OperationRecord
from backburner.testing.contracts.making import add, dead, keyed, new, publish, read
from tests.unit.postgres.stranger import stranger

if TYPE_CHECKING:
    from backburner.backends.postgres.backend import PostgresBackend
    from backburner.backends.postgres.place import PostgresPlace
    from backburner.testing import FakeClock

TTL = 60 * SECOND
OPERATION = OperationRecord(id="o", action="replay", state="{}")


async def test_two_go_on_with_one_operation(patient: PostgresBackend, place: PostgresPlace, clock: FakeClock) -> None:
    """Of two that go on with an operation at once one does, the other is told that it was outrun, and does nothing."""
    await publish(patient)
    first, second = [await dead(patient) for _ in range(2)]
    await patient.operations.put(OPERATION)
    async with stranger(place) as them:
        given = {"id": "o", "version": 1, "state": '{"at":1}', "active": True}
        await them.call("replay", letters=[msgspec.to_builtins(first)], operation=given, now=clock.now())
        task = asyncio.ensure_future(patient.admin.replay([first, second], OPERATION))
        await them.blocks(task)
        await them.commit()
        assert (await task).outrun
    (stored,) = (await patient.operations.get(["o"])).operations
    assert (stored.version, stored.done, stored.missed, stored.state) == (2, 1, 0, '{"at":1}')
    assert (await read(patient, second.id)).state is JobState.DEAD


async def test_letters_that_others_have_locked(backend: PostgresBackend, place: PostgresPlace) -> None:
    """A letter, or its child, that is in somebody's hands is busy; the others are brought back or deleted meanwhile."""
    await publish(backend)
    first, second, third = [await dead(backend) for _ in range(3)]
    child = await add(backend, parent=second.id)
    async with stranger(place) as them:
        lock = f"SELECT FROM {place.schema}.jobs WHERE id = ANY ($1) FOR UPDATE"
        await them.connection.execute(lock, [first.id, child.id])
        assert (await backend.admin.replay([first])).busy == (first.id,)
        disposed = await backend.admin.purge([first, second, third])
        assert sorted(disposed.busy) == [first.id, second.id]
        await them.commit()
    assert (await backend.admin.purge([first, second])).busy == ()
    assert (await read(backend, child.id)).parent is None


async def test_a_key_that_somebody_decides_about(backend: PostgresBackend, place: PostgresPlace) -> None:
    """A letter whose unique key is in somebody's open transaction is busy until that is decided."""
    await publish(backend)
    letter = await dead(backend, unique=keyed())
    async with stranger(place) as app:
        await backend.jobs.enqueue([[new(unique=keyed())]], tx=app.connection)
        assert (await backend.admin.replay([letter])).busy == (letter.id,)
        await app.connection.execute("ROLLBACK")
    assert (await backend.admin.replay([letter])).busy == ()


async def test_one_lease_is_taken_once(patient: PostgresBackend, place: PostgresPlace, clock: FakeClock) -> None:
    """Of two who ask for a name at once one has it, and the other sees until when."""
    async with stranger(place) as them:
        taken = await them.call("acquire", name="x", holder="a", ttl=TTL, shared=False, now=clock.now())
        task = asyncio.ensure_future(patient.leases.acquire("x", "b", TTL, shared=True))
        await them.blocks(task)
        await them.commit()
        answer = await task
    assert (answer.token, answer.until) == (None, clock.now() + TTL)
    assert await patient.leases.release("x", "a", taken["token"])
    again = await patient.leases.acquire("x", "b", TTL, shared=True)
    assert again.token is not None
    assert again.token > taken["token"]
