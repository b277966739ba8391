"""A worker that handles events, beside others of the same code that live and die; it publishes some, on demand.

    python -m tests.chaos.programs.telling FOLDER LEASE

says `ready`, publishes a number of events for each line of its input, `FIRST COUNT`, says `done`, and stops at its end.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from backburner import Event, current_job
from tests.acceptance.gauge import turn
from tests.chaos.programs.jobs import Plant, write

__all__ = ["KINDS", "SUBJECTS", "Telling"]

#: Handlers of the same events.
KINDS = ("follow", "count")
#: What the events are about.
SUBJECTS = 8


class Telling:
    """The handlers, on a plant."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant

        @plant.bb.on("order.*")
        async def follow(event: Event) -> None:
            write(plant.folder, "follow", job=current_job().id, subject=event.subject, number=event.data["number"])
            async with plant.run():
                await turn(0.001 * (event.data["number"] % 5))

        @plant.bb.on("order.paid")
        async def count(event: Event) -> None:
            write(plant.folder, "count", job=current_job().id, subject=event.subject, number=event.data["number"])

    async def publish(self, first: int, count: int) -> None:
        """Publish events by number, those of each subject one after another; each says so once it is stored."""

        async def about(subject: int) -> None:
            for number in range(first, first + count):
                if number % SUBJECTS == subject:
                    await self.plant.bb.publish(
                        "order.paid", {"number": number}, subject=f"order/{subject}", id=f"paid/{number}"
                    )
                    write(self.plant.folder, "published", number=number)

        await asyncio.gather(*(about(subject) for subject in range(SUBJECTS)))


async def main(folder: Path, lease: float) -> None:
    """Run until the input ends."""
    telling = Telling(Plant(folder, lease=lease))
    async with telling.plant.bb:
        print("ready", flush=True)  # noqa: T201 - the theatre listens
        while line := await asyncio.to_thread(sys.stdin.readline):
            first, count = map(int, line.split())
            await telling.publish(first, count)
            print("done", flush=True)  # noqa: T201 - likewise


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2])))
