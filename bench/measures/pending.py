"""Memory and room that pending jobs take."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from bench.apart import in_fresh_process
from bench.load import CHUNK, Load
from bench.raw import insert_all, rows
from bench.report import Goal, Line, mebibytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.places import SharedHost, SharedPlace
    from bench.stage import Stage

__all__ = ["memory", "pending", "room"]

PENDING = 1_000_000
RUN = 20_000
STORED = 100_000


def pending(stage: Stage) -> Iterator[Line]:
    """Peak memory of a process that runs jobs while a million wait, held against one where none wait."""
    count = stage.count(PENDING)
    run = stage.count(RUN)
    if not stage.driven:
        empty, full = (in_fresh_process(_peak_of_storing, number) for number in (100, count))
        yield Line(name=f"memory of a pending job, of {count:,}", figure=f"{(full - empty) / count:,.0f} B")
        return
    peaks = []
    for number in (run, count):
        with stage.fresh() as place:
            place.fill("pending", number)
            peaks.append(in_fresh_process(_peak_of_running, place.url, run))
    empty, full = peaks
    yield Line(
        name=f"peak memory, {count:,} pending (raw: few)",
        figure=mebibytes(full),
        raw=mebibytes(empty),
        ratio=full / empty,
        goal=Goal(1.1, least=False),
    )


def room(stage: Stage) -> Iterator[Line]:
    """Bytes that a server keeps of a pending no-op: in memory, or on disk; raw: of the same row."""
    if stage.server is None:
        return
    count = stage.count(STORED)
    figure = _grown(stage.server, count, by_engine=True)
    limit = _grown(stage.server, count, by_engine=False)
    yield Line(
        name=f"room of a pending job on the server, of {count:,}",
        figure=f"{figure:,.0f} B",
        raw=f"{limit:,.0f} B",
        ratio=figure / limit,
    )


def _grown(server: SharedHost, count: int, *, by_engine: bool) -> float:
    """Store jobs, and return the bytes that each has taken."""

    async def store(place: SharedPlace) -> float:
        load = Load(place.url, run=False)
        async with place.raw() as raw, load.bb:
            before = await raw.size()
            if by_engine:
                await load.store(count)
            else:
                await insert_all(raw, rows(count), CHUNK)
            return (await raw.size() - before) / count

    with server.fresh() as place:
        return asyncio.run(store(place))


def _peak_of_running(url: str, count: int) -> int:
    """Run the first jobs of a store, and return the most memory this process ever had."""
    load = Load(url)

    async def run() -> None:
        async with load.bb:
            await load.ran(count)

    asyncio.run(run())
    return memory("VmHWM")


def _peak_of_storing(count: int) -> int:
    """Store jobs in memory, and return the most memory this process ever had."""
    load = Load("memory://", run=False)

    async def run() -> None:
        async with load.bb:
            await load.store(count)

    asyncio.run(run())
    return memory("VmHWM")


def memory(kind: str) -> int:
    """Return bytes of this process: ``VmHWM`` the most it ever had, ``VmRSS`` what it has now, or the most for want of that.

    What `getrusage` says counts the parent too, where a process began as its copy.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith(kind))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
