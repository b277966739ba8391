"""What a receiver's answer means. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from backburner.errors import DeliveryFailed, DeliveryRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Answer", "Postponed", "judge", "masked"]

#: 4xx that pass by themselves.
_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
#: Characters of an answer that an error shows.
_SHOWN = 200
#: What is shorter is no secret, and masking it would make the text unreadable.
_SECRET = 4
_MASK = "***"


class Postponed(DeliveryFailed):
    """A receiver asked for time; ``retry_after`` is its header's text."""

    def __init__(self, message: str, *, retry_after: str) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(slots=True)
class Answer:
    """What came back."""

    status: int
    #: Where a redirect points.
    location: str | None = None
    retry_after: str | None = None
    #: As much of the body as was read; empty for one that is compressed.
    body: bytes = b""
    #: Whether there is more of it.
    cut: bool = False


def judge(answer: Answer, where: str, secrets: Iterable[str]) -> None:
    """Return for a delivery; raise `DeliveryFailed` for what passes by itself, else `DeliveryRefused`.

    Errors show ``where`` it was sent and the beginning of the body, without any of the ``secrets``.
    """
    status = answer.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    hidden = tuple(secrets)
    told = f"{where} answered {_named(status)}"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        pointed = "" if answer.location is None else f", pointing to {masked(_bare(answer.location), hidden)!r}"
        raise DeliveryRefused(f"{told}{pointed}: redirects are not followed; give the URL where it ends")
    text = masked(answer.body.decode(errors="replace"), hidden, cut=answer.cut)
    told += f": {text}" if text else ""
    if status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _PASSING:
        raise DeliveryRefused(told)
    if answer.retry_after is not None:
        raise Postponed(told, retry_after=answer.retry_after)
    raise DeliveryFailed(told)


def masked(text: str, secrets: Iterable[str], *, cut: bool = False) -> str:
    """Return the beginning of a text on one line, secrets in it masked; a ``cut`` text may end inside one."""
    hidden = sorted({secret for secret in secrets if len(secret) >= _SECRET}, key=len, reverse=True)
    for secret in hidden:
        text = text.replace(secret, _MASK)
    if cut and hidden:
        text = text[: -len(hidden[0])]
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _bare(location: str) -> str:
    """Return where a redirect points without a login, a query or a fragment."""
    try:
        parts = urlsplit(location)
        shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    except ValueError:
        return "?"
    return f"{shown}?{_MASK}" if parts.query else shown
