"""Runs claims: each in a task of its own, in a fresh context, until it returns, raises or is told to end."""

from __future__ import annotations

import asyncio
import sys
import traceback
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from backburner.errors import PayloadNotReadable, RunSkipped, TransactionRolledBack
from backburner.jobs import outcome
from backburner.jobs.concealing import conceal
from backburner.jobs.context import JobContext, current_run
from backburner.jobs.desk import Verdict
from backburner.jobs.run import Run, Why
from backburner.jobs.signals import JobSignal
from backburner.model.clock import SECOND
from backburner.model.job import SUSPECT_CRASHES, Ending
from backburner.ports.telemetry import Signal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from backburner.jobs.definition import Definition
    from backburner.jobs.desk import Desk
    from backburner.jobs.effects import Effects
    from backburner.jobs.guards import Guards
    from backburner.jobs.kit import Kit
    from backburner.jobs.performer import Performer
    from backburner.jobs.registry import Kinds
    from backburner.jobs.settler import Settle, Witness
    from backburner.jobs.slots import Slots
    from backburner.model.clock import Timer
    from backburner.model.job import Claim, Settlement
    from backburner.resilience.retry import RetryPolicy

__all__ = ["Around", "Executor"]

#: What wraps every run: it awaits ``run()``, whose result is the job's whatever the wrapper returns.
Around: TypeAlias = "Callable[[JobContext[Any], Callable[[], Awaitable[object]]], Awaitable[object]]"

#: Seconds after which a run that was told to end is reported as stuck.
STUCK_AFTER = 30.0
_NEVER = float("inf")
#: The endings that say something of what a run depends on; None is completed.
_TOLD = frozenset({None, Ending.FAILED, Ending.REJECTED})


class _Misfit(Exception):
    """The stored arguments do not fit the signature here; why is its cause."""


class Executor:
    """Starts runs, ends them, and hands what became of each to ``settle``.

    A run's slot is taken while it runs and given back the moment it ends, before its end is written: the next claim
    travels with that write. A thread cannot be stopped: its run is told through ``stopping`` and keeps its slot until
    the thread returns.
    """

    def __init__(
        self,
        kinds: Kinds,
        slots: Slots,
        desk: Desk,
        performer: Performer,
        guards: Guards,
        *,
        settle: Settle,
        witness: Witness,
        freed: Callable[[bool], None],
        opened: Callable[[], None],
        expect: Callable[[str, int], None],
        around: Sequence[Around],
        retry: RetryPolicy,
        timeout: int,
        result_limit: int,
        kit: Kit,
    ) -> None:
        self._kinds = kinds
        self._slots = slots
        self._desk = desk
        desk.executor = self
        self._performer = performer
        self._guards = guards
        self._settle = settle
        self._witness = witness
        self._freed = freed
        #: Told of a run that ended in its own transaction, which opens no lane itself.
        self._opened = opened
        self._expect = expect
        self._around = tuple(around)
        self._retry = retry
        self._timeout = timeout
        self._result_limit = result_limit
        self._clock = kit.clock
        self._listener = kit.listener
        self._random = kit.random
        self._hooks = kit.hooks
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._timer: Timer | None = None
        self._next_deadline = _NEVER
        self.runs: dict[str, Run] = {}
        self.suspects = 0

    def start(self, claim: Claim) -> None:
        """Run a claim, on the slot that was taken for it."""
        definition = self._kinds.get(claim.kind)
        if definition is None or claim.id in self.runs:
            # A kind that is gone, or our own lost run of the job, which has not ended yet: another node's turn, or
            # ours later.
            self._leave(claim, outcome.given_back(claim, delay=SECOND))
            return
        if claim.expires_at is not None and claim.expires_at <= claim.claimed_at:
            self._leave(claim, outcome.expired(claim))
            return
        if definition.watched and self._guards.holds(definition.watched):
            # It was claimed before its breaker opened: no attempt is spent on that.
            self._leave(claim, outcome.held_back(claim))
            return
        run = Run(claim.id, claim, definition, self._desk, self._deadline(claim, definition))
        self.runs[claim.id] = run
        if claim.crashes >= SUSPECT_CRASHES:
            self.suspects += 1
        run.task = self._loop.create_task(self._run(run), name=claim.id, context=self._context.copy())

    def decline(self, claim: Claim) -> None:
        """Give back a claim for which no slot was taken."""
        self._settle(claim, outcome.given_back(claim))

    def end(self, run: Run, why: Why) -> None:
        """Tell a run to end; the first reason stands."""
        if run.why is not None:
            return
        if why is Why.LOST and run.effects is not None and run.effects.completion is not None:
            return  # committed, its own completion ended the claim; what became of that is looked up at its end
        run.why = why
        self._watch(run, self._clock.monotonic() + STUCK_AFTER)
        if run.waiting is not None:
            run.waiting()
        elif why is Why.SHUTDOWN and run.definition.executor == "process":
            # It may yet save something; what does not end is killed when it is given up.
            self._performer.stopping(run)
        elif run.begun and run.task is not None:
            run.task.cancel()

    def end_all(self, why: Why) -> None:
        """Tell every run to end."""
        for run in tuple(self.runs.values()):
            self.end(run, why)

    def end_waiting(self) -> None:
        """Give back what still waits for a thread or a process: the engine stops."""
        for run in tuple(self.runs.values()):
            # One that has just begun, unheard of here, cannot be cancelled and has its grace.
            if run.why is None and run.waiting is not None and run.waiting():
                run.why = Why.SHUTDOWN

    def kill(self) -> None:
        """Kill the processes of runs that were told to end: nobody waits for them any more."""
        for run in tuple(self.runs.values()):
            if run.why is not None and run.definition.executor == "process" and run.task is not None:
                run.task.cancel()

    def wait(self, run: Run, waiting: Callable[[], bool]) -> None:
        """Know that a run waits for a thread or a process, which is no part of its time."""
        run.waiting = waiting
        if run.why is None:
            run.deadline = _NEVER

    def begin(self, run: Run) -> None:
        """Know that its wait is over."""
        run.waiting = None
        if run.definition.watched or self._hooks.ended:
            run.since = self._clock.monotonic()
        if run.why is None and self.runs.get(run.id) is run:
            run.deadline = self._deadline(run.claim, run.definition)

    def give_up(self, run: Run, why: str) -> None:
        """Give back the job of a run that would not end, once; what it still does is not written."""
        if not run.settled:
            run.settled = True
            settlement = outcome.interrupted(run.claim, f"{why}; the run did not end in time")
            # Now, since it may never end.
            self._tell_ended(run, settlement)
            self._settle(run.claim, settlement)

    def abandon(self) -> None:
        """Give up every run that would not end: the engine stops."""
        for run in tuple(self.runs.values()):
            if run.task is not None:
                run.task.cancel()
            self.give_up(run, "the engine stopped")

    def running(self) -> dict[str, int]:
        """Return the tokens of what runs, by id; may be called from another thread."""
        # Copying the values is one step under the interpreter lock, iterating over the dict would not be.
        return {run.id: run.token for run in tuple(self.runs.values())}

    def close(self) -> None:
        """Stop watching deadlines."""
        if self._timer is not None:
            self._timer.cancel()

    # ---- one run -----------------------------------------------------------------------------------------------

    async def _run(self, run: Run) -> None:
        definition = run.definition
        run.begun = True
        if definition.watched or self._hooks.ended:
            run.since = self._clock.monotonic()
        current_run.set(run)
        raised: BaseException | None = None
        try:
            if run.why is not None:
                raise asyncio.CancelledError  # noqa: TRY301 - told to end before it began
            try:
                args, kwargs = definition.signature.decode(run.claim.args)
            except PayloadNotReadable as error:
                raise _Misfit from error
            if self._hooks.running or (run.claim.headers is not None and self._hooks.carrying):
                with self._hooks.around_run(run.claim):
                    text = await self._perform(run, args, kwargs)
            elif definition.plain and not self._around:
                result: object = await definition.fn(*args, **kwargs)
                text = definition.signature.encode_result(result, self._result_limit)
            else:
                text = await self._perform(run, args, kwargs)
            settlement = outcome.completed(run.claim, text)
        except BaseException as error:  # noqa: BLE001 - every way a job can end is settled here
            settlement, raised = self._raised(run, error)
        if run.effects is not None and run.effects.tx is not None:
            raised = await self._finish_own(run, run.effects.tx, settlement, raised)
        else:
            self._finish(run, settlement, raised)
        if isinstance(raised, KeyboardInterrupt | GeneratorExit) and definition.executor == "loop":
            raise raised

    async def _perform(self, run: Run, args: tuple[object, ...], kwargs: dict[str, object]) -> str:
        """Run what may be more than a plain call on the loop; returns the result as JSON text."""
        definition = run.definition
        if definition.plain and not self._around:
            return definition.signature.encode_result(await definition.fn(*args, **kwargs), self._result_limit)
        text = "null"
        ran = False

        async def innermost() -> object:
            nonlocal text, ran
            ran = True
            result, text = await self._performer.perform(run, args, kwargs)
            return result

        work = innermost
        context: JobContext[Any] = JobContext(run)
        for around in reversed(self._around):
            work = partial(around, context, work)  # type: ignore[assignment]
        await work()
        if not ran:
            raise RunSkipped
        return text

    async def _finish_own(
        self, run: Run, tx: object, settlement: Settlement, raised: BaseException | None
    ) -> BaseException | None:
        """Finish a run that completed itself: as its transaction ended, so did the run."""
        run.begun = False  # from here nothing of the job's own is left to cancel
        try:
            verdict = await self._desk.verdict(run, tx)
        except asyncio.CancelledError:
            verdict = Verdict.OPEN  # an engine that gives the run up has settled it; what is left is to free its slot
        if verdict is Verdict.COMMITTED:
            if raised is not None:
                self._listener(Signal.JOB_LATE_ERROR, error=raised, kind=run.kind, id=run.id, attempt=run.attempt)
            self._finish(run, None, raised)
            return raised
        if verdict is Verdict.ROLLED_BACK and raised is None:
            settlement, raised = self._raised(run, TransactionRolledBack())
        elif verdict is Verdict.OPEN and raised is None:
            settlement = outcome.interrupted(run.claim, "its transaction was still open when the run was told to end")
        elif verdict is Verdict.LOST:
            run.why = Why.LOST
        self._finish(run, settlement, raised)
        return raised

    def encode(self, definition: Definition, result: object) -> str:
        """Return a result as JSON text; raises `ResultNotStorable`."""
        return definition.signature.encode_result(result, self._result_limit)

    def _raised(self, run: Run, error: BaseException) -> tuple[Settlement, BaseException]:
        """Work out how a run that raised ends, and which error it tells of: with secrets, one that keeps them."""
        clean = run.definition.signature.secrets(run.claim.args)
        if clean is None:
            return self._ended_by(run, error)
        settlement, raised = self._ended_by(run, error, clean)
        return settlement, conceal(raised, clean)

    def _ended_by(
        self, run: Run, error: BaseException, clean: Callable[[str], str] = str
    ) -> tuple[Settlement, BaseException]:
        claim = run.claim
        if isinstance(error, _Misfit):
            cause = cast("PayloadNotReadable", error.__cause__)
            return outcome.misfit(claim, cause, run.definition.signature.schema_name), cause
        policy = self._policy(run)
        if isinstance(error, KeyboardInterrupt | GeneratorExit):
            return outcome.interrupted(claim, f"interrupted by {type(error).__name__}"), error
        if run.why is None or run.why is Why.LOST:
            return outcome.raised(claim, error, policy, self._random, now=self._clock.now(), clean=clean), error
        if run.why is Why.TIMEOUT and not isinstance(error, JobSignal):
            limit = self._limit(claim, run.definition) / SECOND
            error = TimeoutError(f"the run took longer than its timeout of {limit:g} s").with_traceback(
                error.__traceback__
            )
        now = self._clock.now()
        return outcome.ended(claim, run.why, error, policy, self._random, now=now, clean=clean), error

    def _policy(self, run: Run) -> RetryPolicy:
        declared = run.definition.options.retry or self._retry
        try:
            return outcome.policy_of(run.claim, declared)
        except PayloadNotReadable:
            # Stored by a newer engine; the declaration is the next best word on it.
            return declared

    def _finish(self, run: Run, settlement: Settlement | None, error: BaseException | None) -> None:
        claim = run.claim
        if self._hooks.ended and not run.settled:
            self._tell_ended(run, settlement)
        if run.effects is not None:
            self._desk.close(run)
            settlement = self._conclude(run, run.effects, settlement)
        del self.runs[run.id]
        if run.definition.watched:
            self._report(run, settlement, error)
        suspect = claim.crashes >= SUSPECT_CRASHES
        if suspect:
            self.suspects -= 1
        if run.why is Why.LOST:
            self._listener(Signal.JOB_LOST, id=run.id, kind=run.kind, queue=run.queue, attempt=run.attempt)
        elif settlement is not None and not run.settled:
            self._settle(claim, settlement, error)
        self._slots.give(claim.queue)
        self._freed(suspect)

    def _tell_ended(self, run: Run, settlement: Settlement | None) -> None:
        if run.since is None:
            return  # it had begun before there was anybody to tell
        if settlement is None and run.effects is not None:
            settlement = run.effects.completion
        seconds = self._clock.monotonic() - run.since
        for ended in self._hooks.ended:
            ended(run.claim, None if run.why is Why.LOST else settlement, seconds)

    def _report(self, run: Run, settlement: Settlement | None, error: BaseException | None) -> None:
        """Tell the guards how a run ended, unless it was ended, crashed, or never was what its arguments say."""
        ended = run.why is None or run.why is Why.TIMEOUT
        if ended and run.since is not None and (settlement is None or settlement.ending in _TOLD):
            took = self._clock.monotonic() - run.since
            self._guards.ended(run.definition.watched, error, claimed_at=run.claim.claimed_at, took=took)
            if error is not None and self._guards.holds(run.definition.watched):
                self._hold_back()

    def _hold_back(self) -> None:
        """Give back what waits for a thread or a process, and whose breaker has opened meanwhile."""
        for run in tuple(self.runs.values()):
            watched = run.definition.watched
            if run.why is None and run.waiting is not None and self._guards.holds(watched) and run.waiting():
                run.why = Why.HELD

    def _conclude(self, run: Run, effects: Effects, settlement: Settlement | None) -> Settlement | None:
        """Add a run's effects to how it ended; what it wrote itself is only told."""
        if settlement is None and effects.completion is not None:
            settlement, written = effects.completion, True
        else:
            written = False
        if settlement is None:
            return None
        settlement = outcome.with_effects(settlement, tuple(effects.jobs), effects.progress)
        for job in settlement.jobs:
            self._expect(job.queue, job.delay if job.at is None else 0)
        if not written:
            return settlement
        self._witness.settled(run.claim, settlement, None)
        self._witness.wrote()
        if run.claim.lanes:
            self._opened()
        return None

    def _leave(self, claim: Claim, settlement: Settlement) -> None:
        """Settle a claim without running it, and free its slot."""
        self._settle(claim, settlement)
        self._slots.give(claim.queue)
        self._freed(False)  # noqa: FBT003 - no suspect ran

    # ---- deadlines: one timer for all runs ---------------------------------------------------------------------

    def _deadline(self, claim: Claim, definition: Definition) -> float:
        timeout = self._limit(claim, definition)
        if not timeout:
            return _NEVER
        deadline = self._clock.monotonic() + timeout / SECOND
        if deadline < self._next_deadline:
            self._arm(deadline)
        return deadline

    def _limit(self, claim: Claim, definition: Definition) -> int:
        if claim.timeout is not None:
            return claim.timeout
        declared = definition.options.timeout
        return self._timeout if declared is None else declared

    def _watch(self, run: Run, deadline: float) -> None:
        run.deadline = deadline
        if deadline < self._next_deadline:
            self._arm(deadline)

    def _arm(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next_deadline = deadline
        self._timer = self._clock.call_later(max(0.0, deadline - self._clock.monotonic()), self._check_deadlines)

    def _check_deadlines(self) -> None:
        self._timer = None
        self._next_deadline = _NEVER
        now = self._clock.monotonic()
        for run in tuple(self.runs.values()):
            if run.deadline <= now:
                self._overdue(run)
        soonest = min((run.deadline for run in self.runs.values()), default=_NEVER)
        if soonest < self._next_deadline:
            self._arm(soonest)

    def _overdue(self, run: Run) -> None:
        if run.why is None:
            self.end(run, Why.TIMEOUT)
            return
        run.deadline = _NEVER
        self._listener(
            Signal.JOB_STUCK, id=run.id, kind=run.kind, attempt=run.attempt, why=run.why.name.lower(), stack=_stack(run)
        )


def _stack(run: Run) -> str:
    """Where a run stands now, for the report of a stuck one."""
    if run.thread is not None:
        frame = sys._current_frames().get(run.thread)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - the documented way to another thread's stack
        return "".join(traceback.format_stack(frame)) if frame is not None else ""
    # A task's own get_stack() stops at its outermost frame.
    lines: list[str] = []
    awaited: object = run.task.get_coro() if run.task is not None else None
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        lines += traceback.format_stack(frame, limit=1)
        awaited = getattr(awaited, "cr_await", None)
    return "".join(lines)
