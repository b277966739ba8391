"""The lanes of the store in memory: what they promise beyond the contract of every store."""

from __future__ import annotations

import gc
import sys
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from backburner.backends.memory import MemoryDatabase
from backburner.backends.memory.claiming import claim
from backburner.backends.memory.database import Node
from backburner.backends.memory.inserting import insert
from backburner.backends.memory.pruning import prune
from backburner.backends.memory.settling import settle
from backburner.model.clock import SECOND
from backburner.model.job import JobState, NewJob, Settlement
from backburner.model.lane import LANE_GATE, Algorithm, Limit, LimitRecord, Rate
from backburner.model.node import NodeRecord
from backburner.ports.jobs import Keep
from backburner.testing.contracts.making import ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.model.job import Claim

FOREVER = 2**60
QUEUES = ("default", "other")
LIMITS = ("a", "b", "c")
LANES = ("a", "b/1", "b/2", "c")
NOT_AT_ALL = Keep(completed=0, cancelled=0, dead=0)


class Store:
    """A database with one node, whose verbs are plain calls."""

    def __init__(self) -> None:
        self.now = 10**15
        self.database = MemoryDatabase()
        record = NodeRecord(id="node", host="host", pid=1, started_at=0, queues={}, kinds=())
        self.database.nodes["node"] = Node(record, FOREVER, draining=False)
        self._numbers = count(1)

    def add(self, *lanes: str, **fields: Any) -> str:  # noqa: ANN401 - any field of a job
        given: dict[str, Any] = {"id": f"{next(self._numbers):06}", "kind": "note", "queue": "default", "args": "{}"}
        job = NewJob(**given | fields, lanes=lanes)
        insert(self.database, [job], None, self.now)
        return job.id

    def claim(self, limit: int = 100) -> tuple[Claim, ...]:
        return claim(self.database, ask(limit=limit, queues=QUEUES), self.now).claims

    def settle(self, claimed: Claim, state: JobState = JobState.COMPLETED, **fields: Any) -> None:  # noqa: ANN401
        settlement = Settlement(id=claimed.id, token=claimed.token, state=state, **fields)
        assert settle(self.database, "node", [settlement], self.now)[0] == ()

    def declare(self, name: str, limit: Limit) -> None:
        self.database.lanes.write(LimitRecord(name=name, declared=limit), self.now)

    def prune(self) -> None:
        prune(self.database, NOT_AT_ALL, 100_000, self.now)


rates = st.sampled_from(
    [
        Rate(limit=1, period=SECOND),
        Rate(limit=5, period=SECOND, burst=3),
        Rate(limit=2, period=SECOND, algorithm=Algorithm.FIXED),
        Rate(limit=3, period=SECOND, algorithm=Algorithm.SLIDING),
    ]
)
limits = st.builds(Limit, slots=st.sampled_from([None, 0, 1, 2]), rate=st.none() | rates)


class Lanes(RuleBasedStateMachine):
    """Whatever happens in whatever order, slots hold, those who stand are where their gate says, and nobody is lost."""

    @initialize()
    def begin(self) -> None:
        self.store = Store()
        self.running: dict[str, Claim] = {}
        self.lent: set[str] = set()

    @rule(
        lanes=st.lists(st.sampled_from(LANES), unique=True, max_size=3),
        queue=st.sampled_from(QUEUES),
        priority=st.sampled_from([0, 5]),
        delay=st.sampled_from([0, 0, SECOND]),
    )
    def add(self, lanes: list[str], queue: str, priority: int, delay: int) -> None:
        self.store.add(*lanes, queue=queue, priority=priority, delay=delay)

    @rule(limit=st.integers(1, 5))
    def claim(self, limit: int) -> None:
        # Those over a limit that was lowered, or whose slot was taken back, keep others out, and are let be.
        full = {name for name in LANES if not self._room(name)}
        claims = self.store.claim(limit)
        assert not full & {name for claimed in claims for name in claimed.lanes}
        for name in LANES:
            slots, running = self.store.database.lanes.limit(name).slots, self._holders(name)
            assert slots is None or len(running) <= slots or name in full
        self.running.update({claimed.id: claimed for claimed in claims})

    @rule(data=st.data(), state=st.sampled_from([JobState.COMPLETED, JobState.PENDING]))
    def settle(self, data: st.DataObject, state: JobState) -> None:
        if self.running:
            claimed = self.running.pop(data.draw(st.sampled_from(sorted(self.running))))
            self.lent.discard(claimed.id)
            self.store.settle(claimed, state)

    @rule(data=st.data())
    def lend(self, data: st.DataObject) -> None:
        if self.running:
            claimed = self.running[data.draw(st.sampled_from(sorted(self.running)))]
            self.lent ^= {claimed.id}
            self.store.settle(claimed, JobState.RUNNING, lent=claimed.id in self.lent)

    @rule(name=st.sampled_from(LIMITS), limit=limits)
    def declare(self, name: str, limit: Limit) -> None:
        self.store.declare(name, limit)

    @rule(passed=st.sampled_from([1, SECOND // 3, 5 * SECOND]))
    def move(self, passed: int) -> None:
        self.store.now += passed

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        database = self.store.database
        pending = sorted(row.job.id for row in database.jobs.values() if row.state is JobState.PENDING)
        if pending:
            row = database.jobs[data.draw(st.sampled_from(pending))]
            database.leave(row)
            database.end(row, JobState.CANCELLED, None, self.store.now)

    @rule()
    def prune(self) -> None:
        self.store.prune()

    @invariant()
    def all_is_counted(self) -> None:
        """A gate tells who stands there; only runs that are not lent hold slots."""
        database = self.store.database
        standing = {
            (LANE_GATE + name, entry[3].job.id)
            for name in LANES
            for lines in database.lanes.get(name).lines.values()
            for line in lines.values()
            for entry in line
        }
        assert standing == {(row.gate, row.job.id) for row in database.jobs.values() if row.gate}
        for name in LANES:
            assert self._holders(name) <= self.running.keys() - self.lent

    def teardown(self) -> None:
        """All limits lifted and time passed, everybody runs, and nothing is left of any lane."""
        store = self.store
        for name in LIMITS:
            store.declare(name, Limit())
        store.now += 10 * SECOND
        for claimed in (*self.running.values(), *store.claim()):
            store.settle(claimed)
        assert all(row.ended_at is not None for row in store.database.jobs.values())
        store.prune()
        assert store.database.lanes._in_use == {}

    def _room(self, name: str) -> bool:
        slots = self.store.database.lanes.limit(name).slots
        return slots is None or len(self._holders(name)) < slots

    def _holders(self, name: str) -> set[str]:
        return self.store.database.lanes.get(name).holders


TestLanes = Lanes.TestCase
TestLanes.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)


def _calls(verb: Callable[[], object]) -> int:
    """Count the calls that a verb makes; what a collection of garbage calls meanwhile is none of its own."""
    calls = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    gc.disable()
    sys.setprofile(note)
    try:
        verb()
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls


@pytest.mark.parametrize("lanes", [("x",), tuple(f"x/{number}" for number in range(100))])
def test_those_who_stand_cost_nothing(lanes: tuple[str, ...]) -> None:
    """A claim does the same whether few or many stand at lanes, at one or at many."""
    store = Store()
    store.declare("x", Limit(slots=0))
    costs = []
    for number in (1, 20):
        for lane in lanes * number:
            store.add(lane)
        while claim(store.database, ask(), store.now).wait == 0:
            pass
        store.add()
        costs.append(_calls(store.claim))
    assert costs[0] == costs[1]


def test_lanes_leave_nothing() -> None:
    """Keys that were used once, cancelled where they stood or ran to their end, leave nothing once their rate is full."""
    store = Store()
    store.declare("x", Limit(slots=1, rate=Rate(limit=1, period=SECOND)))
    for number in range(1_000):
        for _ in range(2):
            store.add(f"x/{number}")
    claims = store.claim(limit=10_000)
    assert len(claims) == len(store.database.lanes._in_use) == 1_000
    for claimed in claims:
        store.settle(claimed)
    for row in [row for row in store.database.jobs.values() if row.state is JobState.PENDING]:
        store.database.leave(row)
        store.database.end(row, JobState.CANCELLED, None, store.now)
    store.prune()
    assert len(store.database.lanes._in_use) == 1_000
    store.now += SECOND
    store.prune()
    assert store.database.lanes._in_use == {}
    assert store.claim() == ()
    assert store.database.lanes._moments == []


def test_moments_that_are_over_are_swept() -> None:
    """However often a lane's moment is brought forward, what is left of those before takes no more than a little room."""
    store = Store()
    store.declare("x", Limit(rate=Rate(limit=1, period=10**6 * SECOND), deposit=SECOND))
    for _ in range(2):
        store.add("x")
    for claimed in store.claim():
        store.settle(claimed, JobState.PENDING, failed=1)
    assert len(store.claim()) == 1
    before = store.database.lanes.next_opening()
    for _ in range(1_000):
        store.add("x")
    assert len(store.claim(limit=1_000)) == 1_000
    after = store.database.lanes.next_opening()
    assert before is not None
    assert after is not None
    assert before[0] - after[0] == 1_000 * SECOND
    assert len(store.database.lanes._moments) <= 100


def test_a_full_budget_keeps_no_lane() -> None:
    """First attempts whose budget is full enter nothing: naming a budget costs next to nothing until something fails."""
    store = Store()
    store.declare("x", Limit(rate=Rate(limit=1, period=SECOND), deposit=SECOND))
    store.add("x")
    assert len(store.claim()) == 1
    assert store.database.lanes._in_use == {}


def test_first_attempts_pass_those_who_wait_for_a_budget() -> None:
    """A dry budget holds up retries alone: a new job is not parked behind them, and pays in what lets the next one go."""
    store = Store()
    store.declare("x", Limit(rate=Rate(limit=1, period=60 * SECOND), deposit=60 * SECOND))
    retries = [store.add("x") for _ in range(2)]
    for claimed in store.claim():
        store.settle(claimed, JobState.PENDING, failed=1)
    assert [claimed.id for claimed in store.claim()] == retries[:1]
    new = store.add("x")
    assert [claimed.id for claimed in store.claim()] == [new]
    assert [claimed.id for claimed in store.claim()] == retries[1:]


def test_a_rate_lifted_for_a_while_is_kept() -> None:
    """What was used of a rate stays used while another limit holds, unless that is measured by another algorithm."""
    store = Store()
    slow, fixed = Rate(limit=1, period=60 * SECOND), Rate(limit=1, period=60 * SECOND, algorithm=Algorithm.FIXED)
    for between, expected in ((Limit(slots=5), 0), (Limit(rate=fixed), 1)):
        store.declare("x", Limit(rate=slow))
        store.now += 60 * SECOND
        store.add("x")
        assert len(store.claim()) == 1
        store.declare("x", between)
        store.declare("x", Limit(rate=slow))
        store.add("x")
        assert len(store.claim()) == expected


def test_a_lane_that_opens_already_is_not_opened_again() -> None:
    """Lanes are counted once however often they are looked at; those that are full, or empty, are not counted."""
    store = Store()
    for name in ("room", "full", "empty"):
        store.declare(name, Limit(slots=0))
    for name in ("room", "full"):
        store.add(name)
    assert store.claim() == ()
    lanes = store.database.lanes
    lanes._limits["room"] = LimitRecord(name="room", declared=Limit(slots=1))
    assert [lanes.release(10, store.now) for _ in range(3)] == [1, 0, 0]
    assert len(store.claim()) == 1
