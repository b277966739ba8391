"""Leases that end by time: a node that cannot renew its own ends what it runs, and judges others late."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from backburner.backends.memory import MemoryBackend
from backburner.backends.memory.nodes import MemoryNodeStore
from backburner.errors import StoreUnavailable
from backburner.jobs.fence import MARGIN, Fence
from backburner.ports.backend import Hint
from backburner.ports.jobs import Birth
from backburner.ports.telemetry import Signal
from tests.unit.jobs.test_intake import Line
from tests.unit.jobs.test_keeper import Station
from tests.unit.jobs.told import LEASE, SECOND, Stage, job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from backburner.model.event import NewEvent
    from backburner.model.node import NodeRecord

LIMIT = LEASE / SECOND - MARGIN
BEAT = LEASE / SECOND / 3


@pytest.fixture(autouse=True)
def timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have leases end by time."""
    monkeypatch.setattr(MemoryBackend, "timed_leases", True)


@pytest.fixture
async def station(stage: Stage) -> AsyncIterator[Station]:
    """Bring a working node."""
    made = Station(stage)
    await made.worker.start()
    await stage.settle()
    yield made
    stage.mend()
    await made.close()


def fenced(stage: Stage) -> list[dict[str, object]]:
    """What was told of fences."""
    return stage.ear.told(Signal.NODE_FENCED)


async def test_a_node_that_beats_is_not_fenced(stage: Stage, station: Station) -> None:
    """A node that beats holds its jobs through many leases."""
    await station.put("a")
    await stage.wait(20 * LEASE / SECOND)
    station.gate.set()
    await stage.settle()
    assert (stage.row("a"), fenced(stage)) == (("completed", 1, 0, 0, 0), [])


async def test_a_node_that_cannot_beat_ends_what_it_runs_before_its_lease_is_over(
    stage: Stage, station: Station
) -> None:
    """It counts from the start of its last good beat, and ends its runs the margin before the store would."""
    await station.put("a")
    await stage.wait(BEAT)
    stage.cut()
    await stage.wait(LIMIT - 0.1)
    assert station.worker._executor.runs
    await stage.wait(0.2)
    assert not station.worker._executor.runs
    assert [told["runs"] for told in fenced(stage)] == [1]


async def test_what_is_fenced_is_an_interruption(stage: Stage, station: Station) -> None:
    """The store comes back before others judge: the job was interrupted, by the id that held it, and runs again."""
    await station.put("a")
    former = stage.node.id
    stage.cut()
    await stage.wait(60)
    stage.mend()
    await stage.wait(BEAT)
    assert stage.node.id != former
    assert stage.row("a") == ("running", 2, 0, 0, 1)
    assert len(station.ran) == 2
    assert [told["before"] for told in stage.ear.told(Signal.NODE_RETURNED)] == [former]
    assert stage.ear.told(Signal.JOB_LOST) == []


async def test_ends_that_waited_for_the_store_are_written_under_the_id_that_held_them(
    stage: Stage, station: Station
) -> None:
    """What completed while the store was away stays completed, though its node has another id by then."""
    await station.put("a")
    stage.cut()
    station.gate.set()
    await stage.wait(60)
    stage.mend()
    await stage.wait(BEAT)
    assert stage.row("a") == ("completed", 1, 0, 0, 0)


async def test_a_fenced_node_takes_no_work(stage: Stage, station: Station) -> None:
    """Until it is back it asks for no claims and books no births, whatever hints come; then it does again."""
    stage.cut()
    await stage.wait(LIMIT + 0.1)
    station.worker.heard(Hint.JOBS)
    assert station.worker.midwife.book(job("a")) == 0
    assert station.worker.away
    stage.mend()
    await station.put("b")
    await stage.wait(BEAT)
    assert station.ran
    assert not station.worker.away


async def test_a_fenced_node_that_drains_takes_no_work_when_it_is_back(stage: Stage, station: Station) -> None:
    """A drain outlives the new id."""
    draining = asyncio.get_running_loop().create_task(station.worker.drain())
    await stage.settle()
    stage.cut()
    await stage.wait(60)
    stage.mend()
    await station.put("a")
    await stage.wait(BEAT)
    assert station.ran == []
    await draining


async def test_a_store_away_for_all_costs_no_crash(stage: Stage, station: Station) -> None:
    """Two nodes lose the store for minutes: whoever is back first leaves the other the time to come back too."""
    other = Station(beside := Stage(stage))
    await beside.open()
    await other.worker.start()
    await station.put(*(f"a{number}" for number in range(20)))
    other.worker.heard(Hint.JOBS)
    await stage.settle()
    assert station.ran
    assert other.ran
    stage.cut()
    beside.cut()
    await stage.wait(300)
    stage.mend()
    await stage.wait(BEAT)
    beside.mend()
    station.gate.set()
    other.gate.set()
    await stage.wait(3 * LEASE / SECOND)
    rows = [stage.row(f"a{number}") for number in range(20)]
    assert {row[0] for row in rows} == {"completed"}
    assert sum(row[3] for row in rows) == 0
    await other.close()


async def test_a_node_cut_off_alone_is_judged_by_others(stage: Stage, station: Station) -> None:
    """Where others have the store all the while, they take over its jobs: that is a crash, and its own word is stale."""
    await station.put("a")
    other = Station(beside := Stage(stage))
    await beside.open()
    await other.worker.start()
    await stage.wait(LEASE / SECOND + BEAT)
    stage.cut()
    await stage.wait(2 * LEASE / SECOND)
    assert stage.row("a") == ("running", 2, 0, 1, 0)
    assert len(other.ran) == 1
    stage.mend()
    await stage.wait(LEASE / SECOND)
    assert stage.row("a") == ("running", 2, 0, 1, 0)
    assert [told["id"] for told in stage.ear.told(Signal.JOB_LOST)] == ["a"]
    await other.close()


@pytest.mark.parametrize("outage", [60, 600, 603, 606, 609])
async def test_a_lost_answer_is_given_back_after_the_fence(
    stage: Stage, station: Station, monkeypatch: pytest.MonkeyPatch, outage: float
) -> None:
    """A claim whose answer was lost to the outage is held by the former id, and run by nobody: it is given back.

    It is so at once, whatever pause between tries a long outage has led to: soon others may judge.
    """
    claim = type(stage.backend.jobs).claim

    async def lose(*args: object) -> object:
        await claim(*args)  # type: ignore[arg-type]
        stage.cut()
        raise StoreUnavailable("the answer was lost", stored="unknown")

    with monkeypatch.context() as patch:
        patch.setattr(type(stage.backend.jobs), "claim", lose)
        await station.put("a")
        await stage.wait(1)
    former = stage.node.id
    assert stage.database.jobs["a"].node == former
    await stage.wait(outage)
    stage.mend()
    while not stage.ear.told(Signal.NODE_RETURNED):
        await stage.wait(0.1)
    await stage.wait(0.1)
    assert stage.row("a") == ("running", 2, 0, 0, 0)
    assert len(station.ran) == 1


async def test_a_claim_answered_after_the_fence_is_given_back(stage: Stage, station: Station) -> None:
    """An answer that was long under way names the former id: nothing of it is started here."""
    await stage.backend.jobs.enqueue([[job("a")]])
    claimer = station.worker._claimer
    claimer.wake()
    request = claimer.request()
    assert request is not None
    batch = await stage.backend.jobs.claim(request)
    stage.cut()
    await stage.wait(LIMIT + 0.1)
    stage.mend()
    await stage.wait(BEAT)
    claimer.arrived(request, batch)
    await stage.settle()
    assert stage.row("a")[3:] == (0, 0)
    await stage.wait(1)
    assert len(station.ran) == 1


async def test_a_birth_answered_after_the_fence_is_given_back(stage: Stage, station: Station) -> None:
    """A job born under the former id is not run under the new one, and goes back uncharged."""
    born = job("a")
    midwife, former = station.worker.midwife, stage.node.id
    token = midwife.book(born)
    answer = await stage.backend.jobs.enqueue([[born]], Birth(former, {"a": token}))
    stage.node.renew()
    await stage.publish(stage.node.id)
    stage.node.assign("a", token, former)
    midwife.born(born, token, answer.now)
    assert not station.worker._executor.runs
    await stage.settle()
    assert stage.row("a") == ("running", 1, 0, 0, 0)
    assert stage.database.jobs["a"].node == stage.node.id
    assert len(station.ran) == 1


async def test_a_birth_under_way_is_known_by_the_id_it_was_offered_for(stage: Stage) -> None:
    """The intake remembers for which id a birth was written, whatever the node is called when the answer comes."""
    line = Line(stage)
    stage.orders.hold("enqueue")
    waiting = line.put("a", tokens={"a": 7})
    await stage.settle()
    former = stage.node.id
    stage.node.renew()
    stage.orders.release("enqueue")
    await waiting
    assert stage.node.holder("a", 7) == former


async def test_a_lease_that_ran_out_interrupts_too(stage: Stage, station: Station) -> None:
    """Told by a beat that its lease was over, a node ends its runs, and they count as interrupted if nobody took them."""
    await station.put("a")
    async with stage.backend.keeper() as keeper:
        await keeper.abandon(stage.node.id)
    await stage.wait(BEAT)
    await stage.wait(BEAT)
    assert stage.ear.told(Signal.NODE_STALLED)
    assert stage.row("a") == ("running", 2, 0, 0, 1)


async def test_what_outlives_its_fence_is_an_interruption_too(stage: Stage, station: Station) -> None:
    """A run that does not heed its end is given back once its node is back, before anybody judges the former id."""
    started = asyncio.Event()

    async def deaf() -> None:
        started.set()
        while not station.gate.is_set():
            with suppress(asyncio.CancelledError):
                await station.gate.wait()

    stage.define(deaf)
    await stage.backend.jobs.enqueue([[job("a", kind="deaf")]])
    station.worker.heard(Hint.JOBS)
    await started.wait()
    stage.cut()
    await stage.wait(60)
    stage.mend()
    await stage.wait(4 * LEASE / SECOND)
    state, _, failures, crashes, interruptions = stage.row("a")
    assert (state, failures, crashes, interruptions) == ("pending", 0, 0, 1)
    assert [run.id for run in station.worker._executor.runs.values()] == ["a"]


async def test_what_outlives_its_fence_has_a_beat_to_end(stage: Stage, station: Station) -> None:
    """Back at once, a node does not give up what is still cleaning up after itself."""
    cleaned = asyncio.Event()

    async def clean() -> None:
        try:
            await station.gate.wait()
        finally:
            await cleaned.wait()

    stage.define(clean)
    await stage.backend.jobs.enqueue([[job("a", kind="clean")]])
    station.worker.heard(Hint.JOBS)
    await stage.settle()
    async with stage.backend.keeper() as keeper:
        await keeper.abandon(stage.node.id)
    await stage.wait(BEAT + 1)
    assert stage.ear.told(Signal.NODE_RETURNED)
    assert stage.row("a") == ("running", 1, 0, 0, 0)
    cleaned.set()
    await stage.settle()
    assert stage.row("a")[3:] == (0, 1)


async def test_what_was_held_under_a_former_id_is_forgotten(stage: Stage, station: Station) -> None:
    """A beat after the last of it ended nothing of a former id is left to be asked about."""
    await station.put("a")
    stage.cut()
    await stage.wait(60)
    stage.mend()
    stage.node.assign("never born", 1, "former")
    await stage.wait(2 * BEAT)
    assert not stage.node.renewed


async def test_an_answer_that_took_the_whole_lease_is_not_a_return(
    stage: Stage, station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entered under a new id, but so slowly that this one is over too, a node tries again, and forgets nothing it held."""
    await station.put("a")
    publish = MemoryNodeStore.publish
    slow = [LEASE / SECOND]

    async def slowly(store: MemoryNodeStore, node: NodeRecord, ttl: int, events: Sequence[NewEvent]) -> None:
        await publish(store, node, ttl, events)
        if slow:
            stage.clock.move(slow.pop())

    monkeypatch.setattr(MemoryNodeStore, "publish", slowly)
    stage.cut()
    await stage.wait(60)
    stage.mend()
    await stage.wait(BEAT)
    assert [told["runs"] for told in fenced(stage)] == [1, 0]
    (returned,) = stage.ear.told(Signal.NODE_RETURNED)
    assert returned["node"] == stage.node.id != returned["before"]
    assert stage.row("a") == ("running", 2, 0, 0, 1)
    assert not slow


# ---- judging others ------------------------------------------------------------------------------------------------


async def test_nothing_is_recovered_before_a_lease_of_beats(stage: Stage, station: Station) -> None:
    """A node takes nothing over, and ends nothing that expired, before its own beats have succeeded for a whole lease."""
    await stage.backend.jobs.enqueue([[job("a", kind="other", expires_in=SECOND)]])
    await stage.wait(LEASE / SECOND - 0.1)
    assert stage.row("a")[0] == "pending"
    await stage.wait(0.2)
    assert stage.row("a")[0] == "cancelled"
    assert station.ran == []


async def test_a_failed_beat_begins_the_wait_anew(stage: Stage, station: Station) -> None:
    """After an outage, however short, others get a whole lease to show that they live."""
    await stage.wait(LEASE / SECOND + 1)
    stage.cut()
    await stage.wait(BEAT)
    stage.mend()
    await stage.wait(2)
    await stage.backend.jobs.enqueue([[job("a", kind="other", expires_in=0)]])
    station.worker.heard(Hint.LAPSE)
    await stage.wait(LEASE / SECOND - 4)
    assert stage.row("a")[0] == "pending"
    await stage.wait(4)
    assert stage.row("a")[0] == "cancelled"


# ---- the count -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lease", "limit"), [(30, 25), (60, 55), (12, 10), (3, 2.5)])
async def test_the_margin(stage: Stage, lease: int, limit: float) -> None:
    """Five seconds before the lease is over; of leases below half a minute, a sixth before."""
    fell: list[float] = []
    fence = Fence(lease * SECOND, lambda: fell.append(stage.clock.monotonic()), stage.kit)
    fence.start(0.0)
    await stage.wait(lease)
    assert fell == [pytest.approx(limit)]


async def test_a_suspended_machine_is_fenced_soon_after(stage: Stage) -> None:
    """Timers do not count a suspension; the clock does, and it is looked at each second."""
    fell: list[float] = []
    fence = Fence(3600 * SECOND, lambda: fell.append(stage.clock.monotonic()), stage.kit)
    fence.start(0.0)
    await stage.wait(10)
    stage.clock.move(7200)
    await stage.wait(1)
    assert len(fell) == 1


async def test_beats_heard_while_the_loop_was_busy_count(stage: Stage) -> None:
    """The keeper's thread may tell of a beat at any time: a loop that was busy for long finds its lease renewed."""
    fell: list[None] = []
    fence = Fence(LEASE, lambda: fell.append(None), stage.kit)
    fence.start(0.0)
    stage.clock.move(100)
    fence.renewed(95.0)
    await stage.wait(19)
    assert fell == []
    await stage.wait(2)
    assert fell == [None]
