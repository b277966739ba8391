"""Statements by a filter: each names only what is asked for, so that SQLite looks at nothing else and sees its indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from backburner.backends.matching import beyond, write
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.statements import load
from backburner.model.query import Shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.model.query import JobFilter

__all__ = ["CONDITIONS", "Filtered", "parameters"]

#: Where a statement has its filter.
_PLACE: Final = "/* filter */ TRUE"

#: By the name of the parameter that is compared; those that cost most come last.
CONDITIONS: Final = {
    "prefix": "id >= :prefix",
    "below": "id < :below",
    "after": "id > :after",
    "parents": "parent IN (SELECT value FROM json_each(:parents))",
    "node": "node = :node",
    "fingerprint": "fingerprint = :fingerprint",
    "kinds": "kind IN (SELECT value FROM json_each(:kinds))",
    "queues": "queue IN (SELECT value FROM json_each(:queues))",
    "since": "created_at >= :since",
    "until": "created_at < :until",
    "ended_before": "ended_at < :ended_before",
    # The index of what runs is seen by this alone.
    "running": "state = 'running'",
    "states": load("shown") + " IN (SELECT value FROM json_each(:states))",  # noqa: S608 - our own texts
    "error": "(instr(error, :error) > 0 OR instr(message, :error) > 0)",
    "tags": "EXISTS (SELECT 1 FROM json_each(tags) WHERE value IN (SELECT value FROM json_each(:tags)))",
    # A function of ours, see place.py: in SQL this takes thrice the time, and numbers are not compared to the last digit.
    "conditions": "fits(args, :conditions)",
}


class Filtered:
    """A statement with room for a filter, of jobs or with conditions of its own, by the parameter that is compared."""

    __slots__ = ("_conditions", "_text")

    def __init__(self, name: str, conditions: Mapping[str, str] = CONDITIONS) -> None:
        self._text = load(name)
        self._conditions = conditions

    def text(self, given: Mapping[str, object]) -> str:
        """Return the statement for the parameters of a filter; what is not looked at is None."""
        conditions = [text for name, text in self._conditions.items() if given[name] is not None]
        return self._text.replace(_PLACE, " AND ".join(conditions) or "TRUE")


def parameters(where: JobFilter, now: int, *, below: str | None = None, after: str | None = None) -> dict[str, object]:
    """Return what a filter compares with, of ids below and above these; what it does not look at is None."""
    bounds = [bound for bound in (below, beyond(where.prefix)) if bound is not None]
    return {
        "now": now,
        "prefix": where.prefix or None,
        "below": min(bounds, default=None),
        "after": after,
        "parents": _any_of(where.parents),
        "node": where.node,
        "kinds": _any_of(where.kinds),
        "queues": _any_of(where.queues),
        "running": where.states == (Shown.RUNNING,) or None,
        "states": _any_of(where.states),
        "tags": _any_of(where.tags),
        "since": where.since,
        "until": where.until,
        "ended_before": where.ended_before,
        "fingerprint": where.fingerprint,
        "error": where.error,
        "conditions": write(where.where) if where.where else None,
    }


def _any_of(values: Sequence[object]) -> str | None:
    return to_json(values) if values else None
