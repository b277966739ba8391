"""A worker whose jobs have limits, beside others that may be killed.

    python -m tests.chaos.programs.limited FOLDER LEASE

says `ready`, and stops at the end of its input.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from backburner import Bulkhead
from tests.acceptance.gauge import turn
from tests.chaos.programs.jobs import Plant

__all__ = ["EACH", "RATE", "SHARED", "TENANT", "Limited"]

#: Room for all runs of `limited`, for those of one tenant, for `limited` and `other` together, and starts a second.
EACH, TENANT, SHARED, RATE = 3, 1, 4, 40


class Limited:
    """The jobs, on a plant."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant

        @plant.bb.job(concurrency=EACH, bulkhead=Bulkhead("shared", slots=SHARED))
        async def limited(number: int) -> int:
            async with plant.run():
                await turn(number % 5 / 100)
                return number

        @plant.bb.job(concurrency=TENANT, concurrency_key="tenant", bulkhead="shared")
        async def keyed(tenant: str, number: int) -> int:  # noqa: ARG001 - its lane's
            async with plant.run():
                await turn(number % 5 / 100)
                return number

        @plant.bb.job(rate=f"{RATE}/s")
        async def paced(number: int) -> int:
            async with plant.run():
                return number

        @plant.bb.job(concurrency=1)
        async def parent(number: int) -> int:
            async with plant.run():
                if number:
                    await (await plant.bb.create_task(parent(number - 1))).wait()
                return number

        self.limited, self.keyed, self.paced, self.parent = limited, keyed, paced, parent


async def main(folder: Path, lease: float) -> None:
    """Run until the input ends."""
    plant = Plant(folder, lease=lease)
    Limited(plant)
    async with plant.bb:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2])))
