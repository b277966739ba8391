"""Secrets in texts that somebody else wrote: messages, tracebacks."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, quote_plus

import msgspec

from backburner.codec.secret import STARS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Scrubber"]

#: Shorter texts stand anywhere by chance.
_SHORTEST = 4
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT")


class Scrubber:
    """Writes ``***`` over secrets in a text, in all the ways in which they may be written there.

    Texts and numbers of at least four characters; of several lines, also each of these, since tracebacks indent them.
    """

    def __init__(self, secrets: Iterable[object]) -> None:
        words = {word for secret in secrets for word in _words(secret) if len(word) >= _SHORTEST}
        # The longest first: one secret may be the beginning of another.
        self._found = (
            re.compile("|".join(map(_pattern, sorted(words, key=lambda word: (-len(word), word))))) if words else None
        )

    def __call__(self, text: str) -> str:
        """Return a text without the secrets."""
        return text if self._found is None else self._found.sub(STARS, text)


def _pattern(word: str) -> str:
    # A number is no part of a longer one.
    return rf"(?<!\d){re.escape(word)}(?!\d)" if word.isdecimal() else re.escape(word)


def _words(value: object) -> Iterator[str]:
    """Yield the texts that a secret may be written as; ``value`` is decoded JSON."""
    if isinstance(value, dict):
        for part in cast("dict[object, object]", value).values():
            yield from _words(part)
    elif isinstance(value, list | tuple | set | frozenset):
        for part in cast("Iterable[object]", value):
            yield from _words(part)
    elif isinstance(value, bytes | bytearray):
        yield from _written(value.decode("utf-8", "backslashreplace"))
        yield repr(bytes(value))[2:-1]
    elif isinstance(value, str):
        yield from _written(value)
        yield from _of_bytes(value)
        if _MOMENT.match(value):
            yield value.replace("T", " ").replace("Z", "+00:00")
    elif value is not None and not isinstance(value, bool):
        yield from _written(str(value))


def _written(text: str) -> Iterator[str]:
    yield text
    for line in text.splitlines():
        yield line.strip()
    yield repr(text)[1:-1]
    yield ascii(text)[1:-1]
    try:
        yield msgspec.json.encode(text).decode()[1:-1]
        yield quote(text, safe="")
        yield quote(text)
        yield quote_plus(text)
    except UnicodeEncodeError:  # half a character, which neither JSON nor a URL has
        return


def _of_bytes(text: str) -> Iterator[str]:
    """Yield what a text stands for if it is how JSON has bytes."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return
    yield repr(data)[2:-1]
