"""What alerts measure, and that the store is asked for nothing else."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from msgspec import structs

from backburner.model.clock import SECOND
from backburner.model.event import SubscriptionRecord
from backburner.model.node import NodeRecord
from backburner.model.query import JobFilter, Shown
from backburner.model.schedule import ScheduleRecord
from backburner.observability.alerts.counts import Bucket, Shared
from backburner.observability.alerts.grammar import parse
from backburner.observability.alerts.readings import Readings
from backburner.ports.events import Subscriptions
from backburner.ports.jobs import Backlog, QueueBacklog
from backburner.ports.schedules import Due

NOW = 1_750_000_000 * SECOND
MINUTE = 60 * SECOND

MAIL = QueueBacklog(queue="mail", waiting=3, oldest=NOW - 10 * MINUTE, scheduled=50, retrying=5, dead=7)
GPU = QueueBacklog(queue="gpu", waiting=2, oldest=NOW - 2 * MINUTE, held=9, dead=1)
#: It holds nothing that is due; its moment lies ahead of a reader that lags.
IDLE = QueueBacklog(queue="idle", running=4)
NODE = NodeRecord(id="n", host="h", pid=1, started_at=0, queues={"mail": 1, "idle": 1}, kinds=("send",))


class Breaker(NamedTuple):
    name: str
    phase: str
    forced: bool = False


class Store:
    """All the roles that are read, in one; remembers what it was asked."""

    def __init__(self) -> None:
        self.held = Backlog(now=NOW, queues=(MAIL, GPU, IDLE))
        self.nodes: tuple[NodeRecord, ...] = (NODE,)
        self.waiting = Due(now=NOW)
        self.heard = Subscriptions(now=NOW, log="l", last=100, subscriptions=())
        self.known: tuple[Breaker, ...] = ()
        self.counted: dict[Shown, int] = {}
        self.asked: list[object] = []

    async def backlog(self) -> Backlog:
        self.asked.append("backlog")
        return self.held

    async def count(self, where: JobFilter) -> dict[Shown, int]:
        self.asked.append(where)
        return self.counted

    async def find(self) -> tuple[NodeRecord, ...]:
        self.asked.append("nodes")
        return self.nodes

    async def due(self, limit: int) -> Due:
        del limit
        self.asked.append("due")
        return self.waiting

    async def subscriptions(self) -> Subscriptions:
        self.asked.append("subscriptions")
        return self.heard

    async def breakers(self) -> tuple[Breaker, ...]:
        self.asked.append("breakers")
        return self.known

    async def read(self, *texts: str, shared: Shared | None = None) -> list[float | None]:
        """Return the values of what these conditions measure."""
        role = cast("Any", self)
        readings = Readings(reader=role, nodes=role, schedules=role, events=role, breakers=self.breakers)
        measures = [each.measure for text in texts for each in parse(text).comparisons]
        values = await readings.take(measures, shared or Shared(), NOW)
        return [values[measure] for measure in measures]


async def test_queues() -> None:
    """Depth and dead letters are sums, the age that of the first in any line; all of them by one reading."""
    store = Store()
    found = await store.read(
        "queue.depth > 1 or queue.depth[mail] > 1 or queue.depth[none] > 1",
        "queue.oldest > 1s or queue.oldest[gpu] > 1s or queue.oldest[idle] > 1s",
        "dlq.count > 1 or dlq.count[gpu] > 1",
    )
    assert found == [5, 3, 0, 10 * MINUTE, 2 * MINUTE, 0, 8, 1]
    assert store.asked == ["backlog"]


async def test_a_moment_ahead_is_no_age() -> None:
    """A job that is due by the clock of another moment has waited for nothing."""
    store = Store()
    store.held = Backlog(now=NOW, queues=(structs.replace(MAIL, oldest=NOW + 5),))
    assert await store.read("queue.oldest > 1s") == [0]


async def test_breakers() -> None:
    """Open, or trying whether to close, or opened by a person; the ramp counts as closed."""
    store = Store()
    store.known = (
        Breaker("a", "open"),
        Breaker("b", "half_open"),
        Breaker("c", "closing"),
        Breaker("d", "closed"),
        Breaker("e", "closed", forced=True),
    )
    text = " or ".join(["breaker.open", *(f"breaker.open[{name}]" for name in "abcdex")])
    assert await store.read(text) == [3, 1, 1, 0, 0, 1, 0]
    assert store.asked == ["breakers"]


async def test_schedules() -> None:
    """What was counted within the hour, and what is overdue by more than a minute now."""
    store = Store()

    def schedule(name: str, late: int) -> ScheduleRecord:
        return ScheduleRecord(name=name, version=1, kind="k", rule="{}", job="{}", due_at=NOW - late)

    store.waiting = Due(now=NOW, schedules=(schedule("a", 2 * MINUTE), schedule("b", 59 * SECOND)))
    shared = Shared().add(Bucket(missed={"": 4, "b": 4}), NOW - 30 * MINUTE)
    text = "schedules.missed > 0 or schedules.missed[a] > 0 or schedules.missed[b] > 0"
    assert await store.read(text, shared=shared) == [5, 1, 4]
    assert await store.read("schedules.missed over 5m > 0", shared=shared) == [1]


async def test_the_failure_ratio_is_read_from_what_nodes_share() -> None:
    """The store is asked for nothing more."""
    store = Store()
    shared = Shared().add(Bucket(runs={"": (20, 5), "charge": (10, 5)}), NOW)
    text = "jobs.failure_ratio > 1% or jobs.failure_ratio[charge] > 1% or jobs.failure_ratio[none] > 1%"
    assert await store.read(text, shared=shared) == [25, 50, None]
    assert store.asked == []


async def test_events() -> None:
    """How far a subscription is behind; without a name the one that is most."""
    store = Store()

    def subscription(name: str, cursor: int) -> SubscriptionRecord:
        return SubscriptionRecord(name=name, patterns=("*",), kind=None, ttl=1, cursor=cursor, created_at=0, seen_at=0)

    assert await store.read("events.lag > 1") == [0]
    store.heard = structs.replace(store.heard, subscriptions=(subscription("a", 90), subscription("b", 40)))
    assert await store.read("events.lag > 1 or events.lag[a] > 1 or events.lag[c] > 1") == [60, 10, 0]


async def test_kinds_that_no_living_node_takes() -> None:
    """Those that stand at the gates of unknown kinds, and those in queues that none works on."""
    store = Store()
    store.held = Backlog(now=NOW, queues=(MAIL, GPU), unknown={"send": 4, "render": 6})
    store.nodes = (structs.replace(NODE, kind_queues={"send": "mail"}),)
    store.counted = {Shown.WAITING: 2}
    # `send` is known and worked on here: its jobs only wait for room.
    assert await store.read("kinds.unserved", "kinds.unserved[send]", "kinds.unserved[render]") == [8, 2, 6]
    where = JobFilter(kinds=("send",), queues=("gpu",), states=(Shown.WAITING, Shown.RETRYING))
    assert store.asked[:3] == ["backlog", "nodes", where]


async def test_a_node_that_works_on_other_queues_does_not_serve_a_kind() -> None:
    """It knows the kind since it stores it."""
    store = Store()
    store.held = Backlog(now=NOW, queues=(), unknown={"send": 4})
    assert await store.read("kinds.unserved") == [4], "the node works on no queue `default`"
    store.nodes = (structs.replace(NODE, kind_queues={"send": "mail"}),)
    assert await store.read("kinds.unserved") == [0]


async def test_dead_and_draining_nodes_serve_nothing() -> None:
    """Where no other is left, all that waits is unserved."""
    store = Store()
    store.nodes = (structs.replace(NODE, alive=False), structs.replace(NODE, draining=True))
    assert await store.read("kinds.unserved") == [5]
