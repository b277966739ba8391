"""Hints: what becomes of them when the network does what networks do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from backburner.backends.redis.notifier import RedisNotifier
from backburner.backends.redis.queues import RedisQueueStore
from backburner.errors import StoreUnavailable
from backburner.model.node import QueueRecord
from backburner.ports.backend import Hint
from tests.servers.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backburner.backends.redis.session import Session
    from backburner.testing.clock import FakeClock
    from tests.servers.redis import Namespace
    from tests.unit.redis.conftest import Opened

#: A round trip to the server, and room: real seconds between two steps of the fake clock.
TURN = 0.02


class Ear:
    """Hears, and lets a test wait for hints while it moves the clock, or does not."""

    def __init__(self, notifier: RedisNotifier, clock: FakeClock) -> None:
        self.notifier = notifier
        self._clock = clock
        self._heard = anyio.Event()
        self.hints: list[Hint] = []
        self.end = notifier.listen(self._hear)

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
async def proxy(redis_namespace: Namespace) -> AsyncIterator[Proxy]:
    """A proxy in front of the server."""
    port = redis_namespace.server.url.rpartition(":")[2].partition("/")[0]
    async with Proxy("127.0.0.1", int(port)) as proxy:
        yield proxy


@pytest.fixture
async def ear(opened: Opened, url: str, proxy: Proxy, clock: FakeClock) -> AsyncIterator[Ear]:
    """An ear that hears through the proxy, connected."""
    async with opened(proxy.url(url), timeout=0.5) as session:
        notifier = RedisNotifier(session)
        ear = Ear(notifier, clock)
        await ear.wait_for(*Hint)
        yield ear
        await notifier.close()


@pytest.fixture
def speaker(session: Session) -> RedisNotifier:
    """A notifier of another process, which the proxy does nothing to."""
    return RedisNotifier(session)


@pytest.mark.parametrize("hint", [*Hint])
async def test_a_hint_is_heard_at_once(ear: Ear, speaker: RedisNotifier, hint: Hint) -> None:
    """A hint is heard as the hint it was, without the clock's help."""
    await speaker.notify(hint)
    await ear.wait_for(hint)


async def test_a_severed_connection_is_replaced(ear: Ear, speaker: RedisNotifier, proxy: Proxy) -> None:
    """A connection that was reset is replaced; every hint follows, since any may have been lost, and then new ones."""
    for _ in range(3):
        await proxy.sever()
        # The first try follows at once; should it come too early, the next follows the backoff.
        assert await ear.wait_for(*Hint, step=0.05) < 5
        await speaker.notify(Hint.LAPSE)
        await ear.wait_for(Hint.LAPSE)
    assert ear.notifier.failures >= 3


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
    ear: Ear, speaker: RedisNotifier, proxy: Proxy, clock: FakeClock
) -> None:
    """A connection over which nothing comes any more, and which nobody ended, is found out and replaced."""
    proxy.freeze()
    await speaker.notify(Hint.LAPSE)
    await clock.advance(6.1)
    await proxy.request_held()
    assert Hint.LAPSE not in ear.hints
    # Its answer is waited for by the real clock, half a second here; only then is the connection given up.
    while ear.notifier.failures == 0:
        await anyio.lowlevel.checkpoint()
    proxy.thaw()
    await ear.wait_for(*Hint, step=0.05)
    await speaker.notify(Hint.LAPSE)
    await ear.wait_for(Hint.LAPSE)


async def test_at_each_ping_hints_come_for_nothing(ear: Ear) -> None:
    """All being well, every five seconds, a fifth more or less, hints for what nobody notified of; none of a death."""
    for _ in range(3):
        assert 3.9 <= await ear.wait_for(Hint.JOBS, Hint.CONTROL, step=0.1) <= 6.3
    assert Hint.LAPSE not in ear.hints


async def test_a_lease_that_is_over_is_heard_of(ear: Ear, session: Session) -> None:
    """A node whose lease has run out is heard of at the next ping, though nobody told."""
    keys = session.keys
    await session.scripts.run(
        "nodes_publish", (*keys.logging, keys.nodes, keys.leases), ("node", b"\x80", 20_000_000, b"")
    )
    assert 20 <= await ear.wait_for(Hint.LAPSE, step=0.2) <= 27


async def test_without_the_right_to_listen_it_polls(
    opened: Opened, redis_namespace: Namespace, clock: FakeClock
) -> None:
    """A user who may not listen hears each second that something may have changed; what it writes is written."""
    namespace = redis_namespace.name.strip("{}")
    where = redis_namespace.server.url.removeprefix("redis://")
    with redis_namespace.server.connect() as client:
        rights = ("+@all", f"~{{{namespace}}}:*", "resetchannels")
        client.execute_command("ACL", "SETUSER", "deaf", "reset", "on", ">pw", *rights)
        try:
            async with opened(f"redis://deaf:pw@{where}?namespace={namespace}") as session:
                ear = Ear(RedisNotifier(session), clock)
                for _ in range(3):
                    assert await ear.wait_for(Hint.JOBS, Hint.CONTROL, step=0.05) <= 1.5
                await ear.notifier.close()
                queues = RedisQueueStore(session)
                await queues.set(QueueRecord(name="mail", paused=True))
                assert [queue.paused for queue in await queues.list()] == [True]
        finally:
            client.execute_command("ACL", "DELUSER", "deaf")


async def test_nobody_listens_to_a_closed_store(session: Session) -> None:
    """A store that is closed cannot be listened to; what listened before hears nothing more, and no task is left."""
    notifier = RedisNotifier(session)
    notifier.listen(lambda _: None)
    await notifier.close()
    await notifier.close()
    await session.close()
    with pytest.raises(StoreUnavailable, match="not open"):
        notifier.listen(lambda _: None)
