"""What jobs cost the server, counted by it: how many transactions, and how many statements."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bench.load import Load
from bench.report import Goal, Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.places import Counter, Counts
    from bench.stage import Stage

__all__ = ["cost"]

JOBS = 1_000
AT_ONCE = 20


def cost(stage: Stage) -> Iterator[Line]:
    """Run jobs that are stored already, from opening the store until it is closed, less the same life without any."""
    if stage.server is None:
        return
    with stage.server.counting() as counter:
        # The first has the schema to make, and scripts to load.
        _ = _life(counter, AT_ONCE)
        # The least of several: what goes by the clock, a hint or a beat, only ever adds to one.
        idle, busy = (min(_life(counter, jobs) for _ in range(stage.rounds)) for jobs in (0, JOBS))
    name = f"{{}} of {JOBS:,} no-ops, {AT_ONCE} at once"
    for kind, cost, rest, bound in (
        ("transactions", busy.transactions, idle.transactions, 60),
        ("statements", busy.statements, idle.statements, 240),
    ):
        yield Line(
            name=name.format(kind),
            figure=f"{cost - rest:,}",
            judged=cost - rest,
            goal=Goal(bound, least=False),
        )
    if busy.inner is not None and idle.inner is not None:
        yield Line(name="  commands within scripts", figure=f"{busy.inner - idle.inner:,}")


def _life(counter: Counter, jobs: int) -> Counts:
    """Return what running so many cost, from opening the store until it is closed."""

    async def store() -> None:
        load = Load(counter.url, run=False)
        async with load.bb:
            if jobs:
                _ = await load.store(jobs)

    async def run() -> None:
        load = Load(counter.url, at_once=AT_ONCE)
        async with load.bb:
            if jobs:
                await load.ran(jobs)

    asyncio.run(store())
    before = counter.read()
    asyncio.run(run())
    after = counter.read()
    return after.since(before)
