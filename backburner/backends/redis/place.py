"""Where a Redis store is: understood from its URL, without a driver."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

from backburner.backends.address import shown_host

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backburner.backends.address import Address

__all__ = ["SCHEMES", "RedisPlace", "place_of"]

_Kind = Literal["single", "cluster", "sentinel", "socket"]

#: What a scheme means, and whether it speaks TLS.
_MEANING: Mapping[str, tuple[_Kind, bool]] = {
    "redis": ("single", False),
    "rediss": ("single", True),
    "redis+unix": ("socket", False),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
}
SCHEMES = frozenset(_MEANING)

_NAMESPACE = "backburner"
#: Hash tags end at the first brace; a name is shown in commands and grants.
_FITS = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_PORT = 6379
_SENTINEL_PORT = 26379
_LAST_DATABASE = 1_000_000

_TLS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_cert_reqs", "ssl_check_hostname")
_SENTINEL = ("sentinel_username", "sentinel_password")


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisPlace:
    """A namespace on a server, in a cluster, or on a primary that sentinels know."""

    kind: Literal["single", "cluster", "sentinel"] = "single"
    #: The server, some nodes of the cluster, or the sentinels; a host that begins with a slash is a socket's path.
    hosts: tuple[tuple[str, int], ...]
    #: The name that sentinels know the primary by.
    service: str = ""
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    #: What the sentinels themselves ask for.
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    namespace: str = _NAMESPACE
    tls: bool = False
    #: Arguments of the driver's TLS connection, named as there.
    ssl: tuple[tuple[str, str | bool], ...] = field(default=(), repr=False)
    #: As it may be shown: without secrets.
    address: str


def place_of(url: Address) -> RedisPlace:
    """Return the place that a URL names; raises `InvalidUrl` and `UnknownUrlOption`."""
    meant, tls = _MEANING[url.scheme]
    known = ("namespace", *(_TLS if tls else ()), *(_SENTINEL if meant == "sentinel" else ()))
    if meant == "socket":
        known = (*known, "db")
    options = url.options("Redis", known)
    namespace = url.name(
        "namespace",
        options.pop("namespace", _NAMESPACE),
        _FITS.fullmatch,
        "1 to 64 letters, digits, dots, colons, dashes and underscores",
    )
    kind: Literal["single", "cluster", "sentinel"] = "single" if meant == "socket" else meant
    hosts, service, database = _where(url, meant, options)
    return RedisPlace(
        kind=kind,
        hosts=hosts,
        service=service,
        database=database,
        username=url.username,
        password=url.password,
        sentinel_username=options.get("sentinel_username"),
        sentinel_password=options.get("sentinel_password"),
        namespace=namespace,
        tls=tls,
        ssl=tuple(_ssl(url, options).items()),
        address=_shown(url.scheme, hosts, service, database, namespace),
    )


def _where(url: Address, meant: _Kind, options: Mapping[str, str]) -> tuple[tuple[tuple[str, int], ...], str, int]:
    """Return the hosts, the service and the database."""
    first, *rest = unquote(url.path).removeprefix("/").split("/")
    if meant == "socket":
        if url.netloc or len(url.path) <= 1:
            url.refuse("a socket has a path and no host; write redis+unix:///run/redis.sock")
        return ((unquote(url.path), 0),), "", url.number("db", options.get("db", "0"), 0, _LAST_DATABASE)
    if meant == "sentinel":
        if not first or not url.netloc:
            url.refuse("name the sentinels and what they call the primary; write redis+sentinel://HOST:26379/NAME")
        database = url.number("the database", "/".join(rest) or "0", 0, _LAST_DATABASE)
        return url.hosts(_SENTINEL_PORT), first, database
    if rest:
        url.refuse("a database is a number; write redis://HOST:6379/0")
    database = url.number("the database", first or "0", 0, _LAST_DATABASE)
    hosts = url.hosts(_PORT) or (("localhost", _PORT),)
    if meant == "cluster" and database:
        url.refuse("a cluster has no databases; write redis+cluster://HOST:6379")
    if meant == "single" and len(hosts) > 1:
        url.refuse("several hosts are a cluster, redis+cluster://, or sentinels, redis+sentinel://")
    return hosts, "", database


def _ssl(url: Address, options: Mapping[str, str]) -> dict[str, str | bool]:
    chosen: dict[str, str | bool] = {name: options[name] for name in _TLS if name in options}
    if "ssl_cert_reqs" in options:
        needs = url.one_of("ssl_cert_reqs", options["ssl_cert_reqs"], ("required", "optional", "none"))
        chosen["ssl_cert_reqs"] = needs
        # Python checks no name on a certificate it does not look at.
        chosen["ssl_check_hostname"] = needs == "required"
    if "ssl_check_hostname" in options:
        check = url.one_of("ssl_check_hostname", options["ssl_check_hostname"], ("true", "false")) == "true"
        if check and chosen.get("ssl_cert_reqs", "required") == "none":
            url.refuse("ssl_check_hostname=true needs ssl_cert_reqs=required")
        chosen["ssl_check_hostname"] = check
    return chosen


def _shown(scheme: str, hosts: tuple[tuple[str, int], ...], service: str, database: int, namespace: str) -> str:
    if scheme == "redis+unix":
        where = hosts[0][0] + (f"?db={database}" if database else "")
    else:
        where = ",".join(shown_host(*host) for host in hosts)
        where += f"/{service}" if service else ""
        where += f"/{database}" if "cluster" not in scheme else ""
    if namespace == _NAMESPACE:
        return f"{scheme}://{where}"
    return f"{scheme}://{where}{'&' if '?' in where else '?'}namespace={namespace}"
