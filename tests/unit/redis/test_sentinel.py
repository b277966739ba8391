"""Sentinels: the store follows the primary that they name."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from backburner.backends.redis.notifier import RedisNotifier
from backburner.errors import StoreError, StoreUnavailable
from backburner.ports.backend import Hint
from tests.servers import redis
from tests.servers.launch import Process, folder, on_free_port
from tests.unit.redis.test_notifier import Ear

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backburner.backends.redis.session import Session
    from backburner.testing.clock import FakeClock
    from tests.servers.redis import LaunchedRedis
    from tests.unit.redis.conftest import Opened

#: What a sentinel logs once it can promote the replica, and once it has told all of the new primary.
KNOWN = "+slave "
SWITCHED = "+switch-master"

pytestmark = pytest.mark.usefixtures("servers")


@contextmanager
def watched(primary: LaunchedRedis) -> Iterator[tuple[int, Process]]:
    """Bring one sentinel that watches a primary, by the name of main; its port, and itself."""
    with folder("bb-sentinel") as place:

        def make(port: int) -> Process:
            return Process(
                [primary.binary.path, _configured(place, port, primary.port), "--sentinel"],
                folder=place,
                ready="+monitor master main",
                marks=[KNOWN, SWITCHED],
                stop=signal.SIGTERM,
            )

        port, process = on_free_port(make)
        try:
            # A sentinel whose own clock was held up takes no decisions for half a minute, which nobody needs here; those
            # of Redis 6.2 cannot be told.
            with Redis(port=port) as client, suppress(ResponseError):
                client.execute_command("SENTINEL", "DEBUG", "tilt-trigger", "600000")
            process.until(KNOWN)
            yield port, process
        finally:
            process.stop()


def _configured(place: Path, port: int, primary: int) -> Path:
    path = place / "sentinel.conf"
    path.write_text(
        f"bind 127.0.0.1\nport {port}\ndir {place}\n"
        f"sentinel monitor main 127.0.0.1 {primary} 1\n"
        # On a machine that is busy a server may be silent for a while: whether one is down says the test.
        "sentinel down-after-milliseconds main 60000\n"
        # A promotion that fails is tried again after twice this time.
        "sentinel failover-timeout main 3000\n"
    )
    return path


async def _set(session: Session, text: str) -> None:
    keys = session.keys
    await session.scripts.run(
        "queues_set",
        (*keys.logging, keys.queues, keys.leases, keys.meters, keys.filling),
        (text, text, "", keys.hints, Hint.CONTROL, b""),
    )


async def _until_set(session: Session, text: str) -> None:
    """Write it until it is written: while the primary changes, every refusal is one that passes."""
    async with asyncio.timeout(30):
        while True:
            try:
                await _set(session, text)
            except StoreUnavailable:
                await asyncio.to_thread(lambda: None)
            else:
                return


async def _fail_over(sentinel: Session) -> None:
    """Have another promoted, once the sentinel has heard enough of it."""
    async with asyncio.timeout(30):
        while True:
            try:
                await sentinel.client.call("SENTINEL", "FAILOVER", "main")
            except StoreUnavailable as error:
                if "NOGOODSLAVE" not in str(error):
                    raise
            else:
                return


async def _give_up(opened: Opened, port: int) -> None:
    """Have the sentinel take the primary, which says nothing, for dead.

    A replica that has been without its primary for ten times as long is not promoted: a tenth of a second was too short
    beside the time that a busy machine takes to get here.
    """
    async with opened(f"redis://127.0.0.1:{port}") as sentinel:
        await sentinel.client.call("SENTINEL", "SET", "main", "down-after-milliseconds", 2000)


async def test_a_promoted_replica_is_found(opened: Opened, clock: FakeClock) -> None:
    """When the primary dies, the store goes on with the replica that the sentinels promote, hints too."""
    with redis.serve() as primary, redis.serve(replica_of=primary) as replica, watched(primary) as (port, sentinel):
        async with opened(f"redis+sentinel://127.0.0.1:{port}/main", timeout=1) as session:
            await _set(session, "before")
            ear = Ear(RedisNotifier(session), clock)
            await ear.wait_for(*Hint)
            # The replica has it: a write that was not carried over would be lost with the primary.
            await session.client.call("WAIT", 1, 1000)
            primary.process.kill()
            with pytest.raises(StoreError):
                await _set(session, "while it is gone")
            await _give_up(opened, port)
            await asyncio.to_thread(sentinel.until, SWITCHED)
            await _until_set(session, "after")
            assert await session.client._locator.find() == ("127.0.0.1", replica.port)
            assert (await session.scripts.read("queues_list", (session.keys.queues,)))[1] == [b"before", b"after"]
            await ear.wait_for(*Hint, step=0.2)
            await ear.notifier.notify(Hint.LAPSE)
            await ear.wait_for(Hint.LAPSE)
            await ear.notifier.close()


async def test_a_primary_that_was_demoted_is_left(opened: Opened) -> None:
    """When another is promoted while the old primary lives, the store leaves that one, and writes nothing there."""
    with redis.serve() as primary, redis.serve(replica_of=primary) as replica, watched(primary) as (port, sentinel):
        async with opened(f"redis+sentinel://127.0.0.1:{port}/main", timeout=1) as session:
            await _set(session, "before")
            async with opened(f"redis://127.0.0.1:{port}") as asked:
                await _fail_over(asked)
            await asyncio.to_thread(sentinel.until, SWITCHED)
            # The sentinel takes its time to demote the old one.
            with primary.connect() as old:
                old.execute_command("REPLICAOF", "127.0.0.1", replica.port)
            # Meanwhile the sentinel may end all connections of either.
            await _until_set(session, "after")
            assert await session.client._locator.find() == ("127.0.0.1", replica.port)
            with replica.connect() as new:
                assert new.hexists(session.keys.queues, "after")


async def test_a_name_that_no_sentinel_knows(opened: Opened) -> None:
    """A name that the sentinels do not know is refused, naming it."""
    refused = pytest.raises(StoreUnavailable, match="no sentinel knows a primary named 'other'")
    with redis.serve() as primary, redis.serve(replica_of=primary), watched(primary) as (port, _), refused:
        async with opened(f"redis+sentinel://127.0.0.1:{port}/other"):
            pass
