"""What a run has done beside running."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from backburner.errors import InvalidOption
from backburner.model.clock import LONGEST

if TYPE_CHECKING:
    from backburner.model.clock import Timer
    from backburner.model.job import NewJob, Settlement

__all__ = ["Effects", "check_progress"]


class Effects:
    """Made for a run that stores children or follow-ups, tells of its progress, waits for a job or completes itself."""

    __slots__ = ("checkpoint", "completion", "jobs", "lent", "ordinals", "progress", "slot", "thread", "timer", "tx")

    def __init__(self) -> None:
        #: Follow-ups, stored when it completes.
        self.jobs: list[NewJob] = []
        #: Children of each kind and arguments so far.
        self.ordinals: Counter[tuple[str, str]] = Counter()
        #: What is not written yet.
        self.progress: tuple[int, int | None] | None = None
        #: Set while progress was written within the last second.
        self.timer: Timer | None = None
        #: JSON text, as written last.
        self.checkpoint: str | None = None
        #: How many of its tasks wait for jobs.
        self.lent = 0
        #: Its slot is another's meanwhile.
        self.slot = False
        #: Another thread was allowed, since this run's waits.
        self.thread = False
        #: The transaction in which it was completed, and how.
        self.tx: object = None
        self.completion: Settlement | None = None

    def ordinal(self, kind: str, args: str) -> int:
        """Count the children of this kind with these arguments: 0 for the first."""
        before = self.ordinals[kind, args]
        self.ordinals[kind, args] = before + 1
        return before


def check_progress(done: object, total: object) -> None:
    """Raise `InvalidOption` unless these are whole numbers from 0 on; the total may be None."""
    for name, value in (("done", done), ("total", total)):
        if not (value is None and name == "total") and not (type(value) is int and 0 <= value <= LONGEST):
            raise InvalidOption(f"progress takes whole numbers from 0, not {name}={value!r}", option=name)
