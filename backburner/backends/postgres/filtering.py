"""Filters as SQL: conditions of what is given alone, so that each filter has a plan of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from backburner.backends.matching import beyond, write
from backburner.backends.postgres.arguments import inline
from backburner.model.query import Shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from backburner.model.query import JobFilter

__all__ = ["conditions", "is_by_error", "numbered", "state_shown"]

#: The states shown that are stored as they are: with one of those named in a statement there is an index of such jobs.
_STORED: Final = frozenset({Shown.RUNNING, Shown.COMPLETED, Shown.CANCELLED, Shown.DEAD})
_LETTERS: Final = (Shown.DEAD,)
#: What jobs have that run or wait, by the state shown: of those, too, there are indexes.
_STANDING: Final = {
    Shown.RUNNING: "state = 'running'",
    Shown.RETRYING: "state = 'pending' AND failures > 0",
    Shown.WAITING: "state = 'pending' AND failures = 0 AND due_at <= (SELECT now FROM clock)",
    Shown.SCHEDULED: "state = 'pending' AND failures = 0 AND due_at > (SELECT now FROM clock)",
}


def state_shown(where: JobFilter, shown: str) -> str:
    """Return the expression of the state shown, ``shown`` if need be: what an index has is counted without a look at jobs."""
    states = frozenset(where.states)
    if not states or not states <= _STORED:
        return shown
    return "state" if len(states) > 1 else f"'{min(states)}'"


def is_by_error(where: JobFilter) -> bool:
    """Tell whether a filter asks dead letters alone for their error, which indexes of these have."""
    return where.error is not None and where.states == _LETTERS


def conditions(
    where: JobFilter, *, shown: str, first: int, after: str | None = None, careful: bool = False
) -> tuple[str, list[object]]:
    """Return the conditions that a filter makes, and their parameters, which are numbered from ``first``.

    ``shown`` is the expression of the state shown. With ``after`` only ids below that match. Conditions on arguments
    raise where those cannot be read, unless they are ``careful``, which takes ten times as long.
    """
    return numbered(_conditions(where, shown, after, careful=careful), first=first)


def numbered(given: Iterable[tuple[str, object]], *, first: int) -> tuple[str, list[object]]:
    """Return conditions, each with its parameter where it asks for one, as a text and the parameters in their order.

    A condition has its parameter where it says ``?``, and those of a tuple where it says ``?1``, ``?2``, …
    """
    texts: list[str] = []
    parameters: list[object] = []
    for text, parameter in given:
        place = first + len(parameters)
        if isinstance(parameter, tuple):
            several = cast("tuple[object, ...]", parameter)
            # Of marks that begin alike the longer first.
            for nth in range(len(several), 0, -1):
                text = text.replace(f"?{nth}", f"${place + nth - 1}")  # noqa: PLW2901 - it is being filled in
            texts.append(text)
            parameters += several
            continue
        texts.append(text.replace("?", f"${place}"))
        if "?" in text:
            parameters.append(parameter)
    return " AND ".join(texts) or "true", parameters


def _conditions(where: JobFilter, shown: str, after: str | None, *, careful: bool) -> Iterator[tuple[str, object]]:
    if where.states:
        if _STORED.issuperset(where.states):
            yield f"state IN ({', '.join([repr(str(state)) for state in where.states])})", None
        elif set(_STANDING).issuperset(where.states):
            yield f"({' OR '.join([f'({_STANDING[state]})' for state in where.states])})", None
        else:
            yield f"{shown} = ANY (?::text[])", [*where.states]
    bounds = [bound for bound in (after, beyond(where.prefix)) if bound is not None]
    for text, parameter in (
        ("id >= ?", where.prefix or None),
        ("id < ?", min(bounds, default=None)),
        ("parent IS NOT NULL AND parent = ANY (?::text[])", [*where.parents] or None),
        ("node = ?", where.node),
        ("kind = ANY (?::text[])", [*where.kinds] or None),
        ("queue = ANY (?::text[])", [*where.queues] or None),
        # The first part says nothing new, but that of letters there is an index of those that have tags.
        ("tags <> '{}' AND tags && ?::text[]", [*where.tags] or None),
        ("created_at >= ?", where.since),
        ("created_at < ?", where.until),
        ("ended_at < ?", where.ended_before),
        ("fingerprint = ?", where.fingerprint),
        ("(strpos(error, ?) > 0 OR strpos(message, ?) > 0)", where.error),
    ):
        if parameter is not None:
            yield text, parameter
    if where.where and careful:
        yield "{schema}.fits(args, ?)", write(where.where)
    elif where.where:
        yield from inline(where.where)
