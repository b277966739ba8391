"""The fingerprint of a failure: failures of one cause share it, so an outage reads as one line."""

from __future__ import annotations

import hashlib
import traceback
from pathlib import PurePath

__all__ = ["fingerprint", "poison", "qualified"]

#: The innermost frames say what failed; more would tell callers of one cause apart.
_FRAMES = 5
_LENGTH = 12


def qualified(error: BaseException | type[BaseException]) -> str:
    """Return the error's type as ``module.Name``, without ``builtins``; our own as users import them."""
    kind = error if isinstance(error, type) else type(error)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    own, _, _ = __name__.partition(".")
    module = own if kind.__module__.startswith(f"{own}.") else kind.__module__
    return f"{module}.{kind.__qualname__}"


def fingerprint(error: BaseException) -> str:
    """Return 12 hexadecimal digits over the error's type and its innermost frames' files and functions.

    Line numbers, directories and the message are left out: they differ between deploys and between jobs of one cause.
    """
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = [f"{PurePath(frame.filename).name}:{frame.name}" for frame in frames]
    return _digits(qualified(error), *places)


def poison(kind: str) -> str:
    """Return the fingerprint of jobs that kill their process: such a death leaves no traceback, so their kind is the cause."""
    return _digits("Poison", kind)


def _digits(*words: str) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:_LENGTH]
