"""Four processes on one store, each storing thousands of jobs and running anybody's; whole, and killed one by one.

`make chaos` runs them at their full size of four times 20,000 jobs (`BACKBURNER_TEST_CROWD` says how many a process
stores), the ordinary run at a tenth.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from itertools import cycle
from typing import TYPE_CHECKING

import pytest

from backburner.model.job import JobState
from backburner.model.query import JobFilter, Shown
from tests.chaos.conftest import LEASE, passed
from tests.chaos.history import check, killed, opened, read

if TYPE_CHECKING:
    from backburner.model.job import JobRecord
    from tests.chaos.conftest import Program, Theatre
    from tests.chaos.history import Event

LANES = ("a", "b", "c", "d")
#: Jobs that each process stores.
EACH = int(os.environ.get("BACKBURNER_TEST_CROWD", "2000"))
TOTAL = len(LANES) * EACH
#: Seconds in which all of it must be over.
LIMIT = 60 + TOTAL / 100
#: Seconds between two kills.
PACE = 2.0

pytestmark = pytest.mark.limit(LIMIT)


async def member(theatre: Theatre, lane: str, lease: float, how: str) -> Program:
    """Start one of the four."""
    return await theatre.start(
        "-m", "tests.chaos.programs.crowd", str(theatre.folder), lane, str(EACH), str(lease), how
    )


async def finished(theatre: Theatre) -> None:
    """Wait until the store has as many jobs as there shall be, and all have ended."""
    async with opened(theatre.folder) as backend:
        while True:
            counts = await backend.reader.count(JobFilter())
            if sum(counts.get(state, 0) for state in (Shown.COMPLETED, Shown.DEAD, Shown.CANCELLED)) == TOTAL:
                return
            await passed(0.5)


async def cull(theatre: Theatre, programs: dict[str, Program], finishing: asyncio.Future[None]) -> None:
    """Kill one every two seconds, in turn, and start another in its place, until the work is finished."""
    for lane in cycle(LANES):
        await asyncio.wait((finishing,), timeout=PACE)
        if finishing.done():
            return
        programs[lane].kill()
        await programs[lane].process.wait()
        programs[lane] = await member(theatre, lane, LEASE, "busy")


def begun(events: list[Event]) -> Counter[str]:
    """Count how often each job was started."""
    return Counter(event["job"] for event in events if event["event"] == "start")


def tell(theatre: Theatre, stored: dict[str, JobRecord]) -> None:
    """Show what was seen (pytest -s, or the report of a failure)."""
    events = read(theatre.folder)
    times = [event["at"] for event in events]
    runs = begun(events)
    sys.stdout.write(
        f"\n{len(stored)} jobs in {times[-1] - times[0]:.1f} s by {len({event['pid'] for event in events})} processes, "
        f"{len(killed(events))} killed; started: {dict(Counter(runs.values()))} (times: jobs), "
        f"crashes: {dict(Counter(record.crashes for record in stored.values()))}, "
        f"interruptions: {sum(record.interruptions for record in stored.values())}\n"
    )


async def test_four_processes_run_every_job_once(any_theatre: Theatre) -> None:
    """Four processes store and run thousands of jobs each: every job is started once and completed once, by any of them."""
    programs = [await member(any_theatre, lane, 30, "idle") for lane in LANES]
    for program in programs:
        await program.says("ready")
    await finished(any_theatre)
    for program in programs:
        await program.stop()
    stored = await check(any_theatre.folder)
    tell(any_theatre, stored)
    assert len(stored) == TOTAL
    assert {record.state for record in stored.values()} == {JobState.COMPLETED}
    events = read(any_theatre.folder)
    assert set(begun(events).values()) == {1}
    assert {event["pid"] for event in events if event["event"] == "start"} == {program.pid for program in programs}
    assert {(each.attempt, each.crashes, each.interruptions, each.failures) for each in stored.values()} == {
        (1, 0, 0, 0)
    }


async def test_killed_one_by_one_they_lose_nothing(any_theatre: Theatre) -> None:
    """With one of four killed (-9) every two seconds every job is completed once, and has never two live claims.

    A claim is hit before its run begins, too. A job that was hit three times, the last time alone, is taken for poison:
    then all who ever ran it were killed.
    """
    programs = {lane: await member(any_theatre, lane, LEASE, "busy") for lane in LANES}
    for program in programs.values():
        await program.says("ready")
    async with asyncio.TaskGroup() as group:
        finishing = group.create_task(finished(any_theatre))
        group.create_task(cull(any_theatre, programs, finishing))
    for program in programs.values():
        await program.stop()
    stored = await check(any_theatre.folder)
    tell(any_theatre, stored)
    assert len(stored) == TOTAL
    events = read(any_theatre.folder)
    deaths = killed(events)
    assert len(deaths) >= 3
    assert sum(record.crashes for record in stored.values()) > 0
    for job, record in stored.items():
        assert record.failures == 0
        if record.state is not JobState.COMPLETED:
            hit = [event for event in events if event["event"] == "start" and event["job"] == job]
            assert (record.state, record.reason, record.crashes) == (JobState.DEAD, "poison", 3)
            assert all(event["pid"] in deaths for event in hit)
