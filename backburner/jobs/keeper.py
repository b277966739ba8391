"""Keeps the node's lease, and holds what the store says it runs against what it does run."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from backburner.errors import LeaseLost, StoreUnavailable
from backburner.jobs.fence import Fence
from backburner.jobs.loop import Loop, trouble
from backburner.model.clock import SECOND
from backburner.ports.telemetry import Signal
from backburner.resilience.retry import LOOP_BACKOFF

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping

    from backburner.jobs.identity import Identity
    from backburner.jobs.kit import Kit
    from backburner.ports.backend import Backend
    from backburner.ports.nodes import Beat, Keeper

__all__ = ["BEATS", "LeaseKeeper"]

T = TypeVar("T")

#: Beats in a lease: two may fail before the third is too late.
BEATS = 3
#: Tries between two beats, at least, while the store is away and leases end by time.
TRIES = 5
#: Seconds that the end waits for what was left to itself: a connection that does not hang is parted from in less.
PARTING = 1.0


class LeaseKeeper:
    """Beats every third of the lease: from a thread, loop and connection of its own, so that a busy loop loses no lease.

    The thread and the engine's loop share a snapshot of what runs and one thread-safe call back. A loop that is silent
    for ``stall_limit`` seconds is taken for hung: its lease is let go, so that other nodes may have its jobs. Stores
    that live on the engine's loop are beaten there.

    Where leases end by time no answer is waited for longer than to the next beat, and a `Fence` ends what runs before
    the lease can be over.
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
        fell: Callable[[Signal], None],
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
        #: The lease is gone, let go, or about to be over; this keeper beats no more.
        self.lost = False
        self._fence = Fence(lease, self._fenced, kit) if backend.timed_leases else None
        self._clock = kit.clock
        self._listener = kit.listener
        self._random = kit.random
        self._engine_loop = asyncio.get_running_loop()
        self._thread: threading.Thread | None = None
        self._thread_loop: asyncio.AbstractEventLoop | None = None
        self._hurry = asyncio.Event()
        #: In the thread: done when it is to wait for nothing any more.
        self._told_to_end: asyncio.Future[None] | None = None
        #: In the thread: what was given up, and may not have ended yet.
        self._left: set[asyncio.Future[Any]] = set()
        self._stopping = False
        self._ended = asyncio.Event()
        self._heard = kit.clock.monotonic()
        self._loop: Loop | None = None
        #: Beats that failed in a row.
        self.failures = 0
        #: When the last beat that succeeded began, on the clock's monotonic time; at first, when the lease was asked for.
        self.beaten_at: float | None = None
        #: The last one could not reach the store.
        self._away = False

    def start(self, began: float) -> None:
        """Begin to beat; ``began`` is when the node asked for its lease, on the clock's monotonic time."""
        self.beaten_at = began
        if self._fence is not None:
            self._fence.start(began)
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

    @property
    def novitiate(self) -> float:
        """Seconds until this node may take over what others ran."""
        if self._fence is None:
            return 0.0
        return self._lease / SECOND if self.lost else self._fence.novitiate

    @property
    def away(self) -> bool:
        """Whether the store could not be reached by the last beat."""
        return self._away if self._loop is None else self._loop.away

    @property
    def alive(self) -> bool:
        """Whether it beats, or waits to; a keeper that lost its lease has ended as it should."""
        if self._thread is not None:
            return self._thread.is_alive() or self.lost or self._stopping
        return self._loop is None or self._loop.alive

    async def stop(self) -> None:
        """End; the lease stays as it is."""
        self._stopping = True
        if self._fence is not None:
            self._fence.stop()
        if self._loop is not None:
            await self._loop.stop()
        if self._thread is not None:
            self._nudge()
            await self._ended.wait()

    def _nudge(self) -> None:
        """End the thread's wait; one that lost its lease has ended, and its loop with it."""
        if self._thread_loop is not None:
            with suppress(RuntimeError):
                self._thread_loop.call_soon_threadsafe(self._wake)

    # ---- on the engine's loop ----------------------------------------------------------------------------------

    async def _step(self) -> float | None:
        if self.lost:
            return None
        running = self._running()
        began = self._clock.monotonic()
        try:
            async with self._backend.keeper() as keeper:
                beat = await keeper.beat(self._node.id, self._lease)
        except LeaseLost:
            self._lose(Signal.NODE_STALLED)
            return None
        except Exception:
            self._failed()
            raise
        self._renewed(began)
        if not self.lost:
            self._beaten(running, beat)
        return self._interval

    def _fenced(self) -> None:
        self._stopping = True
        self._nudge()
        self._lose(Signal.NODE_FENCED)

    def _lose(self, why: Signal) -> None:
        if not self.lost:
            self.lost = True
            if self._fence is not None:
                self._fence.stop()
            self._fell(why)

    def _hear(self, running: Mapping[str, int], beat: Beat) -> None:
        self._heard = self._clock.monotonic()
        if not self._stopping:
            self._beaten(running, beat)

    # ---- on either ---------------------------------------------------------------------------------------------

    def _renewed(self, began: float) -> None:
        self.beaten_at = began
        if self._fence is not None:
            self._fence.renewed(began)

    def _failed(self) -> None:
        if self._fence is not None:
            self._fence.failed()

    # ---- on the keeper's own -----------------------------------------------------------------------------------

    def _thread_main(self) -> None:
        try:
            asyncio.run(self._beat_on())
        finally:
            self._tell(self._ended.set)

    async def _beat_on(self) -> None:
        self._thread_loop = asyncio.get_running_loop()
        self._told_to_end = self._thread_loop.create_future()
        while not self._stopping:
            try:
                async with self._connected() as keeper:
                    await self._beat_with(keeper)
            except LeaseLost:
                self._stopping = True
                self._tell(self._lose, Signal.NODE_STALLED)
            except Exception as error:  # noqa: BLE001 - a loop's guard: without its keeper a node would be deaf for good
                if not self._stopping:
                    self.failures += 1
                    self._away = isinstance(error, StoreUnavailable)
                    self._failed()
                    self._tell(self._report, error)
                    await self._wait(self._pause())
        if self._left:
            await asyncio.wait(self._left, timeout=PARTING)

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[Keeper]:
        keeper = self._backend.keeper()
        await self._answer(keeper.__aenter__())
        try:
            yield keeper
        finally:
            closing = keeper.__aexit__(None, None, None)
            if self._left:
                # What hangs may hang when it is closed too; the next try has no time to wait for that.
                self._leave(asyncio.ensure_future(closing))
            else:
                await self._within(closing)

    def _pause(self) -> float:
        """Return the seconds until the next try; where a lease runs out meanwhile, few."""
        pause = LOOP_BACKOFF.delay(self.failures, previous=None, random=self._random) / SECOND
        return pause if self._fence is None else min(pause, self._interval / TRIES)

    async def _beat_with(self, keeper: Keeper) -> None:
        """Beat until told to stop; raises `LeaseLost` once the lease is gone, or was let go."""
        while not self._stopping:
            running = self._running()
            began = self._clock.monotonic()
            beat = await self._answer(keeper.beat(self._node.id, self._lease))
            self._renewed(began)
            if self.failures:
                self._tell(self._recovered, self.failures)
            self.failures = 0
            self._away = False
            self._tell(self._hear, running, beat)
            began = self._clock.monotonic()
            await self._wait(self._interval)
            # In what the wait took beyond its time (the machine or the process was suspended) no loop could be heard.
            self._heard += max(0.0, self._clock.monotonic() - began - self._interval)
            if self._clock.monotonic() - self._heard > self._stall_limit:
                await keeper.abandon(self._node.id)
                raise LeaseLost("the engine's loop has been silent for too long: its lease was let go", stored="no")

    async def _answer(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for the store, but not beyond a stop."""
        return await self._within(work, *(() if self._told_to_end is None else (self._told_to_end,)))

    async def _within(self, work: Coroutine[Any, Any, T], *ends: asyncio.Future[None]) -> T:
        """Wait for the store; where leases end by time, no longer than to the next beat."""
        if self._fence is None:
            return await work
        task = asyncio.ensure_future(work)
        waits: list[asyncio.Future[Any]] = [task, *ends]
        await asyncio.wait(waits, timeout=self._interval, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        # It may not heed this at once; its connection is given up with it.
        task.cancel()
        self._leave(task)
        raise StoreUnavailable(f"the store did not answer the beat of this node within {self._interval:g} s")

    def _leave(self, task: asyncio.Future[Any]) -> None:
        """Leave a task to itself, kept from the collector; how it ends is nobody's affair."""
        self._left.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Future[Any]) -> None:
        self._left.discard(task)
        if not task.cancelled():
            task.exception()

    def _wake(self) -> None:
        self._hurry.set()
        if self._stopping and self._told_to_end is not None and not self._told_to_end.done():
            self._told_to_end.set_result(None)

    async def _wait(self, delay: float) -> None:
        try:
            async with asyncio.timeout(delay):
                await self._hurry.wait()
        except TimeoutError:
            pass
        self._hurry.clear()

    def _recovered(self, failures: int) -> None:
        self._listener(Signal.STORE_RECOVERED, loop="keeper", failures=failures)

    def _report(self, error: Exception) -> None:
        self._heard = self._clock.monotonic()
        self._listener(trouble(error), error=error, loop="keeper", failures=self.failures)

    def _tell(self, callback: Callable[..., None], *args: object) -> None:
        try:
            self._engine_loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            # The engine's loop was closed without a stop: nobody is left to tell, and nothing to keep.
            self._stopping = True
