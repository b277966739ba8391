"""A call awaited directly: run right here, with nothing stored but what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backburner.codec.plain import encode_plain
from backburner.errors import AlreadyEnded, NotInAJob, NotRunning
from backburner.jobs.context import current_run
from backburner.jobs.done import DONE
from backburner.jobs.performer import perform_here
from backburner.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from backburner.jobs.call import Call
    from backburner.jobs.context import Current
    from backburner.jobs.definition import Definition
    from backburner.jobs.home import Home
    from backburner.jobs.options import CallOptions
    from backburner.jobs.run import Run
    from backburner.model.job import NewJob

__all__ = ["run_here"]


async def run_here(definition: Definition, bound: Mapping[str, object], given: Mapping[str, object]) -> Any:  # noqa: ANN401
    """Run a call in this task: defaults and dependencies apply; no ``around``, no retry, no timeout.

    `current_job` answers a context in memory. What `JobContext.then` was given is stored once the function has returned.
    """
    here = _Inline(definition, current_run.get(None))
    token = current_run.set(here)
    try:
        result = await perform_here(definition, bound, given)
    finally:
        current_run.reset(token)
    await here.follow_up()
    return result


class _Inline:
    """What `current_job` shows of a call that runs here: a `Current`."""

    __slots__ = (
        "_definition",
        "_follow_ups",
        "_over",
        "attempt",
        "id",
        "kind",
        "last_checkpoint",
        "queue",
        "stored",
        "token",
    )

    def __init__(self, definition: Definition, outer: Current | None) -> None:
        self._definition = definition
        self.id = "inline"
        self.kind = definition.kind
        self.queue = "inline"
        self.attempt = 1
        self.token = 0
        self.last_checkpoint: object = None
        #: The run of a stored job that awaits this call: what is stored meanwhile are its children.
        self.stored: Run | None = None if outer is None else outer.stored
        self._follow_ups: list[NewJob] = []
        self._over = False

    @property
    def stopping(self) -> bool:
        """Whether the job that awaits this call was told to end."""
        return self.stored is not None and self.stored.stopping

    @property
    def headers(self) -> Mapping[str, str]:
        """Those of the job that awaits this call."""
        return {} if self.stored is None else self.stored.headers

    @property
    def state(self) -> object:
        """What the engine's resources are; raises `NotRunning`."""
        return self._home().state

    def logger(self) -> Any:  # noqa: ANN401 - whatever the app configured
        """Where a job logs."""
        return get_logger("backburner.job")

    def progress(self, done: int, total: int | None, /) -> Awaitable[None]:
        """Nobody sees it."""
        del done, total
        return DONE

    def checkpoint(self, value: object, /) -> Awaitable[None]:
        """Keep a value in memory, if JSON would give it back."""
        encode_plain(value, "checkpoint")
        self.last_checkpoint = value
        return DONE

    def then(self, call: Call[Any], options: CallOptions, /) -> str:
        """Make a follow-up, stored once the function has returned; raises `NotRunning`."""
        from backburner.jobs.call import take  # noqa: PLC0415 - calls run here: that module imports this one

        take(call)
        job = self._home().running.orders.follow_up(call, options, self)
        if self._over:
            raise AlreadyEnded(f"{self.kind} has ended: then has to come before")
        self._follow_ups.append(job)
        return job.id

    async def complete(self, result: object, tx: object, /) -> None:
        """Refused: there is no job to complete."""
        del result, tx
        raise NotInAJob(f"{self.kind} was awaited directly: complete() needs a stored job, see create_task")

    def lend(self) -> None:
        """Lend the slot of the job that awaits this call."""
        if self.stored is not None:
            self.stored.lend()

    def take_back(self) -> None:
        """Take it back."""
        if self.stored is not None:
            self.stored.take_back()

    async def follow_up(self) -> None:
        """Store the follow-ups."""
        self._over = True
        if self._follow_ups:
            await self._home().running.store(self._follow_ups)

    def _home(self) -> Home:
        if self.stored is not None:
            return self.stored.desk.home
        for home in self._definition.homes:
            if home.client is not None:
                return home
        raise NotRunning
