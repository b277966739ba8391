"""Arguments of a job as people write them, checked by what living nodes publish of its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.codec.patching import check, mark
from backburner.codec.payloads import has_nul
from backburner.engine import ARGUMENT_LIMIT
from backburner.errors import InvalidArguments

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["arguments", "check_arguments", "marked_arguments"]


def arguments(text: str) -> str:
    """Return arguments as they are stored: JSON text of an object, without what is not needed; raises `ValueError`."""
    try:
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        compact = msgspec.json.format(text, indent=-1)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ValueError(f'{text!r} is no JSON object; write \'{{"name": "Ada", "size": 3}}\'') from error
    if has_nul(compact):
        raise ValueError("the arguments contain NUL (\\u0000), which some stores refuse: remove it")
    size = len(compact.encode())
    if size > ARGUMENT_LIMIT:
        raise ValueError(f"the arguments take {size:,} bytes, {ARGUMENT_LIMIT:,} are allowed")
    return compact


def check_arguments(kind: str, args: str, schemas: Sequence[str]) -> None:
    """Raise `InvalidArguments` unless they fit one of the signatures: during a deploy nodes may publish several."""
    refusal: InvalidArguments | None = None
    for schema in schemas:
        try:
            check(args, schema)
        except InvalidArguments as error:
            refusal = refusal or error
        else:
            return
    raise InvalidArguments(
        f"{kind}: {refusal or 'no living node says which arguments it takes'} (--unchecked takes them all the same)"
    ) from refusal


def marked_arguments(args: str, schemas: Sequence[str]) -> str:
    """Return arguments with their secrets marked, as far as signatures tell of them."""
    for schema in schemas:
        args = mark(args, schema)
    return args
