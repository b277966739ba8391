"""A cluster moves the slot of a namespace to another node while the store is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from redis.crc import key_slot

from backburner.errors import StoreUnavailable
from backburner.model.query import JobFilter, Shown
from backburner.testing.contracts.making import add, claim, publish
from tests.stores import redis_url
from tests.unit.redis.conftest import store

if TYPE_CHECKING:
    from backburner.backends.redis.backend import RedisBackend
    from backburner.testing.clock import FakeClock
    from tests.servers.redis import LaunchedCluster, LaunchedRedis


class Move:
    """The steps by which an operator, or his tool, moves a slot."""

    def __init__(self, cluster: LaunchedCluster, slot: int) -> None:
        self.slot = slot
        self._ids: dict[int, str] = {node.port: said(node, "CLUSTER", "MYID").decode() for node in cluster.nodes}
        self.source = next(node for node in cluster.nodes if self._serves(node))
        self.target = next(node for node in cluster.nodes if node is not self.source)
        self.others = [node for node in cluster.nodes if node is not self.source and node is not self.target]

    def _serves(self, node: LaunchedRedis) -> bool:
        here = self._ids[node.port].encode()
        slots = said(node, "CLUSTER", "SLOTS")
        return any(first <= self.slot <= last and primary[2] == here for first, last, primary, *_ in slots)

    def begin(self) -> None:
        said(self.target, "CLUSTER", "SETSLOT", self.slot, "IMPORTING", self._ids[self.source.port])
        said(self.source, "CLUSTER", "SETSLOT", self.slot, "MIGRATING", self._ids[self.target.port])

    def carry(self, count: int) -> int:
        """Move some keys; how many."""
        keys = said(self.source, "CLUSTER", "GETKEYSINSLOT", self.slot, count)
        if keys:
            said(self.source, "MIGRATE", "127.0.0.1", self.target.port, "", 0, 5000, "KEYS", *keys)
        return len(keys)

    def end(self) -> None:
        for node in (self.target, self.source, *self.others):
            said(node, "CLUSTER", "SETSLOT", self.slot, "NODE", self._ids[self.target.port])


def said(node: LaunchedRedis, *command: str | int | bytes) -> Any:  # noqa: ANN401 - whatever it answers
    """Send one node a command, without following its answer."""
    with Redis(port=node.port) as client:
        connection = client.connection_pool.get_connection()
        connection.send_command(*command)
        return connection.read_response()


async def test_a_slot_that_moves(redis_cluster: LaunchedCluster, clock: FakeClock) -> None:
    """While it moves all is refused, and nothing stored; once it has, the store goes on there, and all is there once."""
    with redis_cluster.namespace() as namespace:
        async with store(redis_url(namespace), clock) as backend:
            await publish(backend)
            before = await add(backend)
            move = Move(redis_cluster, key_slot(namespace.name.strip("{}").encode()))
            move.begin()
            await _refused(backend)
            while move.carry(2):
                await _refused(backend)
            move.end()
            after = await add(backend)
            assert await backend._session.client._locator.find() == ("127.0.0.1", move.target.port)
            assert [claimed.id for claimed in await claim(backend)] == [before.id, after.id]
            counted = await backend.reader.count(JobFilter())
            assert counted == {Shown.RUNNING: 2}


async def _refused(backend: RedisBackend) -> None:
    for verb in (add(backend), claim(backend)):
        with pytest.raises(StoreUnavailable, match="is being moved") as away:
            await verb
        assert away.value.stored == "no"
