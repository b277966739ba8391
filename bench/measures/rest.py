"""What an engine takes that has nothing to do: CPU while idle, time to start and stop, time to import."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from bench.apart import in_fresh_process
from bench.load import Load
from bench.report import Goal, Line, milliseconds, percent
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.places import Place

__all__ = ["idle", "importing", "life"]

#: Seconds for an engine to come to rest, and to be watched at rest.
SETTLE = 1.0
WATCH = 10.0
LIFE = Goal(0.070, least=False, shown="≤ 70 ms")
#: What `import backburner` must leave alone.
UNWANTED = ("sqlite3", "aiosqlite", "asyncpg", "redis", "click", "rich", "starlette", "fastapi")
IMPORT = f"""
import asyncio, sys, time
began = time.perf_counter()
import backburner
print(time.perf_counter() - began, *[name for name in {UNWANTED} if name in sys.modules])
"""


def idle(stage: Stage) -> Iterator[Line]:
    """CPU of an engine without work, as a share of a core."""
    with stage.fresh() as place:
        share = in_fresh_process(_idle_share, place.url, WATCH * stage.scale)
    yield Line(
        name="CPU of an idle engine, of a core",
        figure=percent(share),
        judged=share,
        goal=Goal(0.005, least=False, shown="< 0.5 %"),
    )


def life(stage: Stage) -> Iterator[Line]:
    """Start and stop, on a store that is new and on one that has its schema."""

    def on_new() -> float:
        with stage.host.fresh() as place:
            return asyncio.run(_life(place))

    with stage.fresh() as place:
        knowns, news = alternate(4 * stage.rounds, lambda: asyncio.run(_life(place)), on_new)
    # To connect to a server takes what it takes.
    goal = LIFE if stage.server is None else None
    for name, seconds in (("start + stop", median(knowns)), ("start + stop, on a new store", median(news))):
        yield Line(name=name, figure=milliseconds(seconds), judged=seconds, goal=goal)


def importing(stage: Stage) -> Iterator[Line]:
    """`import backburner` in a new interpreter that has asyncio, and what else that loads."""
    times: list[float] = []
    loaded: list[str] = []
    for _ in range(stage.rounds):
        answer = subprocess.run([sys.executable, "-c", IMPORT], check=True, capture_output=True, text=True)
        seconds, *loaded = answer.stdout.split()
        times.append(float(seconds))
    yield Line(name="import backburner", figure=milliseconds(median(times)))
    yield Line(
        name="  drivers, CLI or web modules that loads",
        figure=" ".join(loaded) or "none",
        judged=len(loaded),
        goal=Goal(0, least=False, shown="none"),
    )


def _idle_share(url: str, seconds: float) -> float:
    async def watch() -> float:
        async with Load(url).bb:
            await asyncio.sleep(SETTLE)
            wall, cpu = perf_counter(), process_time()
            await asyncio.sleep(seconds)
            return (process_time() - cpu) / (perf_counter() - wall)

    return asyncio.run(watch())


async def _life(place: Place) -> float:
    load = Load(place.url)
    began = perf_counter()
    async with load.bb:
        pass
    return perf_counter() - began
