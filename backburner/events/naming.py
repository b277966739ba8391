"""Names of events: what may be published, and what may be asked for."""

from __future__ import annotations

import difflib
import re

from backburner.errors import InvalidEvent, UnknownEvent
from backburner.model.catalogue import BUILT_IN, FAMILIES
from backburner.model.event import ALL
from backburner.model.names import LONGEST_NAME

__all__ = ["check_patterns", "check_published"]

_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_EXAMPLE = "letters, digits, _ and -, in parts joined by dots, such as order.paid"


def check_published(name: object) -> str:
    """Return a name that anybody may publish under, or raise `InvalidEvent`."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise InvalidEvent(f"{name!r} is no event's name: {_EXAMPLE}; at most {LONGEST_NAME} characters")
    family = name.partition(".")[0]
    if family in FAMILIES:
        raise InvalidEvent(
            f"{name!r}: events under {family}. are the engine's own, which people rely on; publish under another name"
        )
    return name


def check_patterns(patterns: object) -> tuple[str, ...]:
    """Return what is asked for: names, ``order.*`` for all below, ``*`` for all; or raise `UnknownEvent`."""
    if isinstance(patterns, str):
        patterns = (patterns,)
    found = tuple(dict.fromkeys(_check(pattern) for pattern in patterns))  # type: ignore[attr-defined]  # as given
    return found or (ALL,)


def _check(pattern: object) -> str:
    if not isinstance(pattern, str) or not (pattern == ALL or _NAME.fullmatch(pattern.removesuffix(".*"))):
        raise UnknownEvent(
            f"{pattern!r} asks for no event: write a name ({_EXAMPLE}), its front and .* (order.*), or *",
            option="names",
        )
    if len(pattern) > LONGEST_NAME:
        raise UnknownEvent(
            f"{pattern[:32]!r}… is longer than {LONGEST_NAME} characters: write a shorter one", option="names"
        )
    family, _, rest = pattern.partition(".")
    if family not in FAMILIES or pattern == ALL:
        return pattern
    known = tuple(BUILT_IN)
    if rest.endswith("*"):
        if not any(name.startswith(pattern[:-1]) for name in known):
            raise UnknownEvent(
                f"no event of the engine matches {pattern!r}{_near(pattern[:-2], known)}", option="names"
            )
    elif pattern not in BUILT_IN:
        raise UnknownEvent(f"the engine has no event {pattern!r}{_near(pattern, known)}", option="names")
    return pattern


def _near(name: str, known: tuple[str, ...]) -> str:
    """Say which of the family come near; where none does, which there are: whoever looks for it knows it by sight."""
    family, _, rest = name.partition(".")
    by_rest = {each.partition(".")[2]: each for each in known if each.startswith(f"{family}.")}
    # What all of a family have in common tells nothing of how near they are.
    close = difflib.get_close_matches(rest, by_rest, n=3) or by_rest
    return f"; did you mean {' or '.join(by_rest[each] for each in close)}?"
