"""A live view whose store goes away, and comes back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, ClassVar, Self
from unittest.mock import MagicMock

import pytest

from backburner.cli.top import session
from backburner.cli.top.glance import Glance
from backburner.cli.top.session import Session
from backburner.cli.top.state import Model, saw
from backburner.errors import StoreUnavailable
from backburner.model.clock import SECOND
from backburner.testing.clock import FakeClock
from tests.unit.cli.top.examples import queue, seen

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

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


class _Terminal:
    """Types a thousand keys while the first picture is drawn, then more than one that ends the view."""

    size = (100, 30)
    shown: ClassVar[list[object]] = []
    last: ClassVar[bytes]

    def __init__(self, *, typed: Callable[[bytes], None], **_: object) -> None:
        self._typed = typed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shown.clear()

    def show(self, what: object) -> None:
        self.shown.append(what)
        assert len(self.shown) <= 3, "it draws for each key"
        self._typed(b"j" * 1000 if len(self.shown) == 1 else self.last)


@pytest.mark.parametrize(("last", "done"), [(b"qp\r", 0), (b"p\rq", 1)])
async def test_what_comes_at_once(
    last: bytes, done: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keys that came while it drew cost one draw, not one each. After q none counts; what was asked before is done."""
    acts = list[object]()

    async def take(_: object) -> Seen:
        return seen(queue("mail"))

    @asynccontextmanager
    async def controls(_: str | None) -> AsyncGenerator[MagicMock]:
        yield MagicMock()

    async def carry_out(act: object, *_: object) -> str:
        acts.append(act)
        return "it is paused"

    monkeypatch.setattr(_Terminal, "last", last, raising=False)
    monkeypatch.setattr(Glance, "take", take)
    for name, stand_in in (("Terminal", _Terminal), ("controls", controls), ("carry_out", carry_out)):
        monkeypatch.setattr(session, name, stand_in)
    view = Session("sqlite:///shop.db", by="ada", every=2)
    view._model = saw(Model(), seen(queue("mail")))
    assert await view.run() == 0
    assert (len(acts), capsys.readouterr().err) == (done, "it is paused\n" * done)
