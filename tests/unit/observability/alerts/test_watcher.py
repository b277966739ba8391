"""Nodes that watch alerts together: each is told once, whoever looks, fails, dies or is deployed anew."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from backburner.backends.memory import MemoryBackend
from backburner.errors import StoreUnavailable
from backburner.model.clock import SECOND
from backburner.model.event import NewSubscription
from backburner.model.ids import Ids
from backburner.observability.alerts.budgets import Budgets
from backburner.observability.alerts.counts import Bucket, Counts, Shared
from backburner.observability.alerts.grammar import parse
from backburner.observability.alerts.rule import Rules, make_rule
from backburner.observability.alerts.untold import Untold
from backburner.observability.alerts.watcher import Watcher
from backburner.ports.telemetry import Hooks
from backburner.testing.clock import FakeClock
from tests.unit.jobs.told import Ear

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from backburner.model.event import NewEvent
    from backburner.model.lane import Limit
    from backburner.observability.alerts.condition import Measure
    from backburner.ports.limits import Cells, Swapped

BEAT = 10.0
LETTERS = "dlq.count > 100 for 5m"


class CellsAside:
    """A node's `CellStore`, which may be away, or lose the answer of a write, or be outrun."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._cells = backend.cells
        self.away = self.mute = self.deaf = False
        self.loads = self.swaps = 0
        #: Called before each write.
        self.before: list[Any] = []

    async def load(self, prefix: str) -> Cells:
        if self.away or self.deaf:
            raise StoreUnavailable("away", stored="no")
        self.loads += 1
        return await self._cells.load(prefix)

    async def swap(
        self, name: str, value: str, version: int, limit: Limit | None = None, events: Iterable[NewEvent] = ()
    ) -> Swapped:
        self.swaps += 1
        for call in self.before:
            await call()
        if self.away:
            raise StoreUnavailable("away", stored="no")
        answer = await self._cells.swap(name, value, version, limit, tuple(events))
        if self.mute:
            raise StoreUnavailable("no answer")
        return answer


class Node:
    """A watcher, and what it is given."""

    def __init__(self, stage: Stage, *conditions: str, tidy: bool = True, **options: Any) -> None:  # noqa: ANN401 - a rule's
        self.stage = stage
        self.cells = CellsAside(stage.backend)
        self.ear = Ear()
        self.rules, self.counts, self.hooks = Rules(), Counts(), Hooks()
        for text in conditions:
            self.declare(text, **options)
        cells = cast("Any", self.cells)
        self.watcher = Watcher(
            self.rules,
            self.counts,
            readings=cast("Any", self),
            budgets=Budgets(lambda: (), stage.backend.limits, cells, told=stage.told.set, listener=self.ear),
            untold=Untold(stage.backend.events, Ids(stage.clock), wake=lambda: None, told=stage.told.set),
            cells=cells,
            tidy=tidy,
            told=stage.told.set,
            clock=stage.clock,
            listener=self.ear,
        )

    def declare(self, text: str, *, name: str | None = None, pause: float = 3600) -> None:
        rule = make_rule(text, name, pause)
        self.rules.check(rule)
        self.rules.add(rule)
        for comparison in rule.condition.comparisons:
            self.counts.ask(comparison.measure, self.hooks)

    async def take(self, measures: Iterable[Measure], shared: Shared, now: int) -> dict[Measure, float | None]:
        """Answer what is to be measured, in the place of `Readings`."""
        self.shared = shared
        return {
            each: shared.failure_ratio(each.argument, each.window or 0, now) if each.window else self.stage.value
            for each in measures
        }

    async def look(self) -> float | None:
        return await self.watcher.step()

    @property
    def heard(self) -> list[str]:
        return [signal.value for signal, _ in self.ear.heard]


class Stage:
    """A store, and what is measured in it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.backend = MemoryBackend(self.clock)
        self.value = 0.0
        self.told = asyncio.Event()

    async def events(self) -> list[tuple[str, str, dict[str, Any]]]:
        page = await self.backend.event_reader.read(limit=100)
        return [(event.name, event.subject, json.loads(event.data)) for event in page.events]

    async def names(self) -> list[str]:
        return [name for name, _, _ in await self.events()]

    async def pass_time(self, minutes: float, *nodes: Node) -> None:
        """Let time pass, each node looking every beat."""
        for _ in range(round(minutes * 60 / BEAT)):
            self.clock.move(BEAT)
            for node in nodes:
                await node.look()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Bring an open one, where somebody asks for events."""
    made = Stage()
    await made.backend.open(create=True)
    await made.backend.events.subscribe(NewSubscription(name="all", patterns=("*",), ttl=10**15))
    yield made
    await made.backend.close()


async def test_an_alert_from_beginning_to_end(stage: Stage) -> None:
    """Told once when it has held for as long as it says, and once when it holds no more, with what was measured."""
    nodes = Node(stage, LETTERS, name="letters"), Node(stage, LETTERS, name="letters")
    await stage.pass_time(1, *nodes)
    stage.value = 120
    await stage.pass_time(5, *nodes)
    assert await stage.events() == []
    await stage.pass_time(30, *nodes)
    stage.value = 7
    await stage.pass_time(1, *nodes)
    since = "2025-06-15T15:07:50Z"
    assert await stage.events() == [
        ("alert.fired", "letters", {"when": LETTERS, "value": 120.0, "since": since}),
        ("alert.resolved", "letters", {"when": LETTERS, "value": 7.0, "since": since}),
    ]
    assert sorted(nodes[0].heard + nodes[1].heard) == ["alert.fired", "alert.resolved"]
    told = [fields for node in nodes for _, fields in node.ear.heard]
    assert {fields["alert"] for fields in told} == {"letters"}
    assert stage.told.is_set()


async def test_nodes_count_one_time_together(stage: Stage) -> None:
    """One sees it first and dies; another goes on, and it fires when it has held for as long as it says in all."""
    first, second = Node(stage, LETTERS), Node(stage, LETTERS)
    stage.value = 120
    await stage.pass_time(3, first)
    await stage.pass_time(2, second)
    assert await stage.names() == []
    await stage.pass_time(0.5, second)
    assert await stage.names() == ["alert.fired"]


async def test_a_node_that_cannot_ask_the_store_changes_nothing(stage: Stage) -> None:
    """It neither begins nor ends anything; the others go on."""
    cut_off, other = Node(stage, LETTERS), Node(stage, LETTERS)
    stage.value = 120
    await stage.pass_time(3, cut_off, other)
    cut_off.cells.away = True
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await cut_off.look()
    await stage.pass_time(3, other)
    assert await stage.names() == ["alert.fired"]
    assert cut_off.heard == []


async def test_an_answer_that_is_lost_is_not_told_twice(stage: Stage) -> None:
    """What was written is found at the next look."""
    node = Node(stage, "dlq.count > 100")
    stage.value = 120
    node.cells.mute = True
    with pytest.raises(StoreUnavailable):
        await node.look()
    node.cells.mute = False
    await stage.pass_time(2, node)
    assert await stage.names() == ["alert.fired"]


async def test_of_two_that_turn_it_at_once_one_is_heard(stage: Stage) -> None:
    """The other was outrun, and says nothing."""
    node, quicker = Node(stage, "dlq.count > 100"), Node(stage, "dlq.count > 100")
    stage.value = 120
    node.cells.before.append(quicker.look)
    await node.look()
    assert await stage.names() == ["alert.fired"]
    assert (node.heard, quicker.heard) == ([], ["alert.fired"])


async def test_what_holds_on_is_written_once_a_minute_and_what_does_not_never(stage: Stage) -> None:
    """However many look."""
    nodes = Node(stage, LETTERS), Node(stage, LETTERS)
    await stage.pass_time(10, *nodes)
    assert [node.cells.swaps for node in nodes] == [0, 0]
    stage.value = 120
    await stage.pass_time(30, *nodes)
    assert sum(node.cells.swaps for node in nodes) <= 32


async def test_one_that_a_deploy_removed_is_resolved_by_any_node(stage: Stage) -> None:
    """Once nobody has watched it for ten minutes; then there is nothing to look at any more."""
    old = Node(stage, "dlq.count > 100", name="old")
    stage.value = 120
    await old.look()
    new = Node(stage)
    assert await new.look() == BEAT
    await stage.pass_time(10, new)
    assert await stage.names() == ["alert.fired"]
    await stage.pass_time(0.5, new)
    assert [(name, subject) for name, subject, _ in await stage.events()] == [
        ("alert.fired", "old"),
        ("alert.resolved", "old"),
    ]
    assert "value" not in (await stage.events())[1][2]
    assert await new.look() is None
    # Declared once more, it is as any.
    again = Node(stage, "dlq.count > 100", name="old", pause=0)
    await again.look()
    assert await stage.names() == ["alert.fired", "alert.resolved", "alert.fired"]


async def test_one_that_others_watch_is_left_to_them(stage: Stage) -> None:
    """A node of another version does not end it."""
    old, new = Node(stage, "dlq.count > 100", name="old"), Node(stage, "queue.depth > 1000")
    stage.value = 120
    await stage.pass_time(30, old, new)
    assert await stage.names() == ["alert.fired"]


async def test_where_there_is_nothing_to_watch_the_store_is_asked_once(stage: Stage) -> None:
    """Or never, by an engine that only stores."""
    running, storing = Node(stage), Node(stage, tidy=False)
    for node in (running, storing):
        for _ in range(3):
            assert await node.look() is None
    assert [node.cells.loads for node in (running, storing)] == [1, 0]


@pytest.mark.parametrize(("took", "wait"), [(0.5, BEAT), (5, 50), (30, 60)])
async def test_a_slow_store_is_asked_less_often(stage: Stage, took: float, wait: float) -> None:
    """Looking takes a tenth of the time, as long as that is not too seldom."""
    node = Node(stage, LETTERS)
    assert await node.look() == BEAT

    async def slow(*_: object) -> dict[Measure, float | None]:
        stage.clock.move(took)
        return {}

    node.take = slow  # type: ignore[assignment,method-assign]
    assert await node.look() == wait


# ---- what nodes count ------------------------------------------------------------------------------------------------

RATIO = "jobs.failure_ratio > 20%"


def count(node: Node, ended: int, failed: int) -> None:
    """Have a node count runs."""
    node.counts.give_back(Bucket(runs={"": (ended, failed)}))


async def test_the_failure_ratio_is_of_all_nodes(stage: Stage) -> None:
    """None of them has seen enough, both together have."""
    first, second = Node(stage, RATIO), Node(stage, RATIO)
    count(first, 6, 0)
    count(second, 6, 3)
    await first.look()
    assert await stage.names() == []
    await second.look()
    assert [data["value"] for _, _, data in await stage.events()] == [25.0]
    await stage.pass_time(7, first, second)
    assert await stage.names() == ["alert.fired", "alert.resolved"]


async def test_what_two_count_at_once_is_added(stage: Stage) -> None:
    """The one that was outrun adds to what the other wrote."""
    node, quicker = Node(stage, RATIO), Node(stage, RATIO)
    count(node, 6, 0)
    count(quicker, 6, 3)

    async def outrun() -> None:
        node.cells.before.clear()
        await quicker.look()

    node.cells.before.append(outrun)
    await node.look()
    assert node.shared.failure_ratio(None, 300 * SECOND, stage.clock.now()) == 25


async def test_one_that_is_always_outrun_tries_again_at_the_next_look(stage: Stage) -> None:
    """What it counted is kept until then."""
    node, quicker = Node(stage, RATIO), Node(stage, RATIO)
    count(node, 10, 10)

    async def outrun() -> None:
        count(quicker, 1, 0)
        await quicker.look()

    node.cells.before.append(outrun)
    await node.look()
    assert node.shared.failure_ratio(None, 300 * SECOND, stage.clock.now()) is None
    node.cells.before.clear()
    await node.look()
    assert node.shared.failure_ratio(None, 300 * SECOND, stage.clock.now()) == pytest.approx(1000 / 15)


@pytest.mark.parametrize("failure", ["away", "mute"])
async def test_an_outage_counts_everything_once(stage: Stage, failure: str) -> None:
    """What is known not to be written is kept; what may be is not told again."""
    node = Node(stage, RATIO)
    count(node, 10, 10)

    async def fail() -> None:
        setattr(node.cells, failure, True)

    node.cells.before.append(fail)
    with pytest.raises(StoreUnavailable):
        await node.look()
    node.cells.before.clear()
    setattr(node.cells, failure, False)
    await node.look()
    assert sum(bucket.runs[""][0] for bucket in node.shared.buckets.values()) == 10


async def test_one_that_is_outrun_and_then_cut_off_forgets_nothing(stage: Stage) -> None:
    """What it counted is known not to be written."""
    node, quicker = Node(stage, RATIO), Node(stage, RATIO)
    count(node, 10, 10)
    count(quicker, 10, 0)

    async def outrun() -> None:
        node.cells.before.clear()
        await quicker.look()
        node.cells.deaf = True

    node.cells.before.append(outrun)
    with pytest.raises(StoreUnavailable):
        await node.look()
    node.cells.deaf = False
    await node.look()
    assert node.shared.failure_ratio(None, 300 * SECOND, stage.clock.now()) == 50


async def test_what_only_this_version_can_read_begins_anew(stage: Stage) -> None:
    """Cells of another's writing harm nobody."""
    node = Node(stage, "dlq.count > 100", RATIO)
    for name in ("alert/dlq.count > 100", "alert.counted", "alert/other"):
        await stage.backend.cells.swap(name, '["strange"]', 0)
    stage.value = 120
    count(node, 10, 0)
    await stage.pass_time(1, node)
    assert await stage.names() == ["alert.fired"]


def test_measures_are_asked_once() -> None:
    """Two alerts on one thing are one reading."""
    (first,), (second,) = (parse(text).comparisons for text in ("dlq.count > 1", "dlq.count > 1000 for 1h"))
    assert first.measure == second.measure
    assert len({first.measure, second.measure}) == 1
