"""An app under test, as `bb.blocking` needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import asyncio

    from backburner.jobs.call import Call
    from backburner.jobs.handle import JobHandle
    from backburner.jobs.options import TaskOptions
    from backburner.testing.stage import Stage

__all__ = ["Door"]

R = TypeVar("R")


class Door:
    """Stores and waits on one loop, by whichever engine the stage has there at the time."""

    def __init__(self, stage: Stage, loop: asyncio.AbstractEventLoop) -> None:
        self._stage = stage
        self.loop = loop

    async def create_task(self, call: Call[R], options: TaskOptions, /) -> JobHandle[R]:
        """Store one job, and run it where that is to happen at once."""
        handle = await self._stage.lives.engine().create_task(call, options)
        await self._stage.stored()
        return handle

    def again(self, handle: JobHandle[R], /) -> JobHandle[R]:
        """Return this loop's own handle of a job."""
        return self._stage.lives.engine().again(handle)
