"""Runs claims: each in a task of its own, in a fresh context, until it returns, raises or is told to end."""

from __future__ import annotations

import asyncio
import sys
import traceback
from contextvars import copy_context
from threading import get_ident
from typing import TYPE_CHECKING, cast

from backburner.errors import PayloadNotReadable, ResultNotStorable
from backburner.jobs import outcome
from backburner.jobs.context import current_run
from backburner.jobs.run import Run, Why
from backburner.jobs.signals import JobSignal
from backburner.model.clock import SECOND
from backburner.ports.telemetry import Signal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backburner.jobs.definition import Definition
    from backburner.jobs.kit import Kit
    from backburner.jobs.registry import Kinds
    from backburner.jobs.settler import Settle
    from backburner.jobs.slots import Slots
    from backburner.jobs.threads import Threads
    from backburner.model.clock import Timer
    from backburner.model.job import Claim, Settlement
    from backburner.resilience.retry import RetryPolicy

__all__ = ["Executor"]

#: Seconds after which a run that was told to end is reported as stuck.
STUCK_AFTER = 30.0
_NEVER = float("inf")


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
        threads: Threads,
        *,
        settle: Settle,
        freed: Callable[[bool], None],
        retry: RetryPolicy,
        timeout: int,
        result_limit: int,
        kit: Kit,
    ) -> None:
        self._kinds = kinds
        self._slots = slots
        self._threads = threads
        self._settle = settle
        self._freed = freed
        self._retry = retry
        self._timeout = timeout
        self._result_limit = result_limit
        self._clock = kit.clock
        self._listener = kit.listener
        self._random = kit.random
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
        run = Run(claim, definition, self._deadline(claim, definition))
        self.runs[claim.id] = run
        if claim.crashes >= outcome.SUSPECT_CRASHES:
            self.suspects += 1
        work = self._run(run) if definition.executor == "loop" else self._run_in_thread(run)
        run.task = self._loop.create_task(work, name=claim.id, context=self._context.copy())

    def decline(self, claim: Claim) -> None:
        """Give back a claim for which no slot was taken."""
        self._settle(claim, outcome.given_back(claim))

    def end(self, run: Run, why: Why) -> None:
        """Tell a run to end; the first reason stands."""
        if run.why is not None:
            return
        run.why = why
        self._watch(run, self._clock.monotonic() + STUCK_AFTER)
        if run.begun and run.task is not None:
            run.task.cancel()

    def end_all(self, why: Why) -> None:
        """Tell every run to end."""
        for run in tuple(self.runs.values()):
            self.end(run, why)

    def abandon(self) -> None:
        """Give back the jobs of runs that would not end; what they still do is not written."""
        for run in tuple(self.runs.values()):
            run.settled = True
            if run.task is not None:
                run.task.cancel()
            self._settle(run.claim, outcome.interrupted(run.claim, "the engine stopped; the run did not end in time"))

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
        run.begun = True
        current_run.set(run)
        definition = run.definition
        raised: BaseException | None = None
        try:
            if run.why is not None:
                raise asyncio.CancelledError  # noqa: TRY301 - told to end before it began
            args, kwargs = definition.signature.decode(run.claim.args)
            result: object = await cast("Awaitable[object]", definition.fn(*args, **kwargs))
            settlement = outcome.completed(run.claim, self._encode(definition, result))
        except BaseException as error:  # noqa: BLE001 - every way a job can end is settled here
            settlement, raised = self._raised(run, error)
        self._finish(run, settlement, raised)
        if isinstance(raised, KeyboardInterrupt | GeneratorExit):
            raise raised

    async def _run_in_thread(self, run: Run) -> None:
        current_run.set(run)
        raised: BaseException | None = None
        future = asyncio.wrap_future(self._threads.submit(lambda: self._call(run)))
        # Not `await future`: a thread cannot be stopped, so only an engine that gives the run up cancels this wait.
        await asyncio.wait([future])
        try:
            settlement = outcome.completed(run.claim, future.result())
        except BaseException as error:  # noqa: BLE001 - every way a job can end is settled here
            settlement, raised = self._raised(run, error)
        self._finish(run, settlement, raised)

    def _call(self, run: Run) -> str:
        """Run a `def` job, in its thread."""
        run.thread = get_ident()
        try:
            if run.why is not None:
                raise asyncio.CancelledError
            definition = run.definition
            args, kwargs = definition.signature.decode(run.claim.args)
            return self._encode(definition, definition.fn(*args, **kwargs))
        except StopIteration as error:
            # No future can carry one; a coroutine that raises it fails in the same words.
            raise RuntimeError("the job raised StopIteration") from error
        finally:
            run.thread = None

    def _encode(self, definition: Definition, result: object) -> str:
        text = definition.signature.encode_result(result)
        if len(text) > self._result_limit and len(text.encode()) > self._result_limit:
            raise ResultNotStorable(
                f"{definition.kind} returned {len(text.encode()):,} bytes; the limit is {self._result_limit:,}; "
                "store the data where it belongs and return its name"
            )
        return text

    def _raised(self, run: Run, error: BaseException) -> tuple[Settlement, BaseException | None]:
        """Work out how a run that raised ends, and which error it tells of."""
        claim = run.claim
        policy = self._policy(run)
        if isinstance(error, KeyboardInterrupt | GeneratorExit):
            return outcome.interrupted(claim, f"interrupted by {type(error).__name__}"), error
        if run.why is None or run.why is Why.LOST:
            return outcome.raised(claim, error, policy, self._random), error
        if run.why is Why.TIMEOUT and not isinstance(error, JobSignal):
            limit = self._limit(claim, run.definition) / SECOND
            error = TimeoutError(f"the run took longer than its timeout of {limit:g} s").with_traceback(
                error.__traceback__
            )
        return outcome.ended(claim, run.why, error, policy, self._random), error

    def _policy(self, run: Run) -> RetryPolicy:
        declared = run.definition.options.retry or self._retry
        try:
            return outcome.policy_of(run.claim, declared)
        except PayloadNotReadable:
            # Stored by a newer engine; the declaration is the next best word on it.
            return declared

    def _finish(self, run: Run, settlement: Settlement, error: BaseException | None) -> None:
        claim = run.claim
        del self.runs[run.id]
        suspect = claim.crashes >= outcome.SUSPECT_CRASHES
        if suspect:
            self.suspects -= 1
        if run.why is Why.LOST:
            self._listener(Signal.JOB_LOST, id=run.id, kind=run.kind, attempt=run.attempt)
        elif not run.settled:
            self._settle(claim, settlement, error)
        self._slots.give(claim.queue)
        self._freed(suspect)

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
