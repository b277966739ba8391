"""Four processes run jobs with limits, and are killed: never more than a limit says, and nothing leaks.

`BACKBURNER_TEST_KILLS` says how many are killed; the more, the more jobs there are.
"""

from __future__ import annotations

import asyncio
import os
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest

from backburner.jobs.keeper import BEATS
from backburner.model.clock import SECOND
from backburner.model.job import JobState
from backburner.model.query import JobFilter, Shown
from tests.chaos.conftest import LEASE, passed
from tests.chaos.history import check, killed, opened, read
from tests.chaos.programs.jobs import Plant, store_of, write
from tests.chaos.programs.limited import EACH, RATE, SHARED, TENANT, Limited

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from backburner.jobs.call import Call
    from backburner.model.job import JobRecord
    from backburner.ports.backend import Backend
    from tests.chaos.conftest import Program, Theatre
    from tests.chaos.history import Event

KILLS = int(os.environ.get("BACKBURNER_TEST_KILLS", "2"))
#: Jobs of each kind that are stored for each kill: more than are done until the next.
JOBS = 60
TENANTS = "abc"
#: Generations of a family, all of them in a lane with room for one.
DEPTH = 3
FAMILIES = 4
TOTAL = 3 * JOBS * KILLS + FAMILIES * (DEPTH + 1)
#: Seconds between two kills, at most.
PACE = 1.0
#: Seconds in which all of it must be over.
LIMIT = 60 + KILLS * 20

#: By lane, how many may run at once. Parents that go on stand over theirs, so it is not among these.
BOUNDS = {
    "concurrency:limited": EACH,
    "bulkhead:shared": SHARED,
    **{f"concurrency:keyed/{tenant}": TENANT for tenant in TENANTS},
}

pytestmark = pytest.mark.limit(LIMIT)


async def worker(theatre: Theatre) -> Program:
    """Start one of the four."""
    program = await theatre.start("-m", "tests.chaos.programs.limited", str(theatre.folder), str(LEASE))
    await program.says("ready")
    return program


async def store(folder: Path) -> None:
    """Store all jobs, each named in the history before it can begin."""
    jobs = Limited(Plant(folder, run=False))
    calls: dict[str, Call[int]] = {}
    for number in range(JOBS * KILLS):
        calls[f"limited-{number}"] = jobs.limited(number)
        calls[f"keyed-{number}"] = jobs.keyed(TENANTS[number % len(TENANTS)], number)
        calls[f"paced-{number}"] = jobs.paced(number)
    for number in range(FAMILIES):
        calls[f"parent-{number}"] = jobs.parent(DEPTH)
    for name in calls:
        write(folder, "enqueue", job=name)
    async with jobs.plant.bb as bb:
        await asyncio.gather(*(bb.create_task(call, id=name) for name, call in calls.items()))


async def watched(backend: Backend) -> int:
    """Look at the lanes until all jobs have ended; return the most that ran at once in the widest of them."""
    most = 0
    while True:
        lanes = (await backend.limits.lanes(tuple(BOUNDS))).lanes
        assert {lane.name: lane.running for lane in lanes if lane.running > BOUNDS[lane.name]} == {}
        most = max(most, *(lane.running for lane in lanes))
        counts = await backend.reader.count(JobFilter())
        if sum(counts.get(state, 0) for state in (Shown.COMPLETED, Shown.DEAD)) == TOTAL:
            return most
        await passed(0.02)


async def cull(theatre: Theatre, programs: list[Program]) -> None:
    """Kill any of the four, and start another in its place."""
    random = Random(KILLS)
    for _ in range(KILLS):
        await passed(random.uniform(0.3, PACE))
        victim = random.choice(programs)
        victim.kill()
        await victim.process.wait()
        programs[programs.index(victim)] = await worker(theatre)


async def test_killed_at_random_they_keep_every_limit(any_theatre: Theatre) -> None:
    """As the store and the history see it, a run counts until it is settled, that of a killed process until it is recovered."""
    programs = await asyncio.gather(*(worker(any_theatre) for _ in range(4)))
    async with opened(any_theatre.folder) as backend:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watched(backend))
            group.create_task(store(any_theatre.folder))
            group.create_task(cull(any_theatre, programs))
        for program in programs:
            await program.stop()
        for lane in (await backend.limits.lanes((*BOUNDS, "concurrency:parent", "rate:paced"))).lanes:
            assert (lane.running, lane.holders, lane.parked) == (0, (), False), lane
    assert watching.result() == SHARED
    stored = await check(any_theatre.folder)
    events = read(any_theatre.folder)
    deaths = killed(events)
    assert len(deaths) == KILLS
    for job, record in stored.items():
        # One that was hit three times, the last time alone, is taken for poison.
        hit = [event["pid"] for event in events if event["event"] == "start" and event["job"] == job]
        assert record.state is JobState.COMPLETED or all(pid in deaths for pid in hit)
        assert (record.failures, record.attempt) == (0, record.crashes + record.interruptions + (record.crashes < 3))
    grace = 0.0 if store_of(any_theatre.folder).startswith("sqlite") else LEASE - 2 * LEASE / BEATS
    for family, bound in (("limited-", EACH), ("keyed-", TENANT * len(TENANTS)), (("limited-", "keyed-"), SHARED)):
        runs = [run for run in intervals(events, grace) if run[2].startswith(family)]
        assert at_once(runs) <= bound
    assert nearest(stored.values()) >= SECOND // RATE


def intervals(events: list[Event], grace: float) -> list[tuple[float, float, str]]:
    """Return each run's begin, end and job; one whose process was killed counts for so long after it, at least."""
    deaths = killed(events)
    ends = {(event["job"], event["claim"]): event["at"] for event in events if event["event"] == "end"}
    return [
        (event["at"], ends.get((event["job"], event["claim"])) or deaths[event["pid"]] + grace, event["job"])
        for event in events
        if event["event"] == "start"
    ]


def at_once(runs: list[tuple[float, float, str]]) -> int:
    """Return the most that ran at a time."""
    steps = sorted([(begin, 1) for begin, _, _ in runs] + [(end, -1) for _, end, _ in runs])
    most = now = 0
    for _, step in steps:
        now += step
        most = max(most, now)
    return most


def nearest(stored: Iterable[JobRecord]) -> int:
    """Return the microseconds between those starts of paced jobs that were nearest, by the store's time."""
    begun = sorted(each.started_at for each in stored if each.kind == "paced" and each.started_at is not None)
    return min(later - earlier for earlier, later in pairwise(begun))
