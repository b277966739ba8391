"""Empty stores of every kind, by the URLs that an app would give."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from tests.servers.redis import LaunchedCluster

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.servers.postgres import Schema
    from tests.servers.redis import Namespace

__all__ = ["SERVED", "SHARED", "STORES", "empty_store", "postgres_url", "redis_url"]

#: Those on a server.
SERVED = ("postgres", "redis")
#: Those that processes share.
SHARED = ("sqlite", *SERVED)
STORES = ("memory", *SHARED)


def empty_store(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """Return the URL of an empty store of a kind, gone when the test of the request is over."""
    match kind:
        case "memory":
            return "memory://"
        case "sqlite":
            return f"sqlite:///{folder}/jobs.db"
        case "postgres":
            return postgres_url(request.getfixturevalue("postgres_schema"))
        case _:
            return redis_url(request.getfixturevalue("redis_namespace"))


def postgres_url(schema: Schema) -> str:
    """Return the URL of a store in a schema."""
    return _with(schema.url, schema=schema.name)


def redis_url(namespace: Namespace) -> str:
    """Return the URL of a store in a namespace."""
    url = namespace.server.url
    if isinstance(namespace.server, LaunchedCluster):
        url = url.replace("redis://", "redis+cluster://", 1)
    return _with(url, namespace=namespace.name.strip("{}"))


def _with(url: str, **options: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), *options.items()])))
