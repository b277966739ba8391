"""One run of a claimed job, as its node sees it."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import msgspec

from backburner.codec.plain import decode_plain
from backburner.log import get_logger

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping

    from backburner.jobs.call import Call
    from backburner.jobs.definition import Definition
    from backburner.jobs.desk import Desk
    from backburner.jobs.effects import Effects
    from backburner.jobs.options import CallOptions
    from backburner.model.job import Claim

__all__ = ["Run", "Why"]

_decode_headers = msgspec.json.Decoder(dict[str, str]).decode


class Why(Enum):
    """Why a run was told to end."""

    TIMEOUT = auto()
    #: A person cancelled the job.
    CANCEL = auto()
    #: The engine stops.
    SHUTDOWN = auto()
    #: The claim is another's now.
    LOST = auto()
    #: The node's lease may be over: the claim may be another's soon.
    FENCED = auto()
    #: Its breaker opened while it waited for a thread or a process.
    HELD = auto()


class Run(msgspec.Struct, eq=False):
    """A claim and what became of it here; `current_job` shows it to the job's own code.

    What few runs do is the desk's work, and written down in ``effects``, made when first needed.
    """

    id: str
    claim: Claim
    definition: Definition
    desk: Desk
    #: On the clock's monotonic time: when it is out of time; once told to end, when it counts as stuck.
    deadline: float
    #: Its own code may be under way on the loop: to end it is to cancel its task.
    begun: bool = False
    task: asyncio.Task[None] | None = None
    #: The thread that runs it, while one does.
    thread: int | None = None
    #: On the clock's monotonic time: when it began, where a guard or a telemetry wanted to know by then.
    since: float | None = None
    why: Why | None = None
    #: While it waits for a thread or a process, and nothing of it has begun: ends that wait; False when it is over.
    waiting: Callable[[], bool] | None = None
    #: Its end was written down while it still ran; what it comes to no longer matters.
    settled: bool = False
    effects: Effects | None = None

    @property
    def kind(self) -> str:
        """The job's kind."""
        return self.claim.kind

    @property
    def queue(self) -> str:
        """The queue it was claimed from."""
        return self.claim.queue

    @property
    def attempt(self) -> int:
        """The number of this run."""
        return self.claim.attempt

    @property
    def token(self) -> int:
        """The claim's fence."""
        return self.claim.token

    @property
    def created_at(self) -> int:
        """When the job was stored, in microseconds."""
        return self.claim.created_at

    @property
    def stopping(self) -> bool:
        """Whether it was told to end."""
        return self.why is not None

    @property
    def headers(self) -> Mapping[str, str]:
        """What was carried here from who stored the job."""
        return {} if self.claim.headers is None else _decode_headers(self.claim.headers)

    @property
    def last_checkpoint(self) -> object:
        """What was saved last."""
        text = self.claim.checkpoint
        if self.effects is not None and self.effects.checkpoint is not None:
            text = self.effects.checkpoint
        return None if text is None else decode_plain(text)

    @property
    def state(self) -> object:
        """What the engine's resources are."""
        return self.desk.home.state

    @property
    def stored(self) -> Run | None:
        """The run of a stored job that this code belongs to."""
        return self

    def logger(self) -> Any:  # noqa: ANN401 - whatever the app configured
        """Where the job logs."""
        return get_logger("backburner.job")

    def ordinal(self, kind: str, args: str) -> int:
        """Count the children of this kind with these arguments."""
        return self.desk.effects(self).ordinal(kind, args)

    def progress(self, done: int, total: int | None, /) -> Awaitable[None]:
        """Tell how far it has come."""
        return self.desk.progress(self, done, total)

    def checkpoint(self, value: object, /) -> Awaitable[None]:
        """Save a value for the next run."""
        return self.desk.checkpoint(self, value)

    def then(self, call: Call[Any], options: CallOptions, /) -> str:
        """Store a follow-up with the run's completion."""
        return self.desk.then(self, call, options)

    async def complete(self, result: object, tx: object, /) -> None:
        """Complete the job in its own transaction."""
        await self.desk.complete(self, result, tx)

    def lend(self) -> None:
        """Let another run have the slot."""
        self.desk.lend(self)

    def take_back(self) -> None:
        """Go on."""
        self.desk.take_back(self)
