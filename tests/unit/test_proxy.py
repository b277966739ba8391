"""The proxy that tests put in front of their servers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.servers.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers.postgres import Postgres

PATIENCE = 30


class Echo:
    """A server that answers every line with itself, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.ends = 0
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            async for line in reader:
                self.heard.append(line)
                writer.write(line)
        self.ends += 1
        self.ended.set()
        writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Echo, Proxy]]:
    """Bring an echo, and a proxy in front of it."""
    behind = Echo()
    server = await asyncio.start_server(behind.serve, "127.0.0.1", 0)
    async with server, Proxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        yield behind, proxy


class Client:
    """A client of the echo, through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, proxy: Proxy) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", proxy.port))

    def say(self, line: bytes) -> None:
        self._writer.write(line)

    async def hear(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self._reader.readline()

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


async def test_a_proxy_passes_bytes_and_ends_on(echo: tuple[Echo, Proxy]) -> None:
    """Untold, a proxy passes on all that either end says, and its end, and counts connections."""
    behind, proxy = echo
    client = await Client.connect(proxy)
    client.say(b"x" * 50_000 + b"\n")
    assert len(await client.hear()) == 50_001
    assert (proxy.accepted, proxy.connections) == (1, 1)
    await client.close()
    await behind.ended.wait()
    await proxy.until_connections(0)
    await (await Client.connect(proxy)).close()
    await proxy.until_accepted(2)


async def test_severed_connections_are_reset_and_new_ones_welcome(echo: tuple[Echo, Proxy]) -> None:
    """Severing resets both ends of every connection, and of no later one."""
    behind, proxy = echo
    clients = [await Client.connect(proxy) for _ in range(2)]
    for client in clients:
        client.say(b"1\n")
        await client.hear()
    await proxy.sever()
    assert proxy.connections == 0
    for client in clients:
        with pytest.raises(ConnectionResetError):
            await client.hear()
        await client.close()
    await behind.ended.wait()
    again = await Client.connect(proxy)
    again.say(b"2\n")
    assert await again.hear() == b"2\n"
    await again.close()


async def test_what_is_severed_before_it_is_served_is_closed(echo: tuple[Echo, Proxy]) -> None:
    """A connection that was accepted the moment before, or comes when none is welcome any more, is left open by nobody."""
    _, proxy = echo
    ends: list[asyncio.StreamWriter] = []
    served = proxy._connected

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append(writer)
        served(reader, writer)
        for connection in proxy._connections:
            connection.cancel()

    proxy.refuse()
    proxy._connected = connected  # type: ignore[method-assign]
    await proxy.accept()
    client = await Client.connect(proxy)
    with contextlib.suppress(ConnectionError):
        assert await client.hear() == b""
    await proxy.until_connections(0)
    assert [end.is_closing() for end in ends] == [True]
    await client.close()
    proxy.refuse()
    server_end, client_end = socket.socketpair()
    with client_end:
        reader, writer = await asyncio.open_connection(sock=server_end)
        served(reader, writer)
        assert (proxy.connections, writer.is_closing()) == (0, True)


async def test_a_frozen_proxy_is_silent_until_it_thaws(echo: tuple[Echo, Proxy]) -> None:
    """Frozen, nothing passes, not even an end, and new connections come to nothing; thawed, all that was held does."""
    behind, proxy = echo
    client, leaver = await Client.connect(proxy), await Client.connect(proxy)
    await proxy.until_connections(2)
    proxy.freeze()
    client.say(b"1\n")
    await proxy.request_held()
    await leaver.close()
    late = await Client.connect(proxy)
    late.say(b"2\n")
    await proxy.until_connections(3)
    assert (behind.heard, behind.ends) == ([], 0)
    proxy.thaw()
    assert (await client.hear(), await late.hear()) == (b"1\n", b"2\n")
    await behind.ended.wait()
    for each in (client, late):
        await each.close()


async def test_an_answer_can_be_lost_alone(echo: tuple[Echo, Proxy]) -> None:
    """With answers frozen the server does as it is asked; severed then, the client never hears of it."""
    behind, proxy = echo
    client = await Client.connect(proxy)
    proxy.freeze(requests=False)
    client.say(b"1\n")
    await proxy.answer_held()
    assert behind.heard == [b"1\n"]
    await proxy.sever()
    with pytest.raises(ConnectionResetError):
        await client.hear()
    await client.close()


async def test_a_refusing_proxy_turns_new_connections_away(echo: tuple[Echo, Proxy]) -> None:
    """Refusing, a proxy is as a server that is not there, but for the connections that stand."""
    _, proxy = echo
    client = await Client.connect(proxy)
    await proxy.until_connections(1)
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await Client.connect(proxy)
    client.say(b"1\n")
    assert await client.hear() == b"1\n"
    await proxy.accept()
    await (await Client.connect(proxy)).close()
    await client.close()


async def test_a_proxy_before_nothing_resets(free_tcp_port: int) -> None:
    """A connection through a proxy to a server that is not there is reset."""
    async with Proxy("127.0.0.1", free_tcp_port) as proxy:
        client = await Client.connect(proxy)
        with pytest.raises(ConnectionResetError):
            await client.hear()
        await client.close()


async def test_a_url_leads_through_the_proxy(postgres_server: Postgres) -> None:
    """A server's URL is made one that leads through the proxy, and all else in it stays."""
    parts = urlsplit(postgres_server.url)
    assert parts.hostname is not None
    async with Proxy(parts.hostname, parts.port or 5432) as proxy:
        through = await psycopg.AsyncConnection.connect(proxy.url(postgres_server.url))
        await through.execute("SELECT 1")
        await proxy.sever()
        with pytest.raises(psycopg.OperationalError):
            await through.execute("SELECT 1")
        await through.close()
