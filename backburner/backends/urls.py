"""From a store's URL to its backend. Drivers are imported when a backend is made, not before."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from backburner.backends.address import Address
from backburner.backends.postgres import place as postgres
from backburner.backends.redis import place as redis
from backburner.errors import StoreUnsupported

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from backburner.backends.postgres.place import PostgresPlace
    from backburner.backends.redis.place import RedisPlace
    from backburner.model.clock import Clock
    from backburner.ports.backend import Backend

__all__ = ["StoreUrl", "connect", "parse"]

_KNOWN = (
    "memory:// for one process, sqlite:///jobs.db relative to here, sqlite:////srv/jobs.db absolute, "
    "postgresql://USER:PASSWORD@HOST/DATABASE, redis://HOST:6379/0"
)
_SQLITE = frozenset({"sqlite", "sqlite+aiosqlite"})
_SYNCHRONOUS = ("full", "normal")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUrl:
    """A store's URL, understood."""

    scheme: Literal["memory", "sqlite", "postgres", "redis"]
    #: The URL as it may be shown: passwords masked.
    shown: str
    #: The database file, absolute; for SQLite.
    path: Path | None = None
    #: The options of SQLite.
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    #: Where a store on a server is.
    place: PostgresPlace | RedisPlace | None = None


def parse(url: str, *, base: Path) -> StoreUrl:
    """Return what a store's URL means; relative paths start at ``base``.

    Raises `InvalidUrl` and `UnknownUrlOption`; neither they nor anything else repeats a password.
    """
    address = Address.split(url, _KNOWN)
    scheme, shown = address.scheme, address.shown
    if scheme in redis.SCHEMES:
        return StoreUrl(scheme="redis", shown=shown, place=redis.place_of(address))
    if scheme in postgres.SCHEMES:
        return StoreUrl(scheme="postgres", shown=shown, place=postgres.place_of(address))
    if scheme in _SQLITE:
        options = address.options("sqlite", ("synchronous",))
        if "synchronous" in options:
            options["synchronous"] = address.one_of("synchronous", options["synchronous"], _SYNCHRONOUS)
        return StoreUrl(scheme="sqlite", shown=shown, path=base / _path(address), options=options)
    if scheme != "memory":
        address.refuse(f"there is no such store; known are {_KNOWN}")
    if address.netloc or address.path:
        address.refuse("a memory store has no name; write memory://")
    return StoreUrl(scheme="memory", shown=shown, options=address.options("memory", ()))


def connect(url: StoreUrl, *, clock: Clock, write_timeout: float) -> Backend:
    """Return the backend of a URL, not opened yet; a transaction takes ``write_timeout`` seconds at most.

    Raises `StoreUnsupported` for a driver that is not installed, naming the extra that brings it.
    """
    match url:
        case StoreUrl(scheme="memory"):
            from backburner.backends.memory.backend import MemoryBackend  # noqa: PLC0415 - only the chosen is loaded

            return MemoryBackend(clock)
        case StoreUrl(path=Path() as path):
            from backburner.backends.sqlite.backend import SqliteBackend  # noqa: PLC0415 - only the chosen is loaded

            synchronous = url.options.get("synchronous", "full")
            return SqliteBackend(path, clock=clock, write_timeout=write_timeout, synchronous=synchronous)
        case StoreUrl(place=redis.RedisPlace() as place):
            return _redis(place, clock, write_timeout)
        case StoreUrl(place=postgres.PostgresPlace() as place):
            return _postgres(place, clock, write_timeout)
        case _:
            raise AssertionError(url.shown)


def _redis(place: RedisPlace, clock: Clock, write_timeout: float) -> Backend:
    try:
        from backburner.backends.redis.backend import RedisBackend  # noqa: PLC0415 - only the chosen is loaded
    except ModuleNotFoundError as error:
        raise _missing(error, "redis", place.address) from error
    return RedisBackend(place, clock=clock, write_timeout=write_timeout)


def _postgres(place: PostgresPlace, clock: Clock, write_timeout: float) -> Backend:
    try:
        from backburner.backends.postgres.backend import PostgresBackend  # noqa: PLC0415 - only the chosen is loaded
    except ModuleNotFoundError as error:
        raise _missing(error, "postgres", place.address) from error
    return PostgresBackend(place, clock=clock, write_timeout=write_timeout)


def _missing(error: ModuleNotFoundError, extra: str, where: str) -> Exception:
    """Tell of a driver that is not there; a missing module of our own is our own fault."""
    if error.name is None or error.name.startswith("backburner"):
        return error
    return StoreUnsupported(
        f"{where}: the driver for this store is not installed: pip install 'backburner[{extra}]'", stored="no"
    )


def _path(url: Address) -> Path:
    host, path = url.netloc, unquote(url.path)
    if host == ":memory:" or path == "/:memory:" or (not host and path in {"", "/"}):
        url.refuse("for a store in memory write memory://; for a file, sqlite:///jobs.db")
    if host:
        url.refuse("a file has no host; write three slashes, as in sqlite:///jobs.db")
    if "\0" in path or path.endswith("/"):
        url.refuse("this names no file; write sqlite:///jobs.db")
    return Path(path.removeprefix("/"))
