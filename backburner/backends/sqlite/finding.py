"""Which statement finds the jobs of a filter: what it costs depends on how many such jobs there are, and others beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from backburner.backends.sqlite.filtering import CONDITIONS, Filtered, parameters
from backburner.model.job import JobRecord
from backburner.model.query import JobFilter, Shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.backends.sqlite.reads import Reads

__all__ = ["asks_for_letters", "find"]

#: The states shown of jobs that stand in the line, or at a gate.
_PENDING: Final = frozenset({Shown.WAITING, Shown.SCHEDULED, Shown.RETRYING})
_DUE: Final = frozenset((Shown.WAITING,))
_LATER: Final = frozenset((Shown.SCHEDULED,))
_AGAIN: Final = frozenset((Shown.RETRYING,))

_FIND: Final = Filtered("find")
_FIND_LETTERS: Final = Filtered("find_letters")
_NEXT_LETTERS: Final = Filtered("next_letters")
_FIND_STANDING: Final = Filtered("find_standing")
#: By what the index of the line has.
_COUNT_CROWD: Final = Filtered("crowd", {"queues": CONDITIONS["queues"]})

_LETTERS: Final = (Shown.DEAD,)
_STANDING: Final = _PENDING | {Shown.RUNNING}
#: So many jobs that wait are no longer looked at one by one.
_CROWD: Final = 20_000
#: Before and after all moments.
_NEVER, _ALWAYS = -1, 1 << 62

_decode = msgspec.json.Decoder(tuple[JobRecord, ...]).decode


async def find(reads: Reads, where: JobFilter, now: int, *, limit: int, after: str | None) -> tuple[JobRecord, ...]:
    """Return the first jobs that match, newest id first, below ``after``."""
    given = parameters(where, now, below=after) | {"limit": limit}
    if asks_for_letters(where):
        given["states"] = None
        return await _found(reads, _FIND_LETTERS if after is None and _is_indexed(where) else _NEXT_LETTERS, given)
    if _asks_for_standing(where):
        return await _find_standing(reads, where.states, given, now)
    return await _found(reads, _FIND, given)


async def _find_standing(
    reads: Reads, states: Sequence[Shown], given: Mapping[str, object], now: int
) -> tuple[JobRecord, ...]:
    """Find what runs or waits by the indexes of that, whatever ended beside it.

    No more run than nodes have slots, but a million may wait. They would all have to be looked at and sorted, where a walk
    from the newest job on soon has a page of them.
    """
    pending = _PENDING.intersection(states)
    again = pending == _AGAIN
    place = {
        "runs": Shown.RUNNING in states,
        "line": bool(pending) and not again,
        "again": again,
        "earliest": now if pending == _LATER else _NEVER,
        "latest": now if pending == _DUE else _ALWAYS,
    }
    if pending:
        asked = {"queues": given["queues"], "crowd": _CROWD, **place}
        if await reads.one(_COUNT_CROWD.text(asked), asked) == _CROWD:
            return await _found(reads, _FIND, given)
    return await _found(reads, _FIND_STANDING, {**given, **place, "running": None})


async def _found(reads: Reads, statement: Filtered, given: Mapping[str, object]) -> tuple[JobRecord, ...]:
    return _decode(await reads.one(statement.text(given), given))


def asks_for_letters(where: JobFilter) -> bool:
    """Tell whether only dead letters match, and not only those of some parents, which are few."""
    return where.states == _LETTERS and not where.parents


def _is_indexed(where: JobFilter) -> bool:
    """Tell whether a filter leaves out letters, and by nothing but what the index of failures knows of them."""
    others = msgspec.structs.replace(
        where, kinds=(), queues=(), fingerprint=None, error=None, since=None, until=None, ended_before=None
    )
    return where != others == JobFilter(states=_LETTERS)


def _asks_for_standing(where: JobFilter) -> bool:
    """Tell whether only what runs or waits matches, and not only what some parents or a node have of it, which is few."""
    return bool(where.states) and _STANDING.issuperset(where.states) and not where.parents and where.node is None
