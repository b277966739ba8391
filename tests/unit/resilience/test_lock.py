"""Locks: what is lost twice, taken twice, or let go half-way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backburner.backends.memory import MemoryBackend
from backburner.errors import LockLost, LockNotHeld, StoreUnavailable
from backburner.resilience.lock import Locks
from backburner.testing.clock import FakeClock
from tests.unit.jobs.told import seeded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from backburner.ports.leases import LeaseAnswer, Leases
    from backburner.resilience.lock import Lock


class Told:
    """A `LeaseStore` over that in memory: its answers may be held back, and what it is asked is done, heard or not."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._leases = backend.leases
        self.kept = True
        self.away = False
        #: Set, answers are given; while it is not, what is asked waits, and is done all the same.
        self.answers = asyncio.Event()
        self.answers.set()

    async def acquire(self, name: str, holder: str, ttl: int, *, shared: bool) -> LeaseAnswer:
        async def work() -> LeaseAnswer:
            await self.answers.wait()
            return await self._leases.acquire(name, holder, ttl, shared=shared)

        return await asyncio.shield(asyncio.ensure_future(work()))

    async def renew(self, name: str, holder: str, token: int, ttl: int) -> bool:
        if self.away:
            raise StoreUnavailable("away", stored="no")
        return self.kept and await self._leases.renew(name, holder, token, ttl)

    async def release(self, name: str, holder: str, token: int) -> bool:
        await self.answers.wait()
        return await self._leases.release(name, holder, token)

    async def holders(self, names: Sequence[str] = ()) -> dict[str, Leases]:
        return await self._leases.holders(names)


class Stage:
    """Locks on a store that does as it is told."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.backend = MemoryBackend(self.clock)
        self.store = Told(self.backend)
        self.freed = 0
        #: The names of those that were told to be lost.
        self.lost: list[str] = []
        self.locks = Locks(self.store, freed=self._freed, lost=self.lost.append, clock=self.clock, random=seeded())

    def _freed(self) -> None:
        self.freed += 1

    def lock(self, name: str = "import", *, shared: bool = False, lease: float = 30) -> Lock:
        return self.locks.lock(name, shared=shared, timeout=None, lease=lease)

    async def holders(self) -> int:
        return sum(len(leases.holders) for leases in (await self.store.holders()).values())


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Bring an open one."""
    made = Stage()
    await made.backend.open(create=True)
    yield made
    await made.backend.close()


async def test_a_lock_is_lost_once(stage: Stage) -> None:
    """Refused by the store, then out of time: the block is asked to end once, and it is told once, however long that takes."""
    tidied = False

    async def hold() -> None:
        nonlocal tidied
        async with stage.lock():
            try:
                await asyncio.Event().wait()
            finally:
                over = asyncio.Event()
                stage.clock.call_later(60, over.set)
                await over.wait()
                tidied = True

    task = asyncio.create_task(hold())
    await stage.clock.settle()
    stage.store.kept = False
    await stage.clock.advance(100)
    with pytest.raises(LockLost):
        await task
    assert tidied
    assert stage.lost == ["import"]
    assert task.cancelling() == 0


@pytest.mark.parametrize("leases", [(30, 30), (30, 33), (33, 30)])
async def test_two_locks_that_are_lost_together(stage: Stage, leases: tuple[float, float]) -> None:
    """The outermost that is lost tells, whichever was lost first, and nothing is left of the cancellations."""

    async def hold() -> None:
        async with stage.lock("outer", lease=leases[0]), stage.lock("inner", lease=leases[1]):
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await stage.clock.settle()
    stage.store.away = True
    stage.store.answers.clear()
    await stage.clock.advance(60)
    stage.store.answers.set()
    with pytest.raises(LockLost, match="'outer'"):
        await task
    assert task.cancelling() == 0


@pytest.mark.parametrize("turns", range(6))
async def test_who_ends_a_block_that_let_its_lock_be_lost_is_heard(stage: Stage, turns: int) -> None:
    """A block that took the loss for the end of what it did, and is then cancelled by another, is cancelled."""

    async def hold() -> None:
        async with stage.lock():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                stage.store.kept = True
                done.set()
        await asyncio.Event().wait()

    done = asyncio.Event()
    task = asyncio.create_task(hold())
    await stage.clock.settle()
    stage.store.kept = False
    beaten = asyncio.create_task(stage.clock.advance(10))
    await done.wait()
    for _ in range(turns):
        await asyncio.sleep(0)  # noqa: TID251 - lets it come to another of its turns
    task.cancel()
    await beaten
    await asyncio.wait([task], timeout=1)
    assert task.done()
    assert task.cancelled() or isinstance(task.exception(), LockLost)


async def test_one_object_that_two_want_at_once(stage: Stage) -> None:
    """The second is told, before the store is asked; the first has it as if nobody else had asked."""
    lock = stage.lock(shared=True)
    stage.store.answers.clear()
    first = asyncio.create_task(lock.acquire())
    await stage.clock.settle()
    with pytest.raises(LockNotHeld, match="by this object already"):
        await lock.acquire()
    stage.store.answers.set()
    await first
    await stage.clock.advance(100)
    assert lock.held
    await lock.release()
    assert await stage.holders() == 0


async def test_who_gives_up_while_the_store_takes_its_time_holds_nothing(stage: Stage) -> None:
    """It may be taken after the caller was cancelled: then it is let go again, and the object can be taken anew."""
    lock = stage.lock()
    stage.store.answers.clear()
    task = asyncio.create_task(lock.acquire())
    await stage.clock.settle()
    for _ in range(3):
        task.cancel()
        await stage.clock.settle()
    stage.store.answers.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await stage.clock.settle()
    assert await stage.holders() == 0
    await lock.acquire()
    await lock.release()


async def test_who_waits_hears_of_it_though_the_holder_was_cancelled(stage: Stage) -> None:
    """Cancelled while it lets go, it has let go, and others are told."""
    lock = stage.lock()
    await lock.acquire()
    stage.store.answers.clear()
    task = asyncio.create_task(lock.release())
    await stage.clock.settle()
    task.cancel()
    await stage.clock.settle()
    stage.store.answers.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stage.freed == 1
    assert await stage.holders() == 0
