"""Secrets in stored JSON: each stands in an object of its own, ``{"$secret": value}``.

So whoever shows stored JSON knows what to leave out, without the code that knows what it means. An object of the user's
own with that one key gets another ``$`` before it in the store, and loses it when it is read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from backburner.codec.secret import STARS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from backburner.codec.places import Nodes

__all__ = [
    "MARK",
    "TRACE",
    "Marks",
    "escaped",
    "marked_like",
    "masked",
    "parts_of",
    "secret_of",
    "secrets_in",
    "unmarked",
    "wrap",
]

MARK: Final = "$secret"
#: JSON text without this has neither marks nor what might be taken for them.
TRACE: Final = f'{MARK}"'
_TRACE: Final = TRACE.encode()
_KEY = re.compile(r"\$+secret")
_STARS = msgspec.Raw(msgspec.json.encode(STARS))
_Parts = dict[str, msgspec.Raw] | list[msgspec.Raw]
_read_parts = msgspec.json.Decoder[_Parts](_Parts).decode
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
#: What reading JSON may raise.
_BROKEN = (msgspec.MsgspecError, UnicodeError, RecursionError)
#: The way from here to what is secret, by names.
_Paths = tuple[tuple[str, ...], ...]


class Marks:
    """Where one signature's secrets are: by annotations, and by what an operator names.

    A name alone means the members of that name, wherever they are; a dotted path begins at the top, and goes through the
    elements of arrays.
    """

    def __init__(self, nodes: Nodes, named: Iterable[str] = ()) -> None:
        self._nodes = nodes
        paths = [tuple(name.split(".")) for name in sorted(named)]
        self._names = frozenset(path[0] for path in paths if len(path) == 1)
        self._paths: _Paths = tuple(path for path in paths if len(path) > 1)
        written = [re.escape(_encode(name)) for name in sorted(self._names)]
        self._named = re.compile(b"|".join(written)) if written else None

    def mark(self, text: str) -> str:
        """Return what is stored of plain JSON text; raises `RecursionError`."""
        return bytes(self._marked(msgspec.Raw(text.encode()), self._nodes, self._paths)).decode()

    def _marked(self, raw: msgspec.Raw, nodes: Nodes, paths: _Paths, *, whole: bool = False) -> msgspec.Raw:
        if whole or any(place.whole for place in nodes):
            return wrap(_escaped(raw))
        data = bytes(raw)
        if not nodes and not paths and not (self._named and self._named.search(data)):
            return _escaped(raw)
        parts = parts_of(raw)
        if isinstance(parts, list):
            anywhere = tuple(below for place in nodes for below in place.items)
            return _written(
                [
                    self._marked(
                        part, (*anywhere, *(each for place in nodes for each in place.numbered.get(number, ()))), paths
                    )
                    for number, part in enumerate(parts)
                ]
            )
        if parts is None:
            return raw
        below = {name: self._member(name, part, nodes, paths) for name, part in parts.items()}
        return _written(_longer(below))

    def _member(self, name: str, raw: msgspec.Raw, nodes: Nodes, paths: _Paths) -> msgspec.Raw:
        further = tuple(path[1:] for path in paths if path[0] == name)
        below = tuple(each for place in nodes for each in (*place.fields.get(name, ()), *place.values))
        return self._marked(raw, below, further, whole=name in self._names or () in further)


def wrap(raw: msgspec.Raw) -> msgspec.Raw:
    """Mark stored JSON as a secret."""
    return msgspec.Raw(b'{"$secret":' + bytes(raw) + b"}")


def escaped(text: str) -> str:
    """Return what is stored of plain JSON text without secrets; raises `RecursionError`."""
    return _read(text, _escaped)


def unmarked(text: str) -> str:
    """Return stored JSON text as plain JSON: secrets as they are. Raises `msgspec.DecodeError`, `RecursionError`."""
    return _read(text, lambda part: _plain(part, lambda secret: secret))


def masked(text: str) -> str:
    """Return stored JSON text as it may be shown: ``"***"`` in place of each secret, also of all that cannot be read."""
    if TRACE not in text:
        return text
    try:
        return _read(text, lambda part: _plain(part, lambda _: _STARS))
    except _BROKEN:
        return bytes(_STARS).decode()


def secrets_in(text: str) -> list[Any]:
    """Return the secrets in stored JSON text, decoded; what cannot be read has none."""
    found: list[Any] = []

    def take(secret: msgspec.Raw) -> msgspec.Raw:
        found.append(_decode(secret))
        return _STARS

    if TRACE in text:
        try:
            _read(text, lambda part: _plain(part, take))
        except _BROKEN:
            return []
    return found


def marked_like(raw: msgspec.Raw, old: msgspec.Raw) -> msgspec.Raw:
    """Return stored JSON, marked where what it takes the place of was."""
    if _TRACE not in bytes(old):
        return raw
    parts, before = parts_of(raw), parts_of(old)
    secret = secret_of(before)
    if secret is not None:
        return raw if secret_of(parts) is not None else wrap(raw)
    if isinstance(parts, dict) and isinstance(before, dict):
        return _written(
            {name: marked_like(part, before[name]) if name in before else part for name, part in parts.items()}
        )
    if isinstance(parts, list) and isinstance(before, list):
        # Elements are alike: one more is what the last one was.
        return _written([marked_like(part, before[min(number, len(before) - 1)]) for number, part in enumerate(parts)])
    return raw


def parts_of(raw: msgspec.Raw) -> _Parts | None:
    """Return the parts of JSON as they are written; None for a text, a number and the like, which have none.

    Raises `msgspec.DecodeError`.
    """
    try:
        parts: _Parts = _read_parts(raw)
    except msgspec.ValidationError:
        return None
    return parts


def _read(text: str, change: Callable[[msgspec.Raw], msgspec.Raw]) -> str:
    return bytes(change(msgspec.Raw(text.encode()))).decode()


def _escaped(raw: msgspec.Raw) -> msgspec.Raw:
    """Return plain JSON as it is stored, without any secret in it."""
    if _TRACE not in bytes(raw):
        return raw
    parts = parts_of(raw)
    if isinstance(parts, dict):
        return _written(_longer({name: _escaped(part) for name, part in parts.items()}))
    return raw if parts is None else _written([_escaped(part) for part in parts])


def _plain(raw: msgspec.Raw, reveal: Callable[[msgspec.Raw], msgspec.Raw]) -> msgspec.Raw:
    """Return stored JSON as plain JSON, with what ``reveal`` makes of each secret."""
    if _TRACE not in bytes(raw):
        return raw
    parts = parts_of(raw)
    secret = secret_of(parts)
    if secret is not None:
        return reveal(_plain(secret, lambda inner: inner))
    if isinstance(parts, dict):
        return _written(_shorter({name: _plain(part, reveal) for name, part in parts.items()}))
    return raw if parts is None else _written([_plain(part, reveal) for part in parts])


def secret_of(parts: _Parts | None) -> msgspec.Raw | None:
    """Return what a mark holds; None for what is none."""
    return parts.get(MARK) if isinstance(parts, dict) and len(parts) == 1 else None


def _longer(parts: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """Return an object under another key if it might be taken for a mark."""
    (name, *more) = parts or ("",)
    return {f"${name}": parts[name]} if not more and _KEY.fullmatch(name) else parts


def _shorter(parts: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """Undo `_longer`."""
    (name, *more) = parts or ("",)
    return {name[1:]: parts[name]} if not more and _KEY.fullmatch(name) else parts


def _written(parts: _Parts) -> msgspec.Raw:
    return msgspec.Raw(_encode(parts))
