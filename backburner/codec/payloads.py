"""JSON text out of values and values out of JSON text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import msgspec

from backburner.codec.hooks import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["UNFIT", "canonical", "decoder", "has_nul", "write"]

#: What writing or reading a value may raise, the value's own code included.
UNFIT = (msgspec.MsgspecError, TypeError, ValueError, ArithmeticError, AttributeError, LookupError, RecursionError)

#: How JSON writes NUL. PostgreSQL refuses it in text; some functions of SQLite end the text there.
_NUL = "\\u0000"
#: Leaves out a backslash that is text itself, followed by "u0000".
_REAL_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

#: Writes a value as JSON, in bytes; raises one of `UNFIT`.
write = msgspec.json.Encoder(enc_hook=to_json).encode
_write_sorted = msgspec.json.Encoder(enc_hook=to_json, order="deterministic").encode


def canonical(value: object) -> bytes:
    """Write equal values alike, in every process: sets, whose order is chance, and dicts sorted. To tell values by."""
    try:
        return _write_sorted(value)
    except TypeError:
        # Elements of a set that do not compare, such as 1 and "a", and keys that are no texts go by their JSON.
        try:
            return _write_sorted(_in_order(value))
        except TypeError:
            return write(value)


def _in_order(value: object) -> object:
    if isinstance(value, set | frozenset):
        return _sorted(cast("Iterable[object]", value))
    if isinstance(value, dict):
        held = cast("dict[object, object]", value)
        if all(type(key) is str for key in held):
            return {key: _in_order(each) for key, each in held.items()}
        return _sorted(held.items())
    if isinstance(value, list | tuple):
        return [_in_order(each) for each in cast("Iterable[object]", value)]
    return value


def _sorted(values: Iterable[object]) -> list[msgspec.Raw]:
    return [msgspec.Raw(text) for text in sorted(map(canonical, values))]


def decoder(annotation: Any) -> msgspec.json.Decoder[Any]:  # noqa: ANN401 - whatever was annotated
    """Return what reads the JSON of an annotation's values."""
    return msgspec.json.Decoder(annotation, dec_hook=from_json)


def has_nul(text: str) -> bool:
    """Tell whether a text within JSON text contains NUL."""
    return _NUL in text and _REAL_NUL.search(text) is not None
