"""The intake: group commit, its bounds, and who is harmed by what."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backburner.errors import NotRunning, StoreBusy, StoreFull, StoreRefused, StoreUnavailable
from backburner.jobs import room
from backburner.jobs.intake import Intake
from tests.unit.jobs.told import job

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence
    from typing import Any

    from backburner.model.job import NewJob
    from backburner.ports.jobs import GroupAnswer
    from tests.unit.jobs.told import Stage

WRITE_TIMEOUT = 5.0


class Line:
    """An intake on a stage, and what it tells its client."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.stored: list[tuple[str, dict[str, int], tuple[str, ...]]] = []
        self.dropped: list[dict[str, int]] = []
        self.intake = Intake(
            stage.store,
            stage.store,
            node=stage.node,
            write_timeout=WRITE_TIMEOUT,
            stored=self._stored,
            dropped=self._dropped,
            kit=stage.kit,
        )
        self.intake.start()

    def _stored(self, jobs: Sequence[NewJob], tokens: Mapping[str, int], answer: GroupAnswer, now: int) -> None:
        del now
        self.stored += [(job.id, dict(tokens), answer.born) for job in jobs]

    def _dropped(self, jobs: Sequence[NewJob], tokens: Mapping[str, int]) -> None:
        del jobs
        if tokens:
            self.dropped.append(dict(tokens))

    def put(self, *ids: str, tokens: Mapping[str, int] | None = None, **fields: object) -> asyncio.Task[GroupAnswer]:
        """Store a group, from a task of its own."""
        return self.spawn(self.intake.enqueue([job(one, "work", **fields) for one in ids], tokens or {}))

    @staticmethod
    def spawn(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(work)

    async def block(self) -> asyncio.Task[GroupAnswer]:
        """Put a first write in flight and hold it there."""
        self.stage.orders.hold("enqueue")
        first = self.put("first")
        await self.stage.settle()
        return first


@pytest.fixture
async def line(stage: Stage) -> Line:
    """Bring a started intake; the stage's clock moves for it."""
    return Line(stage)


async def test_an_idle_intake_writes_at_once(stage: Stage, line: Line) -> None:
    """Idle, a job waits for nothing: it is written without the clock moving."""
    before = stage.clock.now()
    await line.put("a")
    assert stage.orders.writes("enqueue") == [("a",)]
    assert stage.clock.now() == before


async def test_what_waits_during_a_write_leaves_together(stage: Stage, line: Line) -> None:
    """While a write is in flight others wait, and all leave in the next one, first come first."""
    first = await line.block()
    others = [line.put(name) for name in "bcd"]
    await stage.settle()
    assert stage.orders.writes("enqueue") == [("first",)]
    stage.orders.release("enqueue")
    await asyncio.gather(first, *others)
    assert stage.orders.writes("enqueue") == [("first",), ("b", "c", "d")]


async def test_a_cancel_never_overtakes_its_job(stage: Stage, line: Line) -> None:
    """A cancel that waits behind its job is written after it, and a job that comes later after the cancel."""
    first = await line.block()
    waiting = [line.put("b"), line.spawn(line.intake.cancel(["b"])), line.put("c")]
    await stage.settle()
    stage.orders.release("enqueue")
    await asyncio.gather(first, *waiting)
    assert stage.orders.asked == [
        ("enqueue", ("first",)),
        ("enqueue", ("b",)),
        ("cancel", ("b",)),
        ("enqueue", ("c",)),
    ]
    assert stage.row("b")[0] == "cancelled"


async def test_a_refused_group_stands_alone(stage: Stage, line: Line) -> None:
    """A group whose content is refused fails alone; those that left with it are stored."""
    first = await line.block()
    good, bad, better = line.put("good"), line.put("bad", args='"\ud800"'), line.put("better")
    await stage.settle()
    stage.orders.release("enqueue")
    await asyncio.gather(first, good, better)
    with pytest.raises(StoreRefused) as caught:
        await bad
    assert (caught.value.stored, caught.value.job_id) == ("no", "bad")
    assert {"good", "better"} <= stage.database.jobs.keys()
    assert "bad" not in stage.database.jobs


async def test_a_caller_cancelled_in_line_is_withdrawn(stage: Stage, line: Line) -> None:
    """Cancelled while it waits its turn, a group is never stored, and its birth's slot is given back once."""
    first = await line.block()
    gone = line.put("gone", tokens={"gone": 7})
    await stage.settle()
    gone.cancel()
    stage.orders.release("enqueue")
    await first
    await stage.settle()
    assert "gone" not in stage.database.jobs
    assert line.dropped == [{"gone": 7}]


async def test_a_caller_cancelled_in_flight_may_have_stored(stage: Stage, line: Line) -> None:
    """Cancelled while its write is in flight, a group is stored all the same, and its birth is told."""
    stage.orders.hold("enqueue")
    gone = line.put("gone", tokens={"gone": 7})
    await stage.settle()
    gone.cancel()
    stage.orders.release("enqueue")
    await stage.settle()
    assert stage.row("gone")[0] == "running"
    assert line.stored == [("gone", {"gone": 7}, ("gone",))]


async def test_a_caller_cancelled_in_flight_of_a_failed_write_frees_its_slot(stage: Stage, line: Line) -> None:
    """A write that fails for good gives back every birth's slot, also of a caller cancelled meanwhile."""
    stage.orders.fail("enqueue", StoreFull("disk full", stored="no"))
    stage.orders.hold("enqueue")
    gone = line.put("gone", tokens={"gone": 7})
    await stage.settle()
    gone.cancel()
    stage.orders.release("enqueue")
    await stage.settle()
    assert line.dropped == [{"gone": 7}]


async def test_births_of_one_id_stored_twice_are_offered_under_the_first_token(stage: Stage, line: Line) -> None:
    """The same id from two callers in one write is born once, under the token that its first caller's run knows."""
    first = await line.block()
    twins = [line.put("x", tokens={"x": 5}), line.put("x", tokens={"x": 6})]
    await stage.settle()
    stage.orders.release("enqueue")
    await asyncio.gather(first, *twins)
    birth = stage.store.births[-1]
    assert birth is not None
    assert birth.tokens == {"x": 5}


# ---- a store that is busy or away ----------------------------------------------------------------------------------


async def test_a_busy_store_fails_a_caller_only_when_its_time_is_up(stage: Stage, line: Line) -> None:
    """A caller waits write_timeout for a busy store, then gets StoreBusy, which names the job: nothing was stored."""
    stage.orders.fail("enqueue", *[StoreBusy("locked", stored="no")] * 100)
    waiting = line.put("a")
    await stage.wait(WRITE_TIMEOUT - 0.1)
    assert not waiting.done()
    # The store is asked again after a backoff of at most ten seconds, or the caller's own timer comes first.
    await stage.wait(0.2)
    with pytest.raises(StoreBusy) as caught:
        await waiting
    assert (caught.value.stored, caught.value.job_id) == ("no", "a")
    assert "create_task(…, id='a') repeats safely" in str(caught.value)


async def test_a_lost_answer_leaves_it_unknown(stage: Stage, line: Line) -> None:
    """A caller whose write may have reached a store that then went away is told StoreUnavailable, stored: unknown."""
    away = StoreUnavailable("gone", stored="no")
    stage.orders.fail("enqueue", StoreUnavailable("gone half-way", stored="unknown"), *[away] * 100)
    waiting = line.put("a")
    await stage.wait(WRITE_TIMEOUT + 0.1)
    with pytest.raises(StoreUnavailable) as caught:
        await waiting
    assert (caught.value.stored, caught.value.job_id) == ("unknown", "a")


async def test_a_store_that_returns_in_time_fails_nobody(stage: Stage, line: Line) -> None:
    """Callers of a store that comes back before their time is up never learn that it was away."""
    stage.orders.fail("enqueue", *[StoreUnavailable("away", stored="no")] * 3)
    waiting = [line.put("a"), line.put("b")]
    await stage.wait(2)
    await asyncio.gather(*waiting)
    assert {"a", "b"} <= stage.database.jobs.keys()


async def test_a_caller_out_of_time_harms_no_other(stage: Stage, line: Line) -> None:
    """When a store returns after one caller gave up, the others' jobs are stored and that caller's is not."""
    stage.orders.fail("enqueue", *[StoreUnavailable("away", stored="no")] * 100)
    early = line.put("early")
    await stage.wait(4)
    late = line.put("late")
    await stage.wait(1.5)
    assert early.done()
    stage.orders.mend("enqueue")
    await stage.wait(3.4)
    with pytest.raises(StoreUnavailable):
        await early
    # However long the store was away: no backoff outlasts a caller's patience.
    await late
    assert stage.database.jobs.keys() & {"early", "late"} == {"late"}


async def test_a_lost_answer_is_asked_for_again(stage: Stage, line: Line) -> None:
    """A write whose answer was lost is repeated; its birth is told once, under the same token."""
    stage.orders.lose("enqueue", StoreUnavailable("reset", stored="unknown"))
    waiting = line.put("a", tokens={"a": 9})
    await stage.wait(1)
    await waiting
    assert line.stored == [("a", {"a": 9}, ("a",))]


async def test_every_caller_of_a_write_fails_with_an_error_of_its_own(stage: Stage, line: Line) -> None:
    """A write that fails for good fails every caller in it, each with its own exception that names its own job."""
    first = await line.block()
    callers = [line.put("b"), line.put("c")]
    await stage.settle()
    stage.orders.release("enqueue")
    await first
    stage.orders.fail("enqueue", StoreFull("disk full", stored="no"))
    callers = [line.put("d"), line.put("e")]
    errors = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(error) for error in errors] == [StoreFull, StoreFull]
    assert [error.job_id for error in errors if isinstance(error, StoreFull)] == ["d", "e"]
    assert errors[0] is not errors[1]


async def test_after_a_write_failed_for_good_others_are_served(stage: Stage, line: Line) -> None:
    """One write that fails for good ends nothing: later jobs are stored."""
    stage.orders.fail("enqueue", StoreFull("disk full", stored="no"))
    with pytest.raises(StoreFull):
        await line.put("a")
    later = line.put("b")
    await stage.wait(1)
    await later
    assert "b" in stage.database.jobs


async def test_cancels_of_a_write_that_fails_all_learn_of_it(stage: Stage, line: Line) -> None:
    """A cancellation that fails for good tells every caller, also beside one that gave up while it was in flight."""
    stage.orders.hold("cancel")
    gone = line.spawn(line.intake.cancel(["a"]))
    stays = line.spawn(line.intake.cancel(["b"]))
    await stage.settle()
    gone.cancel()
    stage.orders.fail("cancel", StoreFull("disk full", stored="no"))
    stage.orders.release("cancel")
    await stage.settle()
    assert stays.done()
    assert isinstance(stays.exception(), StoreFull)


async def test_a_cancel_waits_no_longer_than_a_write(stage: Stage, line: Line) -> None:
    """A caller who cancels a job of a store that is away is told so when write_timeout has passed."""
    stage.orders.fail("cancel", *[StoreUnavailable("away", stored="no")] * 100)
    waiting = line.spawn(line.intake.cancel(["a"]))
    await stage.wait(WRITE_TIMEOUT + 0.1)
    assert waiting.done()
    assert isinstance(waiting.exception(), StoreUnavailable)


# ---- bounds --------------------------------------------------------------------------------------------------------


async def test_the_line_is_bounded(stage: Stage, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its bound a caller waits for room; when none comes in write_timeout it gets StoreBusy, stored: no."""
    monkeypatch.setattr(room, "MOST_JOBS", 3)
    first = await line.block()
    waiting = [line.put("b"), line.put("c")]
    await stage.settle()
    outside = line.put("outside", tokens={"outside": 3})
    await stage.wait(WRITE_TIMEOUT + 0.1)
    with pytest.raises(StoreBusy) as caught:
        await outside
    assert (caught.value.stored, caught.value.job_id) == ("no", "outside")
    assert line.dropped == [{"outside": 3}]
    stage.orders.release("enqueue")
    await asyncio.gather(first, *waiting, return_exceptions=True)


async def test_room_lets_in_no_more_than_there_is(stage: Stage, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a write makes room, as many callers come in as it made room for, in their order."""
    monkeypatch.setattr(room, "MOST_JOBS", 2)
    first = await line.block()
    inside = line.put("b")
    outside = [line.put(name) for name in "cdef"]
    await stage.settle()
    stage.orders.release("enqueue")
    await asyncio.gather(first, inside, *outside)
    writes = stage.orders.writes("enqueue")
    assert max(map(len, writes)) <= 2
    assert [name for ids in writes for name in ids] == ["first", "b", "c", "d", "e", "f"]


async def test_bytes_bound_the_line_too(stage: Stage, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments that fill the line's memory make others wait, however few jobs they are."""
    monkeypatch.setattr(room, "MOST_BYTES", 1000)
    first = await line.block()
    big = line.put("big", args='{"text": "' + "x" * 2000 + '"}')
    await stage.settle()
    outside = line.put("outside")
    await stage.wait(WRITE_TIMEOUT + 0.1)
    assert isinstance(outside.exception(), StoreBusy)
    stage.orders.release("enqueue")
    await asyncio.gather(first, big, return_exceptions=True)


async def test_a_group_larger_than_the_line_is_taken_alone(
    stage: Stage, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single group above the bound is stored when nothing else waits."""
    monkeypatch.setattr(room, "MOST_JOBS", 2)
    await line.put("a", "b", "c")
    assert stage.orders.writes("enqueue") == [("a", "b", "c")]


async def test_a_caller_cancelled_for_want_of_room_takes_none(
    stage: Stage, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller that gives up while it waits for room is not stored, and its birth's slot is given back."""
    monkeypatch.setattr(room, "MOST_JOBS", 1)
    first = await line.block()
    outside = line.put("outside", tokens={"outside": 3})
    await stage.settle()
    outside.cancel()
    await stage.settle()
    assert outside.cancelled()
    assert line.dropped == [{"outside": 3}]
    stage.orders.release("enqueue")
    await first
    assert "outside" not in stage.database.jobs


# ---- the end -------------------------------------------------------------------------------------------------------


async def test_close_writes_what_waits(stage: Stage, line: Line) -> None:
    """Closing writes what waits, then refuses what is new."""
    first = await line.block()
    waiting = line.put("b")
    await stage.settle()
    closing = line.spawn(line.intake.close(5))
    await stage.settle()
    assert not closing.done()
    stage.orders.release("enqueue")
    await asyncio.gather(first, waiting, closing)
    assert "b" in stage.database.jobs
    with pytest.raises(NotRunning):
        await line.put("late")
    with pytest.raises(NotRunning):
        await line.intake.cancel(["late"])


async def test_close_fails_what_it_cannot_write(stage: Stage, line: Line) -> None:
    """When the grace is over, whoever still waits is told that the store could not be reached."""
    stage.orders.hold("enqueue")
    waiting = line.put("a")
    cancelling = line.spawn(line.intake.cancel(["a"]))
    await stage.settle()
    closing = line.spawn(line.intake.close(2))
    await stage.wait(2)
    await closing
    assert isinstance(waiting.exception(), StoreUnavailable)
    assert isinstance(cancelling.exception(), NotRunning)
