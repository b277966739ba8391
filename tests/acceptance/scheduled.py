"""A job for processes of its own, on a schedule."""

from __future__ import annotations

from backburner import Registry, current_job

jobs = Registry()


@jobs.every(seconds=0.2)
@jobs.job(executor="process")
def apart() -> list[str]:
    """Tell its schedule and its tick."""
    context = current_job()
    assert context.schedule is not None
    assert context.tick is not None
    return [context.schedule, context.tick.isoformat()]
