"""Whether a job is among those a filter asks for, for stores that cannot ask themselves."""

from __future__ import annotations

import json
import operator
import re
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import msgspec

from backburner.model.query import Condition, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.model.job import JobRecord
    from backburner.model.query import JobFilter, Shown

__all__ = ["beyond", "fits", "hopeless", "matches", "read", "record_shown", "write"]

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MISSING = object()
#: From here on numbers are compared with no other: databases end somewhere, and each elsewhere.
_HUGE: Final = Decimal("1e1000")
_LAST = "\U0010ffff"
#: Halves of characters, which UTF-8 cannot write.
_HALF = re.compile("[\ud800-\udfff]")


def record_shown(job: JobRecord, now: int) -> Shown:
    """Return the state that people are shown."""
    return shown(job.state, failures=job.failures, due_at=job.due_at, now=now)


def matches(job: JobRecord, where: JobFilter, now: int) -> bool:
    """Tell whether every field given holds for the job."""
    return (
        (not where.kinds or job.kind in where.kinds)
        and (not where.queues or job.queue in where.queues)
        and (not where.states or record_shown(job, now) in where.states)
        and (where.error is None or where.error in job.error or where.error in job.message)
        and (where.fingerprint is None or where.fingerprint == job.fingerprint)
        and (not where.tags or any(tag in job.tags for tag in where.tags))
        and (where.since is None or job.created_at >= where.since)
        and (where.until is None or job.created_at < where.until)
        and job.id.startswith(where.prefix)
        and (where.ended_before is None or (job.ended_at is not None and job.ended_at < where.ended_before))
        and (not where.parents or job.parent in where.parents)
        and (where.node is None or where.node == job.node)
        and (not where.where or fits(job.args, where.where))
    )


def fits(args: str, conditions: tuple[Condition, ...]) -> bool:
    """Tell whether arguments, as JSON, fit all conditions; those that cannot be read fit none."""
    arguments = _read(args)
    return arguments is not _MISSING and all(
        _compare(condition, _follow(arguments, condition.path)) for condition in conditions
    )


def hopeless(where: JobFilter) -> bool:
    """Tell whether a filter asks for what no store can hold, and databases refuse to be asked for."""
    texts = [
        *(where.prefix, where.error or "", where.fingerprint or "", where.node or ""),
        *(*where.kinds, *where.queues, *where.tags, *where.parents),
    ]
    for condition in where.where:
        texts += condition.path
        if isinstance(condition.value, str):
            texts.append(condition.value)
        elif condition.value is not None and not _compares(condition.value):
            return True
    return any("\0" in text or _HALF.search(text) for text in texts)


def write(conditions: tuple[Condition, ...]) -> str:
    """Return conditions as JSON, with integers of any size: [[[name, …], operator, scalar], …]."""
    return json.dumps([(condition.path, condition.operator, condition.value) for condition in conditions])


def read(text: str) -> tuple[Condition, ...]:
    """Return the conditions that were written so."""
    return tuple(Condition(tuple(path), operator, value) for path, operator, value in json.loads(text))


def beyond(prefix: str) -> str | None:
    """Return the least text above all that begin so, by the numbers of characters; None where there is none."""
    for end in range(len(prefix), 0, -1):
        last = prefix[end - 1]
        if last < _LAST:
            # Between these two are the halves, which are no characters.
            return prefix[: end - 1] + ("\ue000" if last == "\ud7ff" else chr(ord(last) + 1))
    return None


def _read(args: str) -> object:
    try:
        return _decode(args)
    except msgspec.ValidationError:
        # A number of very many digits is no reason to leave the rest unread.
        return _read_slowly(args)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _MISSING


def _read_slowly(args: str) -> object:
    try:
        return json.loads(args, parse_int=_number, parse_float=_number, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _MISSING


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return _HUGE


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


_decode = msgspec.json.Decoder(float_hook=_number).decode


def _follow(value: object, path: tuple[str, ...]) -> object:
    for name in path:
        value = cast("dict[str, object]", value).get(name, _MISSING) if isinstance(value, dict) else _MISSING
    return value


def _compare(condition: Condition, found: object) -> bool:
    """Compare as `Condition` has it."""
    wanted: object = condition.value
    if found is _MISSING or isinstance(found, (dict, list)):
        return False
    kind = _type(found)
    if kind != _type(wanted):
        return condition.operator == "!="
    if kind == "number":
        found, wanted = _exact(found), _exact(wanted)
        if not _compares(found):
            return False
    if condition.operator in {"=", "!="}:
        return (found == wanted) is (condition.operator == "=")
    if condition.operator == "~":
        return isinstance(found, str) and isinstance(wanted, str) and wanted in found
    return kind in {"text", "number"} and _ORDER[condition.operator](found, wanted)


def _compares(number: float | Decimal) -> bool:
    return isfinite(number) if isinstance(number, float) else -_HUGE < number < _HUGE


def _exact(number: Any) -> Decimal | int:  # noqa: ANN401 - it was seen to be a number
    """Return a number as its digits say it: a float is the nearest there is to those."""
    return Decimal(repr(number)) if isinstance(number, float) else number


def _type(value: object) -> str:
    if isinstance(value, str):
        return "text"
    return "number" if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) else repr(type(value))
