"""Which letters an order means: everything in it is checked before it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from backburner.dlq.state import Patch
from backburner.errors import InvalidOption, NothingMatches
from backburner.model.job import JobState
from backburner.model.query import JobFilter, Shown
from backburner.resilience.rates import rate_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.model.lane import Rate
    from backburner.ports.jobs import JobReader

__all__ = ["IDS", "Meant", "among_dead", "check_limit", "meant", "pace_of", "patches_of"]

#: Letters that one order may name by their ids.
IDS: Final = 1_000

_DEAD: Final = (Shown.DEAD,)


class Meant(msgspec.Struct, frozen=True, kw_only=True):
    """The letters meant, as an operation keeps it."""

    where: JobFilter
    #: Named one by one, largest first; empty where the filter decides.
    ids: tuple[str, ...]
    #: How many there are.
    found: int


def among_dead(where: JobFilter | None) -> JobFilter:
    """Return the filter over dead letters alone; raises `InvalidOption` for one that asks for other states."""
    where = where or JobFilter()
    if not set(where.states) <= set(_DEAD):
        raise InvalidOption("only dead jobs are dead letters: leave the states out", option="states")
    return msgspec.structs.replace(where, states=_DEAD)


async def meant(
    reader: JobReader, where: JobFilter | None, ids: Sequence[str], *, every: bool, limit: int | None
) -> Meant:
    """Return the letters that are meant, dead by the store's now.

    Raises `InvalidOption` unless one thing is said: a filter, ids, or every one; and `NothingMatches`.
    """
    narrow = among_dead(where)
    given = narrow != among_dead(None)
    if given + bool(ids) + every != 1:
        raise InvalidOption("say which letters: by a filter, by ids, or all=True; one of the three", option="where")
    check_limit(limit)
    if len(set(ids)) > IDS:
        raise InvalidOption(f"{len(set(ids)):,} ids; {IDS:,} may be named, more by a filter", option="ids")
    page = await reader.get(ids)
    now = page.now if narrow.ended_before is None else min(narrow.ended_before, page.now)
    dead = msgspec.structs.replace(narrow, ended_before=now)
    if ids:
        named = sorted((job.id for job in page.jobs if job.state is JobState.DEAD), reverse=True)
        found = len(named)
    else:
        named = []
        found = (await reader.count(dead)).get(Shown.DEAD, 0)
    if not found:
        raise NothingMatches(
            "no dead letter matches, so nothing was begun: `backburner dlq list` shows those there are"
        )
    return Meant(where=dead, ids=tuple(named), found=found if limit is None else min(limit, found))


def check_limit(limit: int | None) -> int | None:
    """Return how many letters are meant at most, or raise `InvalidOption`."""
    if limit is not None and (type(limit) is not int or limit < 1):
        raise InvalidOption(f"limit is a whole number from 1, not {limit!r}", option="limit")
    return limit


def pace_of(pace: str | Rate | None) -> Rate | None:
    """Return the pace that was given as a rate or its text; raises `InvalidOption`."""
    try:
        return None if pace is None else rate_of(pace)
    except InvalidOption as error:
        raise InvalidOption(str(error), option="pace") from error


def patches_of(values: Mapping[str, object]) -> tuple[Patch, ...]:
    """Return values by path as JSON; raises `InvalidOption` for one that is none."""
    patches: list[Patch] = []
    for path, value in values.items():
        try:
            patches.append(Patch(path, msgspec.json.encode(value).decode()))
        except (TypeError, ValueError, msgspec.MsgspecError) as error:
            raise InvalidOption(f"set: the value for {path} is no JSON: {error}", option="set") from error
    return tuple(patches)
