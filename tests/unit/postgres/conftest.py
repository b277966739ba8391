"""A PostgreSQL store for tests that look at what only PostgreSQL has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner.backends.postgres.backend import PostgresBackend
from backburner.backends.postgres.place import PostgresPlace
from backburner.testing import FakeClock
from tests.unit.postgres.stranger import PATIENT, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers.postgres import Schema


@pytest.fixture
def clock() -> FakeClock:
    """Bring the store's clock."""
    return FakeClock()


@pytest.fixture
def place(postgres_schema: Schema) -> PostgresPlace:
    """Bring a place where nothing is yet."""
    return PostgresPlace(dsn=postgres_schema.url, schema=postgres_schema.name, address="the server")


@pytest.fixture
async def backend(place: PostgresPlace, clock: FakeClock) -> AsyncIterator[PostgresBackend]:
    """Bring an open store with its schema."""
    made = PostgresBackend(place, clock=clock)
    await made.open(create=True)
    await made.schema.upgrade()
    yield made
    await made.close()


@pytest.fixture
async def patient(backend: PostgresBackend, place: PostgresPlace) -> PostgresBackend:
    """Bring a store whose verbs wait for locks for as long as a test may take."""
    connection = await connect(place)
    for verb in ("enqueue", "settle", "restore", "replay", "declare", "acquire", "change", "confirm"):
        await connection.execute(f"ALTER FUNCTION {place.schema}.{verb}(json) SET lock_timeout = '{PATIENT}'")
    await connection.close()
    return backend
