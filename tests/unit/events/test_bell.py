"""The bell: nobody who says what was heard last waits for what has been."""

from __future__ import annotations

import asyncio

from backburner.events.bell import Bell


async def test_a_ring_wakes_all_who_wait() -> None:
    """Those who come later wait for the next."""
    bell = Bell()
    waiting = [asyncio.create_task(bell.wait(bell.rung, 60)) for _ in range(2)]
    await asyncio.wait(waiting, timeout=0)
    bell.ring()
    await asyncio.gather(*waiting)
    later = asyncio.create_task(bell.wait(bell.rung, 60))
    await asyncio.wait([later], timeout=0)
    assert not later.done()
    later.cancel()
    await asyncio.wait([later])
    bell.ring()


async def test_a_ring_between_two_looks_is_heard() -> None:
    """Whoever was busy when it rang does not wait."""
    bell = Bell()
    heard = bell.rung
    bell.ring()
    await bell.wait(heard, 60)


async def test_closed_it_keeps_nobody() -> None:
    """Not those who wait, nor those who come."""
    bell = Bell()
    waiting = asyncio.create_task(bell.wait(bell.rung, 60))
    await asyncio.wait([waiting], timeout=0)
    bell.close()
    await waiting
    await bell.wait(bell.rung, 60)
