"""Promise 4, by real processes: a job that kills its process is found among a hundred, and no innocent pays for it."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from backburner.model.fingerprint import poison
from backburner.model.job import JobState
from tests.chaos.conftest import LEASE, PATIENCE, Program, Theatre
from tests.chaos.history import check, read, starts
from tests.chaos.programs.jobs import Plant, write
from tests.chaos.programs.poisoned import INNOCENTS, STATUS, Company
from tests.stores import empty_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path
    from typing import Any

    from backburner import JobHandle
    from tests.chaos.history import Event


@pytest.fixture
async def theatre(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Theatre]:
    """Bring a store and processes: where leases end by time, and where they do not."""
    (tmp_path / "store").write_text(empty_store(request.param, request, tmp_path))
    made = Theatre(tmp_path, measured=False)
    yield made
    await made.close()


async def worker(theatre: Theatre, how: str) -> Program:
    """Start a process and wait until it is ready."""
    program = await theatre.start("-m", "tests.chaos.programs.poisoned", str(theatre.folder), str(LEASE), how)
    await program.says("ready")
    return program


async def store(company: Company) -> tuple[JobHandle[None], list[JobHandle[int]]]:
    """Store the killer in the middle of the innocents, each named in the history before it can begin."""
    bb, folder = company.plant.bb, company.plant.folder
    for name in ("poison", *map(str, range(INNOCENTS))):
        write(folder, "enqueue", job=name)

    async def innocents(numbers: range) -> list[JobHandle[int]]:
        stored: list[Coroutine[Any, Any, JobHandle[int]]] = [
            bb.create_task(company.beside(number), id=str(number)) for number in numbers
        ]
        return await asyncio.gather(*stored)

    before = await innocents(range(INNOCENTS // 2))
    killer = await bb.create_task(company.poison(), id="poison")
    return killer, [*before, *await innocents(range(INNOCENTS // 2, INNOCENTS))]


def beside(events: list[Event], job: str) -> list[Event]:
    """Return the runs that were under way in its process when a job was started for the last time."""
    last = starts(events, job)[-1]
    # A claim's number is its job's own: two jobs may have the same.
    ends = {(event["job"], event["claim"]): event["at"] for event in events if event["event"] == "end"}
    begun = [event for event in events if event["event"] == "start" and event["pid"] == last["pid"]]
    return [each for each in begun if each["at"] < last["at"] < ends.get((each["job"], each["claim"]), float("inf"))]


@pytest.mark.parametrize(
    ("theatre", "how", "status"),
    [("sqlite", "exit", STATUS), ("postgres", "kill", -signal.SIGKILL)],
    indirect=["theatre"],
)
async def test_the_poison_is_found_and_all_others_complete(theatre: Theatre, how: str, status: int) -> None:
    """Twice a hundred die together; the third time the killer dies with no other suspect beside it, and that convicts it."""
    company = Company(Plant(theatre.folder, run=False))
    async with company.plant.bb as bb:
        killer, innocents = await store(company)
        for _ in range(2):
            assert await (await worker(theatre, how)).process.wait() == status
        programs = [await worker(theatre, how), await worker(theatre, how)]
        async with asyncio.timeout(PATIENCE):
            ended = asyncio.gather(killer.wait(), *(handle.wait() for handle in innocents))
            deaths = {asyncio.ensure_future(program.process.wait()): program for program in programs}
            await asyncio.wait(deaths, return_when=asyncio.FIRST_COMPLETED)
            (dead,) = [program for death, program in deaths.items() if death.done()]
            # As a supervisor does.
            programs = [*(program for program in programs if program is not dead), await worker(theatre, how)]
            assert all(await ended)
        for program in programs:
            await program.stop()
        (group,) = await bb.dlq.groups()
    stored = await check(theatre.folder)
    letter = stored.pop("poison")
    assert (letter.state, letter.reason, letter.crashes, letter.failures) == (JobState.DEAD, "poison", 3, 0)
    assert (letter.error, letter.fingerprint) == ("Poison", poison("poison"))
    assert letter.message.endswith("died while it ran, for the third time and with no other suspect beside it")
    assert (group.fingerprint, group.reason, group.kinds) == (letter.fingerprint, "poison", {"poison": 1})
    events = read(theatre.folder)
    assert beside(events, "poison") == []
    # Each was there twice, and was charged for that alone; then it ran by itself.
    assert len(stored) == INNOCENTS
    assert {(each.state, each.crashes, each.failures, each.attempt) for each in stored.values()} == {
        (JobState.COMPLETED, 2, 0, 3)
    }
