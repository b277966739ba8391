"""The stores under contract."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from tests.contracts.harnesses import MemoryHarness, PostgresHarness, RedisHarness, SqliteHarness
from tests.stores import redis_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.contracts.harnesses import StoreHarness
    from tests.servers.postgres import Postgres, Schema


@pytest.fixture(scope="session")
def emptied_schema(postgres_server: Postgres) -> Iterator[Schema]:
    """Bring a schema that is nobody else's."""
    with postgres_server.schema() as schema:
        yield schema


@pytest.fixture(params=["memory", "sqlite", "postgres", "redis", "cluster"])
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StoreHarness]:
    """Bring a fresh, empty store on a fake clock."""
    made: StoreHarness
    match request.param:
        case "memory":
            made = MemoryHarness()
        case "sqlite":
            made = SqliteHarness(tmp_path / "jobs.db")
        case "redis":
            made = RedisHarness(redis_url(request.getfixturevalue("redis_namespace")))
        case "cluster":
            node = request.getfixturevalue("redis_cluster").nodes[0]
            made = RedisHarness(f"redis+cluster://127.0.0.1:{node.port}?namespace=bb_{secrets.token_hex(8)}")
        case _:
            made = PostgresHarness(request.getfixturevalue("emptied_schema"))
    async with made:
        yield made
