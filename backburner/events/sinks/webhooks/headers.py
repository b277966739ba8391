"""Headers of one's own. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from backburner.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_headers"]

#: RFC 9110 (5.6.2): a token.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE = re.compile(r"[!-~]([ \t!-~]{0,8190}[!-~])?")
_OURS = frozenset(
    {
        *("webhook-id", "webhook-timestamp", "webhook-signature"),
        *("content-type", "content-length", "content-encoding", "transfer-encoding", "accept-encoding"),
        *("host", "connection", "keep-alive", "upgrade", "te", "trailer", "expect"),
    }
)


def check_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return the headers, names in small letters; raises `InvalidOption`, which shows no value."""
    given: Mapping[str, object] = headers or {}
    checked: dict[str, str] = {}
    for name, value in given.items():
        if not _NAME.fullmatch(name):
            raise InvalidOption(
                f"headers: {name!r} is no header's name: write letters, digits and dashes", option="headers"
            )
        if name.lower() in _OURS:
            raise InvalidOption(f"headers: {name!r} is set by each delivery itself; leave it out", option="headers")
        if name.lower() in checked:
            raise InvalidOption(
                f"headers: {name!r} is there twice: capitals make no other name, leave one out", option="headers"
            )
        if not (isinstance(value, str) and _VALUE.fullmatch(value)):
            raise InvalidOption(
                f"headers: the value of {name!r} must be 1 to 8192 visible ASCII characters, with spaces inside at most",
                option="headers",
            )
        checked[name.lower()] = value
    return checked
