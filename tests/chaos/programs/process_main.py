"""A program that declares its process jobs itself. Arguments: the job's, and `unguarded` to start whatever its name is."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

from backburner import Backburner, JobFailed, RetryPolicy, constant

bb = Backburner("memory://", retry=RetryPolicy(attempts=3, backoff=constant(0), reject=KeyError))


@dataclass
class Pair:
    """A type that only this program has."""

    left: int
    right: int


class Mine(KeyError):
    """An error that only this program has."""


@bb.job(executor="process")
def add(pair: Pair) -> int:
    """Add, but not what is negative."""
    if pair.left < 0:
        raise Mine("negative")
    return pair.left + pair.right


async def main() -> None:
    """Run the job; say what came of it."""
    async with bb:
        try:
            handle = await bb.create_task(add(Pair(int(sys.argv[1]), 2)))
            said = str(await handle)
        except JobFailed as error:
            said = f"{error.reason} {error}"
        sys.stdout.write(f"{said}\n")


if __name__ == "__main__" or "unguarded" in sys.argv:
    asyncio.run(main())
