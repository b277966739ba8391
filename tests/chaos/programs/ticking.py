"""A worker that has schedules in its code, beside others of the same code that live and die.

    python -m tests.chaos.programs.ticking FOLDER LEASE

says `ready`, and stops at the end of its input.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.acceptance.gauge import turn
from tests.chaos.programs.jobs import Plant

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["INTERVALS", "KEPT", "Ticking"]

#: Milliseconds between two ticks, by schedule: 10 is the shortest there is.
INTERVALS = {"each": 10, "newest": 10, "alone": 50}
#: Nothing is deleted while it is looked at.
KEPT: Mapping[str, float | None] = {"completed": None, "cancelled": None, "dead": None, "ticks": None}


class Ticking:
    """The schedules, on a plant."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        bb = plant.bb

        @bb.every(seconds=INTERVALS["each"] / 1000, overlap="allow", misfire="all(1000)", catch_up=86_400)
        async def each() -> None: ...

        @bb.every(seconds=INTERVALS["newest"] / 1000, overlap="allow", misfire="one")
        async def newest() -> None: ...

        # Longer than an interval every so often.
        @bb.every(seconds=INTERVALS["alone"] / 1000, overlap="skip")
        async def alone() -> None:
            async with plant.run():
                await turn(0.03)


async def main(folder: Path, lease: float) -> None:
    """Run until the input ends."""
    plant = Plant(folder, lease=lease, keep=KEPT)
    Ticking(plant)
    async with plant.bb:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2])))
