"""Exit codes, and the error that carries one."""

from __future__ import annotations

from enum import IntEnum

import click

from backburner.errors import (
    BackburnerError,
    NothingMatches,
    OperationNotFound,
    ScheduleNotFound,
    SchemaTooNew,
    SchemaTooOld,
    StoreError,
    SubscriptionNotFound,
)

__all__ = ["Exit", "Failed", "exit_of"]


class Exit(IntEnum):
    """What a script may rely on."""

    DONE = 0
    #: Done in part, or a check found something.
    PARTLY = 1
    #: Wrong usage, or refused.
    REFUSED = 2
    #: Nothing matched.
    NOTHING = 3
    #: The store cannot be reached, or does not permit it.
    STORE = 4
    #: The schema is too old, too new or not there.
    SCHEMA = 5
    INTERRUPTED = 130
    #: Whoever read the output has gone, as `head` does; what a shell says of a program that the signal for it ended.
    CLOSED = 141


class Failed(click.ClickException):
    """Ends the command with one line on stderr and an exit code."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]


def exit_of(error: BackburnerError) -> Exit:
    """Return the exit code of a typed error."""
    match error:
        case SchemaTooNew() | SchemaTooOld():
            return Exit.SCHEMA
        case StoreError():
            return Exit.STORE
        case NothingMatches() | OperationNotFound() | ScheduleNotFound() | SubscriptionNotFound():
            return Exit.NOTHING
        case _:
            return Exit.REFUSED
