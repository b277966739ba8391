"""Where a PostgreSQL store is: understood from its URL, without a driver."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlencode

from backburner.backends.address import shown_host

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backburner.backends.address import Address

__all__ = ["SCHEMES", "PostgresPlace", "place_of"]

SCHEMES = frozenset({"postgres", "postgresql", "postgresql+asyncpg"})

_SCHEMA = "backburner"
#: As PostgreSQL takes it without quotes, and not one of its own.
_FITS = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
_PORT = 5432
_CONNECTIONS = 5
_FEWEST, _MOST = 2, 100

_OURS = ("schema", "listen", "pool_size")
#: The driver's own, in its words: `host` is a socket's folder, the others say what to ask of a server.
_DRIVERS = (
    "host",
    "target_session_attrs",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcrl",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
)
_WORDS: Mapping[str, tuple[str, ...]] = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "primary", "standby", "read-write", "read-only", "prefer-standby"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresPlace:
    """A schema in a database."""

    #: For the driver: with the password, and nothing in it that the driver does not know.
    dsn: str = field(repr=False)
    schema: str = _SCHEMA
    #: Whether hints come by LISTEN; without it nothing is kept in a session, as poolers of transactions need it.
    listen: bool = True
    #: Connections of one process at most.
    pool_size: int = _CONNECTIONS
    #: As it may be shown: without secrets.
    address: str

    @property
    def arguments(self) -> dict[str, str]:
        """Where to connect to, as arguments of the driver."""
        return {"dsn": self.dsn}


def place_of(url: Address) -> PostgresPlace:
    """Return the place that a URL names; raises `InvalidUrl` and `UnknownUrlOption`."""
    options = url.options("PostgreSQL", (*_OURS, *_DRIVERS))
    for name, words in _WORDS.items():
        if name in options:
            options[name] = url.one_of(name, options[name], words)
    database = unquote(url.path).removeprefix("/")
    if "/" in database or "\0" in database:
        url.refuse("a database has a plain name; write postgresql://HOST:5432/NAME")
    hosts = url.hosts(_PORT)
    if hosts and "host" in options:
        url.refuse("name a host or ?host=/FOLDER/OF/A/SOCKET, not both")
    schema = url.name(
        "schema",
        options.get("schema", _SCHEMA),
        _FITS.fullmatch,
        "1 to 63 small letters, digits and underscores, with no digit and no pg_ in front",
    )
    listen = url.one_of("listen", options.get("listen", "on"), ("on", "off")) == "on"
    pool_size = url.number("pool_size", options.get("pool_size", str(_CONNECTIONS)), _FEWEST, _MOST)
    return PostgresPlace(
        dsn=_dsn(url, hosts, database, {name: options[name] for name in _DRIVERS if name in options}),
        schema=schema,
        listen=listen,
        pool_size=pool_size,
        address=_shown(hosts, options.get("host", ""), database or url.username or "", schema),
    )


def _dsn(url: Address, hosts: tuple[tuple[str, int], ...], database: str, options: Mapping[str, str]) -> str:
    login = "" if url.username is None else quote(url.username, safe="")
    if url.password is not None:
        login += f":{quote(url.password, safe='')}"
    where = ",".join(shown_host(*host) for host in hosts)
    query = f"?{urlencode(options)}" if options else ""
    return f"postgresql://{login}{'@' if login else ''}{where}/{quote(database, safe='')}{query}"


def _shown(hosts: tuple[tuple[str, int], ...], folder: str, database: str, schema: str) -> str:
    where = ",".join(shown_host(*host) for host in hosts)
    options = [f"host={folder}"] if folder else []
    options += [f"schema={schema}"] if schema != _SCHEMA else []
    return f"postgresql://{where}/{database}{'?' if options else ''}{'&'.join(options)}"
