"""What an app opens for its jobs, open as long as an engine runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backburner.ports.telemetry import Signal

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from backburner.jobs.kit import Kit

__all__ = ["Resources"]


class Resources:
    """Keeps a context manager open in a task of its own.

    Task groups, scopes and context variables in it are to be left by the task that entered them, and an engine may be
    stopped by another than the one that started it.
    """

    def __init__(self, manager: AbstractAsyncContextManager[object], kit: Kit) -> None:
        self._manager = manager
        self._listener = kit.listener
        self._closing = asyncio.Event()
        self._opened: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> object:
        """Open, and return what it yields; raises what it raises."""
        self._task = asyncio.get_running_loop().create_task(self._hold(), name="backburner.resources")
        return await self._opened

    async def close(self) -> None:
        """Close; raises what that raises. One that is still opening is cancelled."""
        if self._task is None:
            return
        self._closing.set()
        if not self._opened.done() or self._opened.cancelled():
            self._task.cancel()
            await asyncio.wait([self._task])
        elif self._opened.exception() is None:
            await self._task

    async def _hold(self) -> None:
        try:
            async with self._manager as value:
                if not self._opened.cancelled():
                    self._opened.set_result(value)
                await self._closing.wait()
        except Exception as error:
            if self._opened.done():
                if not self._closing.is_set():
                    # Told now, raised when the engine stops: its jobs go on without what has failed.
                    self._listener(Signal.LOOP_FAILED, error=error, loop="resources", failures=1)
                raise
            self._opened.set_exception(error)
        finally:
            if not self._opened.done():
                self._opened.cancel()  # a manager that was cancelled must leave nobody waiting for it
