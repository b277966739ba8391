"""What is told of an exception across processes: everything that settling a run takes, and nothing to unpickle."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import msgspec

from backburner.jobs.account import Account, Foreign, account, storable
from backburner.jobs.signals import Cancel, JobSignal, Reject, Retry, Snooze
from backburner.model.fingerprint import qualified
from backburner.resilience.retry_after import retry_after

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAIN", "ChildError", "Report", "report", "revive"]

#: The name under which a child runs the engine's main program: not ``__main__``, so that what stands under
#: ``if __name__ == "__main__"`` does not run.
MAIN = "__backburner_main__"

Word = Literal["retry", "snooze", "reject", "cancel"]
_SIGNALS: dict[type[JobSignal], Word] = {Retry: "retry", Snooze: "snooze", Reject: "reject", Cancel: "cancel"}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """An exception, in words."""

    #: Its type as ``module.Name``.
    name: str
    message: str
    #: Empty for signals.
    traceback: str
    fingerprint: str
    #: Its class and those it derives from, nearest first, as module and qualified name.
    classes: list[tuple[str, str]]
    signal: Word | None = None
    #: Of a signal, in microseconds.
    delay: int | None = None
    #: In microseconds: what the other side asked for by a ``Retry-After``.
    retry_after: int | None = None


class ChildError(Foreign):
    """A process job raised. Its account is the child's."""

    def __init__(self, told: Report, kind: type[BaseException]) -> None:
        words = Account(told.name, told.message, told.traceback, told.fingerprint)
        super().__init__(f"{told.name}: {told.message}" if told.message else told.name, words, kind)
        self.retry_after = None if told.retry_after is None else timedelta(microseconds=told.retry_after)
        # Shown wherever this error is, as if the child's frames stood above our own.
        self.__cause__ = _Above(told.traceback) if told.traceback else None


class _Above(Exception):
    """The child's own traceback."""

    def __str__(self) -> str:
        return f"in the job's own process:\n\n{self.args[0]}"


def report(error: BaseException, now: int, main: str | None = None, clean: Callable[[str], str] = str) -> Report:
    """Put an exception in words; ``main`` is the module that the engine's process knows as ``__main__``.

    ``clean`` takes out of a text what must not be told.
    """
    signal: Word | None = next((word for kind, word in _SIGNALS.items() if isinstance(error, kind)), None)
    delay = error.delay if isinstance(error, Retry | Snooze) else None
    classes = [(_module(kind, main), kind.__qualname__) for kind in type(error).__mro__ if kind is not object]
    module = _module(type(error), main)
    words = account(error, clean)
    name = qualified(error) if module == type(error).__module__ else f"{module}.{type(error).__qualname__}"
    return Report(
        name=storable(name),
        message=words.message,
        traceback=words.traceback,
        fingerprint=words.fingerprint,
        classes=[(storable(module), storable(name)) for module, name in classes],
        signal=signal,
        delay=delay,
        retry_after=retry_after(error, now),
    )


def revive(told: Report) -> BaseException:
    """Return what the engine raises for it: signals, and what decides how a run ends, as they are; else `ChildError`.

    Classes are looked for among what this process has imported; nothing is imported for them.
    """
    delay = None if told.delay is None else timedelta(microseconds=told.delay)
    kind = next((known for known in map(_find, told.classes) if known is not None), Exception)
    error: BaseException
    if told.signal == "retry":
        error = Retry(told.message, delay=delay)
    elif told.signal == "snooze":
        error = Snooze(delay or 0, told.message)
    elif told.signal is not None:
        error = Reject(told.message) if told.signal == "reject" else Cancel(told.message)
    elif kind is KeyboardInterrupt or kind is GeneratorExit:
        error = kind(told.message)
    else:
        error = ChildError(told, kind)
    return error


def _find(names: tuple[str, str]) -> type[BaseException] | None:
    module, name = names
    found: object = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def _module(kind: type, main: str | None) -> str:
    return "__main__" if main is not None and kind.__module__ == main else kind.__module__
