"""A node whose clock is wrong, beside others that live and die: leases are the store's."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from backburner.model.job import JobState
from tests.chaos.conftest import LEASE, PATIENCE, passed
from tests.chaos.history import check, read, records, starts
from tests.chaos.programs.jobs import Plant, write
from tests.clocks import OFF, WrongClock
from tests.stores import SERVED

if TYPE_CHECKING:
    from tests.chaos.conftest import Theatre


@pytest.mark.parametrize(("theatre", "ahead"), [*product(SERVED, (-OFF, OFF))], indirect=["theatre"])
async def test_a_wrong_clock_decides_no_lease(theatre: Theatre, ahead: int) -> None:
    """Ten minutes off, a node keeps what it runs, leaves others what they run, and takes over what a dead one ran."""
    other = await theatre.node()
    other.tell("store 3")
    await other.says("stored")
    plant = Plant(theatre.folder, lease=LEASE, clock=WrongClock(ahead))
    async with plant.bb:
        write(theatre.folder, "enqueue", job="own")
        own = await plant.bb.create_task(plant.hold(1), id="own")
        ids = [event["job"] for event in read(theatre.folder) if event["event"] == "enqueue"]
        # Whoever would judge by a wrong clock has by now had a lease of beats, after which it may.
        await passed(LEASE + 1.5)
        for record in (await records(theatre.folder, ids)).values():
            assert (record.state, record.attempt) == (JobState.RUNNING, 1)
        other.kill()
        await other.process.wait()
        for job in ids[:-1]:
            assert await plant.bb.handle(job, plant.hold).wait(PATIENCE)
        plant.go.set()
        assert await own == 1
    stored = await check(theatre.folder)
    assert {job: record.crashes for job, record in stored.items()} == dict.fromkeys(ids[:-1], 1) | {"own": 0}
    assert {job: record.failures + record.interruptions for job, record in stored.items()} == dict.fromkeys(ids, 0)
    assert len(starts(read(theatre.folder), "own")) == 1
