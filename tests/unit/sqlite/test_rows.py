"""Rows of jobs, whoever writes them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from backburner.model.job import JobState
from backburner.ports.jobs import Keep
from tests.unit.sqlite.making import completed, demand, new, node

if TYPE_CHECKING:
    from pathlib import Path

    from backburner.backends.sqlite.backend import SqliteBackend

KEEP = Keep(completed=0, cancelled=0, dead=0)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    ("state", "holder", "ended_at"),
    [
        ("strange", None, None),
        ("pending", None, 1),
        ("running", None, None),
        ("running", "node", 1),
        ("completed", None, None),
        ("cancelled", None, None),
        ("dead", None, None),
    ],
)
async def test_a_row_that_contradicts_itself_is_refused(
    path: Path, state: str, holder: str | None, ended_at: int | None
) -> None:
    """There is no other state; what runs is held by a node; and what ended, and only that, has the moment of it."""
    insert = """
        INSERT INTO backburner_jobs (id, kind, queue, priority, created_at, due_at, args, state, node, ended_at)
        VALUES ('job', 'kind', 'queue', 5, 1, 1, '{}', ?, ?, ?)"""
    with closing(sqlite3.connect(path)) as other, pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        other.execute(insert, (state, holder, ended_at))


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("state", JobState)
async def test_a_row_of_every_state_is_stored(path: Path, state: JobState) -> None:
    """Every state the model knows is one that the table takes."""
    ended_at = None if state in {JobState.PENDING, JobState.RUNNING} else 1
    insert = """
        INSERT INTO backburner_jobs (id, kind, queue, priority, created_at, due_at, args, state, node, ended_at)
        VALUES ('job', 'kind', 'queue', 5, 1, 1, '{}', ?, 'node', ?)"""
    with closing(sqlite3.connect(path)) as other:
        assert other.execute(insert, (state, ended_at)).rowcount == 1


async def test_a_child_stored_after_its_parent_was_put_aside_is_let_go(backend: SqliteBackend) -> None:
    """A parent that is kept for its own parent lets go of whatever child comes late."""
    await backend.nodes.publish(node(), 1)
    await backend.jobs.enqueue([[new("eldest")], [new("parent", parent="eldest")]])
    eldest, parent = (await backend.jobs.claim(demand())).claims
    await backend.jobs.settle("node", completed([parent]))
    assert await backend.admin.prune(KEEP, 10) == 0
    await backend.jobs.enqueue([[new("late", parent="parent")]])
    assert await backend.admin.prune(KEEP, 10) == 1
    assert [late.parent for late in (await backend.reader.get(["late"])).jobs] == [None]
    await backend.jobs.settle("node", completed([eldest]))
    assert await backend.admin.prune(KEEP, 10) == 3
    assert (await backend.reader.get(["eldest", "parent"])).jobs == ()
