"""A store's URL, taken apart, and shown without its secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

from backburner.errors import InvalidUrl, UnknownUrlOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Address", "masked", "shown_host"]

# To the last @: a password may hold what should have been escaped.
_PASSWORD = re.compile(r"(?<=://)([^/?#:]*):.*@")
# What cannot be a port stands between a colon and an @ that belongs to no host.
_UNESCAPED = re.compile(r"://[^/?#@]*:(?!\d*(?:[/?#,]|$))[^@/?#]*[/?#][^@]*@")
_SECRET_OPTION = re.compile(r"(?i)([?&][^=&#]*(?:password|passwd|pwd|token|secret)[^=&#]*=)[^&#]*")

_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:]*))(?::(?P<port>\d{1,5}))?")
_LAST_PORT = 65535


def masked(url: str) -> str:
    """Return a URL as it may be shown: passwords masked, however broken it is."""
    return _SECRET_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1:***@", url))


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The parts of a URL, escapes undone but in ``netloc`` and ``path``."""

    scheme: str
    #: As it may be shown.
    shown: str
    username: str | None
    password: str | None
    #: What stands behind the @: hosts and ports.
    netloc: str
    path: str
    query: tuple[tuple[str, str], ...]

    @classmethod
    def split(cls, url: str, known: str) -> Address:
        """Take a URL apart; raises `InvalidUrl`, saying which URLs are ``known``."""
        shown = masked(url)
        try:
            parts = urlsplit(url)
            query = tuple(parse_qsl(parts.query, keep_blank_values=True))
        except ValueError:
            raise InvalidUrl(f"{shown!r} is no URL; known are {known}") from None
        if "://" not in url:
            raise InvalidUrl(f"{shown!r} names no store; known are {known}")
        if _UNESCAPED.search(url):
            raise InvalidUrl(f"{shown!r}: its password holds a /, ? or #; write these as %2F, %3F, %23")
        if parts.fragment:
            raise InvalidUrl(f"{shown!r} has a fragment; write a # as %23")
        login, at, hosts = parts.netloc.rpartition("@")
        username, colon, password = login.partition(":")
        return cls(
            scheme=parts.scheme.lower(),
            shown=shown,
            username=unquote(username) if at and username else None,
            password=unquote(password) if colon else None,
            netloc=hosts,
            path=parts.path,
            query=query,
        )

    def refuse(self, why: str) -> NoReturn:
        """Raise `InvalidUrl`."""
        raise InvalidUrl(f"{self.shown!r}: {why}")

    def hosts(self, port: int) -> tuple[tuple[str, int], ...]:
        """Return the hosts and their ports, ``port`` where none is given; none for a URL without any."""
        return tuple(self._host(text, port) for text in self.netloc.split(",")) if self.netloc else ()

    def _host(self, text: str, port: int) -> tuple[str, int]:
        found = _HOST.fullmatch(text)
        if found is None:
            self.refuse(
                "its host cannot be read; write HOST, HOST:PORT or [IPV6]:PORT, several with commas between them"
            )
        number = port if found["port"] is None else int(found["port"])
        if not 0 < number <= _LAST_PORT:
            self.refuse(f"{number} is no port; ports are 1 to {_LAST_PORT}")
        return found["v6"] or unquote(found["name"]) or "localhost", number

    def options(self, store: str, known: Iterable[str]) -> dict[str, str]:
        """Return the options; raises `UnknownUrlOption` for one that a store has not, naming those it has."""
        names = tuple(known)
        for name, _ in self.query:
            if name not in names:
                there = ", ".join(names) or "none"
                raise UnknownUrlOption(f"{self.shown!r}: a {store} store has no option {name!r}; there are: {there}")
        return dict(self.query)

    def one_of(self, name: str, value: str, allowed: Iterable[str]) -> str:
        """Return an option's value in small letters; refuse one it cannot have."""
        words = tuple(allowed)
        if value.lower() not in words:
            self.refuse(f"{name} is one of {', '.join(words)}, not {value!r}")
        return value.lower()

    def number(self, name: str, value: str, low: int, high: int) -> int:
        """Return an option that is a whole number within bounds; refuse any other."""
        if not (value.isascii() and value.isdecimal() and low <= int(value) <= high):
            self.refuse(f"{name} is a whole number from {low} to {high}, not {value!r}")
        return int(value)

    def name(self, name: str, value: str, fits: Callable[[str], object], rule: str) -> str:
        """Return an option that is a name; refuse one that does not fit the rule."""
        if not fits(value):
            self.refuse(f"{name} is {rule}, not {value!r}")
        return value


def shown_host(host: str, port: int) -> str:
    """Return a host and its port as a URL has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
