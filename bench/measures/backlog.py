"""Whether what waits, has ended, is due later or is dead slows down what comes next."""

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

__all__ = ["backlog"]

PENDING = 1_000_000
FINISHED = 1_000_000
LATER = 500_000
DEAD = 100_000
#: Seconds until the later ones are due.
FAR = 30 * 86_400
#: A difference of some percent needs more rounds than the others.
ROUNDS = 10


def backlog(stage: Stage) -> Iterator[Line]:
    """Run the first of a million, in a store with a past and a future, held against a store that has just those."""
    if not stage.driven:
        return
    count = stage.count(20_000)
    rounds = max(stage.rounds, ROUNDS) if stage.scale == 1 else stage.rounds
    # What starts while the engine stops, so that the last that counts are started among others.
    more = 10 * CONCURRENCY

    def empty() -> Spent:
        with stage.fresh() as place:
            place.fill("pending", count + more)
            return asyncio.run(_run(place, count))

    pending, finished, later, dead = map(stage.count, (PENDING, FINISHED, LATER, DEAD))
    with stage.fresh() as full:
        full.fill("completed", finished)
        full.fill("dead", dead)
        full.fill("pending", later, due_in=FAR)
        full.fill("pending", pending + rounds * (count + more))
        fulls, empties = alternate(rounds, lambda: asyncio.run(_run(full, count)), empty)

    # Of a file, CPU time tells, which neighbours disturb less; most of a server's is not this process's.
    by_cpu = stage.server is None
    goal = Goal(1.1, least=False) if by_cpu else Goal(0.9, least=True)
    figure, limit = (count / median(spent.wall for spent in side) for side in (fulls, empties))
    yield Line(
        name=f"drain with {pending + finished + later + dead:,} others",
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


async def _run(place: Place, count: int) -> Spent:
    """Run so many; return what was spent from the start of the first until that of the last."""
    load = Load(place.url)
    async with load.bb:
        return await load.ran(count)
