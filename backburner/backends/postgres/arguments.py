"""Conditions on arguments as SQL that is evaluated in line: what a filter asks of a million jobs, it asks of each.

What cannot be read raises here, since to catch that takes each row a multiple of all the rest; who has to bear it asks
``fits`` of the schema, which answers the same.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.model.query import Condition

__all__ = ["inline"]

#: Looked at once a row. NUL, which no text of the server's can hold, is seldom there.
_FITS: Final = """(
    SELECT {schema}.compares(found, ?1, ?2::json)
    FROM (
        SELECT CASE WHEN strpos(args, E'\\\\u0000') > 0 THEN {schema}.readable(args) ELSE args::json END%s AS found
        OFFSET 0
    ) AS looked)"""
#: What text stands in all arguments that fit, as it is or escaped; to look for it is much quicker than to read them.
_HAS_TEXT: Final = "(strpos(args, ?) > 0 OR strpos(args, E'\\\\') > 0)"
#: The same of the digits of a number, which a point may part.
_HAS_DIGITS: Final = "strpos(replace(args, '.', ''), ?) > 0"


def inline(conditions: tuple[Condition, ...]) -> Iterator[tuple[str, object]]:
    """Return conditions as texts with their parameters, see `filtering.numbered`; each is asked after cheaper ones."""
    for condition in conditions:
        value = condition.value
        if isinstance(value, str):
            if condition.operator in {"=", "~"}:
                yield _HAS_TEXT, value
        elif condition.operator == "=" and value is not None and not isinstance(value, bool):
            yield _HAS_DIGITS, "".join(map(str, Decimal(json.dumps(value)).as_tuple().digits)).strip("0")
        path = "".join([f" -> ?{nth}::text" for nth in range(3, len(condition.path) + 3)])
        yield _FITS % path, (condition.operator, json.dumps(value), *condition.path)
