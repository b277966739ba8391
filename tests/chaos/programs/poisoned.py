"""A worker for a hundred jobs at once, of which one kills it, and prefers company.

    python -m tests.chaos.programs.poisoned FOLDER LEASE exit|kill

says `ready`, and stops at the end of its input. In their first two attempts the innocents wait for what the killer does,
and it waits for all of them.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from backburner import current_job
from tests.chaos.programs.jobs import Plant, write

INNOCENTS = 99
STATUS = 3


class Company:
    """The two jobs, on a plant."""

    def __init__(self, plant: Plant, how: str = "") -> None:
        self.plant = plant
        self._all_here = asyncio.Barrier(INNOCENTS + 1)

        @plant.bb.job(name="poison")
        async def poison() -> None:
            async with plant.run():
                if current_job().attempt <= 2:
                    await self._all_here.wait()
                if how == "kill":
                    plant.die()
                write(plant.folder, "kill", killed=os.getpid())
                os._exit(STATUS)

        @plant.bb.job(name="beside")
        async def beside(number: int) -> int:
            async with plant.run():
                if current_job().attempt <= 2:
                    await self._all_here.wait()
                    await asyncio.Event().wait()
                return number

        self.poison, self.beside = poison, beside


async def main(folder: Path, lease: float, how: str) -> None:
    """Run until the input ends, or the poison ends it."""
    plant = Plant(folder, queues={"default": INNOCENTS + 1}, lease=lease)
    Company(plant, how)
    async with plant.bb:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3]))
