"""What it costs jobs that events of theirs are asked for, or others are, held against the same while nobody asks."""

from __future__ import annotations

import asyncio
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from bench.asking import ask
from bench.load import Load, Spent
from bench.report import Goal, Line, milliseconds
from bench.stage import in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.places import Counter, Place
    from bench.stage import Stage

__all__ = ["asked"]

JOBS = 20_000
#: Jobs whose statements are counted, stored in one call.
COUNTED = 1_000
WARM_UP = 100
#: Statements by which two such counts differ, since not always as many jobs are claimed together.
MORE = 10
#: A difference of some percent needs more rounds than others.
ROUNDS = 10
#: What is asked for, by what the report says of it.
NOBODY = "nobody"
ASKED: dict[str, Sequence[str]] = {
    NOBODY: (),
    "others (order.*)": ("order.*",),
    "job.dead, and none is": ("job.dead",),
    "job.*": ("job.*",),
}


def asked(stage: Stage) -> Iterator[Line]:
    """Store and run no-ops; raw: while nobody asks. What a server does for them is counted, beside what it takes here."""
    count = stage.count(JOBS)

    def run(names: Sequence[str]) -> Spent:
        with stage.fresh() as place:
            return asyncio.run(_spent(place, count, names))

    rounds = max(stage.rounds, ROUNDS) if stage.scale == 1 else stage.rounds
    spent = in_turn(rounds, {name: partial(run, names) for name, names in ASKED.items()})
    raw = median(each.cpu for each in spent[NOBODY])
    for name in list(ASKED)[1:]:
        figure = median(each.cpu for each in spent[name])
        yield Line(
            name=f"CPU of {count:,} jobs, asked: {name}",
            figure=milliseconds(figure),
            raw=milliseconds(raw),
            ratio=figure / raw,
        )
    yield from _statements(stage)


def _statements(stage: Stage) -> Iterator[Line]:
    """Count what clients send for as many jobs: events come with the statements that there are anyway."""
    if stage.server is None:
        return
    sent: dict[str, int] = {}
    for name, names in ASKED.items():
        with stage.server.counting() as counter:
            # The first has the schema to make, and scripts to load.
            asyncio.run(_ready(counter.url, names))
            # The least of several: what goes by the clock, a hint or a beat, only ever adds to one.
            idle, busy = (min(_life(counter, jobs) for _ in range(stage.rounds)) for jobs in (0, COUNTED))
            sent[name] = busy - idle
    for name in list(ASKED)[1:]:
        yield Line(
            name=f"  statements of {COUNTED:,}, asked: {name}",
            figure=f"{sent[name]:,}",
            raw=f"{sent[NOBODY]:,}",
            judged=sent[name] - sent[NOBODY],
            goal=Goal(MORE, least=False, shown=f"≤ {MORE} more"),
        )


async def _spent(place: Place, count: int, names: Sequence[str]) -> Spent:
    load = Load(place.url)
    async with load.bb:
        if names:
            await ask(load.bb, *names)
        await _run(load, WARM_UP)
        before = Spent.until_now()
        await _run(load, count)
        return Spent.until_now().since(before)


async def _run(load: Load, count: int) -> None:
    # Jobs run in order, so the last is settled with the last batch.
    await (await load.store(count))[-1]


async def _ready(url: str, names: Sequence[str]) -> None:
    load = Load(url)
    async with load.bb:
        if names:
            await ask(load.bb, *names)
        await _run(load, WARM_UP)


def _life(counter: Counter, jobs: int) -> int:
    """Return the statements of storing and running so many, from opening the store until it is closed."""

    async def live() -> None:
        load = Load(counter.url)
        async with load.bb:
            if jobs:
                await _run(load, jobs)

    before = counter.read()
    asyncio.run(live())
    return counter.read().since(before).statements
