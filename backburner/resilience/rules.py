"""Rules over exception classes.

Of an exception's classes the nearest one named decides, as ``except`` clauses from the special to the general would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from backburner.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Rules", "by_class", "nearest"]

#: One exception class or several.
Rules = type[Exception] | tuple[type[Exception], ...]

Option = TypeVar("Option", bound=str)
Told = TypeVar("Told")


def by_class(rules: Mapping[Option, Rules]) -> dict[type[Exception], Option]:
    """Return by class the option that names it; raises `InvalidOption` for what is no class, or stands in two."""
    found: dict[type[Exception], Option] = {}
    for option, given in rules.items():
        for kind in given if isinstance(given, tuple) else (given,):
            if not _is_exception(kind):
                raise InvalidOption(f"{option}={kind!r} must be an exception class, or a tuple of them", option=option)
            if found.setdefault(kind, option) != option:
                raise InvalidOption(
                    f"{kind.__name__} stands in both {found[kind]}= and {option}=: leave it in one", option=option
                )
    return found


def nearest(told: Mapping[type[Exception], Told], error: type[BaseException]) -> Told | None:
    """Return what is told of the nearest of an exception's classes; None if of none."""
    for kind in error.__mro__:
        if kind in told:
            return told[kind]
    return None


def _is_exception(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Exception)
