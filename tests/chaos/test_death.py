"""Processes die, at named points; nothing is lost, nothing runs twice at a time, and all of it runs again at once."""

from __future__ import annotations

import asyncio
import signal
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from backburner.jobs.keeper import BEATS
from backburner.model.job import JobState
from tests.chaos.conftest import LEASE, PATIENCE, Theatre
from tests.chaos.history import check, killed, read, starts
from tests.chaos.programs.jobs import Plant, store_of, write
from tests.stores import SERVED

if TYPE_CHECKING:
    from tests.chaos.history import Event

#: Seconds. On SQLite a dead process's jobs wait for no beat and no lease.
AT_ONCE = 5.0

POINTS = ["now", "claimed", "effect", "settling", "settled", "shutdown", "fork"]
#: Where a store on a server could see a difference.
SERVED_POINTS = ["claimed", "settling", "settled"]


async def finished(theatre: Theatre) -> None:
    """Wait until every job of the history is final, watching as an app without workers would."""
    plant = Plant(theatre.folder, run=False)
    async with plant.bb:
        names = {event["job"] for event in read(theatre.folder) if event["event"] == "enqueue"}
        handles = [plant.bb.handle(name, plant.hold) for name in names]
        ended = await asyncio.gather(*(handle.wait(PATIENCE) for handle in handles))
    assert all(ended)


def reruns(events: list[Event], pid: int) -> list[float]:
    """How long after a process's death each of its unfinished jobs was started by another."""
    died = killed(events)[pid]
    jobs = {event["job"] for event in events if event["event"] == "enqueue"}
    delays = [starts(events, job)[-1]["at"] - died for job in jobs if starts(events, job)[-1]["pid"] != pid]
    return sorted(delays)


@pytest.mark.parametrize(
    ("theatre", "point"),
    [*product(["sqlite"], POINTS), *product(SERVED, SERVED_POINTS)],
    indirect=["theatre"],
)
async def test_a_killed_process_loses_nothing(theatre: Theatre, point: str) -> None:
    """Killed with -9 at any point, a process's jobs run again on another, and only those not yet settled.

    On SQLite at once; on a server as soon as the lease is over, and not before.
    """
    victim = await theatre.node()
    victim.tell("store 10")
    await victim.says("stored")
    survivor = await theatre.node()
    victim.tell(f"kill {point}")
    # Its input stays open: only the kill can end it.
    async with asyncio.timeout(PATIENCE):
        assert await victim.process.wait() == -signal.SIGKILL
    await finished(theatre)
    await survivor.stop()
    events = read(theatre.folder)
    stored = await check(theatre.folder)
    assert len(stored) == (11 if point == "claimed" else 10)
    assert {record.state for record in stored.values()} == {JobState.COMPLETED}
    again = reruns(events, victim.pid)
    settled = [record for record in stored.values() if record.crashes == 0]
    assert len(again) == len(stored) - len(settled)
    assert bool(settled) == (point == "settled")
    beat = LEASE / BEATS
    least, most = (0, AT_ONCE) if store_of(theatre.folder).startswith("sqlite") else (LEASE - 2 * beat, LEASE + AT_ONCE)
    assert all(least <= delay < most for delay in again)
    assert {record.failures for record in stored.values()} == {0}


async def test_poison_is_convicted_alone(theatre: Theatre) -> None:
    """A job that kills its process is a dead letter after three crashes, the last one alone; innocents complete."""
    plant = Plant(theatre.folder, run=False)
    async with plant.bb:
        write(theatre.folder, "enqueue", job="killer")
        for number in range(6):
            write(theatre.folder, "enqueue", job=f"innocent-{number}")
        await plant.bb.create_task(plant.killer(), id="killer")
        for number in range(6):
            await plant.bb.create_task(plant.innocent(number), id=f"innocent-{number}")
        ending = asyncio.gather(
            plant.bb.handle("killer", plant.killer).wait(PATIENCE),
            *(plant.bb.handle(f"innocent-{number}", plant.innocent).wait(PATIENCE) for number in range(6)),
        )
        deaths = 0
        while not ending.done():
            node = await theatre.node()
            over = asyncio.ensure_future(node.process.wait())
            either: set[asyncio.Future[Any]] = {over, ending}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if over.done():
                assert over.result() == -signal.SIGKILL
                deaths += 1
            else:
                await node.stop()
        assert all(await ending)
    stored = await check(theatre.folder)
    assert deaths == 3
    assert (stored["killer"].state, stored["killer"].reason, stored["killer"].crashes) == (JobState.DEAD, "poison", 3)
    innocents = [record for job, record in stored.items() if job != "killer"]
    assert {record.state for record in innocents} == {JobState.COMPLETED}
    assert all(record.crashes <= 2 for record in innocents)


async def test_two_processes_share_the_work(theatre: Theatre) -> None:
    """Two processes on one file share two thousand jobs: each job runs once, and both take part."""
    nodes = [await theatre.node(), await theatre.node()]
    plant = Plant(theatre.folder, run=False)
    async with plant.bb:
        for part in range(4):
            handles = await plant.bb.create_tasks(
                [plant.step(number) for number in range(500 * part, 500 * part + 500)]
            )
            for handle in handles:
                write(theatre.folder, "enqueue", job=handle.id)
        await finished(theatre)
    for node in nodes:
        await node.stop()
    stored = await check(theatre.folder)
    begun = [event for event in read(theatre.folder) if event["event"] == "start"]
    assert len(stored) == len(begun) == 2000
    assert {event["pid"] for event in begun} == {node.pid for node in nodes}
    assert {record.attempt for record in stored.values()} == {1}
