"""Stores in namespaces of a Redis server."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from redis import Redis
from redis.client import Monitor

from backburner import Backburner, Reject
from bench.places import Counts
from bench.raw.redis import connected
from tests.servers.redis import serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager

    from bench.places import State
    from bench.raw.redis import RawRedis

__all__ = ["RedisHost", "RedisPlace", "host"]

#: Jobs written at once when a store is filled.
_CHUNK = 1_000
#: The journal grows and is not written anew, and what is deleted is freed at once: nothing goes on in the background while
#: something else is measured.
_SETTINGS = {"auto-aof-rewrite-percentage": "0", "lazyfree-lazy-user-del": "no"}


@dataclass(frozen=True, slots=True)
class RedisPlace:
    """A namespace."""

    server: str
    namespace: str

    @property
    def url(self) -> str:
        """Where the engine finds it."""
        return f"{self.server}{'&' if urlsplit(self.server).query else '?'}namespace={self.namespace}"

    def raw(self) -> AbstractAsyncContextManager[RawRedis]:
        """Connect without the engine, to keys of its own in the same namespace."""
        return connected(self.server, self.namespace)

    def fill(self, state: State, count: int, *, due_in: float = 0) -> None:
        """Store no-op jobs in a state, due so many seconds from now; before those that are stored later.

        The engine stores one; whatever keys then hold of it is written for the others as well, under their ids.
        """
        known = asyncio.run(_one(self.url, state, due_in))
        prefix = "l" if due_in else state[0]
        with closing(Redis.from_url(self.server)) as client:
            found = _found(client, self.namespace, known.encode())
            for first in range(1, count, _CHUNK):
                ids = [f"{prefix}{number:025d}".encode() for number in range(first, min(first + _CHUNK, count))]
                _write(client, found, ids)


#: Of a job: keys of hashes, each with the value there; keys of sorted sets, each with what stands around the id, and the score.
_Found = tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes, bytes, float]]]


async def _one(url: str, state: State, due_in: float) -> str:
    """Store one job and bring it into a state; return its id."""
    pending = state == "pending"
    bb = Backburner(url, run=not pending, queues={"filler": 1}, listener=lambda *_, **__: None)

    @bb.job
    async def noop() -> None:
        if state == "dead":
            raise Reject("filler")

    async with bb:
        handle = await bb.create_task(noop(), queue="default" if pending else "filler", delay=due_in)
        if not pending:
            await handle.wait()
    return handle.id


def _found(client: Redis, namespace: str, id: bytes) -> _Found:
    hashes: list[tuple[bytes, bytes]] = []
    sets: list[tuple[bytes, bytes, bytes, float]] = []
    for key in _keys(client, namespace):
        if client.type(key) == b"hash":
            value: Any = client.hget(key, id)
            hashes += [(key, value)] if value is not None else []
        else:
            members: Any = client.zscan_iter(key, match=b"*" + id + b"*", count=10_000)
            for member, score in members:
                head, _, tail = member.partition(id)
                sets.append((key, head, tail, score))
    assert hashes, id
    return hashes, sets


def _write(client: Redis, found: _Found, ids: list[bytes]) -> None:
    hashes, sets = found
    pipeline = client.pipeline(transaction=False)
    for key, value in hashes:
        pipeline.hset(key, items=[part for id in ids for part in (id, value)])
    for key, head, tail, score in sets:
        pipeline.zadd(key, {head + id + tail: score for id in ids})
    pipeline.execute()


def _keys(client: Redis, namespace: str) -> list[bytes]:
    return list(client.scan_iter(match=f"{{{namespace}}}:*", count=1_000))


class RedisCounter:
    """A server whose every command is told on another connection."""

    def __init__(self, place: RedisPlace, client: Redis) -> None:
        self._client = client
        self._commands = Monitor(client.connection_pool).__enter__()  # type: ignore[no-untyped-call]  # as it is
        self._counts = Counts(0, 0, 0)
        self.url = place.url

    def read(self) -> Counts:
        """Return the counts so far. Each command or script that a client sends is a transaction."""
        mark = secrets.token_hex()
        self._client.echo(mark)
        sent = inner = 0
        while mark not in (told := self._commands.next_command())["command"]:
            if told["client_type"] == "lua":
                inner += 1
            else:
                sent += 1
        before = self._counts
        self._counts = Counts(before.transactions + sent, before.statements + sent, (before.inner or 0) + inner)
        return self._counts

    def close(self) -> None:
        """Listen no longer."""
        self._commands.__exit__()


class RedisHost:
    """A server."""

    def __init__(self, url: str) -> None:
        self._url = url
        with closing(Redis.from_url(url)) as client:
            server: Any = client.info()
            append: Any = client.config_get("append*")
        name = (
            f"Valkey {server['valkey_version']}" if "valkey_version" in server else f"Redis {server['redis_version']}"
        )
        self.description = f"{name}, appendonly {append['appendonly']}, appendfsync {append['appendfsync']}"

    @contextmanager
    def fresh(self) -> Iterator[RedisPlace]:
        """Lend an empty namespace."""
        place = RedisPlace(self._url, f"bb_{secrets.token_hex(8)}")
        try:
            yield place
        finally:
            with closing(Redis.from_url(self._url)) as client:
                # Not by UNLINK: that would free memory while the next is measured.
                for key in _keys(client, place.namespace):
                    client.delete(key)

    @contextmanager
    def counting(self) -> Iterator[RedisCounter]:
        """Lend a store whose server tells every command; nobody else may use that server."""
        with (
            self.fresh() as place,
            closing(Redis.from_url(self._url)) as client,
            closing(RedisCounter(place, client)) as counter,
        ):
            yield counter


@contextmanager
def host(url: str | None) -> Iterator[RedisHost]:
    """Open a server: the one that a URL names, else one of our own, with the journal that the engine asks for.

    Its files lie where temporary files do: TMPDIR says where that is. A backlog takes some GB of memory.
    """
    if url is not None:
        yield RedisHost(url)
        return
    with serve(append=True, settings=_SETTINGS) as server:
        yield RedisHost(server.url)
