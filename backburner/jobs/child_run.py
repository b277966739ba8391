"""In a child: a run, as `current_job` shows it to the job's own code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from backburner.codec.plain import decode_plain, encode_plain
from backburner.errors import AlreadyEnded, NotInThisProcess
from backburner.jobs.call import Call
from backburner.jobs.child_log import logger_to
from backburner.jobs.done import DONE
from backburner.jobs.effects import check_progress
from backburner.jobs.frames import Checkpoint, Progress, Then
from backburner.jobs.order import Orders
from backburner.model.clock import SystemClock
from backburner.model.ids import Ids

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from backburner.codec.signature import Signature
    from backburner.jobs.child_pipe import Pipe
    from backburner.jobs.frames import Work
    from backburner.jobs.options import CallOptions

__all__ = ["ChildRun"]

_ids = Ids(SystemClock())


class ChildRun:
    """Asks the engine's process for what a run may ask of its engine; plain calls, for the job is a `def`."""

    def __init__(self, work: Work, signature: Signature, pipe: Pipe) -> None:
        self._signature = signature
        self._work = work
        self._pipe = pipe
        self._checkpoint = work.checkpoint
        self._orders = Orders(None, _ids, argument_limit=work.argument_limit)
        self.id = work.id
        self.kind = work.kind
        self.queue = work.queue
        self.attempt = work.attempt
        self.token = work.token
        self.headers: Mapping[str, str] = work.headers
        #: Set when it has ended; what a thread of the job's still asks for is refused then.
        self.over = False

    @property
    def stopping(self) -> bool:
        """Whether it was told to end."""
        return self._pipe.stopping == self.id

    @property
    def last_checkpoint(self) -> object:
        """What was saved last."""
        return None if self._checkpoint is None else decode_plain(self._checkpoint)

    @property
    def state(self) -> object:
        """Refuse: the engine's resources are in the engine's process."""
        raise NotInThisProcess(
            f"{self.kind} runs in a process of its own, without what the engine's lifespan= opened: open what it needs by "
            'Provide(…), or declare it with executor="thread"'
        )

    @property
    def stored(self) -> None:
        """No run of this process's engine: jobs that it stores by one are nobody's children."""
        return

    def logger(self) -> Any:  # noqa: ANN401 - structlog's own bound logger
        """Return a logger whose lines the engine's process writes."""
        return logger_to(self._pipe.send)

    def progress(self, done: int, total: int | None, /) -> Awaitable[None]:
        """Tell how far it has come."""
        check_progress(done, total)
        if not self.over:
            self._pipe.send(Progress(done, total))
        return DONE

    def checkpoint(self, value: object, /) -> Awaitable[None]:
        """Save a value for the next run; it is durable when this returns."""
        text = self._signature.saved(encode_plain(value, "checkpoint", self._work.result_limit))
        self._require("a checkpoint")
        self._pipe.ask(Checkpoint(text))
        self._checkpoint = text
        return DONE

    def then(self, call: Call[Any], options: CallOptions, /) -> str:
        """Have a follow-up stored with its completion."""
        if type(call) is Call:
            # It may be of a job that no engine of this process knows.
            call.definition.signature.hide(self._work.secrets)
        job = self._orders.follow_up(call, options, self)
        self._require("then")
        self._pipe.ask(Then(job))
        return job.id

    async def complete(self, _result: object, _tx: object, /) -> NoReturn:
        """Refuse: a transaction cannot leave the process that began it."""
        raise NotInThisProcess(
            f"{self.kind} runs in a process of its own, where complete(tx=) has no engine to complete it with: return the "
            'result, or declare the job with executor="thread" or async'
        )

    def lend(self) -> None:
        """Keep the slot: it is this process."""

    def take_back(self) -> None:
        """Go on."""

    def _require(self, what: str) -> None:
        if self.over:
            raise AlreadyEnded(f"{self.kind} {self.id} has ended: {what} has to come before")
