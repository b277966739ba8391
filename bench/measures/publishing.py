"""Publishing events that a subscription asks for; and those nobody asks for."""

from __future__ import annotations

import asyncio
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, cast

from backburner import Backburner
from bench.asking import EVENT, ask
from bench.raw import GroupCommit, event_rows
from bench.report import Line, rate
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from bench.places import Place, TablePlace
    from bench.raw import EventRow, Raw

__all__ = ["publishing"]

#: Events that come first, on both sides.
WARM_UP = 100
#: Events that callers publish at once.
AT_ONCE = 1_000


def publishing(stage: Stage) -> Iterator[Line]:
    """Publish one by one, at once, and in one caller's transaction; raw: the same of rows."""
    few, many = stage.count(1_000), stage.count(20_000)
    yield _line(stage, "publish, one by one", few, _each, _raw_each)
    yield _line(stage, f"publish, {AT_ONCE:,} callers at once", many, _together, _raw_together)
    if stage.store in {"sqlite", "postgres"}:
        yield _line(stage, "publish, in one transaction of the caller's", few, _in_one, _raw_in_one)
    yield _line(stage, f"publish what nobody asks for, {AT_ONCE:,} at once", many, _together, None, asked=False)


async def _each(bb: Backburner, place: Place, count: int) -> None:
    del place
    for _ in range(count):
        await bb.publish(EVENT)


async def _raw_each(store: Raw, place: Place, prepared: Sequence[EventRow]) -> None:
    del place
    for row in prepared:
        await store.append((row,))


async def _together(bb: Backburner, place: Place, count: int) -> None:
    del place
    for start in range(0, count, AT_ONCE):
        await asyncio.gather(*(bb.publish(EVENT) for _ in range(min(AT_ONCE, count - start))))


async def _raw_together(store: Raw, place: Place, prepared: Sequence[EventRow]) -> None:
    del place
    group = GroupCommit(store.append)
    for start in range(0, len(prepared), AT_ONCE):
        await asyncio.gather(*map(group.insert, prepared[start : start + AT_ONCE]))


async def _in_one(bb: Backburner, place: Place, count: int) -> None:
    async with cast("TablePlace", place).caller() as connection:
        for _ in range(count):
            await bb.publish(EVENT, tx=connection)


async def _raw_in_one(store: Raw, place: Place, prepared: Sequence[EventRow]) -> None:
    del store
    # Connects as well, as a caller does.
    async with cast("TablePlace", place).raw() as caller, caller.transaction():
        for row in prepared:
            await caller.append((row,))


def _line(
    stage: Stage,
    name: str,
    count: int,
    engine: Callable[[Backburner, Place, int], Awaitable[None]],
    raw: Callable[[Raw, Place, Sequence[EventRow]], Awaitable[None]] | None,
    *,
    asked: bool = True,
) -> Line:
    """Measure both sides, in events a second, each round on new stores."""

    async def with_engine(place: Place) -> float:
        async with Backburner(place.url, run=False) as bb:
            if asked:
                await ask(bb, EVENT)
            await asyncio.gather(*(bb.publish(EVENT) for _ in range(WARM_UP)))
            began = perf_counter()
            await engine(bb, place, count)
            return count / (perf_counter() - began)

    async def without(place: Place) -> float:
        assert raw is not None
        async with place.raw() as store:
            await store.append(event_rows(WARM_UP))
            prepared = event_rows(count)
            began = perf_counter()
            await raw(store, place, prepared)
            return count / (perf_counter() - began)

    def engine_side() -> float:
        with stage.fresh() as place:
            return asyncio.run(with_engine(place))

    def raw_side() -> float:
        with stage.fresh() as place:
            return asyncio.run(without(place))

    engines, raws = alternate(stage.rounds, engine_side, raw_side if raw is not None and stage.driven else None)
    figure = median(engines)
    if not raws:
        return Line(name=name, figure=rate(figure))
    return Line(name=name, figure=rate(figure), raw=rate(median(raws)), ratio=figure / median(raws))
