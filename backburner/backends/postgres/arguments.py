"""Conditions on arguments as SQL that is evaluated in line: what a filter asks of a million jobs, it asks of each.

What cannot be read raises here, since to catch that costs each row ten times what the rest does; who minds asks
`fits` of the schema, which answers the same and catches it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.model.query import Condition

__all__ = ["inline"]

#: What is found, of this path. NUL, which no text of the server's can hold, is seldom there.
_FOUND: Final = "(CASE WHEN strpos(args, '\\u0000') > 0 THEN {schema}.readable(args) ELSE args::json END%s)"
_NUMBER: Final = "(FOUND #>> '{}')::numeric"
_TEXT: Final = "(FOUND #>> '{}')"
_WANTED: Final = "(?::text[])[1]"
#: By the type of what is wanted, and then by operator: whether a value of that type compares so; any other does not.
#: Numbers that are compared with no other are beyond 10**1000, which what is wanted never is.
_COMPARISONS: Final = {
    "number": {
        "=": "NUMBER = WANTED::numeric",
        "!=": "NUMBER <> WANTED::numeric AND abs(NUMBER) < 1e1000",
        "<": "NUMBER < WANTED::numeric AND NUMBER > -1e1000",
        "<=": "NUMBER <= WANTED::numeric AND NUMBER > -1e1000",
        ">": "NUMBER > WANTED::numeric AND NUMBER < 1e1000",
        ">=": "NUMBER >= WANTED::numeric AND NUMBER < 1e1000",
    },
    "string": {
        "=": "TEXT = WANTED",
        "!=": "TEXT <> WANTED",
        "~": "strpos(TEXT, WANTED) > 0",
        "<": 'TEXT COLLATE "C" < WANTED',
        "<=": 'TEXT COLLATE "C" <= WANTED',
        ">": 'TEXT COLLATE "C" > WANTED',
        ">=": 'TEXT COLLATE "C" >= WANTED',
    },
    "boolean": {"=": "TEXT = WANTED", "!=": "TEXT <> WANTED"},
    "null": {"=": "true"},
}


def inline(conditions: tuple[Condition, ...]) -> Iterator[tuple[str, object]]:
    """Return the SQL of each condition and its one parameter: what is wanted, then the names of the path."""
    for condition in conditions:
        kind, wanted = _wanted(condition)
        compared = _COMPARISONS[kind].get(condition.operator, "false")
        if condition.operator == "!=":
            others = "json_typeof(FOUND) NOT IN ('object', 'array')"
            text = f"CASE WHEN json_typeof(FOUND) = '{kind}' THEN {compared} ELSE {others} END"
        else:
            text = f"CASE WHEN json_typeof(FOUND) = '{kind}' THEN {compared} ELSE false END"
        path = "".join([f" -> (?::text[])[{nth}]" for nth in range(2, len(condition.path) + 2)])
        for mark, meaning in (("NUMBER", _NUMBER), ("TEXT", _TEXT), ("WANTED", _WANTED), ("FOUND", _FOUND % path)):
            text = text.replace(mark, meaning)
        yield text, [wanted, *condition.path]


def _wanted(condition: Condition) -> tuple[str, str]:
    """Return the type of what is wanted, as JSON calls it, and what it is compared as."""
    value = condition.value
    if value is None:
        return "null", ""
    if isinstance(value, str):
        return "string", value
    return "boolean" if isinstance(value, bool) else "number", json.dumps(value)
