"""Where a webhook goes: its URL, checked."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import parse_qsl, unquote

import httpx

from backburner.errors import InvalidUrl
from backburner.events.sinks.webhooks.addresses import refusal

__all__ = ["Endpoint", "endpoint_of"]

_PORTS = {"https": 443, "http": 80}
_LAST_PORT = 65535
_LONGEST_HOST = 253
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
#: What some resolvers take for an address: a last label that is a number, also by 0x.
_NUMBER = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)\.?")
#: A part of a path or a value of a query that is as long as this may be a secret.
_SECRET = 8
_HASH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A place that a webhook is sent to."""

    url: httpx.URL = field(repr=False)
    #: As it is looked up, and as its certificate names it: in small letters and ASCII, IPv6 without brackets.
    host: str
    port: int
    #: The host as URLs have it, and the port where it is not the scheme's own.
    authority: str
    #: As it may be shown: the path, which may be a secret, is a hash.
    shown: str
    #: What must not be shown.
    secrets: tuple[str, ...] = field(repr=False)


def endpoint_of(text: str, *, allow_http: bool, allow_private: bool) -> Endpoint:
    """Return the endpoint of a URL; raises `InvalidUrl`, which says how to mend it and shows none of its secrets."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, TypeError):
        raise InvalidUrl("this is no URL that a webhook can go to; write https://hooks.example.com/path") from None
    if url.scheme != "https" and not (allow_http and url.scheme == "http"):
        _refuse(url, "its scheme must be https; plain http, as on one machine, takes allow_http=True")
    if url.userinfo:
        _refuse(url, 'a user and a password are none of the URL; write headers={"Authorization": …}')
    if url.fragment:
        _refuse(url, "a fragment is never sent; leave out the # and what follows")
    host = url.raw_host.decode("ascii").lower()
    _check_host(url, host, allow_private=allow_private)
    if url.port is not None and not 0 < url.port <= _LAST_PORT:
        _refuse(url, f"{url.port} is no port; ports are 1 to {_LAST_PORT}")
    usual = _PORTS[url.scheme]
    port = url.port or usual
    authority = (f"[{host}]" if ":" in host else host) + ("" if port == usual else f":{port}")
    digest = hashlib.sha256(str(url).encode()).hexdigest()[:_HASH]
    return Endpoint(
        url=url,
        host=host,
        port=port,
        authority=authority,
        shown=f"{url.scheme}://{authority}/{digest}",
        secrets=tuple(_secrets(url)),
    )


def _check_host(url: httpx.URL, host: str, *, allow_private: bool) -> None:
    if not host:
        _refuse(url, "it names no host; write https://hooks.example.com/path")
    try:
        why = refusal(host)
    except ValueError:
        if _NUMBER.fullmatch(host) or ":" in host:
            _refuse(url, "its host is a number that not all read alike; write an address as 192.0.2.1, or a name")
        if len(host) > _LONGEST_HOST or not _NAME.fullmatch(host):
            _refuse(url, "its host is no name; write https://hooks.example.com/path")
        return
    if "%" in host:
        _refuse(url, "an address with a zone is of one machine alone; leave out the % and what follows")
    if why is not None and not allow_private:
        _refuse(url, f"its address is {why}; where that is meant, say allow_private=True")


def _secrets(url: httpx.URL) -> list[str]:
    """Return what of a URL may be a secret, as it stands there and as it is meant."""
    parts = [part for part in url.raw_path.decode("ascii").partition("?")[0].split("/") if len(part) >= _SECRET]
    values = [value for _, value in parse_qsl(url.query.decode("ascii")) if len(value) >= _SECRET]
    return [*parts, *(unquote(part) for part in parts), *values]


def _refuse(url: httpx.URL, why: str) -> NoReturn:
    raise InvalidUrl(f"{f'{url.scheme}://{url.host}'!r}: {why}")
