"""A TCP proxy in front of any server, for tests of what a network may do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from tests.servers.launch import free_port

if TYPE_CHECKING:
    from typing import Self

#: Closes a connection by a reset, whatever is still unsent.
RESET = struct.pack("ii", 1, 0)
CHUNK = 65536


class Gate:
    """Lets what goes one way pass while it is open, and tells when something stands before it."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._opened.set()
        #: Something was held since it was last closed.
        self.held = asyncio.Event()

    def open(self) -> None:
        self._opened.set()

    def close(self) -> None:
        if self._opened.is_set():
            self._opened.clear()
            self.held.clear()

    async def pass_through(self, data: bytes) -> None:
        if not self._opened.is_set():
            if data:
                self.held.set()
            await self._opened.wait()


class Proxy:
    """Passes connections on to a server, until told otherwise.

    An async context manager: it listens on `port` of 127.0.0.1 inside, and closes all connections on the way out.
    """

    def __init__(self, host: str, port: int) -> None:
        """Stand in front of a server; nothing happens yet."""
        self._server = (host, port)
        self._listener: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._requests = Gate()
        self._answers = Gate()
        self.port = free_port()
        #: How many connections were accepted, ever.
        self.accepted = 0

    @property
    def connections(self) -> int:
        """How many connections there are now."""
        return len(self._connections)

    def url(self, url: str) -> str:
        """Return the URL of the server as one that leads through the proxy."""
        parts = urlsplit(url)
        login, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}{at}127.0.0.1:{self.port}"))

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.refuse()
        await self.sever()

    async def sever(self) -> None:
        """Reset all connections, at both ends; what was on its way is lost. New ones are welcome."""
        severed = tuple(self._connections)
        for connection in severed:
            connection.cancel()
        await asyncio.gather(*severed, return_exceptions=True)

    def refuse(self) -> None:
        """Turn new connections away, as a server does that is not there; those that stand stay."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def accept(self) -> None:
        """Let new connections in again, on the same port."""
        if self._listener is None:
            self._listener = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    def freeze(self, *, requests: bool = True, answers: bool = True) -> None:
        """Go silent: bytes vanish, ends of connections are not told, new connections are accepted and come to nothing.

        What is held passes after `thaw`, as it does when a network heals, and is lost by `sever`.

        Args:
            requests: Hold what clients send.
            answers: Hold what the server sends; alone, the server does what it is asked, and nobody hears of it.
        """
        if requests:
            self._requests.close()
        if answers:
            self._answers.close()

    def thaw(self) -> None:
        """Let all pass again, what was held first."""
        self._requests.open()
        self._answers.open()

    async def request_held(self) -> None:
        """Wait until something that a client sent is held, since the last freeze."""
        await self._requests.held.wait()

    async def answer_held(self) -> None:
        """Wait until something that the server sent is held, since the last freeze: it did what it was asked."""
        await self._answers.held.wait()

    async def until_connections(self, count: int) -> None:
        """Wait until there are just so many connections."""
        while self.connections != count:
            await self._changed.wait()

    async def until_accepted(self, count: int) -> None:
        """Wait until at least so many connections were accepted, ever."""
        while self.accepted < count:
            await self._changed.wait()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._listener is None:
            writer.transport.abort()
            return
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(partial(self._disconnected, writer))
        self.accepted += 1
        self._tell()

    def _disconnected(self, writer: asyncio.StreamWriter, connection: asyncio.Task[None]) -> None:
        # Severed before it was served, nothing else would close it.
        writer.transport.abort()
        self._connections.remove(connection)
        if not connection.cancelled() and (error := connection.exception()):
            connection.get_loop().call_exception_handler({"message": "a proxy failed", "exception": error})
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        reset = True
        try:
            answers, requests = await asyncio.open_connection(*self._server)
            writers.append(requests)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(pump(reader, requests, self._requests))
                pumps.create_task(pump(answers, writer, self._answers))
            reset = False
        except* OSError:
            # The server is not there, or one end was reset: the other learns of it by a reset as well.
            pass
        finally:
            await finish(writers, reset=reset)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: Gate) -> None:
    """Pass on what one end sends, and its end, as the gate lets it."""
    while True:
        try:
            data = await reader.read(CHUNK)
        except OSError:
            await gate.pass_through(b"")
            raise
        await gate.pass_through(data)
        if not data:
            writer.write_eof()
            return
        writer.write(data)
        await writer.drain()


async def finish(writers: list[asyncio.StreamWriter], *, reset: bool) -> None:
    """Close the ends of a connection, all before any is waited for: whoever waits may be cancelled."""
    for writer in writers:
        # An end that was reset has nothing left to be closed.
        with contextlib.suppress(OSError):
            if reset:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                writer.transport.abort()
            else:
                writer.close()
    for writer in writers:
        with contextlib.suppress(OSError):
            await writer.wait_closed()
