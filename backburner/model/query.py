"""What a reader asks for: one filter set, keyset pages."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from backburner.model.job import JobState

__all__ = ["Condition", "JobFilter", "Operator", "Scalar", "Shown", "shown"]

Scalar = str | int | float | bool | None
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~"]


class Shown(StrEnum):
    """The states that people are shown; the three first are one stored state."""

    #: Pending, due, never failed.
    WAITING = "waiting"
    #: Pending, not due yet, never failed.
    SCHEDULED = "scheduled"
    #: Pending, after a failure.
    RETRYING = "retrying"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DEAD = "dead"


def shown(state: JobState, *, failures: int, due_at: int, now: int) -> Shown:
    """Return the state that people are shown, seen from the store's now."""
    if state is not JobState.PENDING:
        return Shown(state)
    if failures:
        return Shown.RETRYING
    return Shown.WAITING if due_at <= now else Shown.SCHEDULED


class Condition(msgspec.Struct, frozen=True):
    """``args.user.id=7``: a path into the arguments, a comparison, a JSON scalar. ``~`` is "contains"."""

    path: tuple[str, ...]
    operator: Operator
    value: Scalar


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs: every field given must hold; within one field any of its values."""

    kinds: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    states: tuple[Shown, ...] = ()
    #: Part of the last error's type or message.
    error: str | None = None
    fingerprint: str | None = None
    tags: tuple[str, ...] = ()
    #: Created at or after, created before: microseconds since 1970 UTC.
    since: int | None = None
    until: int | None = None
    where: tuple[Condition, ...] = ()
    #: Ids that start so.
    prefix: str = ""
    #: The children of this job, for as long as they name it.
    parent: str | None = None
    #: Run, or run last, by this node; what it runs now is this and the one state `Shown.RUNNING`.
    node: str | None = None
