"""The keeper: what the node runs held against what the store says, a lost lease, a hung loop, a new node."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, cast

import pytest

from backburner.backends.memory.nodes import MemoryNodeStore
from backburner.errors import LeaseLost, StoreBusy, StoreUnavailable
from backburner.jobs.handles import Handles
from backburner.jobs.hints import Hints
from backburner.jobs.joined import Joined
from backburner.jobs.keeper import LeaseKeeper
from backburner.jobs.order import Orders
from backburner.jobs.worker import Plan, Worker
from backburner.model.ids import Ids
from backburner.model.job import Settlement
from backburner.ports.backend import Hint
from backburner.ports.jobs import ClaimRequest, Keep
from backburner.ports.nodes import Beat
from backburner.ports.telemetry import Signal
from backburner.resilience.retry import POLICIES
from backburner.shield import to_the_end
from tests.unit.jobs.told import LEASE, SECOND, job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from typing import Self

    from backburner.model.event import NewEvent
    from backburner.model.node import NodeRecord
    from backburner.ports.backend import Backend
    from tests.unit.jobs.told import Stage

WAIT = 10
STALL = 300 * SECOND
LONG = 1_000_000.0


class Station:
    """A whole node on the stage's store: what the keeper finds is acted on by the worker."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.ran: list[tuple[str, int]] = []
        self.gate = asyncio.Event()

        async def work() -> str:
            task = asyncio.current_task()
            assert task is not None
            self.ran.append((task.get_name(), len(self.ran)))
            await self.gate.wait()
            return "done"

        stage.define(work)
        hints = Hints(stage.backend.notifier, stage.kit)
        joined = Joined(stage.backend.transactions)
        handles = Handles(stage.backend.reader, self._cancel, joined, kit=stage.kit)
        self.worker = Worker(
            cast("Backend", stage.backend),
            stage.kinds,
            handles,
            hints,
            orders=Orders(stage.kinds, Ids(stage.clock), argument_limit=1000),
            schedules=tuple,
            joined=joined,
            node=stage.node,
            plan=Plan(
                queues={"default": 10},
                slots=10,
                threads=1,
                processes=1,
                around=(),
                retry=POLICIES["standard"],
                timeout=0,
                lease=LEASE,
                stall_limit=STALL,
                grace=0,
                keep=Keep(completed=None, cancelled=None, dead=None),
                argument_limit=1000,
                result_limit=1000,
            ),
            kit=stage.kit,
        )
        self.hints = hints

    @staticmethod
    async def _cancel(job_id: str) -> bool:
        raise AssertionError(job_id)

    async def put(self, *ids: str) -> None:
        """Store jobs past the engine, and tell it."""
        await self.stage.backend.jobs.enqueue([[job(one)] for one in ids])
        self.worker.midwife.expect("default", 0)
        await self.stage.settle()

    async def beat(self) -> None:
        await self.stage.wait(LEASE / SECOND / 3)

    async def close(self) -> None:
        """End the node and what it runs."""
        self.gate.set()
        stopping = asyncio.get_running_loop().create_task(self.worker.stop())
        await self.stage.wait(30)
        await stopping
        await self.hints.stop()

    async def end(self, node: str, job_id: str, token: int) -> None:
        """End a claim past the engine."""
        await self.stage.backend.jobs.settle(node, [Settlement(id=job_id, token=token, state="pending")])  # type: ignore[arg-type]


@pytest.fixture
async def station(stage: Stage) -> AsyncIterator[Station]:
    """Bring a working node."""
    made = Station(stage)
    await made.worker.start()
    await stage.settle()
    yield made
    await made.close()


async def test_a_node_beats_for_as_long_as_it_lives(stage: Stage, station: Station) -> None:
    """A node that beats holds its jobs through many leases."""
    await station.put("a")
    for _ in range(20):
        await station.beat()
    station.gate.set()
    await stage.settle()
    assert stage.row("a") == ("completed", 1, 0, 0, 0)


async def test_a_lost_claim_ends_its_run(stage: Stage, station: Station) -> None:
    """A claim that the store says is another's ends its run here, untold to the store."""
    await station.put("a")
    row = stage.database.jobs["a"]
    row.token += 1
    await station.beat()
    assert [fields["id"] for fields in stage.ear.told(Signal.JOB_LOST)] == ["a"]
    assert stage.row("a")[2:] == (0, 0, 0)


async def test_a_cancel_asked_for_elsewhere_ends_the_run(stage: Stage, station: Station) -> None:
    """A person's cancel, asked for on another node, reaches the run at the next beat."""
    await station.put("a")
    await stage.backend.admin.cancel(("a",))
    await station.beat()
    assert stage.row("a")[0] == "cancelled"


async def test_a_stray_is_given_back_after_half_a_beat(stage: Stage, station: Station) -> None:
    """A claim that this node holds and does not run is given back once known as such for half a beat, uncharged."""
    await stage.backend.jobs.enqueue([[job("stray")]])
    request = ClaimRequest(node=stage.node.id, queues={"default": 1}, limit=1, kinds=frozenset({"work"}))
    await stage.backend.jobs.claim(request)
    station.worker.heard(Hint.CONTROL)
    await stage.settle()
    station.worker.heard(Hint.CONTROL)
    await stage.settle()
    assert stage.row("stray")[0] == "running"
    assert station.ran == []
    await station.beat()
    await station.beat()
    assert [name for name, _ in station.ran] == ["stray"]
    assert stage.row("stray") == ("running", 2, 0, 0, 0)


async def test_a_lost_lease_makes_a_new_node(stage: Stage, station: Station) -> None:
    """A node whose lease was lost drops its runs, comes back under a new id, and works on; lost work is a crash."""
    await station.put("a")
    before = stage.node.id
    async with stage.backend.keeper() as keeper:
        await keeper.abandon(before)
    for _ in range(3):
        await station.beat()
    assert stage.node.id != before
    assert stage.ear.told(Signal.NODE_STALLED)
    station.gate.set()
    await station.beat()
    assert stage.row("a") == ("completed", 2, 0, 1, 0)


async def test_coming_back_leaves_no_ghost(stage: Stage, station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that comes back enters one new id, also when the first answer to that is lost."""
    publish = MemoryNodeStore.publish
    lost = [StoreUnavailable("the answer was lost", stored="unknown")]

    async def and_lose(store: MemoryNodeStore, node: NodeRecord, ttl: int, events: Sequence[NewEvent]) -> None:
        await publish(store, node, ttl, events)
        if lost:
            raise lost.pop()

    monkeypatch.setattr(MemoryNodeStore, "publish", and_lose)
    async with stage.backend.keeper() as keeper:
        await keeper.abandon(stage.node.id)
    for _ in range(3):
        await station.beat()
    assert not lost
    assert [node.id for node in await stage.backend.nodes.find() if node.alive] == [stage.node.id]


# ---- a thread of its own -------------------------------------------------------------------------------------------


class Beats:
    """A `Keeper` used from the keeper's thread: does as told, and says what it did."""

    def __init__(self) -> None:
        self.beaten = threading.Semaphore(0)
        self.abandoned = threading.Event()
        self.errors: list[Exception] = []
        self.opening: list[Exception] = []
        self.threads: set[int] = set()
        #: Answers no beat from now on, and heeds no cancellation, until this is set.
        self.hung: threading.Event | None = None

    async def __aenter__(self) -> Self:
        if self.opening:
            raise self.opening.pop(0)
        return self

    async def __aexit__(self, *_error: object) -> None:
        pass

    async def beat(self, node: str, ttl: int) -> Beat:
        del node, ttl
        self.threads.add(threading.get_ident())
        self.beaten.release()
        if self.errors:
            raise self.errors.pop(0)
        if self.hung is not None:
            await to_the_end(asyncio.to_thread(self.hung.wait, WAIT))
        return Beat(now=0, claims=())

    async def abandon(self, node: str) -> None:
        del node
        self.abandoned.set()


class OwnThread:
    """A backend, as far as a keeper with a thread of its own knows it."""

    own_thread = True

    def __init__(self, beats: Beats, *, timed: bool) -> None:
        self._beats = beats
        self.timed_leases = timed

    def keeper(self) -> Beats:
        return self._beats


class Watch:
    """A keeper with a thread of its own, and what it told the engine's loop."""

    def __init__(self, stage: Stage, lease: int | None = None, *, timed: bool = False) -> None:
        if lease is None:
            # Time that the fence looks through by the second; where there is none, more than any stall.
            lease = (300 if timed else 3000) * SECOND
        self.beats = Beats()
        self.fell = asyncio.Event()
        self.whys: list[Signal] = []
        self.told = asyncio.Semaphore(0)
        self.keeper = LeaseKeeper(
            cast("Backend", OwnThread(self.beats, timed=timed)),
            node=stage.node,
            lease=lease,
            stall_limit=LONG if timed else STALL / SECOND,
            running=dict[str, int],
            beaten=self._beaten,
            fell=self._fell,
            kit=stage.kit,
        )
        self.keeper.start(stage.clock.monotonic())

    def _fell(self, why: Signal) -> None:
        self.whys.append(why)
        self.fell.set()

    def _beaten(self, running: Mapping[str, int], beat: Beat) -> None:
        del running, beat
        self.told.release()

    async def beat(self) -> None:
        """Wait for a beat in the thread."""
        assert await asyncio.to_thread(self.beats.beaten.acquire, timeout=WAIT)


@pytest.fixture
async def watch(stage: Stage) -> AsyncIterator[Watch]:
    """Bring a keeper that beats, so that only `hurry` makes it beat again within the test."""
    made = Watch(stage)
    yield made
    async with asyncio.timeout(WAIT):
        await made.keeper.stop()


async def test_it_beats_in_a_thread_of_its_own(watch: Watch) -> None:
    """The beat leaves from another thread than the engine's; what it found is told on the engine's loop."""
    async with asyncio.timeout(WAIT):
        await watch.told.acquire()
    assert threading.get_ident() not in watch.beats.threads


async def test_a_hint_hurries_the_thread(watch: Watch) -> None:
    """A hint brings the next beat at once."""
    async with asyncio.timeout(WAIT):
        await watch.told.acquire()
        watch.keeper.hurry()
        await watch.told.acquire()


async def test_a_store_that_is_away_stops_no_beats(stage: Stage, watch: Watch) -> None:
    """A beat that fails is followed by another after a backoff; nothing is lost by it, and its end is told too."""
    async with asyncio.timeout(WAIT):
        await watch.told.acquire()
        watch.beats.errors = [StoreBusy("locked"), StoreUnavailable("away")]
        watch.keeper.hurry()
        await watch.told.acquire()
    assert not watch.fell.is_set()
    assert [fields["failures"] for fields in stage.ear.told(Signal.STORE_WAITING)] == [1, 2]
    assert [fields["failures"] for fields in stage.ear.told(Signal.STORE_RECOVERED)] == [2]


async def test_an_error_nobody_foresaw_stops_no_beats(stage: Stage, watch: Watch) -> None:
    """Whatever a beat raises is told, and another beat follows."""
    async with asyncio.timeout(WAIT):
        await watch.told.acquire()
        watch.beats.errors = [PermissionError("the directory")]
        watch.keeper.hurry()
        await watch.told.acquire()
    assert [fields["loop"] for fields in stage.ear.told(Signal.LOOP_FAILED)] == ["keeper"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_keeper_that_cannot_open_tries_again(stage: Stage) -> None:
    """A keeper whose connection cannot be opened at first beats once it can."""
    watch = Watch.__new__(Watch)
    beats = Beats()
    beats.opening = [StoreUnavailable("not yet")]
    told = asyncio.Semaphore(0)
    watch.keeper = LeaseKeeper(
        cast("Backend", OwnThread(beats, timed=False)),
        node=stage.node,
        lease=LEASE,
        stall_limit=STALL / SECOND,
        running=dict[str, int],
        beaten=lambda _running, _beat: told.release(),
        fell=lambda _why: None,
        kit=stage.kit,
    )
    watch.keeper.start(stage.clock.monotonic())
    try:
        async with asyncio.timeout(WAIT):
            await told.acquire()
    finally:
        await watch.keeper.stop()


async def test_a_hung_loop_loses_its_lease(stage: Stage, watch: Watch) -> None:
    """When the engine's loop has been silent for the stall limit the thread lets the lease go, and says so later."""
    async with asyncio.timeout(WAIT):
        await watch.told.acquire()
    # From here on the loop is silent: this test holds it, as a blocking call in an endpoint would.
    stage.clock.move(STALL / SECOND + 1)
    watch.keeper._thread_loop.call_soon_threadsafe(watch.keeper._hurry.set)  # type: ignore[union-attr]
    assert watch.beats.abandoned.wait(WAIT)
    async with asyncio.timeout(WAIT):
        await watch.fell.wait()
    assert watch.keeper.lost


async def test_a_suspended_machine_is_not_a_hung_loop(stage: Stage) -> None:
    """Time in which the keeper's thread slept too is not the loop's silence: after it the node beats as before."""
    watch = Watch(stage, lease=LEASE)
    async with asyncio.timeout(WAIT):
        await watch.told.acquire()
        await watch.beat()

    def pass_over() -> None:
        stage.clock.move(STALL / SECOND * 100)
        watch.keeper._hurry.set()

    # In the thread, while it waits; the loop is held here, as in a process that does not run.
    watch.keeper._thread_loop.call_soon_threadsafe(pass_over)  # type: ignore[union-attr]
    assert watch.beats.beaten.acquire(timeout=WAIT)
    assert not watch.beats.abandoned.is_set()
    await watch.keeper.stop()


async def test_a_store_away_for_long_is_not_a_hung_loop(stage: Stage, watch: Watch) -> None:
    """While the store is away the loop is still heard: however long that takes, the lease is not let go for it."""
    async with asyncio.timeout(WAIT):
        await watch.told.acquire()
        watch.beats.errors = [StoreBusy("locked")] * 5
        for _ in range(4):
            stage.clock.move(STALL / SECOND / 3)
            watch.keeper.hurry()
            await watch.beat()
            await stage.settle()
        watch.beats.errors = []
        watch.keeper.hurry()
        await watch.told.acquire()
    assert not watch.beats.abandoned.is_set()


async def test_a_keeper_that_lost_its_lease_can_be_stopped_and_hurried(watch: Watch) -> None:
    """After a lost lease its thread has ended; hints and the stop that follow harm nobody."""
    async with asyncio.timeout(WAIT):
        await watch.told.acquire()
        watch.beats.errors = [LeaseLost("gone")]
        watch.keeper.hurry()
        await watch.fell.wait()
        thread = watch.keeper._thread
        assert thread is not None
        await asyncio.to_thread(thread.join, WAIT)
        watch.keeper.hurry()
        await watch.keeper.stop()


# ---- leases that end by time ---------------------------------------------------------------------------------------


async def test_a_beat_that_hangs_is_given_up_by_the_next(stage: Stage) -> None:
    """No answer is waited for longer than a third of the lease, whatever the store does: another beat follows."""
    watch = Watch(stage, lease=SECOND, timed=True)
    async with asyncio.timeout(WAIT):
        await watch.told.acquire()
        hung = watch.beats.hung = threading.Event()
        for _ in range(3):
            await watch.beat()
        watch.beats.hung = None
        await watch.told.acquire()
        assert any("did not answer the beat" in str(error) for error in stage.ear.errors)
        hung.set()
        await watch.keeper.stop()


async def test_the_fence_waits_for_no_beat(stage: Stage) -> None:
    """A node is fenced on the engine's loop when its time has come, though its beat hangs; its keeper ends then."""
    watch = Watch(stage, timed=True)
    async with asyncio.timeout(WAIT):
        await watch.told.acquire()
        hung = watch.beats.hung = threading.Event()
        watch.keeper.hurry()
        await watch.beat()
        await stage.wait(290)
        assert not watch.fell.is_set()
        await stage.wait(10)
        assert watch.whys == [Signal.NODE_FENCED]
        stopping = asyncio.get_running_loop().create_task(watch.keeper.stop())
        hung.set()
        await stopping
    assert watch.keeper.lost


async def test_a_beat_in_its_thread_keeps_the_fence_away(stage: Stage) -> None:
    """Each beat that succeeds counts from its start, told or not told to the loop yet."""
    watch = Watch(stage, timed=True)
    async with asyncio.timeout(WAIT):
        await watch.told.acquire()
        for _ in range(5):
            await stage.wait(200)
            watch.keeper.hurry()
            await watch.told.acquire()
        assert not watch.fell.is_set()
        await stage.wait(300)
        assert watch.fell.is_set()
        await watch.keeper.stop()


async def test_beats_that_fail_begin_the_novitiate_anew(stage: Stage) -> None:
    """Whether a node may judge others is counted from its first good beat after a failed one."""
    watch = Watch(stage, timed=True)
    async with asyncio.timeout(WAIT):
        await watch.told.acquire()
        await stage.wait(290)
        assert 0 < watch.keeper.novitiate < 20
        watch.beats.errors = [StoreUnavailable("away")]
        watch.keeper.hurry()
        await watch.beat()
        await watch.told.acquire()
        assert watch.keeper.novitiate > 290
        await watch.keeper.stop()


async def test_where_leases_are_locks_nothing_is_fenced(stage: Stage, watch: Watch) -> None:
    """However long no beat succeeds, the lock is held and the node goes on; it may judge others at once."""
    async with asyncio.timeout(WAIT):
        await watch.told.acquire()
    await stage.wait(100_000)
    assert not watch.fell.is_set()
    assert watch.keeper.novitiate == 0
