"""Errors of runs that have secrets, as they may be told."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from backburner.jobs.account import Account, Foreign, account, class_of, message_of
from backburner.jobs.signals import Cancel, JobSignal, Reject, Retry, Snooze

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["conceal"]


class Concealed(Foreign):
    """Stands in for an error: it has its words, cleaned, and not its frames, whose variables hold the secrets."""

    def __init__(self, told: Account, kind: type[BaseException]) -> None:
        super().__init__(told.message, told, kind)
        self.__cause__ = Original(told.traceback) if told.traceback else None


class Original(Exception):
    """The traceback of the error itself. Whoever reads a log sees the name."""

    __module__ = "backburner"

    def __str__(self) -> str:
        return f"as it was raised, without its secrets:\n\n{self.args[0]}"


def conceal(error: BaseException, clean: Callable[[str], str]) -> BaseException:
    """Return an error that says the same without secrets, of the same name, for whoever is told of it.

    What decides how a run ends is what it was.
    """
    told = account(error, clean)
    if isinstance(error, JobSignal):
        kind = next((kind for kind in (Retry, Snooze, Reject) if isinstance(error, kind)), Cancel)
        return kind.__new__(kind, message_of(error, clean))
    if isinstance(error, KeyboardInterrupt | GeneratorExit):
        return type(error)(told.message)
    return _named(told.error)(told, class_of(error))


@lru_cache(maxsize=256)
def _named(name: str) -> type[Concealed]:
    """Return the class of stand-ins for errors of a name: people and their tools go by it."""
    module, _, own = name.rpartition(".")
    return type(own, (Concealed,), {"__module__": module or "builtins", "__qualname__": own})
