"""JSON text out of values and values out of JSON text."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from backburner.codec.hooks import from_json, to_json

__all__ = ["UNFIT", "decoder", "has_nul", "write"]

#: What writing or reading a value may raise, the value's own code included.
UNFIT = (msgspec.MsgspecError, TypeError, ValueError, ArithmeticError, AttributeError, LookupError, RecursionError)

#: How JSON writes NUL. PostgreSQL refuses it in text; some functions of SQLite end the text there.
_NUL = "\\u0000"
#: Leaves out a backslash that is text itself, followed by "u0000".
_REAL_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

#: Writes a value as JSON, in bytes; raises one of `UNFIT`.
write = msgspec.json.Encoder(enc_hook=to_json).encode


def decoder(annotation: Any) -> msgspec.json.Decoder[Any]:  # noqa: ANN401 - whatever was annotated
    """Return what reads the JSON of an annotation's values."""
    return msgspec.json.Decoder(annotation, dec_hook=from_json)


def has_nul(text: str) -> bool:
    """Tell whether a text within JSON text contains NUL."""
    return _NUL in text and _REAL_NUL.search(text) is not None
