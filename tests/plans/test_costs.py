"""What a verb costs does not depend on how many jobs it has nothing to do with."""

from __future__ import annotations

import re
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest

from backburner.backends.sqlite.backend import SqliteBackend
from backburner.model.node import NodeRecord
from backburner.testing import FakeClock
from tests.plans.meter import TOLERANCE, Meter
from tests.plans.verbs import FIRST_WAITING, VERBS, WRITERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path


@asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[SqliteBackend]:
    """Open the store with a live node; whatever is done is undone afterwards, for the next test."""
    backend = SqliteBackend(path, clock=FakeClock())
    await backend.open(create=False)
    await backend.nodes.publish(
        NodeRecord(id="node", host="host", pid=1, started_at=0, queues={"queue": 1}, kinds=("kind",)), 1
    )
    with closing(sqlite3.connect(path, isolation_level=None)) as keeper:
        keeper.execute("CREATE TEMP TABLE kept AS SELECT * FROM backburner_jobs WHERE id >= '1due'")
        keeper.execute(
            "CREATE TEMP TABLE pruned AS SELECT * FROM backburner_jobs WHERE id BETWEEN '0ended' AND '0ended0000000300'"
        )
        try:
            yield backend
        finally:
            await backend.nodes.withdraw("node")
            await backend.close()
            keeper.execute("DELETE FROM backburner_jobs WHERE id >= '1due'")
            keeper.execute("INSERT INTO backburner_jobs SELECT * FROM kept")
            keeper.execute("INSERT OR IGNORE INTO backburner_jobs SELECT * FROM pruned")
            keeper.execute("UPDATE backburner_jobs SET gate = 'unique:busy' WHERE id = :id", {"id": FIRST_WAITING})
            keeper.execute("UPDATE backburner_jobs SET lifted = 1 WHERE id = '0child0000000001'")
            keeper.execute("DELETE FROM backburner_attempts")


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__.strip("_"))
async def test_a_crowd_costs_nothing(
    small: Path, large: Path, verb: Callable[[SqliteBackend], Awaitable[None]]
) -> None:
    """Beside a million pending and a million ended jobs a verb takes as many steps as beside a thousand."""
    steps: list[int] = []
    for path in (small, large):
        async with _opened(path) as backend:
            meter = Meter(backend)
            await meter.start()
            await verb(backend)
            steps.append(meter.steps)
    few, many = steps
    assert few > 0
    assert many <= few * TOLERANCE


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__.strip("_"))
async def test_no_statement_walks_the_table(large: Path, verb: Callable[[SqliteBackend], Awaitable[None]]) -> None:
    """Every statement finds its jobs by an index, and none sorts them."""
    async with _opened(large) as backend:
        meter = Meter(backend)
        await meter.start()
        await verb(backend)
        assert meter.statements
        plan = await meter.plan()
    assert [
        step for step in plan if re.match(r"SCAN (backburner_jobs|job|child|old|backburner_attempts)\b", step)
    ] == []
    assert [step for step in plan if "B-TREE FOR ORDER BY" in step] == []


@pytest.mark.parametrize("verb", WRITERS, ids=lambda verb: verb.__name__.strip("_"))
async def test_the_checks_of_a_row_build_nothing(small: Path, verb: Callable[[SqliteBackend], Awaitable[None]]) -> None:
    """What a row is checked for is compared at once: a list of states would be built anew for every row written."""
    async with _opened(small) as backend:
        meter = Meter(backend)
        await meter.start()
        await verb(backend)
        statements = [each for each in meter.statements if re.match(r"(INSERT|UPDATE|WITH)\b", each)]
        assert statements

        def explain(connection: sqlite3.Connection) -> list[list[str]]:
            return [[row[1] for row in connection.execute(f"EXPLAIN {each}")] for each in statements]

        programs = await backend._session.write(explain)
    for steps in programs:
        # The types of a row's values are looked at first, then its checks.
        assert "OpenEphemeral" not in steps[steps.index("TypeCheck") :]
