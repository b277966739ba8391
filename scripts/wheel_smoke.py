"""Run a durable job on the installed wheel, from an environment that holds nothing else."""

from __future__ import annotations

import asyncio
import tempfile
from importlib.resources import files
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


checkout = Path(__file__).resolve().parents[1]
installed = Path(backburner.__file__).resolve()
assert "site-packages" in installed.parts, f"not the wheel: {installed}"
for carried in ("py.typed", "examples/stdlib_census.py"):
    assert files("backburner").joinpath(carried).is_file(), f"the wheel lacks {carried}"
for source in checkout.glob("backburner/**/*.sql"):
    assert (installed.parents[1] / source.relative_to(checkout)).is_file(), f"the wheel lacks {source.name}"

with tempfile.TemporaryDirectory() as scratch:
    asyncio.run(main(scratch))
print(f"ok: a durable job ran on {installed.parent}")
