"""The program whose instructions are counted: store no-op jobs in one write, and await each: `counted.py STORE JOBS`."""

from __future__ import annotations

import asyncio
import gc
import sys

from backburner import Backburner

#: Jobs that come first, so that what happens once, to whatever runs first, is in every count alike.
WARM_UP = 200


async def main(store: str, jobs: int) -> None:
    """Store jobs and see them all completed, on a new store in the working directory."""
    bb = Backburner("memory://" if store == "memory" else "sqlite:///counted.db", queues={"default": 100})

    @bb.job
    async def nothing() -> None: ...

    async with bb:
        for count in (WARM_UP, jobs):
            for handle in await bb.create_tasks([nothing() for _ in range(count)]):
                await handle


if __name__ == "__main__":
    # When garbage is collected depends on what was made before, which is another's cost.
    gc.disable()
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
