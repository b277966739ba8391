"""What is read of a store for one screen, and what of it wants a person."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from backburner.backends.memory.backend import MemoryBackend
from backburner.errors import SchemaTooOld, StoreUnavailable
from backburner.model.clock import SECOND
from backburner.model.event import EventRecord, SubscriptionRecord
from backburner.model.job import JobState
from backburner.model.lane import LaneRecord, Limit, LimitRecord, Rate
from backburner.model.node import KindRecord, NodeRecord, QueueRecord
from backburner.model.query import JobFilter, Shown
from backburner.model.schedule import Outcome, ScheduleRecord, TickRecord
from backburner.observability.overlooking import Overseer
from backburner.observability.overview import Lost, Part, QueueSeen, Trouble
from backburner.ports.events import EventPage, Subscriptions
from backburner.ports.jobs import Backlog, FailureGroup, Groups, QueueBacklog, Timing, Timings
from backburner.ports.limits import Lanes
from backburner.ports.operations import Operations
from backburner.ports.schedules import Schedules, Ticks
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.observability.overview import BreakerSeen, Overview

NOW = FakeClock().now()
MINUTE, DAY = 60 * SECOND, 86_400 * SECOND


class Store:
    """A backend of stand-ins: every role is this, and answers what it was told; an error is raised instead."""

    address = "sqlite:///shop.db"

    def __init__(self) -> None:
        self.answers: dict[str, object] = {
            "backlog": Backlog(now=NOW, queues=()),
            "nodes": (),
            "queue_records": (),
            "kind_records": (),
            "limit_records": (),
            "lanes": Lanes(NOW, ()),
            "events": EventPage(now=NOW, log="a", events=(), upto=0, end=True, pruned=0, last=0),
            "subscriptions": Subscriptions(now=NOW, log="a", last=0, subscriptions=()),
            "timings": Timings(NOW, (), None),
            "groups": Groups(NOW, ()),
            "schedules": Schedules(NOW, ()),
            "ticks": Ticks(NOW, ()),
            "operations": Operations(NOW, ()),
            "schema": SimpleNamespace(current=5, wanted=5),
            "breakers": (),
        }
        self.older: dict[Shown, int] = {}
        self.asked: list[tuple[str, object]] = []

    def answer(self, name: str, *asked: object) -> Any:  # noqa: ANN401 - as it was told
        self.asked.append((name, asked))
        answer = self.answers[name]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __getattr__(self, role: str) -> Any:  # noqa: ANN401 - a role
        return _Role(self, role)

    async def breakers_list(self) -> Sequence[BreakerSeen]:
        return cast("Sequence[BreakerSeen]", self.answer("breakers"))

    async def look(self) -> Overview:
        return await Overseer(cast("Any", self), breakers=self.breakers_list, clock=FakeClock()).look()


class _Role:
    def __init__(self, store: Store, role: str) -> None:
        self._store = store
        self._role = role

    async def get(self, _: Sequence[str]) -> object:
        return SimpleNamespace(now=NOW + 2 * SECOND)

    async def find(self, **asked: object) -> object:
        names = {"nodes": "nodes", "operations": "operations", "schedule_reader": "schedules"}
        return self._store.answer(names[self._role], asked)

    async def list(self) -> object:
        return self._store.answer({"queues": "queue_records", "kinds": "kind_records"}.get(self._role, "limit_records"))

    async def count(self, where: JobFilter) -> object:
        self._store.asked.append(("count", where))
        return self._store.older

    async def state(self) -> object:
        return self._store.answer("schema")

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a method
        async def answer(*asked: object, **named: object) -> object:
            told = "events" if name == "read" else name
            return self._store.answer(told, asked, named)

        return answer


def node(name: str, **more: Any) -> NodeRecord:  # noqa: ANN401 - a record's fields
    """Return a node of ten slots."""
    return NodeRecord(id=name, host="h", pid=1, started_at=0, queues={"mail": 10}, kinds=("send",), **more)


@pytest.fixture
def store() -> Store:
    """Return a store where all is well."""
    return Store()


def queue(seen: Overview, name: str = "mail") -> QueueSeen:
    """Return the queue of a name."""
    return next(each for each in seen.queues if each.name == name)


async def test_all_is_well(store: Store) -> None:
    """An empty store wants nobody; its now is told, and how far it is from this machine's."""
    seen = await store.look()
    assert (seen.troubles, seen.unread, seen.schema) == ((), {}, (5, 5))
    assert (seen.now, seen.offset) == (NOW + 2 * SECOND, 2 * SECOND)


async def test_slots_are_those_of_working_nodes(store: Store) -> None:
    """Nodes that drain or are dead have none; what an operator set counts in place of what the code declares."""
    store.answers["nodes"] = (node("a"), node("b"), node("c", draining=True), node("d", alive=False))
    seen = await store.look()
    assert (queue(seen).nodes, queue(seen).slots) == (2, 20)
    store.answers["queue_records"] = (QueueRecord(name="mail", slots=3), QueueRecord(name="forgotten"))
    seen = await store.look()
    assert queue(seen).slots == 6
    assert [each.name for each in seen.queues] == ["mail"]


async def test_jobs_that_nobody_takes(store: Store) -> None:
    """A queue with waiting jobs is unserved where no working node has it, not where that is not known, nor if all is later."""
    waits = (QueueBacklog(queue="later", scheduled=3), QueueBacklog(queue="mail", waiting=7, oldest=NOW))
    store.answers["backlog"] = Backlog(now=NOW, queues=waits)
    store.answers["nodes"] = (node("a", draining=True),)
    assert (await store.look()).troubles == ((Trouble.UNSERVED, "mail"),)
    store.answers["nodes"] = SchemaTooOld("no such table")
    store.answers["backlog"] = Backlog(now=NOW, queues=waits, unknown={"send": 2})
    assert (await store.look()).troubles == ((Trouble.UNREAD, "nodes"),)


async def test_what_was_completed_in_a_minute(store: Store) -> None:
    """Completed jobs are counted by queue; of more than are read, the part of the minute that they fell in tells the rest."""
    store.answers["nodes"] = (node("a"),)
    ended = [_timing(f"{number}", "mail", NOW - number * 30_000) for number in range(100)]
    store.answers["timings"] = Timings(NOW, (*ended, _timing("x", "other", NOW - 3 * SECOND)), None)
    seen = await store.look()
    assert queue(seen).done == 100
    asked = next(asked for name, asked in store.asked if name == "timings")
    assert asked == ((JobState.COMPLETED, JobFilter()), {"within": MINUTE, "limit": 10_000})
    # The hundred fell in three seconds of sixty.
    store.answers["timings"] = Timings(NOW, (*ended[:-1], _timing("y", "mail", NOW - 3 * SECOND)), "more")
    assert queue(await store.look()).done == 2000
    store.answers["timings"] = SchemaTooOld("no such table")
    assert queue(await store.look()).done is None


def _timing(job_id: str, name: str, ended_at: int) -> Timing:
    return Timing(
        id=job_id,
        kind="send",
        queue=name,
        attempt=1,
        failures=0,
        created_at=0,
        due_at=0,
        started_at=0,
        ended_at=ended_at,
    )


async def test_letters(store: Store) -> None:
    """Letters of a day are all but those that died before; old ones alone want nobody; none at all cost no read."""
    assert (await store.look()).letters is None
    assert "groups" not in [name for name, _ in store.asked]
    store.answers["backlog"] = Backlog(now=NOW, queues=(QueueBacklog(queue="mail", dead=12),))
    causes = (_cause("old", 9, NOW - 2 * DAY), _cause("new", 3, NOW))
    store.answers["groups"] = Groups(NOW, causes)
    store.older = {Shown.DEAD: 10}
    seen = await store.look()
    assert seen.letters is not None
    assert (seen.letters.total, seen.letters.recent, seen.letters.more) == (12, 2, False)
    assert [cause.fingerprint for cause in seen.letters.struck(NOW - DAY)] == ["new"]
    assert seen.troubles == ((Trouble.DEAD, ""),)
    assert ("count", JobFilter(states=(Shown.DEAD,), ended_before=seen.now - DAY)) in store.asked
    store.older = {Shown.DEAD: 12}
    assert (await store.look()).troubles == ()


def _cause(fingerprint: str, count: int, last: int) -> FailureGroup:
    return FailureGroup(
        fingerprint=fingerprint,
        error="E",
        message="no",
        reason=None,
        count=count,
        first=0,
        last=last,
        kinds={"send": count},
        sample="x",
    )


async def test_kinds(store: Store) -> None:
    """A kind is unknown while jobs stand at its gate and no working node knows it; those paused are told too."""
    store.answers["backlog"] = Backlog(now=NOW, queues=(), unknown={"send": 2, "old": 3})
    store.answers["nodes"] = (node("a"),)
    store.answers["kind_records"] = (KindRecord(name="send", by="ada"),)
    seen = await store.look()
    assert seen.unknown == {"old": 3}
    assert seen.troubles == ((Trouble.KIND_PAUSED, "send"), (Trouble.KIND_UNKNOWN, "old"))


async def test_breakers_and_budgets(store: Store) -> None:
    """Closed breakers want nobody; a budget does while a retry waits for it that it has no permit for."""
    since = datetime(2026, 1, 1, tzinfo=UTC)
    common: dict[str, object] = {"since": since, "until": None, "by": None, "reason": None}
    store.answers["breakers"] = (
        SimpleNamespace(name="fine", phase="closed", forced=False, **common),
        SimpleNamespace(name="forced", phase="closed", forced=True, **common),
        SimpleNamespace(name="probing", phase="half_open", forced=False, **common),
    )
    budget = Limit(rate=Rate(limit=1, period=SECOND), deposit=1)
    store.answers["limit_records"] = (
        LimitRecord(name="budget:stripe", declared=budget),
        LimitRecord(name="rate:send", declared=Limit(rate=Rate(limit=1, period=SECOND))),
    )
    lanes = [("dry", True, NOW + 1), ("nobody-waits", False, NOW + 1), ("has-some", True, NOW)]
    store.answers["lanes"] = Lanes(
        NOW,
        tuple(LaneRecord(name=f"budget:{name}", limit=budget, parked=parked, free_at=at) for name, parked, at in lanes),
    )
    seen = await store.look()
    assert seen.troubles == ((Trouble.BREAKER, "forced"), (Trouble.BREAKER, "probing"), (Trouble.BUDGET, "dry"))
    assert next(asked for name, asked in store.asked if name == "lanes") == ((["budget:stripe"],), {})


async def test_schedules(store: Store) -> None:
    """Late is what was due a minute ago, on whatever page; missed are ticks passed over, not those that overlapped."""
    due = {"soon": NOW + 1, "just": NOW - MINUTE, "late": NOW - MINUTE - 1, "never": None}
    records = tuple(
        ScheduleRecord(name=name, version=1, kind="send", rule="{}", job="{}", due_at=at) for name, at in due.items()
    )
    store.answers["schedules"] = Schedules(NOW, records)
    reasons = (("missed", 3), ("overlap", 9), ("missed", 2))
    store.answers["ticks"] = Ticks(
        NOW,
        tuple(
            TickRecord(
                id=str(number),
                schedule="daily",
                tick=0,
                last=0,
                count=count,
                outcome=Outcome.SKIPPED,
                reason=reason,
                due_at=0,
            )
            for number, (reason, count) in enumerate(reasons)
        ),
    )
    seen = await store.look()
    assert [schedule.name for schedule in seen.overdue] == ["late"]
    assert seen.missed is not None
    assert seen.missed.ticks == {"daily": 5}
    assert seen.troubles == ((Trouble.LATE, "late"), (Trouble.MISSED, "daily"))


async def test_events(store: Store) -> None:
    """A subscription is far behind with more than one look takes in; nodes that were lost are told of, and want nobody."""
    told = EventRecord(number=1, id=None, name="node.lost", subject="h-1-a", time=NOW, data='{"host":"h"}')
    store.answers["events"] = EventPage(now=NOW, log="a", events=(told,), upto=0, end=True, pruned=0, last=1)
    common: dict[str, Any] = {"patterns": ("*",), "kind": None, "ttl": DAY, "created_at": 0, "seen_at": NOW}
    store.answers["subscriptions"] = Subscriptions(
        now=NOW,
        log="a",
        last=30_000,
        subscriptions=(
            SubscriptionRecord(name="far", cursor=19_999, **common),
            SubscriptionRecord(name="near", cursor=20_000, **common),
        ),
    )
    seen = await store.look()
    assert seen.lost == (Lost("h-1-a", "h", NOW),)
    assert seen.troubles == ((Trouble.BEHIND, "far"),)


@pytest.mark.parametrize("part", ["kind_records", "groups", "ticks", "schedules", "timings", "operations", "breakers"])
async def test_a_part_that_cannot_be_read(store: Store, part: str) -> None:
    """It is named, with the reason, and wants a person; the rest is told."""
    store.answers["backlog"] = Backlog(now=NOW, queues=(QueueBacklog(queue="mail", dead=1, waiting=1),))
    store.answers["nodes"] = (node("a"),)
    store.answers[part] = SchemaTooOld("no such table")
    seen = await store.look()
    assert list(seen.unread.values()) == ["no such table"]
    assert seen.troubles[0] == (Trouble.UNREAD, next(iter(seen.unread)))
    assert queue(seen).holds.waiting == 1


async def test_a_store_that_is_away(store: Store) -> None:
    """One read that takes too long is one part that cannot be read; of two in a row the store is away, and no more is read."""
    store.answers["kind_records"] = StoreUnavailable("it took too long")
    store.answers["schedules"] = StoreUnavailable("so did this")
    assert (await store.look()).unread == {Part.KINDS: "it took too long", Part.SCHEDULES: "so did this"}
    store.answers["breakers"] = StoreUnavailable("away")
    store.asked.clear()
    with pytest.raises(StoreUnavailable, match="away"):
        await store.look()
    assert "schedules" not in [name for name, _ in store.asked]


async def test_another_schema(store: Store) -> None:
    """A schema that is not the one wanted wants a person; of one that cannot be compared whoever opened the store has said so."""
    store.answers["schema"] = SimpleNamespace(current=4, wanted=5)
    assert (await store.look()).troubles == ((Trouble.SCHEMA, ""),)
    store.answers["schema"] = SchemaTooOld("too old")
    seen = await store.look()
    assert (seen.troubles, seen.unread.get(Part.SCHEMA)) == ((), None)


async def test_a_real_store() -> None:
    """Every read is one that a store has."""
    clock = FakeClock()
    backend = MemoryBackend(clock=clock)
    await backend.open(create=True)
    try:

        async def none() -> Sequence[BreakerSeen]:
            return ()

        seen = await Overseer(backend, breakers=none, clock=clock).look()
    finally:
        await backend.close()
    assert (seen.unread, seen.troubles) == ({}, ())
