"""A live view whose store goes away, and comes back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from backburner.cli.top import session
from backburner.cli.top.session import Session
from backburner.cli.top.state import Model
from backburner.errors import StoreUnavailable
from backburner.model.clock import SECOND
from backburner.testing.clock import FakeClock
from tests.unit.cli.top.examples import queue, seen

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import pytest

    from backburner.cli.top.state import Seen


async def _to_next_timer(clock: FakeClock) -> float:
    """Move the time to the next timer, and return by how many seconds that was."""
    assert clock.next_timer is not None
    seconds = (clock.next_timer - clock.now()) / SECOND
    await clock.advance(seconds)
    return seconds


async def test_a_store_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said, with when it is tried again; it is tried later and later, and opened anew; then all is shown again."""
    clock = FakeClock()
    away = [False]
    opened = [0]

    @asynccontextmanager
    async def controls(_: str | None) -> AsyncGenerator[None]:
        opened[0] += 1
        if away[0]:
            raise StoreUnavailable("nobody answers")
        yield

    class Glance:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        async def take(self) -> Seen:
            if away[0]:
                raise StoreUnavailable("it hung up")
            return seen(queue("mail"))

    monkeypatch.setattr(session, "controls", controls)
    monkeypatch.setattr(session, "Glance", Glance)
    monkeypatch.setattr(session, "SystemClock", lambda: clock)
    view = Session("sqlite:///shop.db", by="ada", every=2)
    model = Model()
    reading = asyncio.create_task(view._read())
    try:
        model = (await view._inbox.get())(model)
        assert model.seen is not None
        away[0] = True
        assert await _to_next_timer(clock) == 2
        for longest in (1, 2, 4, 8):
            model = (await view._inbox.get())(model)
            assert model.away.startswith("cannot be read, next try in ")
            assert model.away.endswith("it hung up" if longest == 1 else "nobody answers")
            away[0] = longest < 8
            assert longest / 2 <= await _to_next_timer(clock) <= longest
        assert model.seen is not None
        model = (await view._inbox.get())(model)
        assert (model.away, opened[0]) == ("", 5)
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
