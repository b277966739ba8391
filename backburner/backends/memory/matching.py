"""Whether a row is among those a filter asks for."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, cast

import msgspec

from backburner.model.query import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.backends.memory.row import Row
    from backburner.model.query import Condition, JobFilter, Shown

__all__ = ["matches", "row_shown"]

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MISSING = object()


def row_shown(row: Row, now: int) -> Shown:
    """Return the state that people are shown."""
    return shown(row.state, failures=row.failures, due_at=row.due_at, now=now)


def matches(row: Row, where: JobFilter, now: int) -> bool:
    """Tell whether every field given holds for the row."""
    job = row.job
    return (
        (not where.kinds or job.kind in where.kinds)
        and (not where.queues or job.queue in where.queues)
        and (not where.states or row_shown(row, now) in where.states)
        and (where.error is None or where.error in row.error or where.error in row.message)
        and (where.fingerprint is None or where.fingerprint == row.fingerprint)
        and (not where.tags or any(tag in job.tags for tag in where.tags))
        and (where.since is None or row.created_at >= where.since)
        and (where.until is None or row.created_at < where.until)
        and job.id.startswith(where.prefix)
        and (where.parent is None or where.parent == job.parent)
        and (where.node is None or where.node == row.node)
        and (not where.where or _holds(job.args, where.where))
    )


def _holds(args: str, conditions: tuple[Condition, ...]) -> bool:
    arguments: object = msgspec.json.decode(args)
    return all(_compare(condition, _follow(arguments, condition.path)) for condition in conditions)


def _follow(value: object, path: tuple[str, ...]) -> object:
    for name in path:
        value = cast("dict[str, object]", value).get(name, _MISSING) if isinstance(value, dict) else _MISSING
    return value


def _compare(condition: Condition, found: object) -> bool:
    """Compare by JSON's types: text with text, numbers with numbers; what is missing fits nothing."""
    wanted = condition.value
    if found is _MISSING or isinstance(found, (dict, list)):
        return False
    if condition.operator in {"=", "!="}:
        equal = _type(found) == _type(wanted) and found == wanted
        return equal is (condition.operator == "=")
    if condition.operator == "~":
        return isinstance(found, str) and isinstance(wanted, str) and wanted in found
    ordered = _type(found) == _type(wanted) and _type(wanted) in {"text", "number"}
    return ordered and _ORDER[condition.operator](found, wanted)


def _type(value: object) -> str:
    if isinstance(value, str):
        return "text"
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else repr(type(value))
