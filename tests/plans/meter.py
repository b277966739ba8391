"""What work on SQLite's writing connection takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from backburner.backends.sqlite.backend import SqliteBackend

__all__ = ["TOLERANCE", "Meter"]

#: A deeper tree costs a few steps more a row; what grows with the table costs a thousand times more.
TOLERANCE = 1.1

_OURS = re.compile(r"(SELECT|INSERT|UPDATE|DELETE|WITH)\b")


class Meter:
    """Counts the steps of SQLite's machine, and keeps the statements, of one connection."""

    def __init__(self, backend: SqliteBackend) -> None:
        self._backend = backend
        self.steps = 0
        self._statements: list[str] = []

    @property
    def statements(self) -> list[str]:
        """Those that read or write, with their values."""
        return [each for each in self._statements if _OURS.match(each)]

    def _tick(self) -> int:
        self.steps += 1
        return 0

    async def start(self) -> None:
        """Count from now on."""

        def begin(connection: sqlite3.Connection) -> None:
            connection.set_progress_handler(self._tick, 1)
            connection.set_trace_callback(self._statements.append)

        await self._backend._session.write(begin)
        self.steps = 0
        self._statements.clear()

    async def plan(self) -> list[str]:
        """Return how those statements find their rows."""
        statements = self.statements

        def explain(connection: sqlite3.Connection) -> list[str]:
            return [row[3] for each in statements for row in connection.execute(f"EXPLAIN QUERY PLAN {each}")]

        return await self._backend._session.write(explain)
