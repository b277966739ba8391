"""A server and its replica: what the replica is good for, and what becomes of a store when they change places."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import psycopg
import pytest

from backburner.backends.postgres.backend import PostgresBackend
from backburner.backends.postgres.place import PostgresPlace
from backburner.backends.urls import parse
from backburner.errors import StoreError, StoreReadOnly
from backburner.model.clock import SystemClock
from backburner.model.event import NewEvent
from backburner.model.job import NewJob
from backburner.model.node import QueueRecord
from backburner.model.query import Condition, JobFilter
from backburner.ports.backend import Hint, Level
from tests.servers import launch, postgres

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from tests.servers.postgres import LaunchedPostgres

T = TypeVar("T")

pytestmark = pytest.mark.usefixtures("servers")


@contextmanager
def replicated(primary: LaunchedPostgres) -> Generator[str]:
    """Start a replica of a server; bring its URL."""
    owner = launch.account()
    parts = urlsplit(primary.url)
    with launch.folder("bb-replica", owner) as folder:
        programs = postgres.reachable(primary.binaries, owner, folder)
        subprocess.run(
            [
                *(programs / "pg_basebackup", "-D", folder / "data", "-R", "-X", "stream", "-c", "fast"),
                *("-h", str(parts.hostname), "-p", str(parts.port), "-U", str(parts.username)),
            ],
            cwd=folder,
            env=launch.environment() | {"PGPASSWORD": str(parts.password)},
            user=owner.uid if owner else None,
            group=owner.gid if owner else None,
            extra_groups=[] if owner else None,
            check=True,
            capture_output=True,
        )

        def make(port: int) -> launch.Process:
            settings = postgres.SETTINGS | {"listen_addresses": "127.0.0.1", "port": str(port)}
            settings |= {"unix_socket_directories": "", "fsync": "off"}
            return launch.Process(
                [
                    programs / "postgres",
                    "-D",
                    folder / "data",
                    *(f"--{name}={value}" for name, value in settings.items()),
                ],
                folder=folder,
                ready="database system is ready to accept read-only connections",
                stop=signal.SIGINT,
                owner=owner,
            )

        port, process = launch.on_free_port(make)
        try:
            yield primary.url.replace(f":{parts.port}/", f":{port}/")
        finally:
            process.stop()


async def test_a_replica_is_read_and_takes_over() -> None:
    """A replica is read like its primary, and takes no writes; once it takes over, the same store works on there."""
    with postgres.serve(durable=False) as server, replicated(server) as replica:
        ports = [urlsplit(url).port for url in (server.url, replica)]
        both = server.url.replace(f":{ports[0]}/", f":{ports[0]},127.0.0.1:{ports[1]}/")
        place = parse(f"{both}?target_session_attrs=primary", base=Path("/")).place
        assert isinstance(place, PostgresPlace)
        writer = PostgresBackend(place, clock=SystemClock(), write_timeout=2)
        await writer.open(create=True)
        await writer.schema.upgrade()
        await writer.jobs.enqueue([[NewJob(id="job", kind="kind", queue="queue", args='{"a":1}')]])
        await writer.events.append([NewEvent(name="order.paid", kept=True)])
        # It is numbered by whoever reads there; a replica numbers nothing.
        assert len((await writer.event_reader.read(limit=5)).events) == 1

        await _read(replica)
        refused = PostgresBackend(PostgresPlace(dsn=replica, address="the replica"), clock=SystemClock())
        with pytest.raises(StoreReadOnly, match="name the primary") as caught:
            await refused.open(create=True)
        assert caught.value.stored == "no"

        server.process.kill()
        with psycopg.connect(replica, autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")
        queue = QueueRecord(name="queue", slots=3)
        # Each of its connections finds out by itself that the old one is gone.
        await _at_last(lambda: writer.queues.set(queue))
        assert await _at_last(writer.queues.list) == (queue,)
        await writer.close()


async def _at_last(verb: Callable[[], Awaitable[T]]) -> T:
    """Do it until it works."""
    while True:
        with suppress(StoreError):
            return await verb()


async def _read(replica: str) -> None:
    reader = PostgresBackend(PostgresPlace(dsn=replica, address="the replica"), clock=SystemClock())
    # It may not have come so far.
    await _at_last(lambda: reader.open(create=False, write=False))
    while not (await _at_last(lambda: reader.reader.get(["job"]))).jobs:
        pass
    where = JobFilter(where=(Condition(("a",), "=", 1),))
    assert [job.id for job in (await reader.reader.find(where, limit=5)).jobs] == ["job"]
    assert len((await reader.reader.export(limit=5)).jobs) == 1
    while not (await reader.event_reader.read(limit=5)).events:
        pass
    assert (await reader.event_reader.subscriptions()).last == 1
    assert (await reader.reader.backlog()).queues[0].waiting == 1
    levels = {finding.check: finding.level for finding in await reader.examine()}
    assert levels["role"] is Level.WARNING
    assert Level.PROBLEM not in levels.values()
    heard = asyncio.Event()
    # A replica lets nobody listen: hints come for nothing.
    reader.notifier.listen(lambda hint: heard.set() if hint is Hint.JOBS else None)
    await heard.wait()
    with pytest.raises(StoreReadOnly):
        await reader.queues.set(QueueRecord(name="queue"))
    with pytest.raises(StoreReadOnly):
        await reader.events.pull(["subscription"], limit=1)
    await reader.close()
