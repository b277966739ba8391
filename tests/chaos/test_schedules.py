"""Nodes with schedules of one code, killed at random and started again: every tick is decided once, none is lost.

`make chaos` lets a thousand ticks pass on each store, with five nodes (`BACKBURNER_TEST_TICKS` says how many ticks), the
ordinary run a seventh of them, with three.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from datetime import datetime
from itertools import product
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest

from backburner.model.clock import SECOND, instant
from backburner.model.query import JobFilter
from backburner.model.schedule import SCHEDULE_HEADER, TICK_HEADER, Outcome
from tests.chaos.conftest import LEASE, passed
from tests.chaos.history import killed, opened, read
from tests.chaos.programs.jobs import Plant
from tests.chaos.programs.ticking import INTERVALS, KEPT, Ticking
from tests.chaos.test_limits import at_once, intervals
from tests.clocks import OFF, WrongClock
from tests.stores import SERVED

if TYPE_CHECKING:
    from pathlib import Path

    from backburner.model.job import JobRecord
    from backburner.model.schedule import ScheduleRecord, TickRecord
    from backburner.ports.backend import Backend
    from tests.chaos.conftest import Program, Theatre

TICKS = int(os.environ.get("BACKBURNER_TEST_TICKS", "150"))
NODES = 5 if TICKS >= 1_000 else 3
#: Of these, so many are ready before another is killed: what starts takes long, and fires nothing.
AWAKE = 2
#: Seconds between two kills, in which another may stand still.
PACE = (0.1, 0.5)
#: Seconds in which no node lives, once.
NIGHT = 0.5
#: Seconds in which all of it must be over.
LIMIT = 60 + TICKS / 10
#: Rows of a page.
PAGE = 500
#: Ticks of a run, past which those that were skipped need not be counted.
COUNTED = 250

pytestmark = pytest.mark.limit(LIMIT)


class Account(NamedTuple):
    """All that a store says of a schedule; lines by their ticks."""

    record: ScheduleRecord
    interval: int
    lines: list[TickRecord]
    jobs: dict[str, JobRecord]


async def node(theatre: Theatre) -> Program:
    """Start a node."""
    return await theatre.start("-m", "tests.chaos.programs.ticking", str(theatre.folder), str(LEASE))


async def over(starting: asyncio.Task[None]) -> None:
    """Wait for the end of what waited for a node that is killed."""
    await asyncio.gather(starting, return_exceptions=True)


class Crew:
    """Nodes that are killed and replaced."""

    def __init__(self, theatre: Theatre) -> None:
        self._theatre = theatre
        self._random = Random(TICKS)
        #: Each with the wait for it to be ready.
        self._nodes: dict[Program, asyncio.Task[None]] = {}

    async def fill(self) -> None:
        """Start as many as are missing."""
        while len(self._nodes) < NODES:
            program = await node(self._theatre)
            self._nodes[program] = asyncio.create_task(program.says("ready"))

    async def ready(self, least: int) -> None:
        """Wait until so many are."""
        while sum(starting.done() for starting in self._nodes.values()) < least:
            await asyncio.wait(self._nodes.values(), return_when=asyncio.FIRST_COMPLETED, timeout=0.05)

    async def freeze(self, seconds: float) -> None:
        """Have one stand still for so long, wherever it is: what it has planned by then is out of date when it goes on."""
        program = self._random.choice([*self._nodes])
        program.process.send_signal(signal.SIGSTOP)
        try:
            await passed(seconds)
        finally:
            program.process.send_signal(signal.SIGCONT)

    async def lose(self, count: int) -> None:
        """Kill so many, whatever they are doing, and see them dead."""
        for program in self._random.sample([*self._nodes], count):
            program.kill()
            await program.process.wait()
            await over(self._nodes.pop(program))

    async def stop(self) -> None:
        """Kill what is still starting, and have the others end well."""
        for program, starting in self._nodes.items():
            if starting.done():
                await program.stop()
            else:
                program.kill()
                await over(starting)


async def progress(backend: Backend) -> int:
    """Return how many ticks of the fastest schedule have been decided."""
    (record,) = (await backend.schedule_reader.get(["each"])).schedules
    passed_by = (record.last_tick or record.created_at) - record.created_at
    return passed_by // (INTERVALS["each"] * 1000)


async def cull(theatre: Theatre, crew: Crew) -> None:
    """Freeze and kill any of them at any moment, also while they start, and start others, until enough ticks are decided.

    Half-way all are killed, so that what was due in between is caught up with.
    """
    random = Random(TICKS)
    night = False
    async with opened(theatre.folder) as backend:
        begin = await progress(backend)
        while not night or await progress(backend) < begin + TICKS:
            await crew.freeze(random.uniform(*PACE))
            if night or await progress(backend) < begin + TICKS // 2:
                await crew.lose(1)
            else:
                night = True
                await crew.lose(NODES)
                await passed(NIGHT)
            await crew.fill()
            await crew.ready(AWAKE)


async def accounts(folder: Path) -> dict[str, Account]:
    """Read everything, past every engine."""
    async with opened(folder) as backend:
        records = (await backend.schedule_reader.get([*INTERVALS])).schedules
        return {
            record.name: Account(
                record, INTERVALS[record.name] * 1000, await lines(backend, record.name), await jobs(backend, record)
            )
            for record in records
        }


async def lines(backend: Backend, name: str) -> list[TickRecord]:
    """Return the ledger of a schedule, by tick."""
    found: list[TickRecord] = []
    after: str | None = None
    while True:
        page = await backend.schedule_reader.ticks(schedule=name, limit=PAGE, after=after)
        found += page.ticks
        after = page.after
        if after is None:
            return sorted(found, key=lambda line: line.tick)


async def jobs(backend: Backend, record: ScheduleRecord) -> dict[str, JobRecord]:
    """Return the jobs of a schedule by id."""
    found: dict[str, JobRecord] = {}
    after: str | None = None
    while True:
        page = await backend.reader.find(JobFilter(kinds=(record.kind,)), limit=PAGE, after=after)
        found |= {job.id: job for job in page.jobs}
        after = page.after
        if after is None:
            return found


def check(account: Account) -> None:
    """Hold a ledger against the grid, and against the jobs.

    Each tick, from when the schedule was made to the last, is in one line, none of them before it was due.
    Each line that fired has one job of its own, which says the same tick; there is no other job.
    """
    record, interval, ledger, stored = account
    # Its node looked at the time before it wrote.
    tick = ledger[0].tick
    assert tick <= record.created_at + interval
    for line in ledger:
        assert (line.tick, line.tick % interval, (line.last - line.tick) % interval) == (tick, 0, 0)
        ticks = (line.last - line.tick) // interval + 1
        assert line.count == ticks or (line.count == 0 and ticks >= COUNTED)
        assert line.outcome is Outcome.SKIPPED or (line.outcome is Outcome.FIRED and ticks == 1)
        assert line.at >= line.due_at == line.last
        tick = line.last + interval
    assert (record.last_tick, record.next_tick, record.due_at) == (tick - interval, tick, tick)
    fired = {line.job: line.tick for line in ledger if line.outcome is Outcome.FIRED}
    assert len(fired) == sum(line.outcome is Outcome.FIRED for line in ledger)
    assert {job_id: said(job, record.name) for job_id, job in stored.items()} == fired
    assert record.last_job == max(fired, key=lambda job: fired[job])


def said(job: JobRecord, schedule: str) -> int:
    """Return the tick that a job says it is for."""
    headers: dict[str, str] = msgspec.json.decode(job.headers or "{}")
    assert headers[SCHEDULE_HEADER] == schedule
    return instant(datetime.fromisoformat(headers[TICK_HEADER]))


def reasons(account: Account) -> Counter[str]:
    """Count ticks by what became of them."""
    counted: Counter[str] = Counter()
    for line in account.lines:
        counted[line.reason or line.outcome] += (line.last - line.tick) // account.interval + 1
    return counted


def late(account: Account) -> list[float]:
    """Return how late each line was written, in seconds, in order."""
    return sorted((line.at - line.due_at) / SECOND for line in account.lines)


def tell(theatre: Theatre, found: dict[str, Account]) -> None:
    """Show what was seen (pytest -s, or the report of a failure)."""
    deaths = len(killed(read(theatre.folder)))
    for name, account in found.items():
        delays = late(account)
        sys.stdout.write(
            f"\n{name}: {dict(reasons(account))}, {len(account.jobs)} jobs, {deaths} nodes killed; late: "
            f"{delays[len(delays) // 2] * 1000:.0f} ms in the middle, {delays[-1]:.2f} s at most\n"
        )


async def test_killed_at_random_they_decide_every_tick_once(any_theatre: Theatre) -> None:
    """Whoever is killed, whenever: each tick has one line and, where it fired, one job; caught up with, all of them fire."""
    crew = Crew(any_theatre)
    await crew.fill()
    await crew.ready(AWAKE)
    await cull(any_theatre, crew)
    await crew.stop()
    found = await accounts(any_theatre.folder)
    tell(any_theatre, found)
    assert found.keys() == INTERVALS.keys()
    for account in found.values():
        check(account)
    assert len(found["each"].jobs) >= TICKS
    assert reasons(found["each"]).keys() == {"fired"}
    assert reasons(found["newest"]).keys() == {"fired", "merged"}
    assert reasons(found["alone"]).keys() <= {"fired", "merged", "overlap"}
    # A run that was killed counts until then.
    ran = [run for run in intervals(read(any_theatre.folder), 0.0) if run[2] in found["alone"].jobs]
    assert at_once(ran) == 1
    assert len(killed(read(any_theatre.folder))) >= NODES


@pytest.mark.parametrize(("theatre", "ahead"), [*product(SERVED, (-OFF, OFF))], indirect=["theatre"])
async def test_a_wrong_clock_decides_no_tick(theatre: Theatre, ahead: int) -> None:
    """Ten minutes off, a node fires what others leave, and nothing else: no tick early, none missed, none twice."""
    plant = Plant(theatre.folder, lease=LEASE, keep=KEPT, clock=WrongClock(ahead))
    Ticking(plant)
    async with plant.bb, opened(theatre.folder) as backend:
        other = await node(theatre)
        await other.says("ready")
        first = await progress(backend)
        while await progress(backend) < first + 30:
            await passed(0.05)
        other.kill()
        await other.process.wait()
        alone = await progress(backend)
        while await progress(backend) < alone + 30:
            await passed(0.05)
    found = await accounts(theatre.folder)
    tell(theatre, found)
    for account in found.values():
        check(account)
        assert late(account)[-1] < OFF / SECOND / 10
    assert reasons(found["each"]).keys() == {"fired"}
