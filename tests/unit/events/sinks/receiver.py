"""An HTTP server on loopback that notes what it is sent, and answers what a test says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Self

__all__ = ["Behaviour", "Receiver", "Request", "answer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was sent."""

    line: str
    #: Names in small letters.
    headers: dict[str, str]
    body: bytes


#: Whole answers, or a coroutine that writes them, one for each request in turn; the last one stays.
Behaviour: TypeAlias = "bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]"


def answer(status: int, body: str = "", **headers: str) -> bytes:
    """Return a whole answer; underscores in headers' names are dashes."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body.encode())}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", body]).encode()


@dataclass
class Receiver:
    """One server, from the entry of its block to the end."""

    behaviours: list[Behaviour] = field(default_factory=lambda: [answer(204)])
    tls: ssl.SSLContext | None = None
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    #: How often somebody has connected.
    connections: int = 0
    #: Set whenever a connection has ended.
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self._talks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/hook"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: the one that `start_server` makes of a coroutine reports its cancellation as an error.
        self.connections += 1
        talk = asyncio.get_running_loop().create_task(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().strip()
                line, *rest = head.split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in rest)}
                body = await reader.readexactly(int(headers["content-length"]))
                self.requests.append(Request(line=line, headers=headers, body=body))
                behaviour = self.behaviours[min(len(self.requests), len(self.behaviours)) - 1]
                if isinstance(behaviour, bytes):
                    writer.write(behaviour)
                else:
                    await behaviour(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            # The sender has closed.
            pass
        finally:
            self.ended.set()
            writer.transport.abort()
