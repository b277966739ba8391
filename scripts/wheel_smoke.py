"""Run a durable job on the installed wheel, from an environment that holds nothing else."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import backburner
from backburner import Backburner


async def main(directory: str) -> None:
    """Store a job, await its result, and read it again from the store reopened."""
    bb = Backburner(f"sqlite:///{directory}/smoke.db")

    @bb.job
    async def double(number: int) -> int:
        return 2 * number

    async with bb:
        handle = await bb.create_task(double(21))
        assert await handle == 42
    async with bb:
        assert await bb.handle(handle.id, double) == 42


installed = Path(backburner.__file__).resolve()
assert "site-packages" in installed.parts, f"not the wheel: {installed}"

with tempfile.TemporaryDirectory() as scratch:
    asyncio.run(main(scratch))
print(f"ok: a durable job ran on {installed.parent}")
