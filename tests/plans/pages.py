"""What calls take on PostgreSQL, in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]  # it brings no types
import msgspec

from backburner.backends.postgres.place import PostgresPlace

if TYPE_CHECKING:
    from tests.servers.postgres import Schema

__all__ = ["TOLERANCE", "Meter", "named", "place_of"]

#: The trees of an index are up to two levels deeper, for each row that is looked for; what grows with the table costs a
#: thousand times more.
TOLERANCE = 2.0


def place_of(schema: Schema) -> PostgresPlace:
    """Return the place of a store in this schema."""
    return PostgresPlace(dsn=schema.url, schema=schema.name, address="a server")


def named(schema: Schema, statement: str) -> str:
    """Return a statement for this schema."""
    return statement.replace("{schema}", schema.name)


class Meter:
    """Counts the pages that statements touch: each is explained, and undone, before it is made."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - the driver brings no types
        self._connection = connection
        self.pages = 0

    async def count(self, statement: str, *parameters: object) -> None:
        """Count one statement; the first time, when the server plans and reads its catalogs, does not count."""
        found = "[]"
        for _ in range(2):
            transaction = self._connection.transaction()
            await transaction.start()
            try:
                found = await self._connection.fetchval(
                    f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *parameters
                )
            except asyncpg.UniqueViolationError:
                # The store asks again, more carefully.
                return
            finally:
                await transaction.rollback()
        plan = msgspec.json.decode(found)[0]["Plan"]
        self.pages += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
