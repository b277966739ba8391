"""What telemetries are told of runs: each that ended, once, however it did."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from backburner import Backburner
from backburner.ports.telemetry import Telemetry
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from backburner.model.job import Claim, JobRecord, Settlement


class Ends(Telemetry):
    """Writes down how runs end, how long they took, and how they are settled."""

    def __init__(self) -> None:
        self.ended_as: list[tuple[str, float]] = []
        self.settled_as: list[str] = []

    def ended(self, claim: Claim, settlement: Settlement | None, seconds: float) -> None:
        del claim
        self.ended_as.append(("lost" if settlement is None else str(settlement.ending or settlement.state), seconds))

    def settled(self, job: Claim | JobRecord, settlement: Settlement) -> None:
        del job
        self.settled_as.append(str(settlement.ending or settlement.state))


async def test_a_run_that_is_given_up_ends_once() -> None:
    """It is told when it is given up, as it is settled; what it comes to later is told to nobody."""
    bb, ends = Backburner("memory://"), Ends()
    bb.instrument(ends)
    started, release = threading.Event(), threading.Event()

    @bb.job
    def work() -> None:
        started.set()
        release.wait()

    async with bb:
        await bb.create_task(work())
        await asyncio.to_thread(started.wait)
        worker = bb._running()._worker
        assert worker is not None
        executor = worker._executor
        (run,) = executor.runs.values()
        executor.give_up(run, "the test said so")
        assert [how for how, _ in ends.ended_as] == ["interrupted"]
        release.set()
        await bb.drain()
    assert [how for how, _ in ends.ended_as] == ["interrupted"]
    assert ends.settled_as == ["interrupted"]


async def test_a_telemetry_that_comes_while_a_job_runs_is_told_no_wrong_time() -> None:
    """Nobody knows when that run began; the next one is told of."""
    clock = FakeClock()
    bb, ends = Backburner("memory://", clock=clock), Ends()
    started, release = asyncio.Event(), asyncio.Event()

    @bb.job
    async def work() -> None:
        started.set()
        await release.wait()

    async with bb:
        first = await bb.create_task(work())
        await started.wait()
        bb.instrument(ends)
        release.set()
        await first
        assert ends.ended_as == []
        await (await bb.create_task(work()))
        assert ends.ended_as == [("completed", 0)]
    assert ends.settled_as == ["completed", "completed"]
