"""What a verb costs does not depend on how many jobs it has nothing to do with."""

from __future__ import annotations

import re
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from backburner.backends.sqlite.backend import SqliteBackend
from backburner.model.job import Ending, JobState, NewJob, Settlement, UniqueKey
from backburner.model.node import NodeRecord
from backburner.ports.jobs import Birth, ClaimRequest, Keep
from backburner.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

#: A deeper tree costs a few steps more a row; what grows with the table costs a thousand times more.
TOLERANCE = 1.1

DEMAND = ClaimRequest(
    node="node", queues={"queue": 50, "other": 50}, limit=50, kinds=frozenset({"kind", "another"}), suspect=True
)
#: The first, by priority, due time and id, that waits for the busy key.
FIRST_WAITING = "0parked0000000020"
HELD = (JobState.PENDING, JobState.RUNNING)
KEEP = Keep(completed=0, cancelled=0, dead=0)


class _Meter:
    """Counts the steps of SQLite's machine, and keeps the statements, of one connection."""

    def __init__(self, backend: SqliteBackend) -> None:
        self._backend = backend
        self.steps = 0
        self.statements: list[str] = []

    def _tick(self) -> int:
        self.steps += 1
        return 0

    async def start(self) -> None:
        def begin(connection: sqlite3.Connection) -> None:
            connection.set_progress_handler(self._tick, 1)
            connection.set_trace_callback(self.statements.append)

        await self._backend._session.write(begin)
        self.steps = 0
        self.statements.clear()


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


async def _enqueue(backend: SqliteBackend) -> None:
    jobs = [NewJob(id=f"2new{number}", kind="kind", queue="queue", args="{}") for number in range(50)]
    await backend.jobs.enqueue([jobs])


async def _bear(backend: SqliteBackend) -> None:
    job = NewJob(id="2born", kind="kind", queue="empty", args="{}", priority=9)
    (group,) = (await backend.jobs.enqueue([[job]], Birth("node", {job.id: 7}))).groups
    assert group.born == (job.id,)


async def _stand_in_line(backend: SqliteBackend) -> None:
    job = NewJob(id="2line", kind="kind", queue="queue", args="{}", priority=9)
    (group,) = (await backend.jobs.enqueue([[job]], Birth("node", {job.id: 7}))).groups
    assert group.born == ()


async def _duplicate(backend: SqliteBackend) -> None:
    job = NewJob(id="1due0000000001", kind="kind", queue="queue", args="{}")
    (group,) = (await backend.jobs.enqueue([[job]])).groups
    assert group.duplicates == (job.id,)


async def _claim(backend: SqliteBackend) -> None:
    assert len((await backend.jobs.claim(DEMAND)).claims) == 50


async def _claim_alone(backend: SqliteBackend) -> None:
    demand = ClaimRequest(node="node", queues={"queue": 50}, limit=50, kinds=frozenset({"kind"}), suspect=False)
    assert len((await backend.jobs.claim(demand)).claims) == 50


async def _claim_nothing(backend: SqliteBackend) -> None:
    demand = ClaimRequest(node="node", queues={"other": 50}, limit=50, kinds=frozenset({"kind"}))
    assert (await backend.jobs.claim(demand)).wait is None


async def _settle(backend: SqliteBackend) -> None:
    claims = (await backend.jobs.claim(DEMAND)).claims
    settlements = [Settlement(id=each.id, token=each.token, state=JobState.COMPLETED, result="1") for each in claims]
    assert (await backend.jobs.settle("node", settlements)).stale == ()
    # Repeated, they are looked up.
    assert (await backend.jobs.settle("node", settlements)).stale == ()


async def _fail(backend: SqliteBackend) -> None:
    claims = (await backend.jobs.claim(DEMAND)).claims
    settlements = [
        Settlement(id=each.id, token=each.token, state=JobState.PENDING, delay=5, ending=Ending.FAILED, failed=1)
        for each in claims
    ]
    assert (await backend.jobs.settle("node", settlements)).stale == ()


async def _recover_nothing(backend: SqliteBackend) -> None:
    assert (await backend.jobs.recover("node", 50)).jobs == ()


async def _recover(backend: SqliteBackend) -> None:
    await backend.nodes.publish(
        NodeRecord(id="dead", host="host", pid=1, started_at=0, queues={"queue": 1}, kinds=("kind",)), 1
    )
    demand = ClaimRequest(node="dead", queues={"queue": 50}, limit=50, kinds=frozenset({"kind"}))
    await backend.jobs.claim(demand)
    async with backend.keeper() as keeper:
        await keeper.abandon("dead")
    assert len((await backend.jobs.recover("node", 100)).jobs) == 50


async def _cancel(backend: SqliteBackend) -> None:
    ids = [f"1due{number:010d}" for number in range(1, 51)]
    assert len((await backend.admin.cancel(ids)).cancelled) == 50


async def _prune_nothing(backend: SqliteBackend) -> None:
    assert await backend.admin.prune(KEEP, 50) == 0


async def _prune(backend: SqliteBackend) -> None:
    keep = Keep(completed=-100, cancelled=-100, dead=None)
    assert await backend.admin.prune(keep, 50) == 50


def _unique(number: int, key: str) -> NewJob:
    return NewJob(id=f"2unique{number}", kind="kind", queue="queue", args="{}", unique=UniqueKey(key, HELD))


async def _conflict(backend: SqliteBackend) -> None:
    jobs = [_unique(number, "busy") for number in range(50)]
    (group,) = (await backend.jobs.enqueue([jobs])).groups
    assert set(group.holders.values()) == {"1holder"}


async def _take_a_key(backend: SqliteBackend) -> None:
    jobs = [_unique(number, "free") for number in range(50)]
    (group,) = (await backend.jobs.enqueue([jobs])).groups
    assert set(group.holders.values()) == {jobs[0].id}


async def _add_a_child(backend: SqliteBackend) -> None:
    job = NewJob(id="2child", kind="kind", queue="queue", args="{}", parent="1parent")
    (group,) = (await backend.jobs.enqueue([[job]])).groups
    assert group.duplicates == ()


async def _add_a_late_child(backend: SqliteBackend) -> None:
    job = NewJob(id="2late", kind="kind", queue="queue", args="{}", parent="0child0000000001")
    (group,) = (await backend.jobs.enqueue([[job]])).groups
    assert group.duplicates == ()


async def _follow(backend: SqliteBackend) -> None:
    (claim,) = (await backend.jobs.claim(msgspec.structs.replace(DEMAND, limit=1))).claims
    jobs = (_unique(1, "busy"), _unique(2, "free"))
    write = [Settlement(id=claim.id, token=claim.token, state=JobState.COMPLETED, jobs=jobs)]
    assert (await backend.jobs.settle("node", write)).stale == ()


async def _let_through(backend: SqliteBackend) -> None:
    await backend.admin.cancel(["1holder"])
    (job,) = (await backend.reader.get([FIRST_WAITING])).jobs
    assert job.gate == ""


async def _release_nothing(backend: SqliteBackend) -> None:
    assert await backend.admin.release(50) == 0


async def _note(backend: SqliteBackend) -> None:
    claims = (await backend.jobs.claim(DEMAND)).claims
    notes = [Settlement(id=each.id, token=each.token, state=JobState.RUNNING, progress=(1, 2)) for each in claims]
    assert (await backend.jobs.settle("node", notes)).stale == ()


async def _pass_over_misfits(backend: SqliteBackend) -> None:
    demand = msgspec.structs.replace(DEMAND, signatures={"kind": "two"})
    assert {claim.gate for claim in (await backend.jobs.claim(demand)).claims} == {""}


VERBS = (
    _enqueue,
    _bear,
    _stand_in_line,
    _duplicate,
    _claim,
    _claim_alone,
    _claim_nothing,
    _settle,
    _fail,
    _recover_nothing,
    _recover,
    _cancel,
    _prune_nothing,
    _prune,
    _conflict,
    _take_a_key,
    _add_a_child,
    _add_a_late_child,
    _follow,
    _let_through,
    _release_nothing,
    _note,
    _pass_over_misfits,
)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__.strip("_"))
async def test_a_crowd_costs_nothing(
    small: Path, large: Path, verb: Callable[[SqliteBackend], Awaitable[None]]
) -> None:
    """Beside a million pending and a million ended jobs a verb takes as many steps as beside a thousand."""
    steps: list[int] = []
    for path in (small, large):
        async with _opened(path) as backend:
            meter = _Meter(backend)
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
        meter = _Meter(backend)
        await meter.start()
        await verb(backend)
        statements = [each for each in meter.statements if re.match(r"(SELECT|INSERT|UPDATE|DELETE|WITH)\b", each)]
        assert statements

        def explain(connection: sqlite3.Connection) -> list[str]:
            return [row[3] for each in statements for row in connection.execute(f"EXPLAIN QUERY PLAN {each}")]

        plan = await backend._session.write(explain)
    assert [
        step for step in plan if re.match(r"SCAN (backburner_jobs|job|child|old|backburner_attempts)\b", step)
    ] == []
    assert [step for step in plan if "B-TREE FOR ORDER BY" in step] == []


@pytest.mark.parametrize("verb", [_enqueue, _settle], ids=lambda verb: verb.__name__.strip("_"))
async def test_the_checks_of_a_row_build_nothing(small: Path, verb: Callable[[SqliteBackend], Awaitable[None]]) -> None:
    """What a row is checked for is compared at once: a list of states would be built anew for every row written."""
    async with _opened(small) as backend:
        meter = _Meter(backend)
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
