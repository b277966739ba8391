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
    """``args.user.id=7``: a path into the arguments, a comparison, a JSON scalar. ``~`` is "contains".

    Every store answers alike. What is found at the path is compared by JSON's types, whatever the text looked like that
    it was read from:

    - Numbers are compared with numbers by their value, to the last digit and at any length: ``1``, ``1.0`` and ``10e-1``
      are one, ``9007199254740993`` and ``9007199254740992`` are two. One of 10**1000 or more, or less than its negative,
      is compared with no other.
    - Texts are compared with texts by the numbers of their characters.
    - true, false and null are equal to themselves, and have no order.
    - Values of different types are unequal (``!=`` holds), and have no order.
    - What is missing, an object or an array fits no condition; of a name that is there twice, the last counts.

    Arguments that cannot be read fit none. A condition that no arguments can hold (NUL or half a character in its path or
    text, a number that is as large, or none) is fitted by nothing. Neither raises anything.
    """

    path: tuple[str, ...]
    operator: Operator
    value: Scalar


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs: every field given must hold; within one field any of its values.

    A filter in which any text has what none stored can have, NUL or half a character, finds nothing, and is no error.
    """

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
    #: The children of these jobs, for as long as they name them.
    parents: tuple[str, ...] = ()
    #: Ended before this moment.
    ended_before: int | None = None
    #: Run, or run last, by this node; what it runs now is this and the one state `Shown.RUNNING`.
    node: str | None = None
