"""Lanes in SQLite: what is kept of them, and what one claim does at most."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import aiosqlite
import pytest

from backburner.backends.sqlite.backend import SqliteBackend
from backburner.model.clock import SECOND
from backburner.model.job import JobState, Settlement
from backburner.model.lane import Limit, Rate
from backburner.ports.jobs import ClaimRequest, Keep
from tests.unit.sqlite.making import completed, demand, new, node

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backburner.model.job import Claim
    from backburner.testing import FakeClock

KEEP = Keep(completed=0, cancelled=0, dead=0)


async def _claim(backend: SqliteBackend, slots: int = 10_000) -> tuple[Claim, ...]:
    return (await backend.jobs.claim(demand(slots))).claims


async def _enter(backend: SqliteBackend, names: Sequence[str], *, slots: int, jobs: int = 1) -> None:
    """Publish a node, and park so many jobs at each of these lanes of one limit, which then has so many slots."""
    await backend.nodes.publish(node(), 1)
    await backend.limits.declare({"x": Limit(slots=0)})
    await backend.jobs.enqueue([[new(f"{name}-{number}", lanes=(name,)) for name in names for number in range(jobs)]])
    while (await backend.jobs.claim(demand(1))).wait == 0:
        pass
    await backend.limits.declare({"x": Limit(slots=slots)})


def _kept(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as other:
        return {
            name: other.execute(f"SELECT count(*) FROM backburner_{name}").fetchone()[0]  # noqa: S608 - names
            for name in ("lanes", "held", "leases")
        }


async def test_more_lanes_than_one_claim_opens(backend: SqliteBackend) -> None:
    """A limit that is raised opens all its lanes, some with each claim, which says that it is worth asking again."""
    names = [f"x/{number:03}" for number in range(250)]
    await _enter(backend, names, slots=1, jobs=2)
    claimed: list[Claim] = []
    batch = await backend.jobs.claim(demand(10_000))
    while batch.claims:
        claimed += batch.claims
        assert (batch.wait == 0) is (len(claimed) < len(names))
        batch = await backend.jobs.claim(demand(10_000))
    assert [claim.id for claim in claimed] == [f"{name}-0" for name in names]
    assert batch.wait is None


async def test_more_room_than_one_claim_lets_in(backend: SqliteBackend) -> None:
    """Where a lane has room for more than one claim lets in, the next lets in the others."""
    await _enter(backend, ["x"], slots=2_500, jobs=2_600)
    sizes: list[int] = []
    while claims := await _claim(backend):
        sizes.append(len(claims))
    assert sizes == [1_000, 1_000, 500]


async def test_nothing_is_left_of_lanes(backend: SqliteBackend, path: Path, clock: FakeClock) -> None:
    """Once nobody runs or stands in a lane, and its rate is full again, nothing is kept of it."""
    await _enter(backend, [f"x/{number}" for number in range(20)], slots=1, jobs=2)
    while claims := await _claim(backend):
        assert _kept(path)["held"] == 20
        await backend.jobs.settle("node", completed(claims))
    assert _kept(path) == {"lanes": 0, "held": 0, "leases": 0}
    await backend.limits.declare({"y": Limit(rate=Rate(limit=2, period=SECOND, burst=2))})
    await backend.jobs.enqueue([[new(f"y{number}", lanes=(f"y/{number}",)) for number in range(20)]])
    await _claim(backend)
    for seconds, left in ((0.499999, 20), (0.000001, 0)):
        clock.move(seconds)
        await backend.admin.prune(KEEP, 50)
        assert _kept(path)["lanes"] == left


async def test_pruned_in_turn(backend: SqliteBackend, path: Path, clock: FakeClock) -> None:
    """Each call looks at a bounded number of lanes, and later ones at the others, whatever the first are in use for."""
    await backend.nodes.publish(node(), 1)
    await backend.limits.declare({"x": Limit(rate=Rate(limit=1, period=SECOND)), "a": Limit(slots=0)})
    await backend.jobs.enqueue(
        [[new(f"{name}{number}", lanes=(f"{name}/{number}",)) for name in "ax" for number in range(7)]]
    )
    assert len(await _claim(backend)) == 7
    clock.move(1)
    left = []
    for _ in range(5):
        await backend.admin.prune(KEEP, 3)
        left.append(_kept(path)["lanes"])
    assert left == [14, 14, 12, 9, 7]


async def test_leases_that_are_over_are_forgotten(backend: SqliteBackend, path: Path, clock: FakeClock) -> None:
    """What is kept of leases does not grow with the names that were ever used."""
    for number in range(10):
        answer = await backend.leases.acquire(f"name-{number}", "holder", SECOND, shared=False)
        assert answer.token is not None
        if number % 2:
            await backend.leases.release(f"name-{number}", "holder", answer.token)
    clock.move(0.5)
    await backend.admin.prune(KEEP, 1)
    assert _kept(path)["leases"] == 5
    clock.move(0.5)
    await backend.admin.prune(KEEP, 1)
    assert _kept(path)["leases"] == 0


async def test_a_run_from_before_the_slots_stays_uncounted(backend: SqliteBackend) -> None:
    """A note that lends nothing anew counts nobody: only who takes back what it lent asks what the lane allows now."""
    await backend.nodes.publish(node(), 1)
    await backend.jobs.enqueue([[new(lanes=("x",))]])
    (claim,) = await _claim(backend)
    await backend.limits.declare({"x": Limit(slots=1)})

    async def note(*, lent: bool) -> int:
        await backend.jobs.settle(
            "node", [Settlement(id=claim.id, token=claim.token, state=JobState.RUNNING, lent=lent)]
        )
        (lane,) = (await backend.limits.lanes(["x"])).lanes
        return lane.running

    assert [await note(lent=lent) for lent in (False, True, False, True)] == [0, 0, 1, 0]


async def test_a_job_is_asked_with_what_others_took(backend: SqliteBackend, path: Path, clock: FakeClock) -> None:
    """Two processes share a lane: what one took the other's next claim sees."""
    other = SqliteBackend(path, clock=clock)
    await other.open(create=False)
    await backend.nodes.publish(node("one"), 1)
    await other.nodes.publish(node("two"), 1)
    await backend.limits.declare({"x": Limit(slots=3)})
    await backend.jobs.enqueue([[new(str(number), lanes=("x",)) for number in range(5)]])
    first = (await backend.jobs.claim(demand(2, "one"))).claims
    second = (await other.jobs.claim(demand(2, "two"))).claims
    assert ([claim.id for claim in first], [claim.id for claim in second]) == (["0", "1"], ["2"])
    await backend.jobs.settle("one", completed(first[:1]))
    assert [claim.id for claim in (await other.jobs.claim(demand(2, "two"))).claims] == ["3"]
    await other.close()


async def test_freed_in_a_caller_s_transaction(backend: SqliteBackend, path: Path) -> None:
    """What others hear of late opens no lane by itself: a release finds the room, once, and tells of it."""
    await _enter(backend, ["x"], slots=1, jobs=2)
    claims = await _claim(backend)
    async with aiosqlite.connect(path, isolation_level=None) as tx:
        await tx.execute("BEGIN IMMEDIATE")
        assert (await backend.jobs.settle("node", completed(claims), tx=tx)).let_in == 0
        await tx.commit()
    assert await _claim(backend) == ()
    assert [await backend.admin.release(10) for _ in range(2)] == [1, 0]
    assert [claim.id for claim in await _claim(backend)] == ["x-1"]


@pytest.mark.parametrize("kinds", [("kind",), ("kind", "other")])
async def test_a_claim_that_is_refused_all_asks_again_at_no_time(
    backend: SqliteBackend, kinds: tuple[str, ...]
) -> None:
    """Of a lane that time does not open no claim says that it is worth asking again."""
    await _enter(backend, ["x"], slots=0, jobs=5)
    request = ClaimRequest(node="node", queues={"queue": 3}, limit=3, kinds=frozenset(kinds))
    assert [(await backend.jobs.claim(request)).wait for _ in range(3)] == [None] * 3
