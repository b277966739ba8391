"""What subscriptions ask for, as one transaction sees it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.statements import load
from backburner.model.catalogue import BUILT_IN
from backburner.model.event import patterns_of

if TYPE_CHECKING:
    from backburner.backends.sqlite.steps import Steps

__all__ = ["Asked", "find_asked"]

_ASKED = load("asked")
#: What a store itself tells of jobs, and the patterns that ask for each.
_JOBS = {name: frozenset(patterns_of(name)) for name in BUILT_IN if name.startswith("job.")}

_decode_patterns = msgspec.json.Decoder(list[list[str]]).decode


class Asked:
    """All patterns of all subscriptions."""

    __slots__ = ("_patterns", "jobs")

    def __init__(self, patterns: frozenset[str]) -> None:
        self._patterns = patterns
        #: The names among those of events about jobs that are asked for.
        self.jobs = frozenset(name for name, asking in _JOBS.items() if not patterns.isdisjoint(asking))

    def wants(self, name: str) -> bool:
        """Tell whether anybody asks for a name."""
        return not self._patterns.isdisjoint(patterns_of(name))


def find_asked() -> Steps[Asked]:
    """Look what is asked for: one short read a verb, however many jobs it changes.

    Whoever looks holds the write lock, so no subscription is entered between the look and the commit: what is begun after
    one was entered sees it. Nothing cheaper tells of another process's commit: `PRAGMA data_version` is a statement too.
    """
    (found,) = yield _ASKED, {}
    return _read(found)


@lru_cache(maxsize=8)
def _read(found: str) -> Asked:
    """Return what was read of subscriptions, which seldom change."""
    return Asked(frozenset(pattern for patterns in _decode_patterns(found) for pattern in patterns))
