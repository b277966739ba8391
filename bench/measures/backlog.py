"""Whether what has ended, waits for later or is dead slows down what is due."""

from __future__ import annotations

import asyncio
from statistics import median
from time import process_time
from typing import TYPE_CHECKING

from bench.filling import fill
from bench.measures.draining import drained
from bench.report import Goal, Line, milliseconds, rate
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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

    def run(path: Path) -> tuple[float, float]:
        began = process_time()
        seconds = asyncio.run(drained(stage, path, count))
        return seconds, process_time() - began

    def empty() -> tuple[float, float]:
        with stage.fresh() as path:
            return run(path)

    with stage.fresh() as full:
        fill(full, "completed", stage.count(FINISHED))
        fill(full, "pending", stage.count(LATER), due_in=FAR)
        fill(full, "dead", stage.count(DEAD))
        fulls, empties = alternate(rounds, lambda: run(full), empty)

    figure, limit = (count / median(seconds for seconds, _ in side) for side in (fulls, empties))
    yield Line(
        name="drain with 1.6 M other rows (raw: empty)", figure=rate(figure), raw=rate(limit), ratio=figure / limit
    )
    figure, limit = (median(cpu for _, cpu in side) for side in (fulls, empties))
    yield Line(
        name="  the same, CPU time",
        figure=milliseconds(figure),
        raw=milliseconds(limit),
        ratio=figure / limit,
        goal=Goal(1.1, least=False),
    )
