"""The secrets that webhooks are signed with, by Standard Webhooks (https://www.standardwebhooks.com). Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from backburner.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Keys"]

_PREFIX = "whsec_"
#: Characters of a secret at least: of base64, the 24 bytes that the standard asks for.
_SHORTEST = 32
#: Bytes of a key, by the standard.
_LENGTHS = range(24, 65)
#: Different characters at least. Of a random secret in hexadecimal 1 in 20 million has fewer.
_DIFFERENT = 8
#: The share of neighbours that are equal or follow each other at which it is a sequence: of random ones 1 in a billion.
_ORDERLY = 2 / 3
_MEND = (
    "draw one by `python -c \"import base64, secrets; print('whsec_' + "
    'base64.b64encode(secrets.token_bytes(32)).decode())"`'
)
_VISIBLE = re.compile(r"[!-~]+")


class Keys:
    """One or more secrets, the newest first; each signs, so that receivers may change theirs at leisure.

    Shown, it never tells them. Raises `InvalidOption` for one that could be guessed: of less than 32 characters (behind
    ``whsec_``), of fewer than 8 different ones, a block repeated, or mostly characters in order, such as ``abcdef``.
    """

    __slots__ = ("_keys", "texts")

    def __init__(self, secret: str | Sequence[str]) -> None:
        given: Sequence[str] = (secret,) if isinstance(secret, str) else secret
        if not isinstance(given, list | tuple):
            raise InvalidOption(f"secret is a text, or a list of them, not {type(secret).__name__}", option="secret")
        if not given:
            raise InvalidOption(f"secret=[] signs nothing: give one at least; {_MEND}", option="secret")
        self._keys = tuple(_key(text) for text in given)
        #: What must not be shown.
        self.texts = tuple(form for text in given for form in (text, text.removeprefix(_PREFIX)))

    def __repr__(self) -> str:
        return f"<{len(self._keys)} secrets>"

    def sign(self, id: str, timestamp: int, body: bytes) -> str:
        """Return the value of ``webhook-signature``: a signature by each secret, with spaces between them."""
        content = f"{id}.{timestamp}.".encode() + body
        return " ".join(
            f"v1,{base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()}" for key in self._keys
        )


def _key(secret: object) -> bytes:
    """Return the key of a secret: the bytes that base64 says behind ``whsec_``, else those of the text itself."""
    if not isinstance(secret, str):
        raise InvalidOption(f"secret is a text, or a list of them, not {type(secret).__name__}", option="secret")
    text = secret.removeprefix(_PREFIX)
    if len(text) < _SHORTEST:
        raise InvalidOption(f"secret has {len(text)} characters, {_SHORTEST} are needed: {_MEND}", option="secret")
    if not _VISIBLE.fullmatch(text):
        raise InvalidOption(f"secret holds a space, or what is not ASCII: {_MEND}", option="secret")
    key = text.encode()
    if text != secret:
        try:
            key = base64.b64decode(text, validate=True)
        except binascii.Error:
            raise InvalidOption(f"secret is not base64 behind {_PREFIX}: {_MEND}", option="secret") from None
        if len(key) not in _LENGTHS:
            raise InvalidOption(
                f"secret is a key of {len(key)} bytes, {_LENGTHS[0]} to {_LENGTHS[-1]} are allowed: {_MEND}",
                option="secret",
            )
    why = _weakness(text.encode()) or _weakness(key)
    if why is not None:
        raise InvalidOption(f"secret could be guessed, {why}: {_MEND}", option="secret")
    return key


def _weakness(text: bytes) -> str | None:
    """Say why a text is none that was drawn at random, or None."""
    if len(set(text)) < _DIFFERENT:
        return f"it has fewer than {_DIFFERENT} different characters"
    if any(text[block:] == text[:-block] for block in range(1, len(text) // 2 + 1)):
        return "it repeats one block"
    orderly = sum(abs(after - before) <= 1 for before, after in pairwise(text))
    if orderly >= _ORDERLY * (len(text) - 1):
        return "its characters follow each other in order"
    return None
