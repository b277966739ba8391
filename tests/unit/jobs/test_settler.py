"""The settler: nothing is lost, whatever the store does; and the claim that rides along."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest

from backburner.errors import ClaimLost, LeaseLost, StoreBusy, StoreFull, StoreUnavailable
from backburner.jobs import outcome
from backburner.jobs.settler import Settler
from backburner.model.job import JobState, Settlement, UniqueKey
from backburner.ports.jobs import ClaimRequest
from tests.unit.jobs.told import job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backburner.jobs.settler import Subject
    from backburner.model.job import Claim
    from backburner.ports.jobs import ClaimBatch
    from tests.unit.jobs.told import Stage


class Asker:
    """Asks when a test wants it to."""

    def __init__(self) -> None:
        self.wanted: list[ClaimRequest] = []
        self.batches: list[ClaimBatch] = []
        self.failures: list[ClaimRequest] = []
        self.wakes = 0

    def wake(self) -> None:
        self.wakes += 1

    def request(self) -> ClaimRequest | None:
        return self.wanted.pop() if self.wanted else None

    def arrived(self, request: ClaimRequest, batch: ClaimBatch) -> None:
        del request
        self.batches.append(batch)

    def failed(self, request: ClaimRequest) -> None:
        self.failures.append(request)


class Witness:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, Settlement, BaseException | None]] = []
        self.stales: list[str] = []

    def settled(self, job: Subject, settlement: Settlement, error: BaseException | None) -> None:
        self.ends.append((job.id, settlement, error))

    def stale(self, job: Subject) -> None:
        self.stales.append(job.id)

    def wrote(self) -> None:
        """Hear that a write is over."""

    @property
    def told(self) -> list[str]:
        return [job_id for job_id, _, _ in self.ends]


class Desk:
    """A settler on a stage, between an asker and a witness."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.asker = Asker()
        self.witness = Witness()
        self.settler = Settler(stage.store, node=stage.node, witness=self.witness, kit=stage.kit)
        self.settler.asker = self.asker
        self.settler.start()

    def demand(self, slots: int = 10) -> ClaimRequest:
        request = ClaimRequest(
            node=self.stage.node.id, queues={"default": slots}, limit=slots, kinds=frozenset({"work"})
        )
        self.asker.wanted.append(request)
        return request

    async def held(self, *ids: str) -> list[Claim]:
        """Store jobs and claim them for this node, past the settler."""
        await self.stage.backend.jobs.enqueue([[job(one)] for one in ids])
        batch = await self.stage.backend.jobs.claim(self.demand(len(ids)))
        self.asker.wanted.clear()
        return list(batch.claims)


@pytest.fixture
async def desk(stage: Stage) -> AsyncIterator[Desk]:
    """Bring a started settler."""
    made = Desk(stage)
    yield made
    await stage.settle()
    closing = asyncio.get_running_loop().create_task(made.settler.close(0))
    await stage.wait(0)
    await closing


async def test_who_came_into_the_line_is_looked_for(stage: Stage, desk: Desk) -> None:
    """An end that lets who waited for its unique key into the line makes this node look; any other does not."""
    key = UniqueKey("key", (JobState.PENDING, JobState.RUNNING))
    await stage.backend.jobs.enqueue([[msgspec.structs.replace(job("holder"), unique=key)], [job("other")]])
    claims = {claim.id: claim for claim in (await stage.backend.jobs.claim(desk.demand(2))).claims}
    desk.asker.wanted.clear()
    other = outcome.completed(claims["other"], "1")
    waiting = msgspec.structs.replace(job("waiting"), unique=key)
    desk.settler.settle(claims["other"], msgspec.structs.replace(other, jobs=(waiting,)))
    await stage.settle()
    assert desk.asker.wakes == 0
    desk.settler.settle(claims["holder"], outcome.completed(claims["holder"], "1"))
    await stage.settle()
    assert desk.asker.wakes == 1


async def test_settlements_leave_together(stage: Stage, desk: Desk) -> None:
    """Ends that come while a write is in flight are written together in the next, and told once they are durable."""
    one, two, three = await desk.held("a", "b", "c")
    stage.orders.hold("settle")
    desk.settler.settle(one, outcome.completed(one, "1"))
    await stage.settle()
    desk.settler.settle(two, outcome.completed(two, "2"))
    desk.settler.settle(three, outcome.completed(three, "3"))
    await stage.settle()
    assert desk.witness.told == []
    assert desk.settler.pending == {"a", "b", "c"}
    stage.orders.release("settle")
    await stage.settle()
    assert stage.orders.writes("settle") == [("a",), ("b", "c")]
    assert desk.witness.told == ["a", "b", "c"]
    assert desk.settler.pending == frozenset()


@pytest.mark.parametrize(
    "error", [StoreBusy("locked"), StoreUnavailable("away"), LeaseLost("gone")], ids=lambda error: type(error).__name__
)
async def test_an_outage_loses_nothing(stage: Stage, desk: Desk, error: Exception) -> None:
    """However long a store is away, every end handed over is written as it was when the store returns."""
    claims = await desk.held("a", "b")
    stage.orders.fail("settle", *[error] * 200)
    for one in claims:
        desk.settler.settle(one, outcome.completed(one, '"done"'))
    await stage.wait(600)
    assert desk.settler.pending == {"a", "b"}
    stage.orders.mend("settle")
    await stage.wait(10)
    assert [stage.row(one)[0] for one in "ab"] == ["completed", "completed"]
    assert stage.database.jobs["a"].result == '"done"'


async def test_a_full_disk_turns_no_result_into_a_death(stage: Stage, desk: Desk) -> None:
    """A store that can take no write at all has refused nobody's content: results wait until it has room again."""
    (one,) = await desk.held("a")
    stage.orders.fail("settle", StoreFull("disk full"), StoreFull("disk full"))
    desk.settler.settle(one, outcome.completed(one, '"done"'))
    await stage.wait(10)
    assert stage.row("a")[0] == "completed"


async def test_a_lost_answer_is_not_stale(stage: Stage, desk: Desk) -> None:
    """A settlement whose answer was lost is written again and told as settled, not as stale."""
    (one,) = await desk.held("a")
    stage.orders.lose("settle", StoreUnavailable("reset"))
    desk.settler.settle(one, outcome.completed(one, "1"))
    await stage.wait(1)
    assert desk.witness.told == ["a"]
    assert desk.witness.stales == []


async def test_a_stale_end_is_told(stage: Stage, desk: Desk) -> None:
    """The end of a claim that is another's by now changes nothing, and the witness hears that it was stale."""
    one, two = await desk.held("a", "b")
    stage.database.jobs["a"].token += 1
    desk.settler.settle(one, outcome.completed(one, "1"))
    desk.settler.settle(two, outcome.completed(two, "2"))
    await stage.settle()
    assert desk.witness.stales == ["a"]
    assert desk.witness.told == ["b"]
    assert stage.row("a")[0] == "running"


async def test_a_cancel_that_came_first_is_told(stage: Stage, desk: Desk) -> None:
    """A job to be pending that a person had cancelled ends as cancelled, and is told so, without the run's error."""
    (one,) = await desk.held("a")
    await stage.backend.admin.cancel(("a",))
    desk.settler.settle(one, outcome.interrupted(one, "stop"), ValueError("of the run"))
    await stage.settle()
    ((job_id, settlement, error),) = desk.witness.ends
    assert (job_id, settlement.state, settlement.reason, error) == ("a", JobState.CANCELLED, "cancelled", None)
    assert stage.row("a")[0] == "cancelled"


async def test_a_refused_end_stands_alone(stage: Stage, desk: Desk) -> None:
    """One end that the store refuses for its content is found by halving: the others are written as they were."""
    names = [f"j{number}" for number in range(8)]
    claims = await desk.held(*names)
    for one in claims:
        desk.settler.settle(one, outcome.completed(one, '"\ud800"' if one.id == "j5" else "1"))
    await stage.wait(120)
    assert {name for name in names if stage.row(name)[0] == "completed"} == set(names) - {"j5"}
    row = stage.database.jobs["j5"]
    assert (row.state, row.reason) == (JobState.DEAD, "rejected: the store refused the result")
    assert "not Unicode text" in row.message
    assert sorted(desk.witness.told) == names


async def test_a_failing_claim_convicts_no_end(stage: Stage, desk: Desk) -> None:
    """A claim that fails unforeseen takes no end with it: ends are written apart until a claim has succeeded again."""
    one, other = await desk.held("a", "b")
    # Whatever carries a claim fails, as beside a row that cannot be read.
    stage.orders.fail("settle", ValueError("an unreadable row"))
    desk.demand()
    desk.settler.settle(one, outcome.completed(one, "1"))
    await stage.settle()
    desk.demand()
    await stage.wait(1)
    assert stage.row("a")[0] == "completed"
    stage.orders.fail("claim", ValueError("an unreadable row"))
    desk.settler.settle(other, outcome.completed(other, "2"))
    await stage.wait(1)
    assert stage.row("b")[0] == "completed"
    assert desk.witness.told == ["a", "b"]


async def test_a_claim_rides_along(stage: Stage, desk: Desk) -> None:
    """Demand travels with the settlements: one write settles and claims."""
    (one,) = await desk.held("a")
    await stage.backend.jobs.enqueue([[job("next")]])
    desk.demand()
    desk.settler.settle(one, outcome.completed(one, "1"))
    await stage.settle()
    assert [verb for verb, _ in stage.orders.asked] == ["settle"]
    assert [claimed.id for batch in desk.asker.batches for claimed in batch.claims] == ["next"]


async def test_demand_alone_claims(stage: Stage, desk: Desk) -> None:
    """Without settlements demand is asked for by a claim, and without demand nothing is asked at all."""
    desk.settler.wake()
    await stage.settle()
    assert stage.orders.asked == []
    desk.demand()
    desk.settler.wake()
    await stage.settle()
    assert stage.orders.asked == [("claim", ())]


@pytest.mark.parametrize("verb", ["claim", "settle"])
async def test_an_asker_without_an_answer_is_told(stage: Stage, desk: Desk, verb: str) -> None:
    """When no answer comes, the asker gets its booking back, whether it asked alone or beside settlements."""
    claims = await desk.held("a") if verb == "settle" else []
    request = desk.demand()
    stage.orders.fail(verb, StoreBusy("locked"))
    for one in claims:
        desk.settler.settle(one, outcome.completed(one, "1"))
    desk.settler.wake()
    await stage.settle()
    assert desk.asker.failures == [request]
    assert desk.asker.batches == []


async def test_close_writes_what_waits(stage: Stage, desk: Desk) -> None:
    """Closing waits for what is to be written, and answers that nothing was left."""
    (one,) = await desk.held("a")
    stage.orders.fail("settle", StoreBusy("locked"))
    desk.settler.settle(one, outcome.completed(one, "1"))
    closing = asyncio.get_running_loop().create_task(desk.settler.close(5))
    await stage.wait(2)
    assert await closing == 0
    assert stage.row("a")[0] == "completed"


async def test_close_says_what_it_could_not_write(stage: Stage, desk: Desk) -> None:
    """When the grace is over, closing answers how many ends were not written."""
    (one,) = await desk.held("a")
    stage.orders.fail("settle", *[StoreUnavailable("away")] * 100)
    desk.settler.settle(one, outcome.completed(one, "1"))
    closing = asyncio.get_running_loop().create_task(desk.settler.close(5))
    await stage.wait(5)
    assert await closing == 1


async def test_close_waits_for_a_claim_under_way(stage: Stage, desk: Desk) -> None:
    """A claim under way when the settler closes is answered, so that its asker can give back what came."""
    await stage.backend.jobs.enqueue([[job("a")]])
    stage.orders.hold("claim")
    desk.demand()
    desk.settler.wake()
    await stage.settle()
    closing = asyncio.get_running_loop().create_task(desk.settler.close(5))
    await stage.settle()
    stage.orders.release("claim")
    await closing
    assert [claimed.id for batch in desk.asker.batches for claimed in batch.claims] == ["a"]


# ---- notes ---------------------------------------------------------------------------------------------------------


def note(one: Claim, checkpoint: str) -> Settlement:
    """A settlement that leaves its job running."""
    return Settlement(id=one.id, token=one.token, state=JobState.RUNNING, checkpoint=checkpoint)


async def test_a_note_is_written_before_the_end_and_told_apart(stage: Stage, desk: Desk) -> None:
    """A note and the end of one run leave together, in order; the note's own listener hears of it, the witness of the end."""
    (one,) = await desk.held("a")
    heard: list[Exception | None] = []
    desk.settler.note(one, note(one, "[1]"), heard.append)
    desk.settler.settle(one, outcome.completed(one, "1"))
    await stage.settle()
    assert stage.orders.writes("settle") == [("a", "a")]
    assert (heard, desk.witness.told) == ([None], ["a"])
    row = stage.database.jobs["a"]
    assert (row.state, row.checkpoint) == (JobState.COMPLETED, "[1]")


async def test_a_stale_note_tells_its_run_alone(stage: Stage, desk: Desk) -> None:
    """A note of a claim that is another's is told as ClaimLost to the run, and to no witness."""
    one, two = await desk.held("a", "b")
    stage.database.jobs["a"].token += 1
    heard: list[Exception | None] = []
    desk.settler.note(one, note(one, "[1]"), heard.append)
    desk.settler.note(two, note(two, "[2]"), heard.append)
    await stage.settle()
    assert [type(error) for error in heard] == [ClaimLost, type(None)]
    assert (desk.witness.stales, desk.witness.told) == ([], [])
    assert stage.database.jobs["a"].checkpoint is None
    assert stage.row("b")[0] == "running"


async def test_a_refused_note_is_dropped_and_its_run_told(stage: Stage, desk: Desk) -> None:
    """A note that the store refuses for its content harms no other, and its job goes on."""
    names = [f"j{number}" for number in range(4)]
    claims = await desk.held(*names)
    heard: dict[str, Exception | None] = {}
    for one in claims:
        text = '"\ud800"' if one.id == "j2" else "1"
        desk.settler.note(one, note(one, text), partial(heard.__setitem__, one.id))
    await stage.wait(60)
    assert {name: type(error).__name__ for name, error in heard.items()} == {
        "j0": "NoneType",
        "j1": "NoneType",
        "j2": "StoreRefused",
        "j3": "NoneType",
    }
    assert {stage.row(name)[0] for name in names} == {"running"}
    assert desk.settler.pending == frozenset()


async def test_who_waits_for_a_note_is_told_that_the_store_is_locked(stage: Stage, desk: Desk) -> None:
    """It may be locked by whoever waits for the note, who would wait for ever. The note itself stays in line."""
    one, two = await desk.held("a", "b")
    heard: list[Exception | None] = []
    stage.orders.fail("settle", StoreBusy("locked", stored="no"))
    desk.settler.note(one, note(one, "[1]"), heard.append)
    desk.settler.settle(two, outcome.completed(two, "1"))
    await stage.wait(60)
    busy, last = heard
    assert isinstance(busy, StoreBusy)
    assert (str(busy), busy.stored, last) == ("locked", "no", None)
    assert (stage.database.jobs["a"].checkpoint, stage.row("b")[0]) == ("[1]", "completed")


async def test_a_note_outlives_an_outage(stage: Stage, desk: Desk) -> None:
    """A note waits for the store as an end does; only an engine that stops without it tells that it may not be written."""
    (one,) = await desk.held("a")
    heard: list[Exception | None] = []
    stage.orders.fail("settle", *[StoreUnavailable("away")] * 5)
    desk.settler.note(one, note(one, "[1]"), heard.append)
    await stage.wait(600)
    assert heard == [None]
    stage.orders.fail("settle", *[StoreUnavailable("away")] * 500)
    desk.settler.note(one, note(one, "[2]"), heard.append)
    closing = asyncio.get_running_loop().create_task(desk.settler.close(1))
    await stage.wait(2)
    assert await closing == 1
    assert isinstance(heard[-1], StoreUnavailable)
    assert heard[-1].stored == "unknown"
    stage.orders.mend("settle")
    desk.settler._waiting.clear()
