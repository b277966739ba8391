"""How many connections a process has, and which work shares one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from backburner.backends.postgres.backend import PostgresBackend
from backburner.backends.postgres.place import PostgresPlace
from backburner.model.clock import SECOND, SystemClock
from backburner.model.job import CANCELLED
from backburner.model.node import NodeRecord
from backburner.ports.backend import Hint

if TYPE_CHECKING:
    from tests.servers.postgres import Schema

NODE = NodeRecord(id="node", host="host", pid=1, started_at=0, queues={}, kinds=())


@pytest.mark.parametrize("listen", [True, False])
@pytest.mark.parametrize("size", [2, 3, 4, 5, 9])
async def test_no_more_than_the_pool_allows(postgres_schema: Schema, size: int, listen: bool) -> None:  # noqa: FBT001 - an example
    """All that an engine does at the same time takes no more connections than the pool has."""
    place = PostgresPlace(
        dsn=postgres_schema.url, schema=postgres_schema.name, address="it", pool_size=size, listen=listen
    )
    backend = PostgresBackend(place, clock=SystemClock())
    await backend.open(create=True)
    await backend.schema.upgrade()
    backend.notifier.listen(lambda _: None)
    await backend.nodes.publish(NODE, 60 * SECOND)
    async with backend.keeper() as keeper:
        await keeper.beat("node", 60 * SECOND)
        await backend.admin.cancel(["nobody"], CANCELLED)
        await backend.notifier.notify(Hint.JOBS)
        await backend.queues.list()
        with psycopg.connect(postgres_schema.url) as connection:
            count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'backburner'"
            found = connection.execute(count).fetchone()
    await backend.close()
    # Three for work, one for the keeper, one to listen on.
    assert found == (min(size, 5 if listen else 4),)


async def test_the_time_is_the_server_s(postgres_schema: Schema) -> None:
    """A node's own clock, however wrong, changes nothing: what it is off by is not sent."""

    class Wrong(SystemClock):
        def now(self) -> int:
            return super().now() + 600 * SECOND

    place = PostgresPlace(dsn=postgres_schema.url, schema=postgres_schema.name, address="it")
    wrong, right = PostgresBackend(place, clock=Wrong()), PostgresBackend(place, clock=SystemClock())
    for backend in (wrong, right):
        await backend.open(create=True)
        await backend.schema.upgrade()
    await wrong.nodes.publish(NODE, 60 * SECOND)
    assert [node.alive for node in await right.nodes.find()] == [True]
    pages = [await backend.reader.get([]) for backend in (wrong, right)]
    assert abs(pages[0].now - pages[1].now) < 60 * SECOND
    for backend in (wrong, right):
        await backend.close()
