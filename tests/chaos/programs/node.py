"""A worker process: says `ready`, then does what is written to it, line by line; stops at the end of its input.

go           let the held jobs go on
store N      store N held jobs, born here; says `stored`
kill POINT   die at: now, claimed, effect, settling, settled, fork; or at `shutdown`, which it begins
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from backburner.backends import urls
from backburner.jobs.executor import Executor
from backburner.model.clock import SystemClock
from tests.chaos.programs.jobs import Plant, store_of, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.job import Claim, Settlement
    from backburner.ports.jobs import ClaimRequest, JobStore, Settled


def set_traps(plant: Plant) -> None:
    """Wrap the steps between which a job's own code cannot stand."""
    url = urls.parse(store_of(plant.folder), base=plant.folder)
    jobs = type(urls.connect(url, clock=SystemClock(), write_timeout=1).jobs)
    start, settle = Executor.start, jobs.settle

    def trapped_start(executor: Executor, claim: Claim) -> None:
        plant.reached("claimed")
        start(executor, claim)

    async def trapped_settle(
        store: JobStore, node: str, settlements: Sequence[Settlement], claim: ClaimRequest | None = None
    ) -> Settled:
        plant.reached("settling")
        answer = await settle(store, node, settlements, claim)
        plant.reached("settled")
        return answer

    setattr(Executor, "start", trapped_start)  # noqa: B010 - a trap, known as such to the type checkers
    setattr(jobs, "settle", trapped_settle)  # noqa: B010


async def store(plant: Plant, count: int) -> None:
    """Store held jobs, all of them named in the history before they can begin."""
    names = [f"{os.getpid()}-{number}" for number in range(count)]
    for name in names:
        write(plant.folder, "enqueue", job=name)
    await asyncio.gather(*(plant.bb.create_task(plant.hold(number), id=name) for number, name in enumerate(names)))


async def kill(plant: Plant, point: str) -> None:
    """Die at a point."""
    plant.kill_at = point
    if point == "now":
        plant.die()
    if point == "fork":
        child = os.fork()
        if child == 0:
            write(plant.folder, "forked")
            # The test waits for its pipes to close, not only for the parent's death.
            os.closerange(0, 3)
            signal.pause()
        plant.die()
    if point == "claimed":
        write(plant.folder, "enqueue", job="last")
        await plant.bb.create_task(plant.step(1), id="last", queue="spare")
    plant.go.set()


async def main(folder: Path) -> None:
    """Run until the input ends."""
    plant = Plant(folder, queues={"default": 10, "spare": 1}, grace=0)
    set_traps(plant)
    async with plant.bb:
        say("ready")
        while line := await asyncio.to_thread(sys.stdin.readline):
            match line.split():
                case ["go"]:
                    plant.go.set()
                case ["store", count]:
                    await store(plant, int(count))
                    say("stored")
                case ["kill", "shutdown"]:
                    plant.kill_at = "shutdown"
                    break
                case ["kill", point]:
                    await kill(plant, point)
                case words:
                    raise ValueError(words)


def say(word: str) -> None:
    """Tell the test."""
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
