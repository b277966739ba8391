"""Looking a store in Redis over."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from backburner.backends.redis.server import Server
from backburner.errors import StoreError
from backburner.model.clock import SECOND
from backburner.ports.backend import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backburner.backends.redis.session import Session

__all__ = ["examine"]

#: Round trips of which the quickest is told.
_ROUNDS = 5
#: Seconds a round trip may take without a word about it.
_SLOW = 0.02
#: Seconds by which a node's clock may be off without a word about it.
_OFF = 2.0
#: Of its maxmemory, what may be used without a word about it.
_NEARLY = 0.8


async def examine(session: Session) -> tuple[Finding, ...]:
    """Return what was found; what cannot be looked at is a finding too. Raises `StoreUnavailable` while closed."""
    session.client.require_open()
    checks: dict[str, Callable[[Session], Awaitable[list[Finding]]]] = {
        "server": _server,
        "latency": _latency,
        "clock": _clock,
        "hints": _hints,
    }
    findings: list[Finding] = []
    for name, check in checks.items():
        try:
            findings += await check(session)
        except (StoreError, RedisError, OSError, TimeoutError) as error:
            why = str(error) or type(error).__name__
            found = f"This could not be looked at: {why}"
            findings.append(Finding(check=name, level=Level.PROBLEM, found=found, mend="mend that, and look again"))
    return tuple(findings)


async def _server(session: Session) -> list[Finding]:
    server = await Server.ask(session.client)
    return [_version(server), *_role(server), _durability(server), _eviction(server), _memory(server)]


def _version(server: Server) -> Finding:
    return Finding(check="version", level=Level.GOOD, found=f"The server is {server.name}")


def _role(server: Server) -> list[Finding]:
    if server.is_replica:
        found = f"The server is a replica of {server.primary}: it lags behind, and takes no writes"
        return [Finding(check="role", level=Level.WARNING, found=found, mend="name the primary in the URL")]
    replicas = server.number("connected_slaves")
    found = f"The server is a primary with {replicas} replica{'' if replicas == 1 else 's'}"
    findings = [Finding(check="role", level=Level.GOOD, found=found)]
    if server.number("cluster_enabled"):
        findings.append(Finding(check="cluster", level=Level.GOOD, found="The server is a node of a cluster"))
    return findings


def _durability(server: Server) -> Finding:
    if server.fields.get("aof_last_write_status", "ok") != "ok":
        return Finding(
            check="durability",
            level=Level.PROBLEM,
            found="The server cannot write its append-only file",
            mend="see to its disk and its log",
        )
    if server.keeps:
        found = "The append-only file is on: what was stored survives a restart of the server"
        return Finding(check="durability", level=Level.GOOD, found=found)
    return Finding(
        check="durability",
        level=Level.WARNING,
        found="The append-only file is off: a restart of the server loses jobs",
        mend="CONFIG SET appendonly yes, and set it in redis.conf",
    )


def _eviction(server: Server) -> Finding:
    if server.evicts:
        return Finding(
            check="eviction",
            level=Level.PROBLEM,
            found=f"When its memory is full the server throws jobs away: its maxmemory-policy is {server.evicts}",
            mend="CONFIG SET maxmemory-policy noeviction, and set it in redis.conf",
        )
    return Finding(check="eviction", level=Level.GOOD, found="The server throws no jobs away when its memory is full")


def _memory(server: Server) -> Finding:
    used, most = server.number("used_memory"), server.number("maxmemory")
    if most and used >= most:
        return Finding(
            check="memory",
            level=Level.PROBLEM,
            found=f"The server is full, so new jobs are refused: it uses {used:,} of {most:,} bytes",
            mend="raise maxmemory, or keep ended jobs for a shorter time",
        )
    if most and used > most * _NEARLY:
        return Finding(
            check="memory",
            level=Level.WARNING,
            found=f"The server uses {used:,} of {most:,} bytes; when it is full, jobs are refused",
            mend="raise maxmemory, or keep ended jobs for a shorter time",
        )
    bound = f"of {most:,} bytes" if most else "bytes, without a bound"
    return Finding(check="memory", level=Level.GOOD, found=f"The server uses {used:,} {bound}")


async def _latency(session: Session) -> list[Finding]:
    clock = session.clock
    took: list[float] = []
    for _ in range(_ROUNDS):
        began = clock.monotonic()
        await session.client.call("PING")
        took.append(clock.monotonic() - began)
    quickest = min(took)
    found = f"A round trip takes {quickest * 1000:.2f} ms"
    if quickest <= _SLOW:
        return [Finding(check="latency", level=Level.GOOD, found=found)]
    return [Finding(check="latency", level=Level.WARNING, found=found, mend="run the engine near its store")]


async def _clock(session: Session) -> list[Finding]:
    seconds, micros = await session.client.call("TIME")
    off = (session.clock.now() - int(seconds) * SECOND - int(micros)) / SECOND
    found = f"The clock here is {abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} the server's, which is gone by"
    if abs(off) <= _OFF:
        return [Finding(check="clock", level=Level.GOOD, found=found)]
    return [Finding(check="clock", level=Level.WARNING, found=found, mend="let both follow a time server")]


async def _hints(session: Session) -> list[Finding]:
    """Send a word round, on a channel of its own: hints would wake every node."""
    channel = session.keys.hints + b":" + secrets.token_hex(8).encode()
    began = session.clock.monotonic()
    async with asyncio.timeout(session.timeout):
        wire = await session.client.dedicated()
        try:
            await wire.send_command("SUBSCRIBE", channel)
            await wire.read_response()
            await session.client.call("PUBLISH", channel, "hint")
            await wire.read_response()
        finally:
            await wire.disconnect(nowait=True)
    took = (session.clock.monotonic() - began) * 1000
    return [Finding(check="hints", level=Level.GOOD, found=f"A hint went to the server and back in {took:.1f} ms")]
