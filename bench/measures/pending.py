"""Memory with a million pending jobs."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from bench.filling import fill
from bench.load import Load
from bench.report import Goal, Line, mebibytes
from bench.stage import Stage, in_fresh_process

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["pending"]

PENDING = 1_000_000
RUN = 20_000


def pending(stage: Stage) -> Iterator[Line]:
    """Peak memory of a process that runs jobs while a million wait, held against one where none wait."""
    count = stage.count(PENDING)
    run = stage.count(RUN)
    if not stage.on_file:
        empty, full = (in_fresh_process(_peak_of_storing, number) for number in (100, count))
        yield Line(name=f"memory of a pending job, of {count:,}", figure=f"{(full - empty) / count:,.0f} B")
        return
    peaks = []
    for number in (run, count):
        with stage.fresh() as path:
            fill(path, "pending", number)
            peaks.append(in_fresh_process(_peak_of_running, stage.url(path), run))
    empty, full = peaks
    yield Line(
        name=f"peak memory, {count:,} pending (raw: few)",
        figure=mebibytes(full),
        raw=mebibytes(empty),
        ratio=full / empty,
        goal=Goal(1.1, least=False),
    )


def _peak_of_running(url: str, count: int) -> int:
    """Run the first jobs of a store, and return the most memory this process ever had."""
    load = Load(url)

    async def run() -> None:
        async with load.bb:
            await load.ran(count)

    asyncio.run(run())
    return _peak()


def _peak_of_storing(count: int) -> int:
    """Store jobs in memory, and return the most memory this process ever had."""
    load = Load("memory://", run=False)

    async def run() -> None:
        async with load.bb:
            await load.store(count)

    asyncio.run(run())
    return _peak()


def _peak() -> int:
    """Bytes. What `getrusage` says counts the parent too, where a process began as its copy."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
