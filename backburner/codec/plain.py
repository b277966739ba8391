"""Values without a signature: what JSON itself gives back equal."""

from __future__ import annotations

from typing import Any

from backburner.codec.annotations import NOTHING
from backburner.codec.marks import TRACE, unmarked
from backburner.codec.payloads import UNFIT, decoder, has_nul, write
from backburner.codec.refusals import refusal
from backburner.codec.values import same, spell
from backburner.errors import ArgumentNotStorable

__all__ = ["decode_plain", "encode_plain"]

_decode = decoder(Any).decode


def encode_plain(value: object, name: str, limit: int | None = None) -> str:
    """Return a value as JSON text, of at most ``limit`` bytes.

    Raises `ArgumentNotStorable`, with its path under ``name``, as arguments do.
    """
    try:
        raw = write(value)
        fits = same(value, _decode(raw))
    except UNFIT as error:
        raise _not_storable(value, name) from error
    text = raw.decode()
    if not fits or has_nul(text):
        raise _not_storable(value, name)
    if limit is not None and len(text.encode()) > limit:
        raise ArgumentNotStorable(
            f"the {name} takes {len(text.encode()):,} bytes, {limit:,} are allowed; store the data where it belongs and "
            "save its name",
            path=name,
        )
    return text


def decode_plain(text: str) -> Any:  # noqa: ANN401 - whatever was written
    """Return what stored JSON text of a value is (`Signature.saved`); raises `msgspec.DecodeError`."""
    return _decode(unmarked(text) if TRACE in text else text)


def _not_storable(value: object, name: str) -> ArgumentNotStorable:
    path, why = refusal(value, _decode, lambda _: NOTHING, root=(name,))
    where = spell(path)
    return ArgumentNotStorable(f"{where} {why}", path=where)
