"""Keeps the node's lease, and holds what the store says it runs against what it does run."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from backburner.errors import LeaseLost
from backburner.jobs.loop import Loop, trouble
from backburner.model.clock import SECOND
from backburner.resilience.retry import LOOP_BACKOFF

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backburner.jobs.identity import Identity
    from backburner.jobs.kit import Kit
    from backburner.ports.backend import Backend
    from backburner.ports.nodes import Beat, Keeper

__all__ = ["BEATS", "LeaseKeeper"]

#: Beats in a lease: two may fail before the third is too late.
BEATS = 3


class LeaseKeeper:
    """Beats every third of the lease: from a thread, loop and connection of its own, so that a busy loop loses no lease.

    The thread and the engine's loop share a snapshot of what runs and one thread-safe call back. A loop that is silent
    for ``stall_limit`` seconds is taken for hung: its lease is let go, so that other nodes may have its jobs. Stores
    that live on the engine's loop are beaten there.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        node: Identity,
        lease: int,
        stall_limit: float,
        running: Callable[[], Mapping[str, int]],
        beaten: Callable[[Mapping[str, int], Beat], None],
        fell: Callable[[], None],
        kit: Kit,
    ) -> None:
        self._backend = backend
        self._kit = kit
        self._node = node
        self._lease = lease
        self._interval = lease / SECOND / BEATS
        self._stall_limit = stall_limit
        self._running = running
        self._beaten = beaten
        self._fell = fell
        #: The lease is gone, or let go; this keeper beats no more.
        self.lost = False
        self._clock = kit.clock
        self._listener = kit.listener
        self._random = kit.random
        self._engine_loop = asyncio.get_running_loop()
        self._thread: threading.Thread | None = None
        self._thread_loop: asyncio.AbstractEventLoop | None = None
        self._hurry = asyncio.Event()
        self._stopping = False
        self._ended = asyncio.Event()
        self._heard = kit.clock.monotonic()
        self._loop: Loop | None = None
        #: Beats that failed in a row.
        self.failures = 0

    def start(self) -> None:
        """Begin to beat."""
        if self._backend.own_thread:
            self._thread = threading.Thread(target=self._thread_main, name="backburner-keeper", daemon=True)
            self._thread.start()
        else:
            self._loop = Loop("keeper", self._step, kit=self._kit)
            self._loop.start()
            self._loop.wake()

    def hurry(self) -> None:
        """Beat soon: a hint says that something was asked of this node."""
        if self._loop is not None:
            self._loop.wake()
        elif not self._stopping:
            self._nudge()

    async def stop(self) -> None:
        """End; the lease stays as it is."""
        self._stopping = True
        if self._loop is not None:
            await self._loop.stop()
        if self._thread is not None:
            self._nudge()
            await self._ended.wait()

    def _nudge(self) -> None:
        """End the thread's wait; one that lost its lease has ended, and its loop with it."""
        if self._thread_loop is not None:
            with suppress(RuntimeError):
                self._thread_loop.call_soon_threadsafe(self._hurry.set)

    # ---- on the engine's loop ----------------------------------------------------------------------------------

    async def _step(self) -> float | None:
        if self.lost:
            return None
        running = self._running()
        async with self._backend.keeper() as keeper:
            try:
                beat = await keeper.beat(self._node.id, self._lease)
            except LeaseLost:
                self._lose()
                return None
        self._beaten(running, beat)
        return self._interval

    def _lose(self) -> None:
        self.lost = True
        self._fell()

    def _hear(self, running: Mapping[str, int], beat: Beat) -> None:
        self._heard = self._clock.monotonic()
        if not self._stopping:
            self._beaten(running, beat)

    # ---- on the keeper's own -----------------------------------------------------------------------------------

    def _thread_main(self) -> None:
        try:
            asyncio.run(self._beat_on())
        finally:
            self._tell(self._ended.set)

    async def _beat_on(self) -> None:
        self._thread_loop = asyncio.get_running_loop()
        while not self._stopping:
            try:
                async with self._backend.keeper() as keeper:
                    await self._beat_with(keeper)
            except LeaseLost:
                self._stopping = True
                self._tell(self._lose)
            except Exception as error:  # noqa: BLE001 - a loop's guard: without its keeper a node would be deaf for good
                self.failures += 1
                self._tell(self._report, error)
                await self._wait(LOOP_BACKOFF.delay(self.failures, previous=None, random=self._random) / SECOND)

    async def _beat_with(self, keeper: Keeper) -> None:
        """Beat until told to stop; raises `LeaseLost` once the lease is gone, or was let go."""
        while not self._stopping:
            running = self._running()
            beat = await keeper.beat(self._node.id, self._lease)
            self.failures = 0
            self._tell(self._hear, running, beat)
            began = self._clock.monotonic()
            await self._wait(self._interval)
            # In what the wait took beyond its time (the machine or the process was suspended) no loop could be heard.
            self._heard += max(0.0, self._clock.monotonic() - began - self._interval)
            if self._clock.monotonic() - self._heard > self._stall_limit:
                await keeper.abandon(self._node.id)
                raise LeaseLost("the engine's loop has been silent for too long: its lease was let go", stored="no")

    async def _wait(self, delay: float) -> None:
        try:
            async with asyncio.timeout(delay):
                await self._hurry.wait()
        except TimeoutError:
            pass
        self._hurry.clear()

    def _report(self, error: Exception) -> None:
        self._heard = self._clock.monotonic()
        self._listener(trouble(error), error=error, loop="keeper", failures=self.failures)

    def _tell(self, callback: Callable[..., None], *args: object) -> None:
        try:
            self._engine_loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            # The engine's loop was closed without a stop: nobody is left to tell, and nothing to keep.
            self._stopping = True
