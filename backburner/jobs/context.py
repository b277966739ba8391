"""Inside a job: what `current_job` answers."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from backburner.errors import NotInAJob
from backburner.model.schedule import SCHEDULE_HEADER, TICK_HEADER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping
    from typing import Unpack

    from backburner.jobs.call import Call
    from backburner.jobs.options import CallOptions
    from backburner.jobs.run import Run

__all__ = ["Current", "JobContext", "current_job", "current_run"]

if TYPE_CHECKING:
    # Checkers know it without the package; at run time Python has defaults from 3.13 on.
    from typing_extensions import TypeVar as DefaultTypeVar

    S = DefaultTypeVar("S", default=Any)
else:
    S = TypeVar("S")


class Current(Protocol):
    """What a run shows of itself, wherever it runs; `JobContext` says what each of it is."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def queue(self) -> str: ...  # noqa: D102
    @property
    def attempt(self) -> int: ...  # noqa: D102
    @property
    def token(self) -> int: ...  # noqa: D102
    @property
    def stopping(self) -> bool: ...  # noqa: D102
    @property
    def headers(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def last_checkpoint(self) -> object: ...  # noqa: D102
    @property
    def state(self) -> object: ...  # noqa: D102
    def progress(self, done: int, total: int | None, /) -> Awaitable[None]: ...  # noqa: D102
    def logger(self) -> Any: ...  # noqa: ANN401, D102 - whatever the app configured

    @property
    def stored(self) -> Run | None:
        """The run of a stored job here that this code belongs to: what it stores are that job's children."""
        ...

    def checkpoint(self, value: object, /) -> Awaitable[None]: ...  # noqa: D102
    def then(self, call: Call[Any], options: CallOptions, /) -> str: ...  # noqa: D102
    async def complete(self, result: object, tx: object, /) -> None: ...  # noqa: D102

    def lend(self) -> None:
        """Let another run have the slot: this one waits for a job. Each call is taken back by one of `take_back`."""
        ...

    def take_back(self) -> None:
        """Go on, at once."""
        ...


#: The run that this context belongs to. Set in the run's own fresh context, so nothing has to reset it.
current_run: ContextVar[Current] = ContextVar("backburner_current_run")


class JobContext(Generic[S]):
    """The job that is running here, in this attempt. ``S`` is the type of what the engine's ``lifespan=`` yields."""

    __slots__ = ("_log", "_run")

    def __init__(self, run: Current) -> None:
        self._run = run
        self._log: Any = None

    def __repr__(self) -> str:
        return f"<{self.kind} {self.id} attempt {self.attempt}>"

    @property
    def id(self) -> str:
        """The job's id, the same in every attempt: an idempotency key for what the job calls."""
        return self._run.id

    @property
    def kind(self) -> str:
        """The job's kind."""
        return self._run.kind

    @property
    def queue(self) -> str:
        """The queue it was claimed from."""
        return self._run.queue

    @property
    def attempt(self) -> int:
        """The number of this run, counted from 1; interruptions raise it too."""
        return self._run.attempt

    @property
    def token(self) -> int:
        """A number that only grows from claim to claim: a fence for what the job writes elsewhere."""
        return self._run.token

    @property
    def stopping(self) -> bool:
        """Whether the run was asked to end: cancelled, out of time, or the engine stops. `def` jobs look here."""
        return self._run.stopping

    @property
    def headers(self) -> Mapping[str, str]:
        """What the engine's ``headers=`` said when the job was stored, over what the job that stored it had."""
        return self._run.headers

    @property
    def schedule(self) -> str | None:
        """The name of the schedule that this job, or the job in whose run it was stored, was stored for; None: none."""
        return self._run.headers.get(SCHEDULE_HEADER)

    @property
    def tick(self) -> datetime | None:
        """Which of its schedule's ticks it is for: the moment itself, however late it runs; None: none."""
        told = self._run.headers.get(TICK_HEADER)
        return None if told is None else datetime.fromisoformat(told)

    @property
    def state(self) -> S:
        """What the engine's ``lifespan=`` yielded.

        Raises `NotInThisProcess` in a process job, and `NotRunning` in a call awaited where no engine runs.
        """
        return cast("S", self._run.state)

    @property
    def log(self) -> Any:  # noqa: ANN401 - whatever bound logger the app configured
        """A structlog logger with the job's id, kind, attempt and queue bound."""
        if self._log is None:
            self._log = self._run.logger().bind(id=self.id, kind=self.kind, attempt=self.attempt, queue=self.queue)
        return self._log

    @property
    def last_checkpoint(self) -> Any:  # noqa: ANN401 - whatever was saved
        """What `checkpoint` saved last, in this run or an earlier one, as JSON gives it back; None before."""
        return self._run.last_checkpoint

    def progress(self, done: int, total: int | None = None) -> Awaitable[None]:
        """Tell how far the run has come; anyone sees it in the job's status.

        Await it in an async job, just call it in a `def` job. Cheap: it waits for no write. The newest numbers are
        written at most once a second, and with the next checkpoint; a crash loses that second at most.
        """
        return self._run.progress(done, total)

    def checkpoint(self, value: object) -> Awaitable[None]:
        """Save a value for the next run, should this one not complete; durable once awaited.

        In a `def` job it is a plain call, durable when it returns. The value is one that JSON gives back equal: texts,
        numbers, lists, dicts with texts for keys. Raises `ArgumentNotStorable`, `ClaimLost` when the job is another's by
        now, and `StoreBusy` when the store stays locked, perhaps by a transaction of the job's own: end that before.
        """
        return self._run.checkpoint(value)

    def then(self, call: Call[Any], **options: Unpack[CallOptions]) -> str:
        """Store a follow-up in the very step that completes this job: never without it, never twice. Returns its id.

        The call is checked and encoded now. It is dropped unless this run completes. One whose unique key is held then
        waits for the key. Raises `CallRefused`, `AlreadyEnded` once the run is over or completed, and `NotRunning` in a
        call awaited where no engine runs.
        """
        return self._run.then(call, options)

    async def complete(self, result: object = None, *, tx: object) -> None:
        """Complete the job in your own transaction: the result and follow-ups commit with the job's effects, once.

        Raises `ClaimLost` when the job is not this run's any more: let that roll the transaction back. From here the
        transaction decides: after a rollback the run counts as failed and is tried again. Raises `AlreadyEnded` the
        second time, `TransactionRefused` for what the store cannot join, `NotInThisProcess` in process jobs, and
        `NotInAJob` in a call awaited directly.
        """
        await self._run.complete(result, tx)


def current_job() -> JobContext[Any]:
    """Return the context of the job this code runs in; raises `NotInAJob` outside of one."""
    try:
        return JobContext(current_run.get())
    except LookupError:
        raise NotInAJob(
            "current_job() was called outside a job; it works in the job's own task, in its thread, "
            "and in tasks that the job starts"
        ) from None
