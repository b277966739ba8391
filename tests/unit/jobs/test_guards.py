"""Guards: two nodes turn the breakers and adaptive limits that they share, and each goes by itself while it has to."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from anyio.lowlevel import checkpoint

from backburner import Adaptive, Breaker, Registry, Reject, Retry, Snooze, constant
from backburner.backends.memory import MemoryBackend
from backburner.errors import StoreUnavailable
from backburner.jobs.guards import Guards
from backburner.jobs.registry import Kinds
from backburner.model.lane import Limit
from backburner.ports.telemetry import Signal
from backburner.resilience import adaptive, breaker
from backburner.resilience.breaker import BreakerState, Phase
from backburner.testing.clock import FakeClock
from tests.unit.jobs.engines import House
from tests.unit.jobs.told import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from backburner.model.event import NewEvent
    from backburner.model.lane import Cell
    from backburner.ports.limits import Cells, Swapped

INTERVAL = 10.0
NAME = "breaker:stripe"
BREAKER = Breaker("stripe", calls=10, open=constant(30, jitter="none"), probes=2)


class Told:
    """A `CellStore` over another, that is cut off, loses answers, or lets others go first."""

    def __init__(self, stage: Stage) -> None:
        self._cells = stage.backend.cells
        self.random: Random | None = None
        self.away = False
        self.lose = 0
        #: Answers of swaps are given once it is set.
        self.hold: asyncio.Event | None = None
        self.swaps = 0

    def move(self, stage: Stage) -> None:
        """Go over to that stage's store."""
        self._cells = stage.backend.cells

    async def load(self, prefix: str) -> Cells:
        await self._pass()
        return await self._cells.load(prefix)

    async def swap(
        self, name: str, value: str, version: int, limit: Limit | None = None, events: Sequence[NewEvent] = ()
    ) -> Swapped:
        await self._pass()
        self.swaps += 1
        answer = await self._cells.swap(name, value, version, limit, events)
        if self.hold is not None:
            await self.hold.wait()
        if self.lose:
            self.lose -= 1
            raise StoreUnavailable("its answer is lost", stored="unknown")
        return answer

    async def _pass(self) -> None:
        for _ in range(self.random.randrange(8) if self.random else 0):
            await checkpoint()
        if self.away:
            raise StoreUnavailable("away", stored="no")


class Node:
    """Guards on a stage, of a job that names some limits."""

    def __init__(self, stage: Stage, **options: Any) -> None:  # noqa: ANN401 - of a declaration
        jobs, kinds = Registry(), Kinds()

        @jobs.job(**options)
        async def work(tenant: str = "") -> None: ...

        jobs.attach(kinds)
        self.stage = stage
        self.names = work.definition.watched
        self.told = Told(stage)
        self.turned = 0
        self.guards = Guards(
            kinds.policies,
            stage.backend.limits,
            self.told,
            interval=INTERVAL,
            turned=self._turned,
            kit=stage.kit,
        )

    def _turned(self) -> None:
        self.turned += 1

    def end(self, number: int, error: BaseException | None = None, *, claimed_at: int | None = None) -> None:
        """Let so many runs end."""
        for _ in range(number):
            moment = self.stage.clock.now() if claimed_at is None else claimed_at
            self.guards.ended(self.names, error, claimed_at=moment, took=0.1)

    @property
    def holds(self) -> bool:
        return self.guards.holds(self.names)


class Pair:
    """Two nodes on one store."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.other = Stage(self.stage)
        self.nodes: list[Node] = []

    async def begin(self, *declarations: dict[str, Any]) -> list[Node]:
        """Start a node for each declaration."""
        nodes = [Node(stage, **options) for stage, options in zip((self.stage, self.other), declarations, strict=False)]
        for node in nodes:
            await node.guards.start()
        self.nodes += nodes
        await self.stage.settle()
        return nodes

    async def cell(self, name: str = NAME) -> Cell:
        (found,) = [cell for cell in (await self.stage.backend.cells.load("")).cells if cell.name == name]
        return found

    async def state(self) -> BreakerState:
        return breaker.decode((await self.cell()).value)

    async def limit(self, name: str = NAME) -> Limit:
        (found,) = [record for record in await self.stage.backend.limits.list() if record.name == name]
        return found.limit

    def told(self, signal: Signal) -> int:
        return len(self.stage.ear.told(signal)) + len(self.other.ear.told(signal))


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """Bring two stages on one store."""
    made = Pair()
    for stage in (made.stage, made.other):
        await stage.open()
    yield made
    for node in made.nodes:
        node.told.away = False
        await node.guards.stop()
    for stage in (made.stage, made.other):
        await stage.backend.close()


# ---- together ------------------------------------------------------------------------------------------------------


async def test_what_ended_on_two_nodes_opens_it_for_both(pair: Pair) -> None:
    """Each saw too little; both together see enough. The lane closes in the step that opens the breaker."""
    one, two = await pair.begin({"breaker": BREAKER}, {"breaker": BREAKER})
    assert await pair.limit() == Limit()
    one.end(5, ConnectionError())
    two.end(5, ConnectionError())
    assert not one.holds
    await pair.stage.wait(1.5)
    assert (await pair.state()).phase is Phase.OPEN
    assert await pair.limit() == Limit(slots=0)
    assert pair.told(Signal.BREAKER_OPENED) == 1
    assert one.turned + two.turned == 1
    for node in (one, two):
        node.guards.wake()
    await pair.stage.settle()
    assert one.holds
    assert two.holds


async def test_it_probes_and_closes_by_what_both_see(pair: Pair) -> None:
    """Whoever looks first lets the probes in; those that succeeded on either node are counted together."""
    nodes = await pair.begin({"breaker": BREAKER}, {"breaker": BREAKER})
    nodes[0].end(10, ConnectionError())
    await pair.stage.wait(1.5)
    await pair.stage.wait(30)
    assert (await pair.state()).phase is Phase.HALF_OPEN
    assert await pair.limit() == Limit(slots=2)
    assert pair.told(Signal.BREAKER_PROBING) == 1
    for node in nodes:
        node.end(1)
        await pair.stage.settle()
    assert ((await pair.state()).phase, await pair.limit()) == (Phase.CLOSING, Limit(slots=4))
    for step in range(2, 8):
        nodes[step % 2].end(2**step)
        await pair.stage.settle()
    assert ((await pair.state()).phase, await pair.limit()) == (Phase.CLOSED, Limit())
    assert pair.told(Signal.BREAKER_CLOSED) == 1


async def test_runs_of_another_day_say_nothing(pair: Pair) -> None:
    """What was claimed before it turned met another dependency: neither a late failure nor a late success counts."""
    one, two = await pair.begin({"breaker": BREAKER}, {"breaker": BREAKER})
    before = pair.stage.clock.now()
    one.end(10, ConnectionError())
    two.end(3, ConnectionError())
    await pair.stage.wait(1.5)
    await pair.stage.wait(30)
    for node in (one, two):
        node.end(9, ConnectionError(), claimed_at=before)
    await pair.stage.wait(1.5)
    state = await pair.state()
    assert (state.phase, state.seen.calls) == (Phase.HALF_OPEN, 0)


async def test_a_decision_of_the_job_s_own_says_nothing(pair: Pair) -> None:
    """`Reject` and `Snooze` say nothing of a dependency; `Retry` is a failure, and so is what any rule names."""
    (node,) = await pair.begin({"breaker": BREAKER})
    for error in (Reject("no"), Snooze(1)):
        node.end(20, error)
    await pair.stage.wait(1.5)
    assert (await pair.state()).phase is Phase.CLOSED
    node.end(10, Retry())
    await pair.stage.wait(1.5)
    assert (await pair.state()).phase is Phase.OPEN


@pytest.mark.parametrize("seed", range(20))
async def test_however_two_nodes_come_between_each_other_each_run_counts_once(pair: Pair, seed: int) -> None:
    """Of two that write at a time one is told so and writes again; and the lane is what the state says, at every moment."""
    policy = Breaker("stripe", calls=10_000, window=3600)
    random = Random(seed)
    nodes = await pair.begin({"breaker": policy}, {"breaker": policy})
    ended = [0, 0]
    for node in nodes:
        node.told.random = random
    for _ in range(40):
        for node in nodes:
            failed, succeeded = random.randrange(3), random.randrange(3)
            node.end(failed, ConnectionError())
            node.end(succeeded)
            ended = [ended[0] + failed + succeeded, ended[1] + failed]
            if random.random() < 0.7:
                node.guards.wake()
        await checkpoint()
        assert await pair.limit() == breaker.limit(policy, await pair.state())
    await pair.stage.wait(3)
    tallies = [bucket.tally for bucket in (await pair.state()).buckets]
    assert [sum(each.calls for each in tallies), sum(each.failures for each in tallies)] == ended


async def test_a_lost_answer_counts_once(pair: Pair) -> None:
    """A write that may have been done is not told again: it would make few failures look like many."""
    (node,) = await pair.begin({"breaker": BREAKER})
    node.told.lose = 1
    node.end(6, ConnectionError())
    await pair.stage.wait(5)
    state = await pair.state()
    assert (state.phase, sum(bucket.tally.calls for bucket in state.buckets)) == (Phase.CLOSED, 6)


async def test_a_write_that_a_stop_cuts_short_counts_once(pair: Pair) -> None:
    """It is done all the same, and is not told again by the last write of all."""
    (node,) = await pair.begin({"breaker": BREAKER})
    node.told.hold = asyncio.Event()
    node.end(6, ConnectionError())
    await pair.stage.wait(1.5)
    stopping = asyncio.ensure_future(node.guards.stop())
    await pair.stage.settle()
    node.told.hold.set()
    await stopping
    state = await pair.state()
    assert (state.phase, sum(bucket.tally.calls for bucket in state.buckets)) == (Phase.CLOSED, 6)


# ---- alone ---------------------------------------------------------------------------------------------------------


async def test_away_from_the_store_each_goes_by_what_it_sees(pair: Pair) -> None:
    """Its twin opens, which is said once, and holds back what was claimed; the other node knows nothing of it."""
    one, two = await pair.begin({"breaker": BREAKER}, {"breaker": BREAKER})
    one.told.away = True
    one.end(10, ConnectionError())
    assert one.holds
    assert not two.holds
    await pair.stage.wait(8)
    assert one.holds
    assert pair.told(Signal.BREAKER_ALONE) == 1
    assert (await pair.state()).phase is Phase.CLOSED
    # Back, it tells what it saw, and goes by what all see.
    one.told.away = False
    await pair.stage.wait(15)
    assert (await pair.state()).phase is Phase.OPEN
    assert pair.told(Signal.BREAKER_OPENED) == 1
    await pair.stage.wait(30)
    assert not one.holds
    assert (await pair.state()).phase is Phase.HALF_OPEN


async def test_away_for_long_the_twin_probes_too(pair: Pair) -> None:
    """Its time over, the twin lets runs through again, and opens again by what they meet."""
    (node,) = await pair.begin({"breaker": BREAKER})
    node.told.away = True
    node.end(10, ConnectionError())
    await pair.stage.wait(29)
    assert node.holds
    await pair.stage.wait(12)
    assert not node.holds
    node.end(2, ConnectionError())
    assert node.holds


async def test_stopping_it_tells_what_it_has_not_told(pair: Pair) -> None:
    """What ended within the last second is written before the node is gone."""
    (node,) = await pair.begin({"breaker": BREAKER})
    node.end(10, ConnectionError())
    await node.guards.stop()
    assert (await pair.state()).phase is Phase.OPEN


# ---- redeploys -----------------------------------------------------------------------------------------------------


async def test_a_breaker_survives_its_nodes(pair: Pair) -> None:
    """Another node that starts meanwhile finds it open, and lets the probes in in time, by its own policy."""
    (old,) = await pair.begin({"breaker": BREAKER})
    old.end(10, ConnectionError())
    await pair.stage.wait(1.5)
    await old.guards.stop()
    (new,) = await pair.begin({"breaker": Breaker("stripe", calls=10, probes=7)})
    assert new.holds
    await pair.stage.wait(30)
    assert ((await pair.state()).phase, await pair.limit()) == (Phase.HALF_OPEN, Limit(slots=7))


async def test_a_breaker_that_no_code_names_any_more_lets_its_jobs_through(pair: Pair) -> None:
    """What was stored under it would wait for ever; whoever names it has three beats to do it by the policy declared."""
    (old,) = await pair.begin({"breaker": BREAKER})
    old.end(10, ConnectionError())
    await pair.stage.wait(1.5)
    await old.guards.stop()
    (new,) = await pair.begin({})
    await pair.stage.wait(30 + 3 * INTERVAL - 2)
    assert (await pair.state()).phase is Phase.OPEN
    await pair.stage.wait(2)
    assert ((await pair.state()).phase, await pair.limit()) == (Phase.HALF_OPEN, Limit(slots=3))
    # Only heard of later, by a hint.
    (again,) = await pair.begin({"breaker": BREAKER})
    again.end(10, ConnectionError())
    await pair.stage.wait(1.5)
    assert (await pair.state()).phase is Phase.OPEN
    await again.guards.stop()
    new.guards.wake()
    await pair.stage.wait(60 + 3 * INTERVAL + 2)
    assert (await pair.state()).phase is Phase.HALF_OPEN
    assert pair.told(Signal.BREAKER_PROBING) == 2


async def test_from_adaptive_to_a_number_and_back(pair: Pair) -> None:
    """The number holds while it is declared; back again, the slots go on from where they stood, by a round that is new."""
    name = "concurrency:work"
    (first,) = await pair.begin({"concurrency": Adaptive(start=10, most=20)})
    first.end(9, ConnectionError())
    await pair.stage.wait(1.5)
    assert await pair.limit(name) == Limit(slots=5)
    first.end(3)
    await first.guards.stop()
    (second,) = await pair.begin({"concurrency": 3})
    assert await pair.limit(name) == Limit(slots=3)
    await second.guards.stop()
    await pair.stage.wait(3600)
    (third,) = await pair.begin({"concurrency": Adaptive(start=10, most=20)})
    assert await pair.limit(name) == Limit(slots=5)
    third.end(1, ConnectionError())
    await pair.stage.wait(1.5)
    # One failure is not a round, whatever ended an hour ago.
    assert await pair.limit(name) == Limit(slots=5)
    assert adaptive.decode((await pair.cell(name)).value).seen.calls == 1


async def test_a_state_that_cannot_be_read_is_begun_anew(pair: Pair) -> None:
    """A newer version may have left what this code cannot read: the breaker is closed, and says so in its lane."""
    await pair.stage.backend.cells.swap(NAME, '{"phase": "melting"}', 0, Limit(slots=0))
    await pair.begin({"breaker": BREAKER})
    assert ((await pair.state()).phase, await pair.limit()) == (Phase.CLOSED, Limit())


async def test_a_node_without_limits_asks_nothing(pair: Pair) -> None:
    """It declares nothing, and its loop stands still."""
    (node,) = await pair.begin({})
    await pair.stage.wait(60)
    assert node.told.swaps == 0
    assert await pair.stage.backend.limits.list() == ()


async def test_a_store_that_lost_all_is_told_again(pair: Pair) -> None:
    """Once the node is back in it; what it has kept, or a later deploy declared, stays as it is."""
    (node,) = await pair.begin({"breaker": BREAKER, "concurrency": 4, "rate": "5/s"})
    stage = pair.stage
    await stage.backend.close()
    stage.backend = MemoryBackend(stage.clock)
    await stage.backend.open(create=True)
    await stage.backend.limits.declare({"concurrency:work": Limit(slots=7)})
    node.guards._limits = stage.backend.limits
    node.told.move(stage)
    node.guards.returned()
    await stage.settle()
    assert await pair.limit() == Limit()
    assert await pair.limit("concurrency:work") == Limit(slots=7)
    assert (await pair.limit("rate:work")).rate is not None


# ---- declared later ------------------------------------------------------------------------------------------------


async def test_what_is_declared_later_is_limited_too() -> None:
    """An engine that runs takes up new jobs; what they say of limits holds soon, whether or not there were any before."""
    clock = FakeClock()
    house = House(clock=clock)
    async with house.bb:

        @house.bb.job(concurrency=4, breaker="stripe")
        async def thumb() -> None: ...

        await clock.settle()
        limits = {record.name: record.limit for record in await house.bb.limits.list()}
        assert limits["concurrency:thumb"] == Limit(slots=4)
        assert limits[NAME] == Limit()


async def test_a_breaker_is_declared_in_full_after_its_name(pair: Pair) -> None:
    """Named first, and declared in full by a job that came later: that policy holds, and what was counted stays."""
    jobs, kinds = Registry(), Kinds()
    jobs.attach(kinds)
    node = Node(pair.stage, breaker="stripe")
    node.guards._policies = kinds.policies

    @jobs.job(breaker="stripe")
    async def first() -> None: ...

    pair.nodes.append(node)
    await node.guards.start()
    node.end(5, ConnectionError())
    await pair.stage.wait(1.5)

    @jobs.job(breaker=BREAKER)
    async def second() -> None: ...

    node.guards.wake()
    await pair.stage.settle()
    assert (await pair.state()).phase is Phase.CLOSED
    node.end(5, ConnectionError())
    await pair.stage.wait(1.5)
    assert (await pair.state()).phase is Phase.OPEN
