"""A process dies at every point between a run and its settlement: a follow-up is stored with its completion, and once."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from backburner.backends.sqlite.backend import SqliteBackend
from backburner.model.clock import SystemClock
from backburner.model.job import JobState
from backburner.model.query import JobFilter
from tests.chaos.conftest import PATIENCE
from tests.chaos.history import read, starts
from tests.chaos.programs.family import Family, connected

if TYPE_CHECKING:
    from pathlib import Path

    from backburner.model.job import JobRecord
    from tests.chaos.conftest import Theatre


async def stored(folder: Path) -> dict[str, list[JobRecord]]:
    """Read all jobs past every engine, by their kind."""
    backend = SqliteBackend(folder / "jobs.db", clock=SystemClock())
    await backend.open(create=False, write=False)
    try:
        jobs = (await backend.reader.find(JobFilter(), limit=1000)).jobs
    finally:
        await backend.close()
    return {kind: [job for job in jobs if job.kind == kind] for kind in ("first", "pay", "after")}


async def die_and_finish(theatre: Theatre, kind: str, point: str) -> dict[str, list[JobRecord]]:
    """Have a worker die at a point of the job; check what it left; have another finish it. Returns all jobs."""
    family = Family(theatre.folder, run=False)
    async with family.bb:
        if kind == "first":
            job_id = (await family.bb.create_task(family.first())).id
        else:
            job_id = (await family.bb.create_task(family.pay())).id
        arguments = ("-m", "tests.chaos.programs.family", str(theatre.folder))
        victim = await theatre.start(*arguments, "default", CHAOS_KILL=point)
        async with asyncio.timeout(PATIENCE):
            assert await victim.process.wait() == -signal.SIGKILL
        left = await stored(theatre.folder)
        # Never the one without the other.
        completed = [record for record in left[kind] if record.state is JobState.COMPLETED]
        assert len(left["after"]) == len(completed)
        survivor = await theatre.start(*arguments, "default", "children", CHAOS_KILL="")
        await survivor.says("ready")
        assert await family.bb.handle(job_id, family.first).wait(PATIENCE)
        for record in (await stored(theatre.folder))["after"]:
            assert await family.bb.handle(record.id, family.after).wait(PATIENCE)
    await survivor.stop()
    return await stored(theatre.folder)


@pytest.mark.parametrize("point", ["noted", "settling", "written", "settled"])
async def test_never_without_the_completion_and_never_twice(theatre: Theatre, point: str) -> None:
    """Killed before the commit, the run is as if it had not been; after it, completion and follow-up are both there."""
    jobs = await die_and_finish(theatre, "first", point)
    (first,), (after,) = jobs["first"], jobs["after"]
    assert (first.state, after.state) == (JobState.COMPLETED, JobState.COMPLETED)
    committed = point == "settled"
    assert len(starts(read(theatre.folder), first.id)) == first.attempt == (1 if committed else 2)
    assert first.crashes == (0 if committed else 1)
    assert len(starts(read(theatre.folder), after.id)) == 1
    assert after.crashes == 0


@pytest.mark.parametrize("point", ["effect", "completed", "committed"])
async def test_completed_in_its_own_transaction_exactly_once(theatre: Theatre, point: str) -> None:
    """Effects, completion and follow-up of `complete(tx=)` are one commit: killed before it none is there, after it all."""
    jobs = await die_and_finish(theatre, "pay", point)
    (pay,), (after,) = jobs["pay"], jobs["after"]
    assert (pay.state, pay.result, after.state) == (JobState.COMPLETED, '"paid"', JobState.COMPLETED)
    committed = point == "committed"
    assert len(starts(read(theatre.folder), pay.id)) == (1 if committed else 2)
    assert len(starts(read(theatre.folder), after.id)) == 1
    async with connected(theatre.folder) as connection:
        assert [*await connection.execute_fetchall("SELECT job FROM effects")] == [(pay.id,)]
