"""Work on a connection as steps: the same on the writer's thread and on a caller's own connection.

A generator yields statements and is sent what each answered: its row, or, for a statement without rows, how many rows
it changed; `UNKNOWN` where that cannot be told. An error of a statement is raised where it was yielded.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    import sqlite3

__all__ = ["UNKNOWN", "Statement", "Steps", "run"]

T = TypeVar("T")

#: The SQL of a statement of at most one row, and its parameters.
Statement: TypeAlias = tuple[str, Mapping[str, object]]
Steps: TypeAlias = Generator[Statement, Any, T]

#: The answer of a statement of which nobody knows how many rows it changed.
UNKNOWN = -1


def run(connection: sqlite3.Connection, steps: Steps[T]) -> T:
    """Take steps on a connection that nobody else uses; return what they return."""
    try:
        statement = next(steps)
        while True:
            try:
                answer = _answer(connection, statement)
            except Exception as error:  # noqa: BLE001 - what a step fails by is the steps' own to deal with
                statement = steps.throw(error)
            else:
                statement = steps.send(answer)
    except StopIteration as end:
        returned: T = end.value
        return returned


def _answer(connection: sqlite3.Connection, statement: Statement) -> object:
    before = connection.total_changes
    row = connection.execute(*statement).fetchone()
    return connection.total_changes - before if row is None else row
