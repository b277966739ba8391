"""A store on a server that is away for longer than a lease, or no longer heard: nothing is lost, nobody need restart.

Time is short here: a lease of three seconds, and one for a write.
"""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]  # it brings no types
import pytest
import redis.asyncio

from backburner import Backburner, StoreBusy, StoreUnavailable, current_job
from backburner.backends import urls
from backburner.model.clock import SystemClock
from backburner.ports.telemetry import Signal
from tests.chaos.conftest import LEASE, PATIENCE, passed
from tests.servers.proxy import Proxy
from tests.stores import SERVED, empty_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from backburner.model.job import JobRecord

WRITE_TIMEOUT = 1.0
#: Seconds within which a caller is told, on a machine that does much else besides.
TOLD = WRITE_TIMEOUT + 2.0
#: Seconds within which a job that nobody tells of is found where nothing is heard: a look a second, a fifth more or less.
POLLED = 5.0
#: Seconds that three such looks, one after the other, take at least; where hints are heard the next look is even later.
LOOKED = 2.4

#: Ends the connection that listens, known by what it last did; one that is older is not yet known to be severed.
HEARING = """
    SELECT pg_terminate_backend(pid) FROM (
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'backburner'
          AND query ~ 'LISTEN|pg_notify|SELECT EXISTS .*nodes, clock'
        ORDER BY backend_start DESC LIMIT 1
    ) AS newest
"""


@pytest.fixture(params=SERVED)
def direct(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty store on a server."""
    return empty_store(request.param, request, tmp_path)


@pytest.fixture
async def proxy(direct: str) -> AsyncIterator[Proxy]:
    """Stand in front of that server."""
    parts = urlsplit(direct)
    assert parts.hostname is not None
    assert parts.port is not None
    async with Proxy(parts.hostname, parts.port) as made:
        yield made
        made.thaw()


class Ears:
    """Hears what an engine tells."""

    def __init__(self) -> None:
        self.heard: list[Signal] = []

    def __call__(self, signal: Signal, /, **_fields: object) -> None:
        self.heard.append(signal)


class Node:
    """A worker behind a proxy."""

    def __init__(self, url: str) -> None:
        self.ears = Ears()
        self.bb = Backburner(url, lease=LEASE, write_timeout=WRITE_TIMEOUT, grace=5, listener=self.ears)
        self.go = asyncio.Event()
        self.begun: list[tuple[str, int]] = []
        self.interrupted: list[str] = []
        self.stepped: list[int] = []

        @self.bb.job
        async def short(number: int) -> int:
            """Wait to be told, then end."""
            await self._run(self.go)
            return number

        @self.bb.job
        async def long(number: int) -> int:
            """Go on for ever, in the first attempt."""
            await self._run(asyncio.Event() if current_job().attempt == 1 else None)
            return number

        @self.bb.job
        async def step(number: int) -> int:
            self.stepped.append(number)
            return number

        self.short, self.long, self.step = short, long, step

    async def _run(self, until: asyncio.Event | None) -> None:
        self.begun.append((current_job().id, current_job().attempt))
        try:
            if until is not None:
                await until.wait()
        except asyncio.CancelledError:
            self.interrupted.append(current_job().id)
            raise

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of it."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await passed(0.01)


async def told(node: Node, job_id: str) -> float:
    """Store a job while the store is away; return the seconds until the caller was told."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises((StoreUnavailable, StoreBusy)) as caught:
        await node.bb.create_task(node.step(1), id=job_id)
    assert caught.value.job_id == job_id
    return loop.time() - began


async def records(url: str, ids: list[str], folder: Path) -> dict[str, JobRecord]:
    """Read jobs past every engine."""
    backend = urls.connect(urls.parse(url, base=folder), clock=SystemClock(), write_timeout=PATIENCE)
    await backend.open(create=False, write=False)
    try:
        return {record.id: record for record in (await backend.reader.get(ids)).jobs}
    finally:
        await backend.close()


@pytest.mark.parametrize("how", ["refuses", "is silent"])
async def test_a_store_that_is_away_costs_no_job_anything(direct: str, proxy: Proxy, tmp_path: Path, how: str) -> None:
    """Away for longer than a lease, a store loses no job, and no job a try.

    Callers are told in time. What ends meanwhile is settled afterwards, from that very run; what still runs when the lease
    may be over is interrupted, and runs again. No node counts a crash for another, and all work again without a restart.
    """
    node, other = Node(proxy.url(direct)), Node(proxy.url(direct))
    both = (node, other)
    bb = node.bb
    async with bb, other.bb:
        short = await bb.create_task(node.short(1), id="short")
        long = await bb.create_task(node.long(2), id="long")
        theirs = await other.bb.create_task(other.long(3), id="theirs")
        await node.until(lambda: len(node.begun + other.begun) == 3)
        if how == "refuses":
            proxy.refuse()
            await proxy.sever()
        else:
            proxy.freeze()
        waits = await asyncio.gather(*(told(node, f"refused-{number}") for number in range(5)))
        assert max(waits) < TOLD
        assert not bb.ready
        for each in both:
            each.go.set()
        await node.until(lambda: sorted(node.interrupted + other.interrupted) == ["long", "theirs"])
        await node.until(lambda: all(Signal.NODE_FENCED in each.ears.heard for each in both))
        assert await told(node, "refused-5") < TOLD
        if how == "refuses":
            await proxy.accept()
        else:
            # What is held would arrive; as after a long silence, it is lost.
            await proxy.sever()
            proxy.thaw()
        async with asyncio.timeout(PATIENCE):
            assert (await short, await long, await theirs) == (1, 2, 3)
            await node.until(lambda: all(Signal.NODE_RETURNED in each.ears.heard for each in both))
            assert await (await bb.create_task(node.step(4), id="after")) == 4
            await node.until(lambda: all(each.bb.ready for each in both))
    assert sorted(node.begun + other.begun) == [("long", 1), ("long", 2), ("short", 1), ("theirs", 1), ("theirs", 2)]
    stored = await records(direct, ["short", "long", "theirs", "after"], tmp_path)
    assert {job: (record.failures, record.crashes) for job, record in stored.items()} == dict.fromkeys(stored, (0, 0))
    assert {job: record.interruptions for job, record in stored.items()} == {
        "short": 0,
        "long": 1,
        "theirs": 1,
        "after": 0,
    }


async def deafen(url: str) -> None:
    """Have the server end the connection on which a worker listens, and no other."""
    server, _, _ = url.partition("?")
    if url.startswith("redis"):
        client: Any = redis.asyncio.Redis.from_url(server)
        async with client:
            assert await client.client_kill_filter(_type="pubsub") >= 1
        return
    connection: Any = await asyncpg.connect(server)
    try:
        assert await connection.fetchval(HEARING)
    finally:
        await connection.close()


async def test_a_node_that_cannot_hear_looks_and_hears_again(direct: str, proxy: Proxy) -> None:
    """Without the connection it listens on a node finds what others store by looking; once it is back it hears again."""
    node = Node(proxy.url(direct))
    elsewhere = Backburner(direct, run=False)

    @elsewhere.job
    async def step(number: int) -> int:
        raise NotImplementedError

    async def taken(number: int) -> float:
        """Store a job elsewhere; return the seconds until it has run here."""
        began = asyncio.get_running_loop().time()
        stored = await elsewhere.create_task(step(number))
        await node.until(lambda: number in node.stepped)
        taken = asyncio.get_running_loop().time() - began
        assert await stored == number
        return taken

    async with node.bb:
        assert await (await node.bb.create_task(node.step(0))) == 0
        proxy.refuse()
        await deafen(direct)
        async with elsewhere:
            assert max([await taken(number) for number in range(1, 4)]) < POLLED
            before = proxy.accepted
            await proxy.accept()
            async with asyncio.timeout(PATIENCE):
                await proxy.until_accepted(before + 1)
            # The first may come before it listens.
            waits = [await taken(number) for number in range(4, 8)]
            assert sum(waits[1:]) < LOOKED
    assert Signal.NODE_FENCED not in node.ears.heard


async def test_a_stop_leaves_no_connection(direct: str, proxy: Proxy) -> None:
    """However soon an engine stops, it parts from every connection it has made."""
    for _ in range(20):
        async with Backburner(proxy.url(direct), write_timeout=5):
            pass
        async with asyncio.timeout(PATIENCE):
            await proxy.until_connections(0)
    # A connection that was only dropped would be a warning here, and so an error.
    gc.collect()
