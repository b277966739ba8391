"""The desk: what a run tells, saves and is followed by; how it completes itself; how it lends its slot."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from backburner.errors import (
    AlreadyEnded,
    ArgumentNotStorable,
    ClaimLost,
    InvalidOption,
    NotACall,
    NotRunning,
    StoreUnavailable,
    TransactionOpen,
    UnknownKind,
)
from backburner.jobs import desk
from backburner.jobs.context import current_job, current_run
from backburner.jobs.desk import LOOK, PROGRESS
from backburner.jobs.job import Job
from backburner.jobs.run import Why
from backburner.model.job import Ending, JobState
from backburner.ports.jobs import Settled
from backburner.ports.telemetry import Signal
from tests.unit.jobs.floor import Floor
from tests.unit.jobs.told import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.job import Settlement


def progress(floor: Floor) -> list[tuple[int, int | None] | None]:
    """What was written of it."""
    return [note.progress for note in floor.notes if note.progress is not None]


# ---- progress ------------------------------------------------------------------------------------------------------


async def test_progress_is_written_at_most_once_a_second(stage: Stage, floor: Floor) -> None:
    """The first numbers are written at once, the newest of each second at its end, and none while nothing is told."""
    gate = asyncio.Event()

    async def work() -> None:
        for done in range(1, 101):
            await current_job().progress(done, 100)
        await gate.wait()

    floor.start(work)
    await stage.settle()
    assert progress(floor) == [(1, 100)]
    await stage.wait(PROGRESS)
    assert progress(floor) == [(1, 100), (100, 100)]
    await stage.wait(100)
    assert len(floor.notes) == 2
    gate.set()
    assert (await floor.ended()).progress is None


async def test_the_last_progress_is_written_with_the_end(floor: Floor) -> None:
    """What was told within the last second comes with the settlement, also of a run that failed."""

    async def work(fails: bool = False) -> None:  # noqa: FBT001, FBT002 - a job's argument
        await current_job().progress(1)
        await current_job().progress(2)
        if fails:
            raise ValueError

    assert (await floor.run(work)).progress == (2, None)
    floor.start(work, "b", args='{"fails":true}')
    assert (await floor.ended("b")).progress == (2, None)
    assert progress(floor) == [(1, None)] * 2


@pytest.mark.parametrize(
    ("done", "total", "guilty"), [(-1, None, "done"), (1.5, None, "done"), (True, None, "done"), (1, -1, "total")]
)
async def test_progress_takes_whole_numbers(floor: Floor, done: Any, total: Any, guilty: str) -> None:  # noqa: ANN401
    """Numbers that are none are refused at the call."""
    refused: list[str | None] = []

    async def work() -> None:
        with pytest.raises(InvalidOption, match=f"not {guilty}=") as caught:
            await current_job().progress(done, total)
        refused.append(caught.value.option)

    await floor.run(work)
    assert refused == [guilty]
    assert floor.notes == []


async def test_a_thread_tells_and_saves_by_plain_calls(stage: Stage, floor: Floor) -> None:
    """In a `def` job nothing is awaited: progress waits for nothing, a checkpoint until it is durable."""

    def work() -> object:
        current_job().progress(1, 2)
        current_job().checkpoint({"at": 7})
        return current_job().last_checkpoint

    end = await floor.run(work)
    assert end.result == '{"at":7}'
    assert [note.checkpoint for note in floor.notes if note.checkpoint] == ['{"at":7}']
    assert progress(floor) == [(1, 2)]
    await stage.wait(10)
    assert len(floor.notes) == 2


@pytest.mark.parametrize("ask", ["checkpoint", "then"])
def test_a_thread_that_outlives_its_loop_waits_for_no_answer(monkeypatch: pytest.MonkeyPatch, ask: str) -> None:
    """A `def` job that goes on when the program has left the loop is refused what it asks for: nobody would answer."""
    monkeypatch.setattr(desk, "SILENCE", 0.01)
    loop = asyncio.new_event_loop()
    left, refused = threading.Event(), threading.Event()

    def work() -> None:
        job = current_job()
        left.wait()
        try:
            if ask == "checkpoint":
                job.checkpoint(1)
            else:
                job.then(call)
        except NotRunning:
            refused.set()

    async def begin() -> tuple[Stage, Floor, Any]:
        stage = Stage()
        await stage.open()
        floor = Floor(stage)
        stage.define(_next)
        begun = _call(floor)
        floor.start(work)
        await stage.settle()
        return stage, floor, begun

    async def end() -> None:
        await floor.ended()
        await floor.close()
        await stage.backend.close()

    stage, floor, call = loop.run_until_complete(begin())
    left.set()
    in_time = refused.wait(5)
    loop.run_until_complete(end())
    loop.close()
    assert in_time
    call.used = True


# ---- checkpoints ---------------------------------------------------------------------------------------------------


async def test_a_checkpoint_waits_until_it_is_durable(stage: Stage, floor: Floor) -> None:
    """Awaited, a checkpoint is written; only then does the run see it as its last. Progress travels with it."""
    seen: list[object] = []

    async def work() -> None:
        await current_job().progress(1)
        await current_job().progress(2)
        await current_job().checkpoint([1])
        seen.append(current_job().last_checkpoint)

    floor.held = []
    floor.start(work, checkpoint="[0]")
    await stage.settle()
    assert seen == []
    assert floor.notes[-1].progress == (2, None)
    floor.held[-1](None)
    await floor.ended()
    assert seen == [[1]]


async def test_a_checkpoint_nobody_waits_for_any_more_is_still_the_last(stage: Stage, floor: Floor) -> None:
    """One whose waiter gave up is written all the same, and the run knows."""
    seen: list[object] = []

    async def work() -> None:
        waiting = asyncio.ensure_future(current_job().checkpoint([1]))
        await asyncio.wait([waiting], timeout=0)
        waiting.cancel()
        await gate.wait()
        seen.append(current_job().last_checkpoint)

    gate = asyncio.Event()
    floor.held = []
    floor.start(work)
    await stage.settle()
    floor.held[0](None)
    gate.set()
    await floor.ended()
    assert seen == [[1]]


@pytest.mark.parametrize("stale", ["checkpoint", "progress"])
async def test_a_stale_note_ends_the_run(stage: Stage, floor: Floor, stale: str) -> None:
    """A note that the store answers as stale tells who awaits it ClaimLost, cancels the run, and nothing is settled."""
    raised: list[BaseException] = []

    async def work() -> None:
        try:
            if stale == "checkpoint":
                await current_job().checkpoint([1])
            else:
                await current_job().progress(1)
                await asyncio.Event().wait()
        except BaseException as error:
            raised.append(error)
            raise

    floor.held = []
    run = floor.start(work)
    await stage.settle()
    floor.held[0](ClaimLost())
    await stage.settle()
    assert run.why is Why.LOST
    assert len(raised) == 1
    assert floor.ends == {}
    assert len(stage.ear.told(Signal.JOB_LOST)) == 1


async def test_a_stale_checkpoint_raises_in_its_thread(floor: Floor, stage: Stage) -> None:
    """In a `def` job ClaimLost is raised where the checkpoint was called, and the run counts as lost."""
    raised: list[bool] = []

    def work() -> None:
        with pytest.raises(ClaimLost):
            current_job().checkpoint(1)
        raised.append(current_job().stopping)

    floor.note_error = ClaimLost()
    floor.start(work)
    await floor.slots.idle()
    await stage.settle()
    assert raised == [True]
    assert floor.ends == {}


async def test_what_cannot_be_saved_is_refused(floor: Floor) -> None:
    """A value that JSON would not give back equal, or one too large, is refused at the call with its path."""
    paths: list[str | None] = []

    async def work() -> None:
        for value in ({1: 2}, (1, 2), {"a": object()}, "x" * 2000):
            with pytest.raises(ArgumentNotStorable) as caught:
                await current_job().checkpoint(value)
            paths.append(caught.value.path)

    assert (await floor.run(work)).state is JobState.COMPLETED
    assert all(path and path.startswith("checkpoint") for path in paths)
    assert floor.notes == []


async def test_a_run_that_has_ended_saves_nothing(floor: Floor) -> None:
    """A context that outlives its run refuses what would have to come before its end."""
    kept: list[Any] = []

    async def work() -> None:
        kept.append(current_job())

    floor.stage.define(_next)
    await floor.run(work)
    (context,) = kept
    with pytest.raises(AlreadyEnded, match="a checkpoint has to come before"):
        await context.checkpoint(1)
    with pytest.raises(AlreadyEnded, match="then has to come before"):
        context.then(_call(floor))
    with pytest.raises(AlreadyEnded, match="complete has to come before"):
        await context.complete(tx=object())
    await context.progress(1)
    assert floor.notes == []


# ---- follow-ups ----------------------------------------------------------------------------------------------------


async def _next(number: int = 0) -> None:
    del number


def _call(floor: Floor, number: int = 0) -> Any:  # noqa: ANN401 - a call
    definition = floor.stage.kinds.get("_next")
    assert definition is not None
    job: Job[[int], None] = Job(definition, _next)
    return job(number)


async def test_follow_ups_travel_with_the_completion(floor: Floor) -> None:
    """What a run is followed by is in its settlement, in order, and its queue is expected."""

    async def work() -> None:
        context = current_job()
        ids.append(context.then(_call(floor, 1)))
        ids.append(context.then(_call(floor, 2), delay=5, queue="later", id="named"))

    ids: list[str] = []
    floor.stage.define(_next)
    end = await floor.run(work)
    assert [job.id for job in end.jobs] == ids
    assert [(job.kind, job.args, job.delay, job.parent) for job in end.jobs] == [
        ("_next", '{"number":1}', 0, None),
        ("_next", '{"number":2}', 5_000_000, None),
    ]
    assert ids[1] == "named"
    assert floor.expected == [("default", 0), ("later", 5_000_000)]


@pytest.mark.parametrize("options", [{"name": "x"}, {"tx": 1}, {"delya": 1}])
async def test_what_then_refuses(floor: Floor, options: dict[str, Any]) -> None:
    """`then` refuses what is no call, an unknown job, and options that make no sense for a follow-up."""

    async def work() -> None:
        with pytest.raises(NotACall):
            current_job().then("_next")  # type: ignore[arg-type]
        with pytest.raises(UnknownKind):
            current_job().then(call)
        floor.stage.define(_next)
        with pytest.raises(InvalidOption) as caught:
            current_job().then(_call(floor), **options)
        assert caught.value.option == next(iter(options))

    other = Floor(type(floor.stage)())
    other.stage.define(_next)
    call = _call(other)
    end = await floor.run(work)
    assert (end.state, end.jobs) == (JobState.COMPLETED, ())
    await other.close()


async def test_a_thread_follows_up(floor: Floor) -> None:
    """`then` is a plain call in a thread too; what it refuses is raised there."""

    def work() -> str:
        with pytest.raises(InvalidOption):
            current_job().then(_call(floor), name="x")  # type: ignore[call-arg]
        return current_job().then(_call(floor))

    floor.stage.define(_next)
    end = await floor.run(work)
    assert end.result == f'"{end.jobs[0].id}"'


# ---- completing oneself --------------------------------------------------------------------------------------------


class Tx:
    """A caller's transaction, as the stub below has it."""

    def __init__(self) -> None:
        self.open = True
        self.written: list[Settlement] = []


class Ledger:
    """A backend whose `settle` joins a `Tx`, and whose reader answers as told."""

    def __init__(self, stage: Stage) -> None:
        self.notifier = stage.backend.notifier
        self.jobs = self.reader = self.transactions = self
        self.state = JobState.RUNNING
        self.token = 1
        self.stale: tuple[str, ...] = ()
        self.errors: list[Exception] = []

    @staticmethod
    def is_open(tx: Tx) -> bool:
        return tx.open

    async def settle(self, _node: str, settlements: Sequence[Settlement], _claim: None, tx: Tx) -> Settled:
        if self.errors:
            raise self.errors.pop()
        tx.written += settlements
        return Settled(now=1, stale=self.stale)

    async def get(self, _ids: Sequence[str]) -> object:
        if self.errors:
            raise self.errors.pop()
        return SimpleNamespace(jobs=[SimpleNamespace(token=self.token, state=self.state)])


class Own:
    """A floor on such a backend, and a job that completes itself and then goes on until told."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.ledger = Ledger(stage)
        self.floor = Floor(stage, backend=self.ledger)
        self.tx = Tx()
        self.go_on = asyncio.Event()
        self.failure: BaseException | None = None
        self.went_on: list[str] = []

    async def begin(self) -> Any:  # noqa: ANN401 - a run
        async def complete() -> str:
            await current_job().progress(1)
            await current_job().progress(2)
            current_job().then(_call(self.floor))
            await current_job().complete("mine", tx=self.tx)
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.went_on.append("cancelled")
                raise
            if self.failure is not None:
                raise self.failure
            return "another"

        self.stage.define(_next)
        run = self.floor.start(complete)
        await self.stage.settle()
        return run

    def commit(self) -> None:
        self.tx.open, self.ledger.state = False, JobState.COMPLETED

    async def end(self) -> Settlement | None:
        self.go_on.set()
        await self.stage.wait(LOOK)
        return self.floor.ends.get("a")


async def test_a_committed_completion_is_the_end(stage: Stage) -> None:
    """What was written in the transaction is the job's end: result, follow-ups and progress; nothing else is settled."""
    own = Own(stage)
    await own.begin()
    own.commit()
    assert await own.end() is None
    (written,) = own.tx.written
    assert (written.state, written.result, written.progress) == (JobState.COMPLETED, '"mine"', (2, None))
    assert [job.kind for job in written.jobs] == ["_next"]
    await own.floor.close()


async def test_a_run_that_fails_after_its_commit_has_completed(stage: Stage) -> None:
    """Once committed, nothing that the job does can undo its end."""
    own = Own(stage)
    own.failure = ValueError("after")
    await own.begin()
    own.commit()
    assert await own.end() is None
    await own.floor.close()


async def test_a_rollback_is_a_failure(stage: Stage) -> None:
    """Rolled back, the run counts as failed, saying why, and its follow-ups are dropped."""
    own = Own(stage)
    await own.begin()
    own.tx.open = False
    end = await own.end()
    assert end is not None
    assert (end.state, end.failed, end.jobs) == (JobState.PENDING, 1, ())
    assert end.error.endswith("TransactionRolledBack")
    await own.floor.close()


async def test_the_jobs_own_error_outlives_its_rollback(stage: Stage) -> None:
    """An error of the job's own, that rolled its transaction back, is the one that is written down."""
    own = Own(stage)
    own.failure = ValueError("mine")
    await own.begin()
    own.tx.open = False
    end = await own.end()
    assert end is not None
    assert (end.error, end.message) == ("ValueError", "mine")
    await own.floor.close()


async def test_a_transaction_left_open_is_waited_for(stage: Stage) -> None:
    """A run that returns before its transaction ended waits for it; told to end meanwhile, it is interrupted."""
    own = Own(stage)
    run = await own.begin()
    own.go_on.set()
    await stage.wait(10)
    assert own.floor.ends == {}
    own.floor.executor.end(run, Why.SHUTDOWN)
    end = await own.end()
    assert end is not None
    assert end.ending is Ending.INTERRUPTED
    await own.floor.close()


async def test_a_store_away_is_asked_again_how_the_transaction_ended(stage: Stage) -> None:
    """While the store cannot tell what became of the transaction the run waits, and the listener hears."""
    own = Own(stage)
    await own.begin()
    own.commit()
    own.ledger.errors = [StoreUnavailable("away")] * 2
    own.go_on.set()
    await stage.wait(1)
    assert own.floor.ends == {}
    assert own.floor.executor.runs == {}
    assert [fields["loop"] for fields in stage.ear.told(Signal.STORE_WAITING)] == ["completion"] * 2
    await own.floor.close()


async def test_given_up_while_its_transaction_is_looked_up(stage: Stage) -> None:
    """An engine that stops waits no longer for a store that does not answer; slot and run are free for who waits for that."""
    own = Own(stage)
    run = await own.begin()
    own.commit()
    asked = asyncio.Event()

    async def hang(_ids: Sequence[str]) -> object:
        asked.set()
        return await asyncio.Event().wait()

    own.ledger.get = hang  # type: ignore[method-assign]
    own.go_on.set()
    await asked.wait()
    own.floor.executor.end(run, Why.SHUTDOWN)
    own.floor.executor.abandon()
    await stage.settle()
    assert own.floor.ends["a"].ending is Ending.INTERRUPTED
    await own.floor.close()


async def test_a_beat_after_the_commit_does_not_end_the_run(stage: Stage) -> None:
    """Committed, the store has no claim of the job any more; the run goes on to its own end and is not told as lost."""
    own = Own(stage)
    run = await own.begin()
    own.commit()
    own.floor.executor.end(run, Why.LOST)
    await stage.settle()
    assert own.went_on == []
    assert await own.end() is None
    assert stage.ear.told(Signal.JOB_LOST) == []
    await own.floor.close()


async def test_nothing_is_noted_beside_a_completion(stage: Stage) -> None:
    """Once completed, a run notes nothing more: no other write could pass its transaction."""
    own = Own(stage)
    run = await own.begin()
    before = len(own.floor.notes)
    await run.progress(9, None)
    run.lend()
    run.take_back()
    await stage.wait(10)
    assert len(own.floor.notes) == before
    for refused in (run.checkpoint(1), run.complete(None, Tx())):
        with pytest.raises((AlreadyEnded, TransactionOpen)):
            await refused
    with pytest.raises(AlreadyEnded, match="completed itself already"):
        run.then(_call(own.floor), {})
    own.commit()
    assert await own.end() is None
    await own.floor.close()


async def test_a_stale_completion_is_a_lost_claim(stage: Stage) -> None:
    """A completion that the store answers as stale raises ClaimLost in the job, which may then end as it likes."""
    own = Own(stage)
    own.ledger.stale = ("a",)
    run = await own.begin()
    assert run.effects.completion is None
    end = await own.end()
    assert end is not None
    assert end.error.endswith("ClaimLost")
    await own.floor.close()


async def test_a_completion_the_store_refused_may_be_tried_again(stage: Stage) -> None:
    """An error of the store's is raised in the job, and leaves the run as if complete had not been called."""
    own = Own(stage)
    own.ledger.errors = [StoreUnavailable("away")]
    run = await own.begin()
    assert run.effects.completion is None
    end = await own.end()
    assert end is not None
    assert end.error.endswith("StoreUnavailable")
    await own.floor.close()


# ---- lending -------------------------------------------------------------------------------------------------------


async def test_a_slot_is_lent_while_any_task_of_the_run_waits(stage: Stage, floor: Floor) -> None:
    """The first task to wait lends the slot, the last takes it back; both are noted, and room is told of."""
    gate = asyncio.Event()

    async def work() -> None:
        await gate.wait()

    run = floor.start(work)
    await stage.settle()
    run.lend()
    run.lend()
    assert (floor.slots.taken, floor.slots.busy) == (0, True)
    run.take_back()
    assert floor.slots.taken == 0
    run.take_back()
    assert floor.slots.taken == 1
    assert [note.lent for note in floor.notes] == [True, False]
    assert floor.freed == [False]
    gate.set()
    await floor.ended()


async def test_idle_waits_for_a_run_that_lent_its_slot(stage: Stage, floor: Floor) -> None:
    """A run whose slot is lent still runs: who waits for nothing to run waits for it."""
    gate = asyncio.Event()

    async def work() -> None:
        run = current_run.get()
        run.lend()
        await gate.wait()
        run.take_back()

    floor.start(work)
    await stage.settle()
    assert floor.slots.taken == 0
    idle = asyncio.ensure_future(floor.slots.idle())
    await stage.settle()
    assert not idle.done()
    gate.set()
    await idle
    assert floor.executor.runs == {}


async def test_a_run_that_ends_while_a_task_of_it_waits(stage: Stage, floor: Floor) -> None:
    """A task that the job left behind lends nothing once the run has ended, and its return changes nothing."""

    async def work() -> None:
        current_run.get().lend()

    run = floor.start(work)
    await floor.ended()
    await stage.settle()
    assert (floor.slots.taken, floor.slots.busy) == (0, False)
    run.take_back()
    run.lend()
    run.take_back()
    assert (floor.slots.taken, floor.slots.busy) == (0, False)
    assert [note.lent for note in floor.notes] == [True]


async def test_an_abandoned_run_gives_its_lent_slot_back(stage: Stage, floor: Floor) -> None:
    """A run that is given up while its slot is lent leaves the ledger even, whoever waits for that."""

    async def work() -> None:
        run = current_run.get()
        run.lend()
        try:
            await asyncio.Event().wait()
        finally:
            run.take_back()

    floor.start(work)
    await stage.settle()
    idle = asyncio.ensure_future(floor.slots.idle())
    await stage.settle()
    floor.executor.abandon()
    await stage.settle()
    assert idle.done()
    assert (floor.slots.taken, floor.slots.busy) == (0, False)
    assert [note.lent for note in floor.notes] == [True]


async def test_a_thread_that_waits_adds_one(stage: Stage, floor: Floor) -> None:
    """While a `def` job's thread waits for a job another may run; the node stands at its limit again afterwards."""
    begun, go = threading.Semaphore(0), threading.Event()
    third = threading.Event()

    def busy() -> None:
        begun.release()
        assert go.wait(10)

    def work() -> None:
        third.set()

    runs = [floor.start(busy, name) for name in ("b1", "b2")]
    for _ in range(2):
        await asyncio.to_thread(begun.acquire)
    floor.start(work)
    await stage.settle()
    assert not third.is_set()
    runs[0].lend()
    assert await asyncio.to_thread(third.wait, 5)
    runs[0].take_back()
    assert floor.threads._limit == 2
    go.set()
    await asyncio.gather(*(floor.ended(name) for name in ("b1", "b2", "a")))
