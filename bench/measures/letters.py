"""A million dead letters: how long an operator waits for an answer, and how fast they come back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, cast

from backburner.backends import urls
from backburner.model.clock import SECOND, SystemClock
from backburner.model.ids import Ids
from backburner.model.job import JobImage, JobRecord, JobState
from backburner.model.query import JobFilter, Shown
from backburner.ports.jobs import Letter
from bench.load import CHUNK
from bench.raw import now, rows
from bench.report import Goal, Line, milliseconds, rate
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from backburner.ports.backend import Backend
    from bench.places import Place
    from bench.raw import RawTable

__all__ = ["letters", "replay"]

LETTERS = 1_000_000
REPLAYED = 20_000
CAUSES = 500
KINDS = 20
#: Seconds that an operator waits without thinking of something else.
PATIENCE = 1.0

_DEAD = (Shown.DEAD,)
#: What is asked, by its name in the report.
_ASKED: dict[str, Callable[[Backend], Awaitable[object]]] = {
    "groups": lambda backend: backend.reader.groups(JobFilter(), limit=100),
    "groups of a kind": lambda backend: backend.reader.groups(JobFilter(kinds=("kind-3",)), limit=100),
    "count": lambda backend: backend.reader.count(JobFilter(states=_DEAD)),
    "count by kind": lambda backend: backend.reader.count(JobFilter(states=_DEAD, kinds=("kind-3",))),
    "count by fingerprint": lambda backend: backend.reader.count(JobFilter(states=_DEAD, fingerprint=_cause(7))),
    "count by error": lambda backend: backend.reader.count(JobFilter(states=_DEAD, error="cause 77")),
    "first page": lambda backend: backend.reader.find(JobFilter(states=_DEAD), limit=50),
    "first page by fingerprint": lambda backend: backend.reader.find(
        JobFilter(states=_DEAD, fingerprint=_cause(7)), limit=50
    ),
    "first page by kind": lambda backend: backend.reader.find(JobFilter(states=_DEAD, kinds=("kind-3",)), limit=50),
}


def letters(stage: Stage) -> Iterator[Line]:
    """Ask what an operator asks of a million letters of five hundred causes."""
    count = stage.count(LETTERS)
    with stage.fresh() as place:
        for name, seconds in asyncio.run(_ask(place, count, stage.rounds)).items():
            goal = Goal(PATIENCE, least=False, shown="< 1 s") if stage.store in {"postgres", "sqlite"} else None
            yield Line(name=f"{name} of {count:,} letters", figure=milliseconds(seconds), judged=seconds, goal=goal)


def replay(stage: Stage) -> Iterator[Line]:
    """Bring letters back, a thousand in a write, held against an update of as many rows."""
    if stage.store not in {"postgres", "sqlite"}:
        return
    count = stage.count(REPLAYED)

    def by_engine() -> float:
        with stage.fresh() as place:
            return asyncio.run(_replay(place, count))

    def by_hand() -> float:
        with stage.fresh() as place:
            return asyncio.run(_revive(place, count))

    engine, raw = map(median, alternate(stage.rounds, by_engine, by_hand))
    yield Line(
        name="replay, 1,000 in a write",
        figure=rate(engine),
        raw=rate(raw),
        ratio=engine / raw,
        goal=Goal(0.3, least=True),
    )


async def _ask(place: Place, count: int, rounds: int) -> dict[str, float]:
    async with _opened(place) as backend:
        await _bury(backend, count)
        asked: dict[str, float] = {}
        for name, ask in _ASKED.items():
            took: list[float] = []
            for _ in range(rounds):
                began = perf_counter()
                await ask(backend)
                took.append(perf_counter() - began)
            asked[name] = median(took)
        return asked


async def _replay(place: Place, count: int) -> float:
    async with _opened(place) as backend:
        ids = await _bury(backend, count)
        began = perf_counter()
        for start in range(0, count, CHUNK):
            await backend.admin.replay([Letter(id=each, token=1) for each in ids[start : start + CHUNK]])
        return count / (perf_counter() - began)


async def _revive(place: Place, count: int) -> float:
    async with place.raw() as connected:
        raw = cast("RawTable", connected)
        buried = rows(count)
        await raw.bury(buried)
        await raw.rest()
        ids = [row[0] for row in buried]
        began = perf_counter()
        for start in range(0, count, CHUNK):
            await raw.revive(ids[start : start + CHUNK])
        return count / (perf_counter() - began)


@asynccontextmanager
async def _opened(place: Place) -> AsyncGenerator[Backend]:
    backend = urls.connect(urls.parse(place.url, base=Path.cwd()), clock=SystemClock(), write_timeout=60)
    await backend.open(create=True)
    try:
        yield backend
    finally:
        await backend.close()


async def _bury(backend: Backend, count: int) -> list[str]:
    """Store dead letters; return their ids."""
    new_id = Ids(SystemClock()).new
    ids = [new_id() for _ in range(count)]
    for start in range(0, count, CHUNK):
        chunk = range(start, min(start + CHUNK, count))
        await backend.admin.restore([_letter(ids[number], number) for number in chunk])
    return ids


def _letter(job_id: str, number: int) -> JobImage:
    cause, moment = number % CAUSES, now()
    return JobImage(
        record=JobRecord(
            id=job_id,
            kind=f"kind-{number % KINDS}",
            queue="default",
            state=JobState.DEAD,
            gate="",
            priority=5,
            args=f'{{"order":{number}}}',
            result=None,
            reason="exhausted",
            tags=(),
            attempt=10,
            failures=10,
            crashes=0,
            interruptions=0,
            token=1,
            node="bench",
            cancel=False,
            timeout=None,
            retry=None,
            backoff=None,
            created_at=moment - 3600 * SECOND,
            due_at=moment - 60 * SECOND,
            expires_at=None,
            started_at=moment - SECOND,
            ended_at=moment,
            error="ConnectionError",
            message=f"cause {cause} of many",
            fingerprint=_cause(cause),
        )
    )


def _cause(number: int) -> str:
    return f"{number:012x}"
