"""A worker that stores many jobs beside others that do the same, and runs anybody's.

    python -m tests.chaos.programs.crowd FOLDER LANE COUNT LEASE idle|busy

says `ready`, stores the jobs of its lane, of the kind `step` (idle) or `labour` (busy), and stops at the end of its
input. Killed and started again it goes on where its lane stood: what was under way is stored again, by the same ids.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.chaos.programs.jobs import Plant, write

#: Jobs stored at once.
BATCH = 500


def named(lane: str, number: int) -> str:
    """Return the id of a job of a lane."""
    return f"{lane}-{number:06}"


async def store(plant: Plant, lane: str, count: int, *, busy: bool) -> None:
    """Store what is left of a lane, each job named in the history before it can begin."""
    kind = plant.labour if busy else plant.step
    stood = plant.folder / f"lane-{lane}"
    first = int(stood.read_text() or 0) if stood.exists() else 0
    for begin in range(first, count, BATCH):
        names = {named(lane, number): number for number in range(begin, min(begin + BATCH, count))}
        for name in names:
            write(plant.folder, "enqueue", job=name)
        await asyncio.gather(*(plant.bb.create_task(kind(number), id=name) for name, number in names.items()))
        stood.write_text(str(begin + len(names)))


async def main(folder: Path, lane: str, count: int, lease: float, *, busy: bool) -> None:
    """Run until the input ends."""
    plant = Plant(folder, lease=lease)
    async with plant.bb:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await store(plant, lane, count, busy=busy)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), busy=sys.argv[5] == "busy"))
