"""Redis through its driver: a hash of jobs, the line as a sorted set, who holds what, and what ended when.

Many rows are one script call, as one that inserts must never be seen half-way.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from redis.asyncio import Redis

from bench.raw import GroupCommit, now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bench.raw import Claim, EventRow, Row

__all__ = ["RawRedis", "connected"]

_PARTS = ("jobs", "line", "held", "results", "ended")
_EVENT_PARTS = ("events", "ids", "meta")
#: ARGV: whether to tell, then id and value of each row, then score and member of each in the line.
_INSERT = """
local half = (#ARGV - 1) / 2
redis.call("HSET", KEYS[1], unpack(ARGV, 2, half + 1))
redis.call("ZADD", KEYS[2], unpack(ARGV, half + 2, #ARGV))
if ARGV[1] == "1" then
    redis.call("PUBLISH", KEYS[1], "")
end
"""
#: ARGV: now in 19 digits, how many to claim, id and token of each that ended. Answers ids and values; the token is now.
_CLAIM_AND_SETTLE = """
local jobs, line, held, results, ended = unpack(KEYS)
local now, limit = ARGV[1], ARGV[2]
if #ARGV > 2 then
    local ids, own, done, when = {}, {}, {}, {}
    for at = 3, #ARGV, 2 do
        ids[#ids + 1] = ARGV[at]
    end
    for at, token in ipairs(redis.call("HMGET", held, unpack(ids))) do
        if token == ARGV[2 * at + 2] then
            local id = ids[at]
            own[#own + 1] = id
            done[#done + 1] = id
            done[#done + 1] = "null"
            when[#when + 1] = now
            when[#when + 1] = id
        end
    end
    if #own > 0 then
        redis.call("HDEL", held, unpack(own))
        redis.call("HSET", results, unpack(done))
        redis.call("ZADD", ended, unpack(when))
    end
end
local members, ids, claims = {}, {}, {}
for at, member in ipairs(redis.call("ZRANGEBYLEX", line, "-", "+", "LIMIT", 0, limit)) do
    if string.sub(member, 2, 20) > now then
        break
    end
    local id = string.sub(member, 21)
    members[at], ids[at] = member, id
    claims[2 * at - 1], claims[2 * at] = id, now
end
if #ids == 0 then
    return {}
end
redis.call("ZREM", line, unpack(members))
redis.call("HSET", held, unpack(claims))
return { ids, redis.call("HMGET", jobs, unpack(ids)) }
"""
#: ARGV: id and value of each event. Its number is the count of those before it.
_APPEND = """
local events, ids, meta = unpack(KEYS)
local last = tonumber(redis.call("HGET", meta, "last") or 0)
local stored = {}
for at = 1, #ARGV, 2 do
    if redis.call("HSETNX", ids, ARGV[at], last + 1) == 1 then
        last = last + 1
        stored[#stored + 1] = last
        stored[#stored + 1] = ARGV[at + 1]
    end
end
if #stored > 0 then
    redis.call("HSET", events, unpack(stored))
    redis.call("HSET", meta, "last", last)
end
"""
#: ARGV: how many to read.
_FOLLOW = """
local events, meta = KEYS[1], KEYS[3]
local last, cursor = unpack(redis.call("HMGET", meta, "last", "cursor"))
local first = tonumber(cursor or 0)
local upto = math.min(tonumber(last or 0), first + tonumber(ARGV[1]))
local numbers = {}
for number = first + 1, upto do
    numbers[#numbers + 1] = number
end
if #numbers == 0 then
    return {}
end
redis.call("HSET", meta, "cursor", upto)
return redis.call("HMGET", events, unpack(numbers))
"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, str, str, int, int, int]).decode
_decode_event = msgspec.msgpack.Decoder(tuple[str, str, int, str]).decode


class RawRedis:
    """One connection, whose server keeps what it is set to keep."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._keys = [f"{{{namespace}}}:raw:{part}" for part in _PARTS]
        self._event_keys = [f"{{{namespace}}}:raw:{part}" for part in _EVENT_PARTS]
        self._insert = client.register_script(_INSERT)
        self._claim_and_settle = client.register_script(_CLAIM_AND_SETTLE)
        self._append = client.register_script(_APPEND)
        self._follow = client.register_script(_FOLLOW)

    async def insert(self, batch: Sequence[Row]) -> None:
        """Store rows by one call."""
        await self._store(batch, tell="")

    async def insert_and_tell(self, row: Row) -> None:
        """Store a row and tell who listens, by one call."""
        await self._store((row,), tell="1")

    async def _store(self, batch: Sequence[Row], *, tell: str) -> None:
        jobs: list[str | bytes] = []
        line: list[str | bytes] = []
        for id, *values in batch:
            jobs += (id, _encode(values))
            line += ("0", f"{values[3]}{values[5]:019d}{id}")
        await self._insert(keys=self._keys, args=[tell, *jobs, *line])

    async def claim_and_settle(self, settled: Sequence[Claim], limit: int) -> list[Claim]:
        """Settle claims and claim the next jobs, by one call."""
        moment = f"{now():019d}"
        ended = [part for id, token, _ in settled for part in (id, f"{token:019d}")]
        answer: Any = await self._claim_and_settle(keys=self._keys, args=[moment, limit, *ended])
        if not answer:
            return []
        token = int(moment)
        return [(id.decode(), token, _decode(value)[2]) for id, value in zip(*answer, strict=True)]

    async def append(self, batch: Sequence[EventRow]) -> None:
        """Store events by one call."""
        await self._append(
            keys=self._event_keys, args=[part for id, *values in batch for part in (id, _encode(values))]
        )

    async def follow(self, limit: int) -> Sequence[object]:
        """Read the next events, and move the reader on, by one call."""
        found: Any = await self._follow(keys=self._event_keys, args=[limit])
        return [_decode_event(value) for value in found]

    async def rest(self) -> None:
        """Nothing is left to be done here."""

    def group(self) -> GroupCommit[Row]:
        """Return a group commit on this connection."""
        return GroupCommit(self.insert)

    async def tidings(self) -> AsyncIterator[None]:
        """Listen: the first tells that it does, every other that something was told."""
        async with self._client.pubsub() as listening:
            await listening.subscribe(self._keys[0])
            async for _ in listening.listen():
                yield

    async def size(self) -> int:
        """Return the bytes of all the server's data."""
        return int((await self._client.info("memory"))["used_memory"])


@asynccontextmanager
async def connected(url: str, namespace: str) -> AsyncIterator[RawRedis]:
    """Connect."""
    async with Redis.from_url(url, single_connection_client=True) as client:
        yield RawRedis(client, namespace)
