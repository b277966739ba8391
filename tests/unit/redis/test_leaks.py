"""Whatever is done in whatever order, no key is left without an owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from backburner.backends.redis.backend import RedisBackend
from backburner.model.job import JobState
from backburner.ports.jobs import Keep
from backburner.testing.clock import FakeClock
from backburner.testing.contracts.making import publish, recover, settle
from tests.contracts.test_machine import EVERYTHING, StoreMachine, on_redis

if TYPE_CHECKING:
    from tests.servers.redis import RedisServer

#: Keeps nothing that has ended, no line and no event.
AT_ONCE = Keep(completed=0, cancelled=0, dead=0, ticks=0, events=0)
#: What code declares and operators set stays.
SETTINGS = {b"meta", b"queues", b"kinds", b"limits"}
#: Seconds after which every rate is unused.
LONG = 10**8


class Leaving(StoreMachine):
    """Goes as all stores do; in the end every node, schedule and subscription is gone, and every job is ended and pruned."""

    def teardown(self) -> None:
        try:
            backend = self.stores[1].backend
            assert isinstance(backend, RedisBackend)
            left = self.runner.run(leave(backend))
        finally:
            super().teardown()
        assert left <= SETTINGS


async def leave(backend: RedisBackend) -> set[bytes]:
    """End all, unsubscribe all, prune all; return the names of the keys that are left in the namespace."""
    for node in await backend.nodes.find():
        await backend.nodes.withdraw(node.id)
    await publish(backend, "last")
    while taken := (await recover(backend, "last")).jobs:
        for each in taken:
            await settle(backend, each.claim, JobState.DEAD, node="last", reason="over")
    page = await backend.reader.export(limit=EVERYTHING)
    await backend.admin.cancel([image.record.id for image in page.jobs])
    for record in (await backend.schedule_reader.find(limit=EVERYTHING)).schedules:
        assert await backend.schedules.remove(record.name, record.version)
    for subscription in (await backend.event_reader.subscriptions()).subscriptions:
        assert await backend.events.unsubscribe(subscription.name)
    while await backend.admin.prune(AT_ONCE, EVERYTHING):
        pass
    await backend.nodes.withdraw("last")
    session = backend._session
    assert isinstance(session.clock, FakeClock)
    session.clock.move(LONG)
    await backend.admin.prune(AT_ONCE, EVERYTHING)
    prefix = session.keys.meta.removesuffix(b"meta")
    found: list[bytes] = await session.client.call("KEYS", prefix + b"*")
    return {key.removeprefix(prefix) for key in found}


def test_no_key_is_left(redis_server: RedisServer) -> None:
    """When all nodes, schedules and subscriptions are gone, all jobs, lines and events pruned, nothing is left but settings."""

    class Machine(Leaving):
        def __init__(self) -> None:
            super().__init__(on_redis(redis_server))

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=50,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
