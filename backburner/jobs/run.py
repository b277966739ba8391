"""One run of a claimed job, as its node sees it."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from backburner.jobs.definition import Definition
    from backburner.model.job import Claim

__all__ = ["Run", "Why"]


class Why(Enum):
    """Why a run was told to end."""

    TIMEOUT = auto()
    #: A person cancelled the job.
    CANCEL = auto()
    #: The engine stops.
    SHUTDOWN = auto()
    #: The claim is another's now.
    LOST = auto()


class Run:
    """A claim and what became of it here; `current_job` shows it to the job's own code."""

    __slots__ = ("begun", "claim", "deadline", "definition", "id", "settled", "task", "thread", "why")

    def __init__(self, claim: Claim, definition: Definition, deadline: float) -> None:
        self.claim = claim
        self.definition = definition
        self.id = claim.id
        #: On the clock's monotonic time: when it is out of time; once told to end, when it counts as stuck.
        self.deadline = deadline
        #: Its own code may be under way on the loop: to end it is to cancel its task.
        self.begun = False
        self.task: asyncio.Task[None] | None = None
        #: The thread that runs it, while one does.
        self.thread: int | None = None
        self.why: Why | None = None
        #: Its end was written down while it still ran; what it comes to no longer matters.
        self.settled = False

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
    def stopping(self) -> bool:
        """Whether it was told to end."""
        return self.why is not None
