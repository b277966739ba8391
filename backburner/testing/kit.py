"""`Testing`: an app under test, in whose jobs nothing runs by itself and time stands still."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Self

from backburner.errors import InvalidOption, NotRunning
from backburner.model.clock import SystemClock, from_micros
from backburner.model.query import Shown
from backburner.model.times import duration as checked_duration
from backburner.model.times import moment
from backburner.testing.at_once import at_once
from backburner.testing.expected import expect, nearest, told
from backburner.testing.record import Record
from backburner.testing.seen import Drained, seen
from backburner.testing.stage import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Unpack

    from backburner.backends.memory.row import Row
    from backburner.jobs.call import Call
    from backburner.jobs.job import Job
    from backburner.jobs.options import CallOptions
    from backburner.model.clock import Clock
    from backburner.ports.telemetry import Telemetry
    from backburner.testing.lives import Parts
    from backburner.testing.seen import StoredJob

__all__ = ["Mode", "Testing"]

Mode = Literal["manual", "inline"]

#: Real seconds that `Testing.drain` waits for what runs.
TIMEOUT = 10.0


class Testing:
    """What `Backburner.testing` answers: enter it, by ``async with`` or ``with``, then look at jobs and run them.

    While it is entered the app stores into memory, on a clock that stands still, and takes whatever it is given as
    ``tx=`` for a transaction that has committed. In the mode ``manual`` nothing runs by itself: `drain` runs what is
    due, `advance` moves the time. In ``inline`` what is due runs when it is stored, before `create_task` returns.
    Retries, limits, breakers, schedules, handlers of events, expiry and retention are those of production.

    Entered by ``async with`` an engine runs on this loop, with the resources of ``lifespan=`` open, or ``state`` in their
    place; by ``with``, where there is no loop, the app's own lifespan enters one, and `drain` brings one for as long as
    it takes. Each entry begins with nothing stored.
    """

    #: No test class, for all that its name says.
    __test__ = False

    def __init__(
        self,
        parts: Callable[[Clock, Telemetry], Parts],
        put: Callable[[Stage | None], None],
        *,
        mode: Mode,
        start: datetime | None,
    ) -> None:
        if mode not in ("manual", "inline"):
            raise InvalidOption(f"mode is 'manual' or 'inline', not {mode!r}", option="mode")
        self._mode: Mode = mode
        self._start = None if start is None else moment(start, "start")
        self._parts = parts
        self._put = put
        self._record = Record()
        self._stage: Stage | None = None
        #: Jobs that a test has asserted, or looked at one by one.
        self._expected: set[str] = set()

    # ---- entering --------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Put memory in the place of the app's store; raises `AlreadyRunning` where the app runs, or is tested, already."""
        record = Record()
        start = SystemClock().now() if self._start is None else self._start
        stage = Stage(lambda clock: self._parts(clock, record), record, start=start, inline=self._mode == "inline")
        self._put(stage)
        self._stage, self._record = stage, record
        self._expected = set()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Put the app's store back. What was stored can still be looked at."""
        self._put(None)

    async def __aenter__(self) -> Self:
        """Do as ``with`` does, and run an engine on this loop."""
        self.__enter__()
        try:
            await self._entered.lives.enter()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Stop the engine; what still runs is interrupted."""
        try:
            await self._entered.lives.leave()
            await self._entered.lives.close()
        finally:
            self.__exit__(kind, error, trace)

    @property
    def _entered(self) -> Stage:
        if self._stage is None:
            raise NotRunning(
                "enter it first: `async with bb.testing() as jobs`, or `with` where there is no event loop"
            )
        return self._stage

    # ---- time and work ---------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The time in the test, aware, in UTC: at first ``start``, or the time of entering."""
        return from_micros(self._entered.clock.now())

    async def drain(self, *, timeout: float = TIMEOUT) -> Drained:
        """Run what is due, and what comes of that, until only time can bring more; return what was run.

        A job that waits for another which is due later goes on running. What a job raises is not raised here: it is
        retried, or dead, as in production, and stands in `Drained.errors`. Raises `TimeoutError` after so many real seconds.
        """
        async with self._counting() as counted:
            await self._entered.drain(timeout)
        return counted()

    async def advance(
        self,
        duration: timedelta | float | None = None,
        *,
        drain: bool = False,
        timeout: float = TIMEOUT,
        **length: float,
    ) -> Drained:
        """Move the time on: ``advance(90)``, ``advance(timedelta(days=1))`` or ``advance(hours=1, minutes=30)``.

        Delays, retries, schedules, leases, limits, expiry and retention go by it. With ``drain`` each job is run when it is
        due on the way, otherwise what has come due waits for `drain`. Raises `InvalidOption` and what `drain` raises.
        """
        async with self._counting() as counted:
            await self._entered.advance(_length(duration, length), drain=drain, seconds=timeout)
        return counted()

    async def restart(self) -> None:
        """Stop this loop's engine as a deploy would, and start another on the same store.

        What runs (in a `drain` under way in another task) has its grace, for which time passes, then is interrupted and
        given back, at no cost of an attempt. Raises `NotRunning` where no engine was entered on this loop.
        """
        await self._entered.lives.restart()

    async def crash(self) -> None:
        """Have this loop's engine lose its lease, as if its process had died: what runs is cut off, unsettled.

        Such jobs are taken over at once, a crash counted for each. Raises `NotRunning` as `restart` does.
        """
        await self._entered.crash()

    @asynccontextmanager
    async def _counting(self) -> AsyncGenerator[Callable[[], Drained]]:
        before = len(self._record.outcomes)
        yield lambda: self._drained(self._record.outcomes[before:])

    def _drained(self, outcomes: Sequence[tuple[str, Exception | None]]) -> Drained:
        how = [outcome for outcome, _ in outcomes]
        return Drained(
            completed=how.count("completed"),
            retrying=how.count("retrying"),
            dead=how.count("dead"),
            cancelled=how.count("cancelled"),
            snoozed=how.count("snoozed"),
            interrupted=how.count("interrupted"),
            errors=tuple(error for _, error in outcomes if error is not None),
        )

    # ---- looking ---------------------------------------------------------------------------------------------------

    def all(
        self,
        job: Job[..., Any] | None = None,
        *,
        state: Shown | str | None = None,
        queue: str | None = None,
    ) -> tuple[StoredJob, ...]:
        """Return the jobs that are stored, in that order: all, or those of a job, a state (``"retrying"``), a queue.

        Raises `InvalidOption` for a state that there is not.
        """
        if state is not None and state not in tuple(Shown):
            raise InvalidOption(f"there is no state {state!r}; there are {', '.join(Shown)}", option="state")
        kind = None if job is None else job.definition.kind
        rows = [
            row
            for row in self._rows()
            if (kind is None or row.job.kind == kind) and (queue is None or row.job.queue == queue)
        ]
        found = self._see(rows)
        chosen = tuple(each for each in found if state is None or each.state == state)
        self._expected.update(each.id for each in chosen)
        return chosen

    def assert_enqueued(
        self,
        expected: Call[Any] | Job[..., Any],
        *,
        args: Mapping[str, object] | None = None,
        count: int | None = None,
        **options: Unpack[CallOptions],
    ) -> StoredJob:
        """Assert that such a job was stored, whatever has become of it, and return it; of several the first.

        ``expected`` is a call, ``send_email("a@b.c")``, whose arguments are compared as they are stored, or a job,
        ``send_email``, with any arguments, or with those in ``args``. Options are those of `create_task`; only those named
        are compared, ``delay`` and ``at`` by when the job was due at first, ``tags`` as those it has at least. With
        ``count`` there have to be just so many. Raises `AssertionError`, which shows the stored job that comes nearest and
        in what it differs, and what `create_task` raises for the same call.
        """
        meant = expect(expected, args, options)
        if count is not None and count < 1:
            raise InvalidOption(f"count={count}: that there is none is asserted by refute_enqueued", option="count")
        rows = self._rows()
        matching = [row for row in rows if meant.matches(row)]
        if (not matching) if count is None else len(matching) != count:
            if matching:
                some = "".join(f"\n  {told(row, self._entered.clock.now())}" for row in matching[:10])
                raise AssertionError(f"{meant} was stored {len(matching)} times, not {count}:{some}")
            raise AssertionError(f"{meant} was not stored\n{nearest(meant, rows, self._entered.clock.now())}")
        self._expected.update(row.job.id for row in matching)
        return self._see(matching[:1])[0]

    def refute_enqueued(
        self,
        unexpected: Call[Any] | Job[..., Any],
        *,
        args: Mapping[str, object] | None = None,
        **options: Unpack[CallOptions],
    ) -> None:
        """Assert that no such job was stored; the arguments are those of `assert_enqueued`."""
        meant = expect(unexpected, args, options)
        found = [row for row in self._rows() if meant.matches(row)]
        if found:
            some = "".join(f"\n  {told(row, self._entered.clock.now())}" for row in found[:10])
            raise AssertionError(f"{meant} was stored, and should not have been:{some}")

    def check(self) -> None:
        """Assert that nothing was left unnoticed: each job was asserted or listed, or has completed, or was cancelled.

        Raises `AssertionError`, caused by what the first of them raised that failed.
        """
        left = [
            row for row in self._rows() if not (row.job.id in self._expected or row.state in ("completed", "cancelled"))
        ]
        if not left:
            return
        now = self._entered.clock.now()
        lines = [f"{len(left)} {'job was' if len(left) == 1 else 'jobs were'} left that nobody expected:"]
        for row in left[:10]:
            error = f": {row.error}: {row.message}" if row.error else ""
            lines.append(f"  {told(row, now)}{error}")
        lines.append("run them by `await jobs.drain()`, or expect them by jobs.assert_enqueued(…)")
        raised = next((self._record.errors[row.job.id] for row in left if row.job.id in self._record.errors), None)
        raise AssertionError("\n".join(lines)) from raised

    def _rows(self) -> list[Row]:
        return list(self._entered.database.jobs.values())

    def _see(self, rows: Sequence[Row]) -> list[StoredJob]:
        page = at_once(self._entered.reader.get([row.job.id for row in rows]))
        found = {record.id: record for record in page.jobs}
        return [seen(found[row.job.id], page.now) for row in rows]


def _length(duration: timedelta | float | None, length: Mapping[str, float]) -> int:
    if (duration is None) == (not length):
        raise InvalidOption("say how long: advance(90), or advance(hours=1, minutes=30)", option="duration")
    if duration is None:
        try:
            duration = timedelta(**length)
        except TypeError:
            raise InvalidOption(
                f"a length is days=, hours=, minutes=, seconds=, not {', '.join(length)}", option="duration"
            ) from None
    return checked_duration(duration, "duration")
