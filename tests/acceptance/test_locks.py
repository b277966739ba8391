"""`bb.lock`: one holder over all nodes, or many that share; a token that fences, a lease that is kept, and told when lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backburner import Backburner, LockLost, LockTimeout
from backburner.errors import InvalidOption, LockNotHeld, NotRunning, StoreUnavailable
from backburner.testing import FakeClock
from tests.stores import SHARED, empty_store

if TYPE_CHECKING:
    from pathlib import Path


async def test_one_at_a_time(bb: Backburner) -> None:
    """Of twenty that want it at once each has it alone, and each token is greater than the one before."""
    inside = 0
    tokens: list[int] = []

    async def work() -> None:
        nonlocal inside
        async with bb.lock("import") as lock:
            inside += 1
            assert inside == 1
            tokens.append(lock.token)
            await asyncio.sleep(0)  # noqa: TID251 - lets the others try meanwhile
            inside -= 1

    async with bb:
        await asyncio.gather(*(work() for _ in range(20)))
    assert len(tokens) == 20
    assert tokens == sorted(set(tokens))


async def test_many_that_share(bb: Backburner) -> None:
    """Shared holders are inside together; an exclusive one waits for all of them, and holds them off."""
    async with bb:
        async with bb.lock("report", shared=True), bb.lock("report", shared=True):
            assert not await bb.lock("report").try_acquire()
        async with bb.lock("report"):
            assert not await bb.lock("report", shared=True).try_acquire()
        async with bb.lock("report", shared=True) as lock:
            assert lock.held


async def test_a_timeout(bb: Backburner) -> None:
    """Who waits longer than `timeout` is told that others held it; with none left it is only tried."""
    async with bb, bb.lock("import"):
        with pytest.raises(LockTimeout, match=r"was held by others for all of 0\.05 s"):
            await bb.lock("import", timeout=0.05).acquire()
        with pytest.raises(TimeoutError):
            await bb.lock("import", timeout=0).acquire()


async def test_by_hand(bb: Backburner) -> None:
    """`try_acquire` and `release` work without a block; an object is held once at a time, and may be taken again."""
    async with bb:
        lock = bb.lock("import")
        with pytest.raises(LockNotHeld, match="is not held"):
            lock.token  # noqa: B018 - reading it is what raises
        assert await lock.try_acquire()
        first = lock.token
        with pytest.raises(LockNotHeld, match="held by this object already"):
            await lock.try_acquire()
        await lock.release()
        with pytest.raises(LockNotHeld):
            await lock.release()
        async with lock:
            assert lock.token > first


async def test_it_is_let_go_however_the_block_ends(bb: Backburner) -> None:
    """An error, and a cancellation, go through as they are, and leave it free."""
    async with bb:
        with pytest.raises(ZeroDivisionError):
            async with bb.lock("import"):
                _ = 1 / 0
        entered = asyncio.Event()

        async def hold() -> None:
            async with bb.lock("import"):
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(hold())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await bb.lock("import").try_acquire()


@pytest.mark.parametrize("store", SHARED)
async def test_who_waits_has_it_soon(store: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Let go on one node, it is taken on another."""
    url = empty_store(store, request, tmp_path)
    one, other = Backburner(url), Backburner(url)
    async with one, other:
        lock = one.lock("import")
        await lock.acquire()
        waiting = asyncio.create_task(other.lock("import").acquire())
        await asyncio.wait([waiting], timeout=0.05)
        assert not waiting.done()
        token = lock.token
        await lock.release()
        taken = await waiting
        assert taken.token > token
        await taken.release()


async def test_cancelled_while_it_waits(bb: Backburner) -> None:
    """Whoever stops waiting holds nothing, nor keeps anybody off."""
    async with bb:
        async with bb.lock("import"):
            waiting = asyncio.create_task(bb.lock("import").acquire())
            await asyncio.wait([waiting], timeout=0.02)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert await bb.lock("import").try_acquire()


async def test_it_is_kept_for_as_long_as_it_takes() -> None:
    """The heartbeat outlives many leases; the lock stays held, under one token."""
    clock = FakeClock()
    async with Backburner("memory://", clock=clock) as bb, bb.lock("import", lease=30) as lock:
        token = lock.token
        await clock.settle()
        await clock.advance(3600)
        assert lock.held
        assert lock.token == token
        assert not await bb.lock("import").try_acquire()


async def test_a_holder_that_died_is_waited_for_no_longer_than_its_lease() -> None:
    """Whose heartbeat stopped loses the lock when its lease ends, and no sooner."""
    clock = FakeClock()
    async with Backburner("memory://", clock=clock) as bb:
        lock = bb.lock("import", lease=30)
        await lock.acquire()
        assert lock._beating is not None
        lock._beating.cancel()  # as if its process were gone
        await clock.advance(29)
        assert not await bb.lock("import").try_acquire()
        await clock.advance(2)
        assert await bb.lock("import").try_acquire()
        with pytest.raises(LockLost, match="'import' was lost"):
            await lock.release()


async def test_a_lost_lock_ends_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store is away the lease runs out: before it does, the block is cancelled, and `LockLost` raised."""
    clock = FakeClock()
    async with Backburner("memory://", clock=clock) as bb:
        cancelled_at: list[float] = []

        async def hold() -> None:
            async with bb.lock("import", lease=30):
                began = clock.monotonic()
                try:
                    await asyncio.Event().wait()
                finally:
                    cancelled_at.append(clock.monotonic() - began)

        task = asyncio.create_task(hold())
        await clock.settle()

        async def away(*_: object) -> bool:
            raise StoreUnavailable("gone", stored="no")

        monkeypatch.setattr(type(bb._running().locks.store), "renew", away)
        await clock.advance(60)
        with pytest.raises(LockLost):
            await task
        assert cancelled_at == [25.0]
        assert task.cancelling() == 0


async def test_a_block_that_did_not_notice_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that ends by itself after the lock was lost raises `LockLost` too; one that fails otherwise tells that."""
    clock = FakeClock()
    async with Backburner("memory://", clock=clock) as bb:

        async def refused(*_: object) -> bool:
            return False

        monkeypatch.setattr(type(bb._running().locks.store), "renew", refused)

        async def hold(fails: type[Exception] | None) -> None:
            async with bb.lock("import", lease=30):
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    if fails is not None:
                        raise fails from None

        for fails in (None, ValueError):
            task = asyncio.create_task(hold(fails))
            await clock.settle()
            await clock.advance(60)
            with pytest.raises(fails or LockLost):
                await task


async def test_bad_input(bb: Backburner) -> None:
    """What cannot be a lock is refused where it is asked for."""
    with pytest.raises(NotRunning):
        bb.lock("import")
    async with bb:
        with pytest.raises(InvalidOption, match="a lock's name must not be empty"):
            bb.lock("")
        with pytest.raises(InvalidOption, match="too short to be kept: from 3 seconds"):
            bb.lock("import", lease=1)
        with pytest.raises(InvalidOption, match="timeout must not be negative"):
            bb.lock("import", timeout=-1)
