"""What travels with a published event beside its data: the trace and the correlation id of whoever published it.

It stands in the stored data, under a name that no publisher may use, so that stores know nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CARRIED", "is_laden", "laden", "parted"]

CARRIED: Final = "$carried"
_MARK: Final = f'"{CARRIED}":'

_encode = msgspec.json.Encoder().encode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_headers = msgspec.json.Decoder(dict[str, str]).decode


def laden(data: str, headers: Mapping[str, str]) -> str:
    """Return data, JSON text of an object, with what travels with it."""
    if not headers:
        return data
    return _encode({**_members(data), CARRIED: dict[str, Any](headers)}).decode()


def is_laden(data: str) -> bool:
    """Tell whether something travels with data, or its publisher has used the name."""
    return _MARK in data and CARRIED in _members(data)


def parted(data: str) -> tuple[str, dict[str, str]]:
    """Return the data alone, and what travelled with it."""
    if not is_laden(data):
        return data, {}
    members = _members(data)
    return _encode({name: value for name, value in members.items() if name != CARRIED}).decode(), _headers(
        members[CARRIED]
    )
