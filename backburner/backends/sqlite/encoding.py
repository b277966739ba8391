"""Values on their way to a statement: many rows are one JSON text, so that a batch is one statement.

Every step of a statement lets other threads run, and beside a busy loop waits for its turn again: one step for a
thousand rows costs as much as one step for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from backburner.backends.sqlite.failures import Unstorable

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["to_json"]

_encode = msgspec.json.Encoder().encode


def to_json(rows: Sequence[object]) -> str:
    """Return rows as JSON; raises for text that cannot be stored."""
    text = _encode(rows).decode()
    # SQLite's JSON would cut a text off at NUL. Inside JSON arguments it stands escaped twice, and is well.
    if "\\u0000" in text and _has_nul(rows):
        raise Unstorable("a text contains NUL")
    return text


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    return isinstance(value, (list, tuple)) and any(map(_has_nul, cast("Sequence[object]", value)))
