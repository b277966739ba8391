"""A hundred schedules that are due among a million that are not, and how many ticks a second are fired."""

from __future__ import annotations

import asyncio
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from backburner import Cron, Every
from backburner.model.clock import SECOND
from bench.apart import in_fresh_process
from bench.load import CHUNK
from bench.measures.pending import memory
from bench.planning import Node, opened, record
from bench.raw import insert_all, now, rows
from bench.report import Goal, Line, mebibytes, milliseconds, rate
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.ports.backend import Backend
    from backburner.scheduler.rule import ScheduleOptions
    from bench.places import Place

__all__ = ["crowd", "firing"]

DUE = 100
OTHERS = 1_000_000
FIRED = 5_000
#: Rounds in one process, and how many of them come first and do not count: the memory of a process grows at first.
ROUNDS, WARM_UP = 40, 10
#: Microseconds until the others are due.
YEAR = 365 * 86_400 * SECOND
#: Schedules in one step of the scheduler.
BATCH = 500


class Took(NamedTuple):
    """Seconds of a step that fires, of one that finds nothing due, and of a look at what no code declares; bytes grown."""

    firing: float
    idle: float
    upkeep: float
    grown: float


def crowd(stage: Stage) -> Iterator[Line]:
    """Fire a hundred schedules that are due, beside a million others; raw: beside none."""
    count = stage.count(OTHERS)
    took: list[Took] = []
    for others in (0, count):
        with stage.fresh() as place:
            if stage.driven:
                asyncio.run(_filled(place.url, others))
            left = () if stage.driven else (others,)
            runs = [in_fresh_process(_watched, place.url, *left) for _ in range(stage.rounds)]
        took.append(Took(*(median(values) for values in zip(*runs, strict=True))))
    few, many = took
    for name, figure, raw in (
        (f"fire {DUE} of {count:,} (raw: of {DUE})", many.firing, few.firing),
        ("  find nothing due", many.idle, few.idle),
        ("  look for what no code declares", many.upkeep, few.upkeep),
    ):
        yield Line(
            name=name,
            figure=milliseconds(figure),
            raw=milliseconds(raw),
            ratio=figure / raw,
            goal=Goal(1.5, least=False),
        )
    yield Line(
        name=f"  memory grown in {ROUNDS - WARM_UP} rounds",
        figure=mebibytes(many.grown),
        raw=mebibytes(few.grown),
        judged=many.grown - few.grown,
        goal=Goal(2**20, least=False, shown="≤ 1 MiB"),
    )


def firing(stage: Stage) -> Iterator[Line]:
    """Ticks a second, by a scheduler that is behind; raw: rows of their jobs alone, as many in a transaction."""
    count = BATCH + stage.count(FIRED)
    variants: dict[str, ScheduleOptions] = {"one at a time": {}, "overlap allowed": {"overlap": "allow"}}
    for name, options in variants.items():

        def engine(options: ScheduleOptions = options) -> float:
            with stage.fresh() as place:
                return asyncio.run(_fired(place.url, count, options))

        def raw() -> float:
            with stage.fresh() as place:
                return asyncio.run(_inserted(place, count))

        engines, raws = alternate(stage.rounds, engine, raw if stage.driven else None)
        yield Line(
            name=f"ticks fired, {name}",
            figure=rate(median(engines)),
            raw=rate(median(raws)) if raws else "",
            ratio=median(engines) / median(raws) if raws else None,
            judged=median(engines),
            goal=Goal(5_000, least=True, shown="≥ 5,000/s") if stage.store == "sqlite" else None,
        )


async def _fill(backend: Backend, others: int) -> None:
    """Store schedules that are due in a year, and a hundred that are when they are armed."""
    node = Node(backend)
    moment = now()
    await node.put([record(name, Every(hours=1), moment) for name in _names()])
    for start in range(0, others, CHUNK):
        some = range(start, min(start + CHUNK, others))
        await node.put(
            [record(f"other-{number:07}", Every(hours=1), moment, due_at=moment + YEAR + number) for number in some]
        )


def _names() -> list[str]:
    return [f"due-{number:03}" for number in range(DUE)]


async def _filled(url: str, others: int) -> None:
    async with opened(url) as backend:
        await _fill(backend, others)


def _watched(url: str, others: int | None = None) -> Took:
    """Have the hundred be due, and fire them, over and over; on a store that is filled, or has so many to be filled with."""
    return asyncio.run(_rounds(url, others))


async def _rounds(url: str, others: int | None) -> Took:
    async with opened(url) as backend:
        if others is not None:
            await _fill(backend, others)
        node = Node(backend)
        await node.fire()
        firing: list[float] = []
        idle: list[float] = []
        before = 0
        for number in range(ROUNDS):
            if number == WARM_UP:
                before = memory("VmRSS")
            await node.arm(_names())
            began = perf_counter()
            await node.scheduler.step()
            fired = perf_counter()
            await node.scheduler.step()
            firing.append(fired - began)
            idle.append(perf_counter() - fired)
        grown = memory("VmRSS") - before
        began = perf_counter()
        await node.declarer.retire()
        upkeep = perf_counter() - began
        return Took(median(firing[WARM_UP:]), median(idle[WARM_UP:]), upkeep, grown)


async def _fired(url: str, count: int, options: ScheduleOptions) -> float:
    """Fire schedules of as many expressions as a day has minutes, which are all due; return the ticks a second."""
    async with opened(url) as backend:
        node = Node(backend)
        await node.scheduler.start()
        moment = now()
        await node.put(
            [
                record(
                    f"cron-{number:05}",
                    Cron(f"{number % 60} {number // 60 % 24} * * *"),
                    moment,
                    options,
                    due_at=moment,
                )
                for number in range(count)
            ]
        )
        await node.scheduler.step()
        left = count - BATCH
        began = perf_counter()
        await node.fire()
        return left / (perf_counter() - began)


async def _inserted(place: Place, count: int) -> float:
    async with place.raw() as raw:
        prepared = rows(count)
        began = perf_counter()
        await insert_all(raw, prepared, BATCH)
        return count / (perf_counter() - began)
