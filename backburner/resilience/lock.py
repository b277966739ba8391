"""Locks over all nodes: named leases with a heartbeat and a fencing token, exclusive or shared."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Self

from backburner.errors import InvalidOption, LockLost, LockNotHeld, LockTimeout, StoreError
from backburner.model.clock import SECOND
from backburner.model.names import check_name
from backburner.model.times import duration
from backburner.resilience.backoff import exponential
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from random import Random
    from types import TracebackType

    from backburner.model.clock import Clock, Timer
    from backburner.ports.leases import LeaseStore

__all__ = ["DEFAULT_LEASE", "Lock", "Locks"]

#: Seconds.
DEFAULT_LEASE = 30.0
#: The shortest that leaves time for a heartbeat over a network that stutters.
_SHORTEST = 3.0
#: Heartbeats in a lease; and the share of it, before its end, that a holder no longer counts on.
_BEATS = 3
_MARGIN = 1 / 6
#: Between two tries of who waits, unless a hint comes first.
_WAIT = exponential(0.05, factor=2, cap=1, jitter="equal")


class Locks:
    """Makes the locks of one engine, and wakes those that wait."""

    def __init__(
        self,
        store: LeaseStore,
        *,
        freed: Callable[[], None],
        lost: Callable[[str], None],
        clock: Clock,
        random: Random,
    ) -> None:
        self.store = store
        #: Tells other nodes that a lock came free.
        self.freed = freed
        #: Told the name of a lock that was lost while it was held.
        self.lost = lost
        self.clock = clock
        self.random = random
        self._waiting: set[asyncio.Event] = set()

    def lock(
        self, name: str, *, shared: bool, timeout: timedelta | float | None, lease: timedelta | float | None
    ) -> Lock:
        """Make a lock; raises `InvalidOption`."""
        length = duration(DEFAULT_LEASE if lease is None else lease, "lease")
        if length < _SHORTEST * SECOND:
            raise InvalidOption(f"lease={lease!r} is too short to be kept: from {_SHORTEST:g} seconds", option="lease")
        wait = None if timeout is None else duration(timeout, "timeout")
        return Lock(check_name(name, "a lock's name"), self, shared=shared, timeout=wait, lease=length)

    def heard(self) -> None:
        """Let those who wait try again: somebody may have let go."""
        for event in self._waiting:
            event.set()

    async def rest(self, seconds: float) -> None:
        """Wait for a hint, at most so long."""
        event = asyncio.Event()
        self._waiting.add(event)
        timer = self.clock.call_later(seconds, event.set)
        try:
            await event.wait()
        finally:
            timer.cancel()
            self._waiting.discard(event)


class Lock:
    """``async with bb.lock("import") as lock``: held by one at a time over all nodes, or with ``shared=True`` by many that share.

    Held, it is renewed three times a lease. Should that not succeed in time, because the store is away or the loop stood
    still, the block is cancelled while the lease still holds everybody else off, and `LockLost` is raised. A holder that
    dies frees it when its lease ends.

    No lock can stop a write that is already on its way: hand ``token`` along, a number greater than that of every
    earlier holder, and have the receiver refuse smaller ones. The store's clock decides. Not reentrant; one object is
    held once at a time, and may be taken again. Those who wait are not queued: who tries first when it comes free has it.
    """

    def __init__(self, name: str, locks: Locks, *, shared: bool, timeout: int | None, lease: int) -> None:
        self.name = name
        self.shared = shared
        self._locks = locks
        self._timeout = timeout
        self._lease = lease
        self._holder = ""
        self._token: int | None = None
        self._beating: asyncio.Task[None] | None = None
        self._fence: Timer | None = None
        #: The task whose block it guards, and how often that had been asked to end by then.
        self._guarded: tuple[asyncio.Task[object], int] | None = None
        self._lost = False

    def __repr__(self) -> str:
        return f"<lock {self.name!r}{' shared' if self.shared else ''}{' held' if self.held else ''}>"

    @property
    def held(self) -> bool:
        """Whether it is held here, as far as is known."""
        return self._token is not None and not self._lost

    @property
    def token(self) -> int:
        """The fencing token of this holder; raises `LockNotHeld`."""
        if self._token is None:
            raise LockNotHeld(f"lock {self.name!r} is not held: its token comes with `async with` or `acquire`")
        return self._token

    async def acquire(self) -> Self:
        """Take it, waiting for at most ``timeout``; raises `LockTimeout`, or `StoreError` when the store is away."""
        clock, tries = self._locks.clock, 0
        end = None if self._timeout is None else clock.monotonic() + self._timeout / SECOND
        while not await self.try_acquire():
            tries += 1
            pause = _WAIT.delay(tries, previous=None, random=self._locks.random) / SECOND
            if end is not None:
                left = end - clock.monotonic()
                if left <= 0:
                    raise LockTimeout(
                        f"lock {self.name!r} was held by others for all of {(self._timeout or 0) / SECOND:g} s"
                    )
                pause = min(pause, left)
            await self._locks.rest(pause)
        return self

    async def try_acquire(self) -> bool:
        """Take it if nobody holds it, without waiting; tell whether that was so. Raises `StoreError`."""
        if self._holder:
            raise LockNotHeld(
                f"lock {self.name!r} is held by this object already, or asked for: make one for each holder"
            )
        self._holder = secrets.token_hex(8)
        began = self._locks.clock.monotonic()
        try:
            await to_the_end(self._ask())
        except asyncio.CancelledError:
            if self._token is not None:
                await self._let_go(self._token)
            raise
        finally:
            if self._token is None:
                self._holder = ""
        if self._token is None:
            return False
        self._renewed(began)
        self._beating = asyncio.get_running_loop().create_task(self._beat(), name=f"backburner.lock {self.name}")
        return True

    async def release(self) -> None:
        """Let go; raises `LockNotHeld` where it was not held, `LockLost` where it was lost meanwhile."""
        token, lost = self.token, self._lost
        if not await self._let_go(token) or lost:
            raise LockLost(
                f"lock {self.name!r} was lost: its lease could not be renewed in time, and another may hold it"
            )

    async def __aenter__(self) -> Self:
        """Take it."""
        await self.acquire()
        task = asyncio.current_task()
        if task is not None:
            self._guarded = task, task.cancelling()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Let go; raises `LockLost`, the error of the block as its cause, where it was lost meanwhile."""
        guarded, self._guarded = self._guarded, None
        ours = False
        if self._lost and guarded is not None:
            task, asked = guarded
            ours = task.uncancel() <= asked
        try:
            await self.release()
        except LockLost as lost:
            if kind is None or (ours and issubclass(kind, asyncio.CancelledError)):
                raise lost from error
            # The block failed otherwise, or somebody else ended it: that is what it tells.

    async def _ask(self) -> None:
        """Ask for it; not to be cancelled, or nobody would know whether it was taken."""
        self._token = (await self._locks.store.acquire(self.name, self._holder, self._lease, shared=self.shared)).token

    async def _let_go(self, token: int) -> bool:
        """Hold it no more, however often the caller is cancelled; False when it was over already."""
        holder = self._holder
        self._end()
        try:
            return await to_the_end(self._locks.store.release(self.name, holder, token))
        except StoreError:
            # The lease ends by itself; what was done under it was done in time.
            return True
        finally:
            self._locks.freed()

    # ---- the heartbeat -------------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        failures = 0
        pause = self._lease / SECOND / _BEATS
        while True:
            await _sleep(self._locks.clock, pause)
            began = self._locks.clock.monotonic()
            try:
                kept = await self._locks.store.renew(self.name, self._holder, self.token, self._lease)
            except StoreError:
                failures += 1
                pause = _WAIT.delay(failures, previous=None, random=self._locks.random) / SECOND
                continue
            if not kept:
                self._lose()
                return
            failures, pause = 0, self._lease / SECOND / _BEATS
            self._renewed(began)

    def _renewed(self, began: float) -> None:
        """Count on the lease from when it was asked for, but for a margin at its end."""
        if self._fence is not None:
            self._fence.cancel()
        clock = self._locks.clock
        end = began + self._lease / SECOND * (1 - _MARGIN)
        self._fence = clock.call_later(max(0.0, end - clock.monotonic()), self._lose)

    def _lose(self) -> None:
        if self._lost:
            return  # refused by the store, then out of time: the block is asked to end once
        self._lost = True
        if self._beating is not None and self._beating is not asyncio.current_task():
            self._beating.cancel()
        if self._guarded is not None:
            self._guarded[0].cancel()
        self._locks.lost(self.name)

    def _end(self) -> None:
        self._holder, self._token, self._lost = "", None, False
        if self._fence is not None:
            self._fence.cancel()
        if self._beating is not None:
            self._beating.cancel()
        self._fence = self._beating = None


async def _sleep(clock: Clock, seconds: float) -> None:
    over = asyncio.Event()
    timer = clock.call_later(seconds, over.set)
    try:
        await over.wait()
    finally:
        timer.cancel()
