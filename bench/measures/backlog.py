"""Whether what has ended, waits for later or is dead slows down what is due."""

from __future__ import annotations

import asyncio
from statistics import median
from typing import TYPE_CHECKING

from bench.filling import fill
from bench.measures.draining import drained
from bench.report import Goal, Line, milliseconds, rate
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.load import Spent

__all__ = ["backlog"]

FINISHED = 1_000_000
LATER = 500_000
DEAD = 100_000
#: Seconds until the later ones are due.
FAR = 30 * 86_400
#: A difference of some percent needs more rounds than the others, and CPU time, which neighbours disturb less.
ROUNDS = 10


def backlog(stage: Stage) -> Iterator[Line]:
    """Drain in a store with a past and a future, held against an empty one."""
    if not stage.on_file:
        return
    count = stage.count(20_000)
    rounds = max(stage.rounds, ROUNDS) if stage.scale == 1 else stage.rounds

    def run(path: Path) -> Spent:
        return asyncio.run(drained(stage, path, count))

    def empty() -> Spent:
        with stage.fresh() as path:
            return run(path)

    finished, later, dead = map(stage.count, (FINISHED, LATER, DEAD))
    with stage.fresh() as full:
        fill(full, "completed", finished)
        fill(full, "pending", later, due_in=FAR)
        fill(full, "dead", dead)
        fulls, empties = alternate(rounds, lambda: run(full), empty)

    figure, limit = (count / median(spent.wall for spent in side) for side in (fulls, empties))
    yield Line(
        name=f"drain with {finished + later + dead:,} others (raw: 0)",
        figure=rate(figure),
        raw=rate(limit),
        ratio=figure / limit,
    )
    figure, limit = (median(spent.cpu for spent in side) for side in (fulls, empties))
    yield Line(
        name="  the same, CPU time",
        figure=milliseconds(figure),
        raw=milliseconds(limit),
        ratio=figure / limit,
        goal=Goal(1.1, least=False),
    )
