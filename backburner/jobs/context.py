"""Inside a job: what `current_job` answers."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from backburner.errors import NotInAJob
from backburner.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Current", "JobContext", "current_job", "current_run", "inline"]


class Current(Protocol):
    """What a run shows of itself; `JobContext` says what each of it is."""

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


#: The run that this context belongs to. Set in the run's own fresh context, so nothing has to reset it.
current_run: ContextVar[Current] = ContextVar("backburner_current_run")


class JobContext:
    """The job that is running here, in this attempt."""

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
    def log(self) -> Any:  # noqa: ANN401 - whatever bound logger the app configured
        """A structlog logger with the job's id, kind, attempt and queue bound."""
        if self._log is None:
            self._log = get_logger("backburner.job").bind(
                id=self.id, kind=self.kind, attempt=self.attempt, queue=self.queue
            )
        return self._log


def current_job() -> JobContext:
    """Return the context of the job this code runs in; raises `NotInAJob` outside of one."""
    try:
        return JobContext(current_run.get())
    except LookupError:
        raise NotInAJob(
            "current_job() was called outside a job; it works in the job's own task, in its thread, "
            "and in tasks that the job starts"
        ) from None


class _Inline:
    """A call awaited directly: nothing is stored."""

    __slots__ = ("attempt", "id", "kind", "queue", "stopping", "token")

    def __init__(self, kind: str) -> None:
        self.id = "inline"
        self.kind = kind
        self.queue = "inline"
        self.attempt = 1
        self.token = 0
        self.stopping = False


@contextmanager
def inline(kind: str) -> Generator[None]:
    """Let `current_job` answer an inline context within the block."""
    token = current_run.set(_Inline(kind))
    try:
        yield
    finally:
        current_run.reset(token)
