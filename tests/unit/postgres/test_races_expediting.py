"""Jobs brought forward while others work with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.model.clock import SECOND
from backburner.testing.contracts.making import add, publish, read
from backburner.testing.contracts.telling import kept, names
from tests.unit.postgres.stranger import stranger

if TYPE_CHECKING:
    from backburner.backends.postgres.backend import PostgresBackend
    from backburner.backends.postgres.place import PostgresPlace


async def test_jobs_that_others_have_locked(backend: PostgresBackend, place: PostgresPlace) -> None:
    """A job in somebody's open transaction is busy, and nothing waits for it: the others are brought forward meanwhile."""
    await publish(backend)
    first, second = [await add(backend, delay=60 * SECOND) for _ in range(2)]
    before = await read(backend, first.id)
    async with stranger(place) as them:
        await them.connection.execute(f"SELECT FROM {place.schema}.jobs WHERE id = $1 FOR UPDATE", first.id)
        answer = await backend.admin.expedite([first.id], [kept("none")])
        assert (answer.busy, answer.expedited) == ((first.id,), ())
        answer = await backend.admin.expedite([second.id, first.id], [kept("one")])
        assert (answer.busy, answer.expedited) == ((first.id,), (second.id,))
        assert await read(backend, first.id) == before
        await them.commit()
    answer = await backend.admin.expedite([first.id, second.id])
    assert (answer.expedited, answer.due) == ((first.id,), (second.id,))
    assert await names(backend) == ["one"]


async def test_a_cancellation_of_what_is_locked_tells_nothing(backend: PostgresBackend, place: PostgresPlace) -> None:
    """Where all that was to be cancelled is busy, its events are not stored."""
    await publish(backend)
    job = await add(backend)
    async with stranger(place) as them:
        await them.connection.execute(f"SELECT FROM {place.schema}.jobs WHERE id = $1 FOR UPDATE", job.id)
        assert (await backend.admin.cancel([job.id], events=[kept("none")])).busy == (job.id,)
        await them.commit()
    assert await names(backend) == []
