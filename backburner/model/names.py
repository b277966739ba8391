"""Names: of queues, kinds, tags; and ids that users choose."""

from __future__ import annotations

import re

from backburner.errors import InvalidOption

__all__ = ["LONGEST_NAME", "check_name"]

#: Characters.
LONGEST_NAME = 128

_REFUSED = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def check_name(value: object, what: str) -> str:
    """Return a name of 1 to 128 characters, or raise `InvalidOption` whose ``option`` is ``what``.

    Control characters (NUL among them) and lone surrogates are refused: some store, terminal or URL would break on
    them. Everything else is welcome, spaces and any script.
    """
    if not isinstance(value, str):
        raise InvalidOption(f"{what} is a text, not {type(value).__name__}: {value!r}", option=what)
    if not value:
        raise InvalidOption(f"{what} must not be empty", option=what)
    if len(value) > LONGEST_NAME:
        raise InvalidOption(
            f"{what} has {len(value)} characters, {LONGEST_NAME} are allowed: {value[:32]!r}…", option=what
        )
    refused = _REFUSED.search(value)
    if refused is not None:
        raise InvalidOption(
            f"{what} contains {refused[0]!r} at position {refused.start()}: leave it out of {value!r}", option=what
        )
    return value
