"""What a job may raise to say how its run ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.model.times import duration

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["Cancel", "JobSignal", "Reject", "Retry", "Snooze"]


class JobSignal(Exception):
    """Raised inside a job to decide how its run ends."""


class Retry(JobSignal):
    """Run the job again; counts as a failure, so the retry policy's attempts still end it.

    ``delay`` (a `timedelta`, or seconds) takes the place of the policy's backoff.
    """

    def __init__(self, why: str = "", *, delay: timedelta | float | None = None) -> None:
        super().__init__(why)
        self.delay = None if delay is None else duration(delay, "Retry(delay=)")


class Snooze(JobSignal):
    """Run the job again after ``delay`` (a `timedelta`, or seconds); costs no attempt and counts as nothing."""

    def __init__(self, delay: timedelta | float, why: str = "") -> None:
        super().__init__(why)
        self.delay = duration(delay, "Snooze(delay=)")


class Reject(JobSignal):
    """Make the job a dead letter at once, whatever attempts are left."""


class Cancel(JobSignal):
    """End the job as cancelled."""
