"""URLs of servers, taken apart so that nothing secret is shown. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from backburner.errors import InvalidUrl

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = ["server_of"]

_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:@\s]*)(:(?P<port>\d{1,5}))?")


def server_of(url: str, schemes: Container[str], *, port: int, example: str) -> tuple[SplitResult, str]:
    """Return the parts of a URL, and its servers as they may be shown: hosts and ports, without a login.

    Raises `InvalidUrl`, which shows an example and nothing of a URL that cannot be read: any part may be a password's.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = None
    if not isinstance(parts, SplitResult) or parts.scheme not in schemes:
        raise InvalidUrl(f"this is no URL for this sink; write {example}")
    shown = [_shown(text, port) for text in parts.netloc.rpartition("@")[2].split(",")]
    servers = ",".join(text for text in shown if text is not None)
    if None in shown or "@" in parts.path or parts.fragment:
        raise InvalidUrl(f"its host cannot be read; write {example}, a /, ? or # of a password as %2F, %3F, %23")
    return parts, servers


def _shown(text: str, port: int) -> str | None:
    """Return a host and its port; None where there is something else."""
    found = _HOST.fullmatch(text)
    return None if found is None else f"{found['host'] or 'localhost'}:{found['port'] or port}"
