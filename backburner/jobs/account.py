"""What is written down of an error."""

from __future__ import annotations

import traceback
from asyncio import CancelledError
from typing import TYPE_CHECKING, NamedTuple

from backburner.jobs.signals import JobSignal
from backburner.model.fingerprint import fingerprint, qualified

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Account", "Foreign", "account", "class_of", "message_of", "storable"]

#: Bytes of a stored traceback: 16 KiB. The innermost frames, at its end, are kept.
_TRACEBACK = 16 * 1024
_MESSAGE = 4 * 1024


class Account(NamedTuple):
    """An error, in words that every store takes."""

    #: Its type as ``module.Name``.
    error: str
    message: str
    #: Empty where it says nothing.
    traceback: str
    fingerprint: str


class Foreign(Exception):
    """An error of another process, known by what was told of it; ``kind`` is the nearest of its classes known here."""

    def __init__(self, text: str, account: Account, kind: type[BaseException]) -> None:
        super().__init__(text)
        self.account = account
        self.kind = kind


def account(error: BaseException, clean: Callable[[str], str] = str) -> Account:
    """Put an error in words; ``clean`` takes out of a text what must not be told."""
    if isinstance(error, Foreign):
        told = error.account
        return told._replace(message=clean(told.message), traceback=clean(told.traceback))
    return Account(qualified(error), message_of(error, clean), _traceback(error, clean), fingerprint(error))


def class_of(error: BaseException) -> type[BaseException]:
    """Return the class that rules for errors go by."""
    return error.kind if isinstance(error, Foreign) else type(error)


def message_of(error: BaseException, clean: Callable[[str], str] = str) -> str:
    """Return an error's text; the job's own code makes it, and may fail at that."""
    try:
        return storable(clean(str(error)))
    except Exception as failure:  # noqa: BLE001 - however it fails, the run has to be settled
        return f"its text could not be made: {qualified(failure)}"


def storable(text: str, limit: int = _MESSAGE) -> str:
    """Return the end of a text that every store takes: no NUL, no lone surrogates, at most ``limit`` bytes."""
    kept = text.encode("utf-8", "replace")[-limit:]
    return kept.decode("utf-8", "ignore").replace("\x00", "\N{SYMBOL FOR NULL}")


def _traceback(error: BaseException, clean: Callable[[str], str]) -> str:
    if isinstance(error, CancelledError | JobSignal):
        return ""
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - until Python 3.13 its parser may fail while a job parses in another thread
        frames = traceback.walk_tb(error.__traceback__)
        text = "".join(f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}\n" for frame, line in frames)
    # Before it is cut: half a secret would not be found.
    return storable(clean(text), _TRACEBACK)
