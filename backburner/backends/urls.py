"""From a store's URL to its backend. Drivers are imported when a backend is made, not before."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from backburner.errors import InvalidUrl, UnknownUrlOption

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from backburner.model.clock import Clock
    from backburner.ports.backend import Backend

__all__ = ["StoreUrl", "connect", "parse"]

_KNOWN = "memory:// for one process, sqlite:///jobs.db relative to here, sqlite:////srv/jobs.db absolute"
_SQLITE = frozenset({"sqlite", "sqlite+aiosqlite"})
#: Stores of the design that this version does not have.
_LATER = frozenset({"postgres", "postgresql", "postgresql+asyncpg", "redis", "rediss", "redis+cluster"})
#: Options by store, each with the values it can have.
_OPTIONS: Mapping[str, Mapping[str, tuple[str, ...]]] = {"memory": {}, "sqlite": {"synchronous": ("full", "normal")}}

_PASSWORD = re.compile(r"(?<=://)([^/?#@]*?):[^/?#]*@")
_SECRET_OPTION = re.compile(r"(?i)([?&](?:password|sslpassword|passwd|pwd|token|secret)=)[^&#]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUrl:
    """A store's URL, understood."""

    scheme: Literal["memory", "sqlite"]
    #: The URL as it may be shown: passwords masked.
    shown: str
    #: The database file, absolute; for SQLite.
    path: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict[str, str])


def parse(url: str, *, base: Path) -> StoreUrl:
    """Return what a store's URL means; relative paths start at ``base``.

    Raises `InvalidUrl` and `UnknownUrlOption`; neither they nor anything else repeats a password.
    """
    shown = _mask(url)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidUrl(f"{shown!r} is no URL ({_mask(str(error))}); known are {_KNOWN}") from None
    scheme = parts.scheme.lower()
    if scheme in _LATER:
        raise InvalidUrl(f"{shown!r}: this version has the stores SQLite and memory only: {_KNOWN}")
    if "://" not in url or scheme not in _SQLITE | {"memory"}:
        raise InvalidUrl(f"{shown!r} names no store; known are {_KNOWN}")
    if parts.fragment:
        raise InvalidUrl(f"{shown!r} has a fragment; write a # in a path as %23")
    if scheme == "memory":
        if parts.netloc or parts.path:
            raise InvalidUrl(f"{shown!r}: a memory store has no name; write memory://")
        return StoreUrl(scheme="memory", shown=shown, options=_options("memory", parts.query, shown))
    path = _path(parts.netloc, unquote(parts.path), shown)
    return StoreUrl(scheme="sqlite", shown=shown, path=base / path, options=_options("sqlite", parts.query, shown))


def connect(url: StoreUrl, *, clock: Clock, write_timeout: float) -> Backend:
    """Return the backend of a URL, not opened yet; a transaction of SQLite takes ``write_timeout`` seconds at most."""
    if url.path is None:
        from backburner.backends.memory.backend import MemoryBackend  # noqa: PLC0415 - only the chosen store is loaded

        return MemoryBackend(clock)
    from backburner.backends.sqlite.backend import SqliteBackend  # noqa: PLC0415 - only the chosen store is loaded

    synchronous = url.options.get("synchronous", "full")
    return SqliteBackend(url.path, clock=clock, write_timeout=write_timeout, synchronous=synchronous)


def _path(host: str, path: str, shown: str) -> Path:
    if host == ":memory:" or path == "/:memory:" or (not host and path in {"", "/"}):
        raise InvalidUrl(f"{shown!r}: for a store in memory write memory://; for a file, sqlite:///jobs.db")
    if host:
        raise InvalidUrl(f"{shown!r}: a file has no host; write three slashes, as in sqlite:///jobs.db")
    if "\0" in path or path.endswith("/"):
        raise InvalidUrl(f"{shown!r} does not name a file; write sqlite:///jobs.db")
    return Path(path.removeprefix("/"))


def _options(store: str, query: str, shown: str) -> dict[str, str]:
    known = _OPTIONS[store]
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            there = ", ".join(known) or "none"
            raise UnknownUrlOption(f"{shown!r}: a {store} store has no option {name!r}; there are: {there}")
        if value.lower() not in known[name]:
            raise InvalidUrl(f"{shown!r}: {name} is one of {', '.join(known[name])}, not {value!r}")
        options[name] = value.lower()
    return options


def _mask(url: str) -> str:
    return _SECRET_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1:***@", url))
