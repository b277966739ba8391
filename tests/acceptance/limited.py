"""A job for processes of its own, in a lane with room for one."""

from __future__ import annotations

from pathlib import Path

from backburner import Registry

jobs = Registry()


@jobs.job(executor="process", concurrency=1)
def alone(folder: str, number: int) -> int:
    """Fail if another runs."""
    mark = Path(folder, "running")
    with mark.open("x"):
        mark.unlink()
    return number
