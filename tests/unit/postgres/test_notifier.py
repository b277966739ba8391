"""Hints: what becomes of them when the network does what networks do."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import pytest

from backburner.backends.postgres.backend import PostgresBackend
from backburner.backends.postgres.place import PostgresPlace
from backburner.model.clock import SECOND
from backburner.model.node import NodeRecord
from backburner.ports.backend import Hint
from tests.servers.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backburner.testing.clock import FakeClock

#: A round trip to the server, and room: real seconds between two steps of the fake clock.
TURN = 0.02


class Ear:
    """Hears, and lets a test wait for hints while it moves the clock, or does not."""

    def __init__(self, backend: PostgresBackend, clock: FakeClock) -> None:
        self.backend = backend
        self._clock = clock
        self._heard = anyio.Event()
        self.hints: list[Hint] = []
        self.end = backend.notifier.listen(self._hear)

    def _hear(self, hint: Hint) -> None:
        self.hints.append(hint)
        self._heard.set()

    async def wait_for(self, *hints: Hint, step: float = 0.0) -> float:
        """Wait until each was heard, forget them; return how far the clock was moved, ``step`` by step."""
        moved = 0.0
        while not set(hints) <= set(self.hints):
            self._heard = anyio.Event()
            with anyio.move_on_after(TURN):
                await self._heard.wait()
            if step:
                await self._clock.advance(step)
                moved += step
        self.hints.clear()
        return moved


@pytest.fixture
async def proxy(place: PostgresPlace) -> AsyncIterator[Proxy]:
    """A proxy in front of the server."""
    parts = urlsplit(place.dsn)
    async with Proxy(str(parts.hostname), parts.port or 5432) as proxy:
        yield proxy


@pytest.fixture
async def ear(backend: PostgresBackend, place: PostgresPlace, proxy: Proxy, clock: FakeClock) -> AsyncIterator[Ear]:
    """An ear that hears through the proxy, connected."""
    assert backend.address
    through = PostgresPlace(dsn=proxy.url(place.dsn), schema=place.schema, address="through a proxy")
    made = PostgresBackend(through, clock=clock, write_timeout=0.5)
    await made.open(create=False)
    ear = Ear(made, clock)
    await ear.wait_for(*Hint)
    yield ear
    await made.close()


@pytest.mark.parametrize("hint", [*Hint])
async def test_a_hint_is_heard_at_once(ear: Ear, backend: PostgresBackend, hint: Hint) -> None:
    """A hint of another process is heard as the hint it was, without the clock's help."""
    await backend.notifier.notify(hint)
    await ear.wait_for(hint)


async def test_one_s_own_hint_is_heard_once(ear: Ear) -> None:
    """Who notifies hears it at once, and not again when it comes back."""
    await ear.backend.notifier.notify(Hint.LAPSE)
    assert ear.hints == [Hint.LAPSE]
    await ear.backend.notifier.notify(Hint.CONTROL)
    assert ear.hints == [Hint.LAPSE, Hint.CONTROL]


async def test_a_severed_connection_is_replaced(ear: Ear, backend: PostgresBackend, proxy: Proxy) -> None:
    """A connection that was reset is replaced; every hint follows, since any may have been lost, and then new ones."""
    for _ in range(3):
        await proxy.sever()
        # The first try follows at once; should it come too early, the next follows the backoff.
        assert await ear.wait_for(*Hint, step=0.05) < 5
        await backend.notifier.notify(Hint.LAPSE)
        await ear.wait_for(Hint.LAPSE)


async def test_a_connection_that_ends_with_its_look_is_replaced(
    ear: Ear, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that was answered just before the connection ended proves nothing: the next comes soon."""
    watch = ear.backend.notifier._watch
    assert watch is not None
    assert watch.ears is not None
    value = watch.ears.value

    async def answered_at_last(sql: str, *args: object) -> object:
        answer = await value(sql, *args)
        watch.fell()
        return answer

    monkeypatch.setattr(watch.ears, "value", answered_at_last)
    await clock.advance(6)
    await ear.wait_for(Hint.JOBS)
    assert watch.ears is None
    monkeypatch.undo()
    assert await ear.wait_for(*Hint, step=0.1) < 2


async def test_while_it_is_down_hints_come_for_nothing(ear: Ear, proxy: Proxy) -> None:
    """While there is no server, each second, a fifth more or less, hints that something may have changed."""
    proxy.refuse()
    await proxy.sever()
    await ear.wait_for(Hint.JOBS, Hint.CONTROL, step=0.05)
    for _ in range(3):
        assert 0.7 <= await ear.wait_for(Hint.JOBS, Hint.CONTROL, step=0.05) <= 1.3
    await proxy.accept()
    await ear.wait_for(Hint.LAPSE, step=0.5)


async def test_a_frozen_connection_is_found_by_its_ping(
    ear: Ear, backend: PostgresBackend, proxy: Proxy, clock: FakeClock
) -> None:
    """A connection over which nothing comes any more, and which nobody ended, is found out and replaced."""
    proxy.freeze()
    await backend.notifier.notify(Hint.LAPSE)
    accepted = proxy.accepted
    await clock.advance(6.1)
    await proxy.request_held()
    assert Hint.LAPSE not in ear.hints
    # Its answer is waited for by the real clock, half a second here; only then is the connection given up.
    while proxy.accepted == accepted:
        await ear.wait_for(Hint.JOBS, step=0.1)
    proxy.thaw()
    await ear.wait_for(*Hint, step=0.1)
    await backend.notifier.notify(Hint.LAPSE)
    await ear.wait_for(Hint.LAPSE)


@pytest.mark.parametrize("options", [{"listen": False}, {"pool_size": 2}], ids=str)
async def test_without_listen(
    backend: PostgresBackend, place: PostgresPlace, clock: FakeClock, options: dict[str, bool | int]
) -> None:
    """Without LISTEN hints come for nothing each second, and a death is heard of at a look; its own hints are sent."""
    deaf = PostgresPlace(
        dsn=place.dsn,
        schema=place.schema,
        address=place.address,
        listen=bool(options.get("listen", True)),
        pool_size=options.get("pool_size", 5),
    )
    made = PostgresBackend(deaf, clock=clock)
    await made.open(create=False)
    ear = Ear(made, clock)
    await ear.wait_for(Hint.JOBS, Hint.CONTROL)
    for _ in range(3):
        assert 0.7 <= await ear.wait_for(Hint.JOBS, Hint.CONTROL, step=0.05) <= 1.3
    node = NodeRecord(id="node", host="host", pid=1, started_at=0, queues={}, kinds=())
    await backend.nodes.publish(node, SECOND)
    assert await ear.wait_for(Hint.LAPSE, step=0.5) <= 8
    hearing = Ear(backend, clock)
    await hearing.wait_for(*Hint)
    await made.notifier.notify(Hint.LAPSE)
    await hearing.wait_for(Hint.LAPSE)
    await made.close()


async def test_what_is_not_known_is_passed_over(ear: Ear, backend: PostgresBackend, place: PostgresPlace) -> None:
    """A word of a newer version is no hint, and keeps none from being heard."""
    await backend._session.reads.value("SELECT pg_notify($1, 'novelty')", place.schema)
    await backend.notifier.notify(Hint.CONTROL)
    await ear.wait_for(Hint.CONTROL)


async def test_closed_it_hears_no_more(ear: Ear, backend: PostgresBackend, clock: FakeClock) -> None:
    """Closed, nothing is told any more, whatever the time; opened again, it may be listened to again."""
    await ear.backend.close()
    ear.hints.clear()
    await backend.notifier.notify(Hint.JOBS)
    await clock.advance(30)
    assert ear.hints == []
    await ear.backend.open(create=False)
    again = Ear(ear.backend, clock)
    await again.wait_for(*Hint)
