"""What lanes cost does not depend on how many jobs stand at them, and those who are in no lane pay nothing for them."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from shutil import copyfile
from typing import TYPE_CHECKING

import anyio
import msgspec
import pytest

from backburner.backends.sqlite.backend import SqliteBackend
from backburner.model.job import JobState, NewJob, Settlement
from backburner.model.lane import Limit, Rate
from backburner.model.node import NodeRecord
from backburner.ports.jobs import ClaimRequest, Keep
from backburner.testing import FakeClock
from tests.plans.meter import TOLERANCE, Meter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from backburner.model.job import Claim

FEW, MANY = 100, 10_000
#: More than four looks of a claim ever need, each of which reads, takes, parks, and writes lanes.
STATEMENTS = 50
DEMAND = ClaimRequest(node="node", queues={"queue": 50}, limit=50, kinds=frozenset({"kind"}), suspect=False)
LIMITS = {
    "shut": Limit(slots=0),
    "busy": Limit(slots=1),
    "open": Limit(slots=100, rate=Rate(limit=100, period=1_000_000, burst=100)),
}


def _new(name: str, number: int, *lanes: str, queue: str = "queue", priority: int = 5) -> list[NewJob]:
    return [
        NewJob(id=f"{name}{each:05d}", kind="kind", queue=queue, args="{}", priority=priority, lanes=lanes)
        for each in range(number)
    ]


async def _fill(path: Path, blocked: int) -> None:
    """Park so many jobs, half of them at a lane of one slot, which a run holds, and leave some due behind them."""
    backend = SqliteBackend(path, clock=FakeClock())
    await backend.open(create=True)
    await backend.schema.upgrade()
    await _enter(backend)
    await backend.limits.declare(LIMITS)
    (holder,) = _new("0holder", 1, "busy")
    await backend.jobs.enqueue([[holder]])
    assert len((await backend.jobs.claim(DEMAND)).claims) == 1
    for name, lane in (("1shut", "shut/one"), ("2busy", "busy")):
        await backend.jobs.enqueue([_new(name, blocked // 2, lane, priority=0)])
    while (await backend.jobs.claim(DEMAND)).wait == 0:
        pass
    await backend.jobs.enqueue([_new("3due", 100)])
    await backend.close()


async def _enter(backend: SqliteBackend) -> None:
    node = NodeRecord(id="node", host="host", pid=1, started_at=0, queues={"queue": 50}, kinds=("kind",))
    await backend.nodes.publish(node, 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Bring stores by the number of jobs that are blocked in front."""
    stores = {}
    for blocked in (0, FEW, MANY):
        stores[blocked] = tmp_path_factory.mktemp("blocked") / "jobs.db"
        anyio.run(_fill, stores[blocked], blocked)
    return stores


@pytest.fixture
def stores(made: dict[int, Path], tmp_path: Path) -> dict[int, Path]:
    """Bring copies, to be changed."""
    return {blocked: copyfile(path, tmp_path / f"{blocked}.db") for blocked, path in made.items()}


@asynccontextmanager
async def _metered(path: Path) -> AsyncIterator[tuple[SqliteBackend, Meter]]:
    backend = SqliteBackend(path, clock=FakeClock())
    await backend.open(create=False)
    await _enter(backend)
    meter = Meter(backend)
    yield backend, meter
    await backend.close()


async def _held(backend: SqliteBackend) -> Settlement:
    (job,) = (await backend.reader.get(["0holder00000"])).jobs
    return Settlement(id=job.id, token=job.token, state=JobState.COMPLETED)


async def _claim(backend: SqliteBackend) -> tuple[Claim, ...]:
    return (await backend.jobs.claim(DEMAND)).claims


async def _claim_others(backend: SqliteBackend) -> None:
    assert [claim.lanes for claim in await _claim(backend)] == [()] * 50


async def _claim_others_in_lanes(backend: SqliteBackend) -> None:
    await backend.jobs.enqueue([_new("4open", 50, "open", "nothing", priority=0)])
    assert [claim.lanes for claim in await _claim(backend)] == [("open", "nothing")] * 50


async def _park_in_a_claim(backend: SqliteBackend) -> None:
    await backend.jobs.enqueue([_new("4shut", 40, "shut/another", priority=0)])
    assert [claim.lanes for claim in await _claim(backend)] == [()] * 50


async def _park_at_once(backend: SqliteBackend) -> None:
    await backend.jobs.enqueue([_new("4busy", 50, "open", "busy", priority=0)])


async def _let_one_in(backend: SqliteBackend) -> None:
    settled = await backend.jobs.settle("node", [await _held(backend)], DEMAND)
    assert (settled.let_in, settled.batch and settled.batch.claims[0].lanes) == (1, ("busy",))


async def _lend(backend: SqliteBackend) -> None:
    (job,) = (await backend.reader.get(["0holder00000"])).jobs
    for lent, opened in ((True, 1), (False, 0)):
        note = Settlement(id=job.id, token=job.token, state=JobState.RUNNING, lent=lent)
        assert (await backend.jobs.settle("node", [note])).let_in == opened


async def _declare(backend: SqliteBackend) -> None:
    await backend.limits.declare(LIMITS | {"busy": Limit(slots=3)})
    assert [claim.lanes for claim in await _claim(backend)] == [("busy",)] * 2 + [()] * 48


async def _release_nothing(backend: SqliteBackend) -> None:
    assert await backend.admin.release(50) == 0


async def _prune_nothing(backend: SqliteBackend) -> None:
    assert await backend.admin.prune(Keep(completed=0, cancelled=0, dead=0), 50) == 0


VERBS = (
    *(_claim_others, _claim_others_in_lanes, _park_in_a_claim, _park_at_once, _let_one_in, _lend, _declare),
    *(_release_nothing, _prune_nothing),
)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__.strip("_"))
async def test_the_blocked_cost_nothing(
    stores: dict[int, Path], verb: Callable[[SqliteBackend], Awaitable[None]]
) -> None:
    """Beside ten thousand blocked jobs a verb takes as many statements and steps as beside a hundred, and walks none."""
    steps: list[int] = []
    statements: list[int] = []
    plan: list[str] = []
    for blocked in (FEW, MANY):
        async with _metered(stores[blocked]) as (backend, meter):
            await meter.start()
            await verb(backend)
            steps.append(meter.steps)
            statements.append(len(meter.statements))
            plan += await meter.plan()
    assert statements[0] == statements[1]
    assert steps[1] <= steps[0] * TOLERANCE
    walks = re.compile(r"SCAN (backburner_jobs|backburner_held|job)\b(?! USING COVERING INDEX backburner_held_by_job)")
    assert [step for step in plan if walks.match(step)] == []
    assert [step for step in plan if "B-TREE FOR ORDER BY" in step] == []


async def test_those_in_no_lane_pay_nothing(stores: dict[int, Path]) -> None:
    """With ten thousand blocked in front the others are claimed by the very statements of a store without any."""
    steps: list[int] = []
    statements: list[int] = []
    for blocked in (0, MANY):
        async with _metered(stores[blocked]) as (backend, meter):
            await meter.start()
            await _claim_others(backend)
            steps.append(meter.steps)
            statements.append(len(meter.statements))
    # One of them looks whether anybody asks for events.
    assert statements == [3, 3]
    assert steps[1] <= steps[0] * TOLERANCE


@pytest.mark.parametrize("limit", [1, 50])
async def test_however_many_are_refused(stores: dict[int, Path], limit: int) -> None:
    """A claim that parks a thousand jobs takes few statements, however small its demand."""
    async with _metered(stores[0]) as (backend, meter):
        await backend.jobs.enqueue([_new("4shut", 2_000, "shut/another", priority=0)])
        await meter.start()
        batch = await backend.jobs.claim(
            ClaimRequest(node="node", queues={"queue": limit}, limit=limit, kinds=frozenset({"kind"}))
        )
        assert (batch.claims, batch.wait) == ((), 0)
        assert len(meter.statements) <= STATEMENTS


async def test_whoever_is_let_in_costs_alike(stores: dict[int, Path]) -> None:
    """Ten times as many that are let in take ten times as many steps: who went before is not walked again."""
    steps: list[int] = []
    for slots in (100, 1_000):
        async with _metered(stores[MANY]) as (backend, meter):
            await backend.limits.declare({"shut": Limit(slots=slots)})
            await meter.start()
            assert len((await backend.jobs.claim(msgspec.structs.replace(DEMAND, limit=1))).claims) == 1
            steps.append(meter.steps)
            await backend.limits.declare({"shut": Limit(slots=0)})
            while (await backend.jobs.claim(DEMAND)).wait == 0:
                pass
    few, many = steps
    assert many <= 10 * few * TOLERANCE


async def test_a_limit_that_is_declared_as_it_was(stores: dict[int, Path]) -> None:
    """Many nodes that declare the same at their start write nothing."""
    async with _metered(stores[MANY]) as (backend, meter):
        await meter.start()
        await backend.limits.declare(LIMITS)
        assert [each for each in meter.statements if not each.startswith("SELECT")] == []
