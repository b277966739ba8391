"""Deploys, restarts, locks held by others, several engines in one process."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from typing import TYPE_CHECKING

import pytest

from backburner import StoreBusy
from backburner.model.job import JobState
from tests.chaos.conftest import PATIENCE, Theatre
from tests.chaos.history import check, read, records, starts
from tests.chaos.programs.jobs import Plant, write

if TYPE_CHECKING:
    from pathlib import Path


async def begun(plant: Plant, job_id: str) -> None:
    """Wait until a job runs, told by the engine's own loop or by another process."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        while not starts(read(plant.folder), job_id):
            turn = loop.create_future()
            loop.call_later(0.01, turn.set_result, None)
            await turn


async def put(plant: Plant, job_id: str) -> None:
    """Store a job that holds its first attempt."""
    write(plant.folder, "enqueue", job=job_id)
    await plant.bb.create_task(plant.hold(1), id=job_id)


async def test_sigterm_ends_a_worker_well(theatre: Theatre) -> None:
    """`backburner run`, told to stop by SIGTERM, exits with 0 and gives back what runs, uncharged."""
    program = await theatre.start(
        "-m", "backburner", "run", "tests.chaos.programs.service:bb", CHAOS_FOLDER=str(theatre.folder)
    )
    plant = Plant(theatre.folder, run=False)
    async with plant.bb:
        await put(plant, "a")
        await begun(plant, "a")
        program.process.send_signal(signal.SIGTERM)
        status, errors = await program.ended()
    assert status == 0, errors
    record = (await records(theatre.folder, ["a"]))["a"]
    assert (record.state, record.attempt, record.interruptions) == (JobState.PENDING, 1, 1)
    assert (record.failures, record.crashes) == (0, 0)
    again = await theatre.node()
    async with plant.bb:
        assert await plant.bb.handle("a", plant.hold).wait(PATIENCE)
    await again.stop()
    await check(theatre.folder)


async def test_a_deploy_costs_nothing(tmp_path: Path) -> None:
    """Stopped without grace while jobs run, and started again, an engine completes them: no failure, no crash."""
    plant = Plant(tmp_path, grace=0)
    async with plant.bb:
        for name in ("a", "b"):
            await put(plant, name)
            await begun(plant, name)
    interrupted = await records(tmp_path, ["a", "b"])
    assert {(record.state, record.attempt, record.interruptions) for record in interrupted.values()} == {
        (JobState.PENDING, 1, 1)
    }
    async with plant.bb:
        assert await plant.bb.handle("a", plant.hold) == await plant.bb.handle("b", plant.hold) == 1
    stored = await check(tmp_path)
    assert {(record.attempt, record.failures, record.crashes) for record in stored.values()} == {(2, 0, 0)}


async def test_a_lock_held_by_another_program(theatre: Theatre) -> None:
    """While another program holds the write lock callers get StoreBusy in time; a result that came is not lost."""
    plant = Plant(theatre.folder, write_timeout=0.5)
    async with plant.bb:
        await put(plant, "a")
        await begun(plant, "a")
        locker = await theatre.start("-m", "tests.chaos.programs.locker", str(theatre.folder / "jobs.db"))
        await locker.says("locked")
        plant.go.set()
        async with asyncio.timeout(5):
            with pytest.raises(StoreBusy) as caught:
                await plant.bb.create_task(plant.step(1), id="refused")
        assert (caught.value.stored, caught.value.job_id) == ("no", "refused")
        await locker.stop()
        async with asyncio.timeout(PATIENCE):
            assert await plant.bb.handle("a", plant.hold) == 1
    stored = await check(theatre.folder)
    assert len(starts(read(theatre.folder), "a")) == 1
    assert stored["a"].attempt == 1
    assert await records(theatre.folder, ["refused"]) == {}


def test_an_engine_restarts_on_another_loop(tmp_path: Path) -> None:
    """One engine runs on one loop after the other, and finds what it stored."""
    plant = Plant(tmp_path)

    async def store() -> None:
        async with plant.bb:
            for number in range(20):
                write(tmp_path, "enqueue", job=f"j{number}")
                await plant.bb.create_task(plant.step(number), id=f"j{number}", delay=0.01)

    async def finish() -> list[int]:
        async with plant.bb:
            return [await plant.bb.handle(f"j{number}", plant.step) for number in range(20)]

    asyncio.run(store())
    assert asyncio.run(finish()) == list(range(20))
    asyncio.run(_checked(tmp_path))


async def _checked(folder: Path) -> None:
    assert len(await check(folder)) == 20


async def test_two_engines_in_one_process(tmp_path: Path) -> None:
    """Two engines of one process on one file are two nodes: they share the work, and one's end is not the other's."""
    first, second = Plant(tmp_path, queues={"default": 2}), Plant(tmp_path, queues={"default": 2})
    async with first.bb:
        async with second.bb:
            held = ("w", "x", "y", "z")
            for name in held:
                await put(first, name)
            for name in held:
                await begun(first, name)  # two slots each: both take part
            first.go.set()
            second.go.set()
            handles = await first.bb.create_tasks([first.step(number) for number in range(200)])
            for handle in handles:
                write(tmp_path, "enqueue", job=handle.id)
            assert [await handle for handle in handles] == list(range(200))
        await put(first, "a")
        assert await first.bb.handle("a", first.hold) == 1
    stored = await check(tmp_path)
    assert {record.attempt for record in stored.values()} == {1}
    with sqlite3.connect(tmp_path / "jobs.db") as connection:
        (nodes,) = connection.execute("SELECT count(DISTINCT node) FROM backburner_jobs").fetchone()
    connection.close()
    assert nodes == 2
