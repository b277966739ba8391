"""Whether jobs that a limit holds back slow down the others."""

from __future__ import annotations

import asyncio
from statistics import median
from typing import TYPE_CHECKING

from bench.load import CONCURRENCY, Load
from bench.report import Goal, Line, milliseconds, rate
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.load import Spent
    from bench.places import Place

__all__ = ["blocked"]

BLOCKED = 10_000
#: A difference of some percent needs more rounds than the others.
ROUNDS = 10


def blocked(stage: Stage) -> Iterator[Line]:
    """Run jobs behind ten thousand that a lane holds back, held against a store that has just those."""
    if not stage.driven:
        return
    count, standing = stage.count(20_000), stage.count(BLOCKED)
    rounds = max(stage.rounds, ROUNDS) if stage.scale == 1 else stage.rounds

    def side(before: int) -> Spent:
        with stage.fresh() as place:
            asyncio.run(_block(place, before))
            place.fill("pending", count + 10 * CONCURRENCY)
            return asyncio.run(_run(place, count))

    fulls, empties = alternate(rounds, lambda: side(standing), lambda: side(0))
    by_cpu = stage.server is None
    goal = Goal(1.1, least=False) if by_cpu else Goal(0.9, least=True)
    figure, limit = (count / median(spent.wall for spent in side) for side in (fulls, empties))
    yield Line(
        name=f"drain behind {standing:,} held back",
        figure=rate(figure),
        raw=rate(limit),
        ratio=figure / limit,
        goal=None if by_cpu else goal,
    )
    figure, limit = (median(spent.cpu for spent in side) for side in (fulls, empties))
    yield Line(
        name="  the same, CPU time of the process",
        figure=milliseconds(figure),
        raw=milliseconds(limit),
        ratio=figure / limit,
        goal=goal if by_cpu else None,
    )


async def _block(place: Place, count: int) -> None:
    """Store jobs that none may run of, and let a claim meet them: they are before all others from then on."""
    load = Load(place.url)

    @load.bb.job(concurrency=1, priority=0)
    async def held() -> None:
        raise AssertionError("its lane has no slots")

    async with load.bb:
        await load.bb.limits.set("concurrency:held", slots=0)
        for start in range(0, count, 1_000):
            await load.bb.create_tasks([held() for _ in range(min(1_000, count - start))])
        # It comes after all of them in the line, so each of them has been asked about when it runs.
        _ = await (await load.bb.create_task(load.noop(), priority=9))


async def _run(place: Place, count: int) -> Spent:
    """Run so many; return what was spent from the start of the first until that of the last."""
    load = Load(place.url)
    async with load.bb:
        return await load.ran(count)
