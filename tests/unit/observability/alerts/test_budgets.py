"""Retry budgets: told once that they are dry, once that they are refilled, however many nodes look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from backburner.backends.memory import MemoryBackend
from backburner.model.event import NewSubscription
from backburner.model.lane import LaneRecord, Limit
from backburner.observability.alerts.budgets import Budgets
from backburner.ports.limits import Lanes
from backburner.testing.clock import FakeClock
from tests.unit.jobs.told import Ear

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

NAME = "budget:stripe"
NOW = 1_750_000_000_000_000


class Limits:
    """A `LimitStore` whose lane is as it is told."""

    def __init__(self) -> None:
        self.parked = False
        self.empty = False

    async def lanes(self, names: Sequence[str]) -> Lanes:
        free = NOW + 1 if self.empty else NOW
        return Lanes(
            NOW, tuple(LaneRecord(name=name, limit=Limit(), free_at=free, parked=self.parked) for name in names)
        )


class Stage:
    """Nodes that watch a budget on a store in memory."""

    def __init__(self) -> None:
        self.backend = MemoryBackend(FakeClock())
        self.limits = Limits()
        self.ear = Ear()
        self.told = 0

    def node(self, *names: str) -> Budgets:
        return Budgets(
            lambda: names,
            cast("Any", self.limits),
            self.backend.cells,
            told=self._tell,
            listener=self.ear,
        )

    def _tell(self) -> None:
        self.told += 1

    async def look(self, *nodes: Budgets, parked: bool, empty: bool = False) -> list[bool]:
        """Have nodes look that all have read the cells before any of them writes."""
        self.limits.parked, self.limits.empty = parked, empty
        cells = {cell.name: cell for cell in (await self.backend.cells.load("alert")).cells}
        return [await node.step(cells) for node in nodes]

    async def events(self) -> list[tuple[str, str]]:
        page = await self.backend.event_reader.read(limit=100)
        return [(event.name, event.subject) for event in page.events]

    @property
    def heard(self) -> list[tuple[str, object]]:
        return [(signal.value, fields["budget"]) for signal, fields in self.ear.heard]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Bring an open one, where somebody asks for events."""
    made = Stage()
    await made.backend.open(create=True)
    await made.backend.events.subscribe(NewSubscription(name="all", patterns=("*",), ttl=10**15))
    yield made
    await made.backend.close()


async def test_it_is_told_once_by_one_of_the_nodes(stage: Stage) -> None:
    """Dry, and refilled."""
    nodes = stage.node(NAME), stage.node(NAME)
    assert await stage.look(*nodes, parked=False, empty=True) == [False, False]
    for _ in range(3):
        assert await stage.look(*nodes, parked=True, empty=True) == [True, True]
    for _ in range(3):
        assert await stage.look(*nodes, parked=False) == [False, False]
    told = [("budget.dry", "stripe"), ("budget.refilled", "stripe")]
    assert await stage.events() == told
    assert stage.heard == told
    assert stage.told == 2


async def test_a_permit_that_comes_meanwhile_refills_nothing(stage: Stage) -> None:
    """Retries wait still; and one that is about to be let in has not found it dry."""
    node = stage.node(NAME)
    assert await stage.look(node, parked=True) == [False]
    await stage.look(node, parked=True, empty=True)
    assert await stage.look(node, parked=True) == [True]
    assert [name for name, _ in await stage.events()] == ["budget.dry"]


async def test_one_that_no_code_names_any_more_is_refilled_all_the_same(stage: Stage) -> None:
    """By whichever node looks."""
    await stage.look(stage.node(NAME), parked=True, empty=True)
    stranger = stage.node()
    assert not stranger
    assert await stage.look(stranger, parked=True) == [True]
    assert await stage.look(stranger, parked=False) == [False]
    assert [name for name, _ in await stage.events()] == ["budget.dry", "budget.refilled"]
    assert await stage.look(stranger, parked=True, empty=True) == [False], "it is nobody's"
