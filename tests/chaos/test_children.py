"""What a process that was killed leaves to the next one: children, progress, checkpoints, unique keys."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from backburner.model.job import JobState
from tests.chaos.conftest import PATIENCE
from tests.chaos.history import read, records
from tests.chaos.programs.family import CHILDREN, Family

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.conftest import Program, Theatre

FINISHED = range(CHILDREN // 2)
WAITING = range(CHILDREN // 2, CHILDREN)


async def worker(theatre: Theatre, *queues: str, **environment: str) -> Program:
    """Start a worker of these queues."""
    program = await theatre.start("-m", "tests.chaos.programs.family", str(theatre.folder), *queues, **environment)
    await program.says("ready")
    return program


def children(folder: Path) -> Counter[int]:
    """Count how often each child was started."""
    return Counter(event["child"] for event in read(folder) if event["event"] == "start" and "child" in event)


async def seen(family: Family, kind: str, times: int = 1) -> None:
    """Wait until runs of a kind have come so far."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        while sum(event.get("kind") == kind for event in read(family.folder)) < times:
            turn = loop.create_future()
            loop.call_later(0.01, turn.set_result, None)
            await turn


async def half_way(family: Family, job_id: str) -> None:
    """Store a parent, and wait until half its children have completed and the others run."""
    await family.bb.create_task(family.parent(), id=job_id)
    await seen(family, "child", CHILDREN)
    ids = {event["job"]: event["child"] for event in read(family.folder) if "child" in event}
    for child, number in ids.items():
        if number in FINISHED:
            assert await family.bb.handle(child, family.child).wait(PATIENCE)


@pytest.mark.parametrize("how", ["kill", "deploy"])
async def test_a_parent_whose_process_ends_finds_its_children(theatre: Theatre, how: str) -> None:
    """Killed with -9, or stopped without grace, half-way: the parent's next run joins its children, each run once."""
    family = Family(theatre.folder, run=False)
    helper = await worker(theatre, "children")
    victim = await worker(theatre, "default")
    async with family.bb:
        await half_way(family, "parent")
        if how == "kill":
            victim.kill()
            await victim.ended()
        else:
            await victim.stop()
        survivor = await worker(theatre, "default")
        await seen(family, "parent", 2)
        (theatre.folder / "go").touch()
        assert await family.bb.handle("parent", family.parent) == sum(range(CHILDREN))
    await survivor.stop()
    await helper.stop()
    assert children(theatre.folder) == dict.fromkeys(range(CHILDREN), 1)
    parent = (await records(theatre.folder, ["parent"]))["parent"]
    assert (parent.state, parent.attempt, parent.failures) == (JobState.COMPLETED, 2, 0)
    assert (parent.crashes, parent.interruptions) == ((1, 0) if how == "kill" else (0, 1))


async def test_killed_together_only_what_had_not_completed_runs_again(theatre: Theatre) -> None:
    """Parent and children die in one process: completed children are not run again, the others once more."""
    family = Family(theatre.folder, run=False)
    victim = await worker(theatre, "default", "children")
    async with family.bb:
        await half_way(family, "parent")
        victim.kill()
        await victim.ended()
        (theatre.folder / "go").touch()
        survivor = await worker(theatre, "default", "children")
        assert await family.bb.handle("parent", family.parent) == sum(range(CHILDREN))
    await survivor.stop()
    assert children(theatre.folder) == dict.fromkeys(FINISHED, 1) | dict.fromkeys(WAITING, 2)


async def test_a_users_cancel_reaches_children_in_another_process(theatre: Theatre) -> None:
    """Cancelling the parent from anywhere cancels its children, wherever they run."""
    family = Family(theatre.folder, run=False)
    helper, node = await worker(theatre, "children"), await worker(theatre, "default")
    async with family.bb:
        await half_way(family, "parent")
        assert await family.bb.handle("parent", family.parent).cancel()
        assert await family.bb.handle("parent", family.parent).wait(PATIENCE)
        ids = {event["job"]: event["child"] for event in read(theatre.folder) if "child" in event}
        for child in ids:
            assert await family.bb.handle(child, family.child).wait(PATIENCE)
    await node.stop()
    await helper.stop()
    stored = await records(theatre.folder, ["parent", *ids])
    assert stored["parent"].state is JobState.CANCELLED
    for child, number in ids.items():
        wanted = (JobState.COMPLETED, None) if number in FINISHED else (JobState.CANCELLED, "group")
        assert (stored[child].state, stored[child].reason) == wanted


async def test_progress_and_checkpoint_outlive_a_kill(theatre: Theatre) -> None:
    """What was told and saved is read from another process, is still there after a kill -9, and is handed on."""
    family = Family(theatre.folder, run=False)
    victim = await worker(theatre, "default")
    async with family.bb:
        handle = await family.bb.create_task(family.walker())
        await seen(family, "walker")
        for alive in (True, False):
            status = await handle.status()
            assert (status.state, status.progress, status.checkpoint) == ("running", (3, 10), {"at": 3})
            if alive:
                victim.kill()
                await victim.ended()
        survivor = await worker(theatre, "default")
        assert await handle == {"at": 3}
        assert (await handle.status()).progress == (3, 10)
    await survivor.stop()


async def test_fifty_stores_of_two_processes_are_one_job(theatre: Theatre) -> None:
    """Two processes that store the same unique job, twenty-five times each at once, store one."""
    both = [await worker(theatre, "default"), await worker(theatre, "default")]
    for program in both:
        program.tell("unique 25")
    for program in both:
        await program.says("stored")
    (theatre.folder / "go").touch()
    stored = [event for event in read(theatre.folder) if event["event"] == "stored"]
    assert len(stored) == 50
    assert len({event["job"] for event in stored}) == 1
    assert sorted(event["existed"] for event in stored) == [False] + [True] * 49
    family = Family(theatre.folder, run=False)
    async with family.bb:
        assert await family.bb.handle(stored[0]["job"], family.refresh).wait(PATIENCE)
    for program in both:
        await program.stop()
    assert len([event for event in read(theatre.folder) if event.get("kind") == "refresh"]) == 1
