"""What a run may ask for while it runs: to tell, to save, to follow up, to complete itself, to lend its slot."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, wait
from enum import Enum, auto
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar

from backburner.codec.plain import encode_plain
from backburner.errors import AlreadyEnded, ClaimLost, NotRunning, StoreBusy, StoreError
from backburner.jobs import outcome
from backburner.jobs.call import take
from backburner.jobs.done import DONE
from backburner.jobs.effects import Effects, check_progress
from backburner.jobs.loop import trouble
from backburner.jobs.run import Why
from backburner.model.clock import SECOND, pause
from backburner.model.job import JobState, Settlement
from backburner.resilience.retry import LOOP_BACKOFF

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backburner.jobs.call import Call
    from backburner.jobs.executor import Executor
    from backburner.jobs.home import Home
    from backburner.jobs.identity import Identity
    from backburner.jobs.joined import Joined
    from backburner.jobs.kit import Kit
    from backburner.jobs.options import CallOptions
    from backburner.jobs.order import Orders
    from backburner.jobs.run import Run
    from backburner.jobs.settler import Note
    from backburner.jobs.slots import Slots
    from backburner.jobs.threads import Threads
    from backburner.model.job import NewJob
    from backburner.ports.backend import Backend

__all__ = ["Desk", "Verdict"]

T = TypeVar("T")

#: Seconds between two writes of a run's progress.
PROGRESS = 1.0
#: Seconds between two looks at a transaction that its run left open.
LOOK = 0.02
#: Seconds without an answer after which a job's thread looks whether the engine's loop runs.
SILENCE = 1.0


class Verdict(Enum):
    """What became of the transaction in which a run completed itself."""

    COMMITTED = auto()
    ROLLED_BACK = auto()
    #: It is open yet, and the run was told to end.
    OPEN = auto()
    #: The job is another's now.
    LOST = auto()


class Desk:
    """Serves all runs of a node. Its methods may be called from a job's thread; they work on the engine's loop."""

    def __init__(
        self,
        backend: Backend,
        orders: Orders,
        joined: Joined,
        home: Home,
        *,
        slots: Slots,
        threads: Threads,
        node: Identity,
        note: Note,
        freed: Callable[[], None],
        limit: int,
        kit: Kit,
    ) -> None:
        #: Set once, before the start: desk and executor know each other.
        self.executor: Executor
        self.home = home
        self._store = backend.jobs
        self._reader = backend.reader
        self._transactions = backend.transactions
        self._orders = orders
        self._joined = joined
        self._slots = slots
        self._threads = threads
        self._node = node
        self._note = note
        self._freed = freed
        self._limit = limit
        self._clock = kit.clock
        self._listener = kit.listener
        self._random = kit.random
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()

    def effects(self, run: Run) -> Effects:
        """Return what a run has done so far."""
        if run.effects is None:
            run.effects = Effects()
        return run.effects

    # ---- telling and saving ------------------------------------------------------------------------------------

    def progress(self, run: Run, done: int, total: int | None) -> Awaitable[None]:
        """Write how far a run has come, soon; what comes within a second of that is written together."""
        self.tell(run, done, total)
        return DONE

    def tell(self, run: Run, done: int, total: int | None) -> None:
        """Do as `progress` does."""
        check_progress(done, total)
        if get_ident() == self._thread:
            self._progress(run, (done, total))
        else:
            self._hop(self._progress, run, (done, total))

    def _progress(self, run: Run, numbers: tuple[int, int | None]) -> None:
        effects = self.effects(run)
        effects.progress = numbers
        if effects.timer is None:
            self._write_progress(run, effects)

    def _write_progress(self, run: Run, effects: Effects) -> None:
        effects.timer = None
        if effects.progress is not None and self._runs(run) and not self._completed(run):
            progress, effects.progress = effects.progress, None
            effects.timer = self._clock.call_later(PROGRESS, partial(self._write_progress, run, effects))
            self._write(run, Settlement(id=run.id, token=run.token, state=JobState.RUNNING, progress=progress))

    def checkpoint(self, run: Run, value: object) -> Awaitable[None]:
        """Save a value for the next run."""
        text = run.definition.signature.saved(encode_plain(value, "checkpoint", self._limit))
        if get_ident() == self._thread:
            return self.save(run, text)
        blocked: Future[None] = Future()
        self._hop(self._checkpoint, run, text, blocked)
        self._answer(blocked)
        return DONE

    def save(self, run: Run, text: str) -> asyncio.Future[None]:
        """Save a JSON text for the next run; on the engine's loop."""
        if self._joined.open:
            self._joined.refuse_write()
        saved: asyncio.Future[None] = self._loop.create_future()
        self._checkpoint(run, text, saved)
        return saved

    def _checkpoint(self, run: Run, text: str, saved: asyncio.Future[None] | Future[None]) -> None:
        def told(error: Exception | None) -> None:
            if error is None:
                effects.checkpoint = text  # also if nobody waits for it any more
            if saved.done():
                return
            if error is None:
                saved.set_result(None)
            else:
                saved.set_exception(error)

        effects = self.effects(run)
        try:
            self._require(run, "a checkpoint")
        except AlreadyEnded as error:
            told(error)
            return
        progress, effects.progress = effects.progress, None
        note = Settlement(id=run.id, token=run.token, state=JobState.RUNNING, progress=progress, checkpoint=text)
        self._write(run, note, told)

    # ---- following up, completing ------------------------------------------------------------------------------

    def then(self, run: Run, call: Call[Any], options: CallOptions) -> str:
        """Make a follow-up; it is stored with the run's completion."""
        if get_ident() == self._thread:
            return self._then(run, call, options)
        return self._ask(partial(self._then, run, call, options))

    def _then(self, run: Run, call: Call[Any], options: CallOptions) -> str:
        take(call)
        self._require(run, "then")
        job = self._orders.follow_up(call, options, run)
        self.effects(run).jobs.append(job)
        return job.id

    def follow(self, run: Run, job: NewJob) -> None:
        """Take a follow-up that was made elsewhere; raises `UnknownKind` for one that nobody here could run."""
        self._require(run, "then")
        self._orders.check_kind(job.kind)
        self.effects(run).jobs.append(job)

    async def complete(self, run: Run, result: object, tx: object) -> None:
        """Complete a run in its own transaction."""
        self._require(run, "complete")
        self._transactions.is_open(tx)
        effects = self.effects(run)
        completion = outcome.completed(run.claim, self.executor.encode(run.definition, result))
        effects.completion = completion = outcome.with_effects(completion, tuple(effects.jobs), effects.progress)
        try:
            await self._complete(run, completion, tx)
        except BaseException:
            effects.completion = None
            raise
        effects.tx = tx
        self._joined.join(tx)

    async def _complete(self, run: Run, completion: Settlement, tx: object) -> None:
        if run.why is Why.LOST:
            raise ClaimLost
        settled = await self._store.settle(self._node.holder(run.id, run.token), (completion,), None, tx)
        if settled.stale:
            raise ClaimLost
        if settled.busy:
            raise StoreBusy(
                f"job {run.id} is locked in somebody else's open transaction: nothing was written, and yours stays usable",
                stored="no",
                job_id=run.id,
            )

    async def verdict(self, run: Run, tx: object) -> Verdict:
        """Find out what became of a run's own transaction; while that is open, until it is told to end."""
        failures = 0
        while True:
            seconds = LOOK
            if not self._joined.is_open(tx):
                try:
                    return await self._look_up(run)
                except StoreError as error:
                    failures += 1
                    self._listener(trouble(error), error=error, loop="completion", failures=failures)
                    seconds = LOOP_BACKOFF.delay(failures, previous=None, random=self._random) / SECOND
            if run.why is not None:
                return Verdict.OPEN
            await pause(self._clock, seconds)

    async def _look_up(self, run: Run) -> Verdict:
        found = {record.token: record.state for record in (await self._reader.get((run.id,))).jobs}
        verdicts = {JobState.COMPLETED: Verdict.COMMITTED, JobState.RUNNING: Verdict.ROLLED_BACK}
        return verdicts.get(found.get(run.token, JobState.DEAD), Verdict.LOST)

    # ---- lending -----------------------------------------------------------------------------------------------

    def lend(self, run: Run) -> None:
        """Let another run have the slot of one that waits for a job; a thread that waits adds one."""
        effects = self.effects(run)
        effects.lent += 1
        if effects.lent == 1 and self._runs(run):
            effects.slot = True
            self._slots.lend(run.queue)
            if run.thread is not None:
                effects.thread = True
                self._threads.lend()
            self._write(run, Settlement(id=run.id, token=run.token, state=JobState.RUNNING, lent=True))
            self._freed()

    def take_back(self, run: Run) -> None:
        """Go on at once; the node may stand over its limits by those that did."""
        effects = self.effects(run)
        effects.lent -= 1
        if effects.lent == 0 and effects.slot:
            self._take_slot_back(run, effects)
            if self._runs(run):
                self._write(run, Settlement(id=run.id, token=run.token, state=JobState.RUNNING, lent=False))

    def close(self, run: Run) -> None:
        """Put a run's affairs in order: it has ended."""
        effects = run.effects
        if effects is None:
            return
        if effects.timer is not None:
            effects.timer.cancel()
        if effects.slot:
            # A task that it left behind still waits.
            self._take_slot_back(run, effects)

    def _take_slot_back(self, run: Run, effects: Effects) -> None:
        effects.slot = False
        self._slots.take_back(run.queue)
        if effects.thread:
            effects.thread = False
            self._threads.take_back()

    # ---- the engine's loop ------------------------------------------------------------------------------------

    def _runs(self, run: Run) -> bool:
        return self.executor.runs.get(run.id) is run and not run.settled

    def _require(self, run: Run, what: str) -> None:
        if not self._runs(run):
            raise AlreadyEnded(f"{run.kind} {run.id} has ended: {what} has to come before")
        if self._completed(run):
            raise AlreadyEnded(f"{run.kind} {run.id} has completed itself already: {what} comes too late")

    @staticmethod
    def _completed(run: Run) -> bool:
        return run.effects is not None and run.effects.completion is not None

    def _write(self, run: Run, note: Settlement, told: Callable[[Exception | None], None] | None = None) -> None:
        if self._completed(run):
            return  # its transaction may be open, and no other write can pass that; committed, there is nothing to note

        def hear(error: Exception | None) -> None:
            if isinstance(error, ClaimLost) and self._runs(run):
                self.executor.end(run, Why.LOST)
            if told is not None:
                told(error)

        self._note(run.claim, note, hear)

    def _hop(self, function: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            raise NotRunning from None

    def _ask(self, function: Callable[[], T]) -> T:
        answer: Future[T] = Future()

        def work() -> None:
            try:
                answer.set_result(function())
            except Exception as error:  # noqa: BLE001 - raised in the thread that asked
                answer.set_exception(error)

        self._hop(work)
        return self._answer(answer)

    def _answer(self, answer: Future[T]) -> T:
        """Wait in a job's thread; a loop that was left while the thread went on answers nobody any more."""
        while not wait([answer], SILENCE).done:
            if not self._loop.is_running():
                raise NotRunning
        return answer.result()
