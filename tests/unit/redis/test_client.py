"""Connections: what a caller, a network and a cluster may do to them."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from backburner.errors import StoreBusy, StoreUnavailable
from tests.servers.proxy import Proxy
from tests.servers.redis import serve
from tests.unit.redis.conftest import named

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backburner.backends.redis.client import Client, Line
    from backburner.backends.redis.session import Session
    from tests.servers.redis import LaunchedCluster, Namespace
    from tests.unit.redis.conftest import Opened

#: A call that has not ended after so many turns of the loop hangs.
TURNS = 100_000


@pytest.fixture
async def proxy(redis_namespace: Namespace) -> AsyncIterator[Proxy]:
    """A proxy in front of the server."""
    port = redis_namespace.server.url.rpartition(":")[2].partition("/")[0]
    async with Proxy("127.0.0.1", int(port)) as proxy:
        yield proxy


async def _echoes(client: Client) -> bool:
    """Tell whether as many calls as there are connections are each given their own answer."""
    words = [str(number).encode() for number in range(8)]
    return await asyncio.gather(*(client.call("ECHO", word) for word in words)) == words


async def test_a_call_cancelled_anywhere_is_done_and_its_connection_usable(session: Session) -> None:
    """Cancelled at any turn of the loop a call is done or was never begun, and no answer goes to another."""
    key = session.keys.meta
    for turns in range(TURNS):
        before = int(await session.client.call("GET", key) or 0)
        task = asyncio.ensure_future(session.client.call("INCR", key))
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        ended = task.done()
        task.cancel()
        await asyncio.wait([task])
        assert int(await session.client.call("GET", key) or 0) - before == (1 if turns else 0)
        assert await _echoes(session.client)
        if ended:
            break
    await session.client.call("DEL", key)
    connected = await session.client.call("CLIENT", "LIST")
    assert connected.count(b"name=backburner") <= 5


async def test_a_call_cancelled_by_a_scope_is_done(session: Session) -> None:
    """A scope that is cancelled, which tells its tasks again and again, ends no call half-way."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        await session.client.call("INCR", session.keys.meta)
    assert await session.client.call("GETDEL", session.keys.meta) == b"1"


async def test_a_severed_connection_is_replaced(opened: Opened, url: str, proxy: Proxy) -> None:
    """A connection that was reset while idle is replaced before anything is sent: no caller hears of it."""
    async with opened(proxy.url(url)) as session:
        for _ in range(3):
            assert await _echoes(session.client)
            await proxy.sever()
            await proxy.until_connections(0)
            assert await session.client.call("ECHO", "still here") == b"still here"


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="this system asks for signs of life in its own time")
async def test_an_idle_connection_shows_signs_of_life(session: Session) -> None:
    """What stands between forgets no connection that is idle, and a dead one is found out before it is used."""
    wire: Any = await session.client.dedicated()
    try:
        made: socket.socket = wire._writer.get_extra_info("socket")
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 60
    finally:
        await wire.disconnect(nowait=True)


@pytest.mark.usefixtures("servers")
async def test_a_connection_that_was_killed_just_now_is_replaced(opened: Opened) -> None:
    """A connection that the server ended is not used, even if the loop has had no turn to hear of it."""
    with serve() as server, server.connect() as client:
        async with opened(server.url) as session:
            for _ in range(3):
                assert await _echoes(session.client)
                client.client_kill_filter(_type="normal", skipme=True)
                assert await session.client.call("ECHO", "still here") == b"still here"


async def test_severed_under_way_it_is_unknown(opened: Opened, url: str, proxy: Proxy) -> None:
    """A call whose connection breaks before the answer may have been done, and nothing repeats it."""
    async with opened(proxy.url(url)) as session:
        proxy.freeze(requests=False)
        task = asyncio.ensure_future(session.client.call("INCR", session.keys.meta))
        await proxy.answer_held()
        await proxy.sever()
        proxy.thaw()
        with pytest.raises(StoreUnavailable) as lost:
            await task
        assert lost.value.stored == "unknown"
        assert await session.client.call("GETDEL", session.keys.meta) == b"1"


async def test_not_sent_it_was_not_stored(opened: Opened, url: str, proxy: Proxy) -> None:
    """A call that found no server was not done, says where, and the next one finds it again."""
    async with opened(proxy.url(url)) as session:
        proxy.refuse()
        await proxy.sever()
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match=str(proxy.port)) as lost:
                await session.client.call("INCR", session.keys.meta)
            assert lost.value.stored == "no"
        await proxy.accept()
        assert await session.client.call("GET", session.keys.meta) is None


async def test_a_frozen_server_is_given_up_in_time(opened: Opened, url: str, proxy: Proxy) -> None:
    """A server that says nothing is given up after the deadline; once it speaks again, no answer is taken for another."""
    async with opened(proxy.url(url), timeout=0.5) as session:
        assert await _echoes(session.client)
        proxy.freeze()
        with pytest.raises(StoreUnavailable, match=r"within 0\.5 s") as lost:
            await session.client.call("ECHO", "lost")
        assert lost.value.stored == "unknown"
        # The others were dropped with it: a new connection is tried, and comes to nothing too.
        with pytest.raises(StoreUnavailable):
            await session.client.call("ECHO", "lost")
        proxy.thaw()
        assert await _echoes(session.client)


async def test_callers_beyond_the_connections_wait(session: Session) -> None:
    """A call that never got a connection was not done, and says so; those that have one are not disturbed."""
    free = asyncio.Event()

    async def work(line: Line) -> bytes:
        await free.wait()
        answer = await line.call("ECHO", "mine")
        assert isinstance(answer, bytes)
        return answer

    calls = [asyncio.ensure_future(session.client.run(work)) for _ in range(5)]
    while not session.client.require_open().locked():
        await anyio.lowlevel.checkpoint()
    session.client.timeout, patient = 0.05, session.client.timeout
    with pytest.raises(StoreBusy, match="5 connections") as busy:
        await session.client.call("PING")
    assert busy.value.stored == "no"
    session.client.timeout = patient
    waiting = asyncio.ensure_future(session.client.call("ECHO", "next"))
    await anyio.lowlevel.checkpoint()
    free.set()
    assert await asyncio.gather(*calls, waiting) == [b"mine"] * 5 + [b"next"]


async def test_closing_waits_for_what_runs(opened: Opened, url: str) -> None:
    """What runs when the store is closed is done; what comes later is refused."""
    async with opened(url) as session:
        task = asyncio.ensure_future(session.client.call("ECHO", "last"))
        await anyio.lowlevel.checkpoint()
        await session.close()
        assert await task == b"last"
        with pytest.raises(StoreUnavailable, match="not open") as refused:
            await session.client.call("PING")
        assert refused.value.stored == "no"


async def test_a_cluster_s_word_is_followed(opened: Opened, redis_cluster: LaunchedCluster) -> None:
    """A slot that has moved is found again within the call."""
    with redis_cluster.namespace() as namespace:
        url = named(namespace).replace("redis:", "redis+cluster:").replace("/0?", "/?")
        async with opened(url) as session:
            await session.client.call("SET", session.keys.meta, "here")
            nodes = {(f"127.0.0.1:{node.port}") for node in redis_cluster.nodes}
            host, port = await session.client._locator.find()
            (other, _) = sorted(nodes - {f"{host}:{port}"})
            session.client._locator.moved(f"0 {other}")
            await session.client._drop_idle()
            assert await session.client.call("GET", session.keys.meta) == b"here"
            assert await session.client._locator.find() == (host, port)
