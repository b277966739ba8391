"""What is read of a store for metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from backburner.model.clock import SECOND
from backburner.model.event import SubscriptionRecord
from backburner.model.node import NodeRecord
from backburner.model.schedule import ScheduleRecord
from backburner.observability.sampling import Sampler
from backburner.ports.events import Subscriptions
from backburner.ports.jobs import Backlog, QueueBacklog
from backburner.ports.schedules import Due

if TYPE_CHECKING:
    from backburner.observability.sampling import Sample

BACKLOG = Backlog(now=50 * SECOND, queues=(QueueBacklog(queue="mail", waiting=3, oldest=40 * SECOND),))


class Breaker(NamedTuple):
    name: str
    phase: str
    forced: bool = False


class Store:
    """All the roles that are read, in one."""

    def __init__(self) -> None:
        self.listed: tuple[NodeRecord, ...] = ()
        self.waiting = Due(now=50 * SECOND)
        self.heard = Subscriptions(now=50 * SECOND, log="l", last=0, subscriptions=())
        self.known: tuple[Breaker, ...] = ()

    async def backlog(self) -> Backlog:
        return BACKLOG

    async def find(self) -> tuple[NodeRecord, ...]:
        return self.listed

    async def due(self, limit: int) -> Due:
        assert limit == 1
        return self.waiting

    async def subscriptions(self) -> Subscriptions:
        return self.heard

    async def breakers(self) -> tuple[Breaker, ...]:
        return self.known

    async def sample(self) -> Sample:
        """Read it."""
        role = cast("Any", self)
        return await Sampler(reader=role, nodes=role, schedules=role, events=role, breakers=self.breakers).take()


def node(name: str, **more: Any) -> NodeRecord:  # noqa: ANN401 - a record's fields
    """Return a node of ten slots."""
    return NodeRecord(id=name, host="h", pid=1, started_at=0, queues={"mail": 10}, kinds=("send",), **more)


def subscription(name: str, cursor: int) -> SubscriptionRecord:
    """Return who asks for everything."""
    return SubscriptionRecord(name=name, patterns=("*",), kind=None, ttl=SECOND, cursor=cursor, created_at=0, seen_at=0)


async def test_an_empty_store_is_all_zeros() -> None:
    """Every node state is named, also where no node is."""
    sample = await Store().sample()
    assert sample.backlog is BACKLOG
    assert (sample.nodes, sample.slots) == ({"working": 0, "draining": 0, "dead": 0}, {})
    assert (sample.breakers, sample.lags, sample.overdue) == ({}, {}, 0)


async def test_slots_are_those_of_nodes_that_take_work() -> None:
    """A dead node has none, nor has one that drains."""
    store = Store()
    store.listed = (node("a"), node("b"), node("c", draining=True), node("d", alive=False, draining=True))
    sample = await store.sample()
    assert sample.nodes == {"working": 2, "draining": 1, "dead": 1}
    assert sample.slots == {"mail": 20}


async def test_a_breaker_that_an_operator_opened_is_open() -> None:
    """Whatever its phase is."""
    store = Store()
    store.known = (Breaker("stripe", "closed", forced=True), Breaker("geo", "half_open"))
    assert (await store.sample()).breakers == {"stripe": "open", "geo": "half_open"}


async def test_the_lag_of_a_subscription_is_what_was_stored_since() -> None:
    """Counted in events from where it stands to the newest."""
    store = Store()
    heard = (subscription("audit", 7), subscription("mail", 12))
    store.heard = msgspec.structs.replace(store.heard, last=12, subscriptions=heard)
    assert (await store.sample()).lags == {"audit": 5, "mail": 0}


async def test_a_schedule_that_is_due_is_overdue_by_now() -> None:
    """By the store's own now."""
    store = Store()
    record = ScheduleRecord(name="nightly", version=1, kind="send", rule="{}", job="{}", due_at=44 * SECOND)
    store.waiting = Due(now=50 * SECOND, schedules=(record,))
    assert (await store.sample()).overdue == 6 * SECOND
