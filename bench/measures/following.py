"""Reading the log of events: all of it, and its end when it is long."""

from __future__ import annotations

import asyncio
from functools import partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from backburner import Backburner
from backburner.events.following import BATCH
from backburner.model.clock import SECOND
from backburner.model.event import NewEvent, NewSubscription
from bench.apart import in_fresh_process
from bench.asking import EVENT, SUBSCRIPTION, ask
from bench.load import CHUNK
from bench.planning import opened
from bench.raw import event_rows
from bench.report import Goal, Line, milliseconds, rate
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.ports.backend import Backend
    from bench.places import Place

__all__ = ["following", "long", "numbering"]

FOLLOWED = 100_000
SHORT, LONG = 1_000, 1_000_000
#: Pulls that are measured, in turn beside the long log and beside the short, and those that come first.
PULLS, WARM_UP = 200, 20
#: Events that a pull hands over.
PAGE = 100
NUMBERED = 10_000
HOUR = 3_600 * SECOND


def following(stage: Stage) -> Iterator[Line]:
    """Read a log from its beginning; raw: pages of as many rows, the reader's place written down with each."""
    count = stage.count(FOLLOWED) if stage.scale == 1 else FOLLOWED // 20

    def engine() -> float:
        with stage.fresh() as place:
            return asyncio.run(_followed(place, count))

    def raw() -> float:
        with stage.fresh() as place:
            return asyncio.run(_raw_followed(place, count))

    engines, raws = alternate(stage.rounds, engine, raw if stage.driven else None)
    figure = median(engines)
    name = f"read a log of {count:,}"
    if raws:
        yield Line(name=name, figure=rate(figure), raw=rate(median(raws)), ratio=figure / median(raws))
    else:
        yield Line(name=name, figure=rate(figure))


async def _followed(place: Place, count: int) -> float:
    async with Backburner(place.url, run=False) as bb:
        await ask(bb, EVENT)
        for start in range(0, count, CHUNK):
            await asyncio.gather(*(bb.publish(EVENT) for _ in range(min(CHUNK, count - start))))
        # Numbers are given by whoever looks, which is measured on its own.
        await bb.sample()
        left = count
        began = perf_counter()
        async for _ in bb.events(EVENT, subscription=SUBSCRIPTION):
            left -= 1
            if not left:
                break
        return count / (perf_counter() - began)


async def _raw_followed(place: Place, count: int) -> float:
    async with place.raw() as store:
        prepared = event_rows(count)
        for start in range(0, count, CHUNK):
            await store.append(prepared[start : start + CHUNK])
        left = count
        began = perf_counter()
        while left:
            left -= len(await store.follow(BATCH))
        return count / (perf_counter() - began)


def long(stage: Stage) -> Iterator[Line]:
    """Pull what is at the end, and nothing, and store an event: beside a long log, held against a short one."""
    short, count = stage.count(SHORT), stage.count(LONG)
    with stage.fresh() as many, stage.fresh() as few:
        took = in_fresh_process(_beside, many.url, few.url, count, short)
    for name, (figure, raw) in took.items():
        yield Line(
            name=f"{name} of {count:,} (raw: of {short:,})",
            figure=milliseconds(figure),
            raw=milliseconds(raw),
            ratio=figure / raw,
            goal=Goal(1.2, least=False),
        )


def _beside(many: str, few: str, count: int, short: int) -> dict[str, tuple[float, float]]:
    """Return the seconds of each verb, in the middle, beside the long log and beside the short."""
    return asyncio.run(_in_turn(many, few, count, short))


async def _in_turn(many: str, few: str, count: int, short: int) -> dict[str, tuple[float, float]]:
    async with opened(many) as long_log, opened(few) as short_log:
        await _fill(long_log, count)
        await _fill(short_log, short)
        sides = (long_log, short_log)
        took: dict[str, tuple[list[float], list[float]]] = {
            f"pull {PAGE} at the end": ([], []),
            "pull nothing at the end": ([], []),
            "append to a log": ([], []),
        }
        full, nothing, append = took.values()
        for number in range(WARM_UP + PULLS):
            for side in (0, 1) if number % 2 else (1, 0):
                verbs = await _verbs(sides[side], f"new-{number}")
                for results, seconds in zip((full, nothing, append), verbs, strict=True):
                    results[side].append(seconds)
        return {name: (median(longs[WARM_UP:]), median(shorts[WARM_UP:])) for name, (longs, shorts) in took.items()}


async def _fill(backend: Backend, count: int) -> None:
    """Store events; a subscription has the last page before it, another nothing."""
    for start in range(0, count, CHUNK):
        some = min(CHUNK, count - start)
        await backend.events.append([NewEvent(name=EVENT, kept=True)] * some)
    # Gives numbers, a part of them at a time.
    while (last := (await backend.event_reader.read(newest=True, limit=1)).last) < count:
        pass
    for name, after in (("full", last - PAGE), ("nothing", last)):
        asking = NewSubscription(name=name, patterns=("bench.*",), ttl=HOUR, after=after)
        await backend.events.subscribe(asking)


async def _verbs(backend: Backend, event_id: str) -> tuple[float, float, float]:
    store = backend.events
    began = perf_counter()
    pulled = await store.pull(["full"], limit=PAGE)
    full = perf_counter()
    assert len(pulled.received[0].events) == PAGE
    await store.pull(["nothing"], limit=PAGE)
    nothing = perf_counter()
    # Neither of them asks for it.
    await store.append([NewEvent(name="other", id=event_id, kept=True)])
    return full - began, nothing - full, perf_counter() - nothing


def numbering(stage: Stage) -> Iterator[Line]:
    """Give numbers to events that are committed; raw: store them. Only PostgreSQL does that afterwards."""
    if stage.store != "postgres":
        return
    count = stage.count(NUMBERED)

    def measured(*, numbers: bool) -> float:
        with stage.fresh() as place:
            return asyncio.run(_numbered(place.url, count, numbers=numbers))

    engines, raws = alternate(stage.rounds, partial(measured, numbers=True), partial(measured, numbers=False))
    figure, limit = median(engines), median(raws)
    yield Line(
        name=f"number {count:,} events (raw: store them)",
        figure=milliseconds(figure),
        raw=milliseconds(limit),
        ratio=figure / limit,
    )


async def _numbered(url: str, count: int, *, numbers: bool) -> float:
    async with opened(url) as backend:
        began = perf_counter()
        for start in range(0, count, CHUNK):
            await backend.events.append([NewEvent(name=EVENT, kept=True)] * min(CHUNK, count - start))
        if not numbers:
            return perf_counter() - began
        began = perf_counter()
        # Somebody who looks has them numbered; he is handed nothing.
        await backend.events.pull((), limit=1)
        took = perf_counter() - began
        last = (await backend.event_reader.subscriptions()).last
        assert last == count, last
        return took
