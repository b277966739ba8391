"""A program whose process job hangs, having started a program, forked and said `ready`."""

from __future__ import annotations

import asyncio
import sys

from backburner import Backburner
from tests.chaos.programs import process_jobs


async def main() -> None:
    """Wait for it: for ever."""
    async with Backburner("memory://", jobs=[process_jobs.jobs]) as bb:
        await (await bb.create_task(process_jobs.hang(sys.argv[1])))


if __name__ == "__main__":
    asyncio.run(main())
