"""Somebody else's connection, held in its transaction at the point where it hurts."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]  # it brings no types
import msgspec

from backburner.backends.postgres.statements import calling

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator

    from backburner.backends.postgres.place import PostgresPlace

#: Longer than any test.
PATIENT = "120s"


class Stranger:
    """Somebody else's connection, in a transaction that it ends when told."""

    def __init__(self, connection: Any, schema: str) -> None:  # noqa: ANN401 - the driver's
        self.connection = connection
        self.schema = schema

    async def call(self, function: str, **document: object) -> Any:  # noqa: ANN401 - what the function answers
        """Call a verb's function in the open transaction."""
        text = msgspec.json.encode(document).decode()
        return json.loads(await self.connection.fetchval(calling(function, self.schema), text))

    async def look(self) -> None:
        """See what there is now; isolated enough, that is what the transaction will see for good."""
        await self.connection.fetchval("SELECT count(*) FROM pg_class")

    async def commit(self) -> None:
        """End it, so that it was."""
        await self.connection.execute("COMMIT")

    async def blocks(self, task: asyncio.Future[Any]) -> None:
        """Return once somebody waits for this transaction."""
        asked = (
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
        )
        while not await self.connection.fetchval(asked):
            assert not task.done(), task.result()


async def connect(place: PostgresPlace) -> Any:  # noqa: ANN401 - the driver's
    """Open a connection of nobody's."""
    driver: Any = asyncpg
    return await driver.connect(place.dsn)


@asynccontextmanager
async def stranger(place: PostgresPlace, begin: str = "BEGIN") -> AsyncGenerator[Stranger]:
    """Open one in a transaction; what it has not committed in the end is rolled back."""
    connection = await connect(place)
    try:
        await connection.execute(begin)
        yield Stranger(connection, place.schema)
    finally:
        connection.terminate()
