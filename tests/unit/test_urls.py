"""Store URLs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backburner.backends.postgres.place import PostgresPlace
from backburner.backends.urls import connect, parse
from backburner.errors import InvalidUrl, UnknownUrlOption
from backburner.testing import FakeClock
from tests.fresh import loaded_by

BASE = Path("/srv/app")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///jobs.db", "/srv/app/jobs.db"),
        ("sqlite:///data/jobs.db", "/srv/app/data/jobs.db"),
        ("sqlite:////var/jobs.db", "/var/jobs.db"),
        ("sqlite+aiosqlite:///jobs.db", "/srv/app/jobs.db"),
        ("SQLite:///jobs.db", "/srv/app/jobs.db"),
        ("sqlite:///my%20jobs%23.db", "/srv/app/my jobs#.db"),
    ],
)
def test_a_path_is_relative_after_three_slashes_and_absolute_after_four(url: str, path: str) -> None:
    """Three slashes name a file relative to the base, four an absolute one; escapes are undone."""
    store = parse(url, base=BASE)
    assert (store.scheme, store.path) == ("sqlite", Path(path))


def test_memory_has_no_path() -> None:
    """The memory store is named by its scheme alone."""
    store = parse("memory://", base=BASE)
    assert (store.scheme, store.path, store.options) == ("memory", None, {})


def test_synchronous_is_an_option_of_sqlite(tmp_path: Path) -> None:
    """SQLite's durability is chosen in the URL, in either case, and full by default."""
    chosen = connect(parse("sqlite:///jobs.db?synchronous=NORMAL", base=tmp_path), clock=FakeClock(), write_timeout=1)
    assert chosen.durability == "WAL, synchronous=NORMAL"
    default = connect(parse("sqlite:///jobs.db", base=tmp_path), clock=FakeClock(), write_timeout=1)
    assert default.durability == "WAL, synchronous=FULL"
    assert default.address == f"sqlite:///{tmp_path.resolve()}/jobs.db"


def test_memory_connects_to_memory() -> None:
    """A memory URL makes a memory backend."""
    assert connect(parse("memory://", base=BASE), clock=FakeClock(), write_timeout=1).address == "memory://"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://", {"kind": "single", "hosts": (("localhost", 6379),), "address": "redis://localhost:6379/0"}),
        ("redis://cache", {"hosts": (("cache", 6379),), "database": 0, "namespace": "backburner", "tls": False}),
        ("REDIS://cache:7/3", {"hosts": (("cache", 7),), "database": 3, "address": "redis://cache:7/3"}),
        ("redis://[::1]:7", {"hosts": (("::1", 7),), "address": "redis://[::1]:7/0"}),
        ("redis://:s3%40cret@h", {"username": None, "password": "s3@cret", "address": "redis://h:6379/0"}),
        ("redis://ada:s3:cret@h", {"username": "ada", "password": "s3:cret"}),
        ("redis://h?namespace=a.b-c_9", {"namespace": "a.b-c_9", "address": "redis://h:6379/0?namespace=a.b-c_9"}),
        ("rediss://h", {"tls": True, "ssl": ()}),
        (
            "rediss://h?ssl_ca_certs=/ca.pem&ssl_cert_reqs=None",
            {"ssl": (("ssl_ca_certs", "/ca.pem"), ("ssl_cert_reqs", "none"), ("ssl_check_hostname", False))},
        ),
        ("rediss://h?ssl_check_hostname=false", {"ssl": (("ssl_check_hostname", False),)}),
        ("redis+unix:///run/redis.sock?db=2", {"hosts": (("/run/redis.sock", 0),), "database": 2}),
        ("redis+cluster://a,b:7", {"kind": "cluster", "hosts": (("a", 6379), ("b", 7))}),
        ("rediss+cluster://a", {"kind": "cluster", "tls": True, "address": "rediss+cluster://a:6379"}),
        (
            "redis+sentinel://ada:pw@a,b:7/main/2?sentinel_password=s3cret",
            {
                "kind": "sentinel",
                "hosts": (("a", 26379), ("b", 7)),
                "service": "main",
                "database": 2,
                "username": "ada",
                "sentinel_password": "s3cret",
                "address": "redis+sentinel://a:26379,b:7/main/2",
            },
        ),
        ("rediss+sentinel://a/main", {"kind": "sentinel", "tls": True, "database": 0}),
    ],
)
def test_redis_is_named_by_server_cluster_or_sentinels(url: str, place: dict[str, object]) -> None:
    """A server, some nodes of a cluster or sentinels are named, with what they need; the address shows no secret."""
    store = parse(url, base=BASE)
    assert store.scheme == "redis"
    assert {name: getattr(store.place, name) for name in place} == place
    assert "s3" not in f"{store.place!r} {store.shown}"


@pytest.mark.parametrize(
    ("url", "dsn", "place"),
    [
        (
            "postgresql://ada:s3%2Fcret@db/jobs",
            "postgresql://ada:s3%2Fcret@db:5432/jobs",
            {"address": "postgresql://db:5432/jobs", "schema": "backburner", "listen": True, "pool_size": 5},
        ),
        ("postgres://db:7/jobs", "postgresql://db:7/jobs", {}),
        ("postgresql+asyncpg://db/jobs", "postgresql://db:5432/jobs", {}),
        ("postgresql://a,b:7/jobs", "postgresql://a:5432,b:7/jobs", {}),
        ("postgresql://[::1]:7/jobs", "postgresql://[::1]:7/jobs", {}),
        ("postgresql:///jobs?host=/run/pg", "postgresql:///jobs?host=%2Frun%2Fpg", {}),
        (
            "postgresql://db/jobs?schema=app_jobs&listen=OFF&pool_size=2&sslmode=Verify-Full&sslrootcert=/ca.pem",
            "postgresql://db:5432/jobs?sslmode=verify-full&sslrootcert=%2Fca.pem",
            {
                "schema": "app_jobs",
                "listen": False,
                "pool_size": 2,
                "address": "postgresql://db:5432/jobs?schema=app_jobs",
            },
        ),
    ],
)
def test_postgres_keeps_its_driver_s_options_apart(url: str, dsn: str, place: dict[str, object]) -> None:
    """What the driver is handed holds its own options only; the address shows no secret."""
    store = parse(url, base=BASE)
    assert store.scheme == "postgres"
    assert isinstance(store.place, PostgresPlace)
    assert store.place.arguments == {"dsn": dsn}
    assert {name: getattr(store.place, name) for name in place} == place
    assert "s3" not in f"{store.place!r} {store.shown}"


@pytest.mark.parametrize("driver", ["redis", "asyncpg"])
def test_a_missing_driver_is_named_with_its_extra(driver: str) -> None:
    """Without its driver a store cannot be connected to; the error says what to install."""
    extra = {"redis": "redis", "asyncpg": "postgres"}[driver]
    program = f"""
import sys; sys.modules[{driver!r}] = None
from pathlib import Path
from backburner.backends.urls import connect, parse
from backburner.errors import StoreUnsupported
from backburner.model.clock import SystemClock
try:
    connect(parse("{extra}://ada:s3cret@db", base=Path("/")), clock=SystemClock(), write_timeout=1)
except StoreUnsupported as error:
    assert "pip install 'backburner[{extra}]'" in str(error), error
    assert "s3cret" not in str(error)
    assert error.stored == "no"
else:
    raise SystemExit("connected")
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("url", "option"),
    [
        ("sqlite:///jobs.db?pool_size=5", "synchronous"),
        ("memory://?synchronous=full", "none"),
        ("redis://h?ssl_ca_certs=x", "there are: namespace"),
        ("rediss://h?sslmode=x", "ssl_ca_certs"),
        ("redis+cluster://h?sentinel_password=x", "namespace"),
        ("postgresql://h/x?application_name=y", "schema, listen, pool_size"),
    ],
)
def test_an_unknown_option_is_refused_naming_those_there_are(url: str, option: str) -> None:
    """An option that the store does not have is refused, and the message names the ones it has."""
    with pytest.raises(UnknownUrlOption, match=option):
        parse(url, base=BASE)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "jobs.db",
        "sqlite:jobs.db",
        "mysql://host/db",
        "sqlite://",
        "sqlite:///",
        "sqlite://:memory:",
        "sqlite:///:memory:",
        "sqlite://host/jobs.db",
        "sqlite:///data/",
        "sqlite:///jobs%00.db",
        "sqlite:///jobs.db#fragment",
        "sqlite:///jobs.db?synchronous=off",
        "memory://name",
        "sqlite://[jobs.db",
    ],
)
def test_what_names_no_store_is_refused_with_one_that_would(url: str) -> None:
    """A URL that cannot be understood is refused; the message shows it and how to write one."""
    with pytest.raises(InvalidUrl, match=r"memory://|sqlite:///|%23|full"):
        parse(url, base=BASE)


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("redis://h/main", "whole number"),
        ("redis://h/0/1", "redis://HOST:6379/0"),
        ("redis://a,b", "redis\\+cluster://"),
        ("redis://h:0", "1 to 65535"),
        ("redis://h:70000", "1 to 65535"),
        ("redis://h:port", "HOST:PORT"),
        ("redis://h?namespace=", "1 to 64"),
        ("redis://h?namespace=a{b}", "1 to 64"),
        ("redis+cluster://h/1", "no databases"),
        ("redis+sentinel://h", "redis\\+sentinel://HOST:26379/NAME"),
        ("redis+sentinel:///main", "redis\\+sentinel://HOST:26379/NAME"),
        ("redis+unix://h/run/redis.sock", "redis\\+unix:///"),
        ("redis+unix:///run/redis.sock?db=x", "whole number"),
        ("rediss://h?ssl_cert_reqs=maybe", "required, optional, none"),
        ("rediss://h?ssl_cert_reqs=none&ssl_check_hostname=true", "ssl_cert_reqs=required"),
        ("postgresql://h/a/b", "plain name"),
        ("postgresql://h/x?schema=pg_mine", "small letters"),
        ("postgresql://h/x?schema=a-b", "small letters"),
        ("postgresql://h/x?listen=maybe", "on, off"),
        ("postgresql://h/x?pool_size=1", "from 2 to 100"),
        ("postgresql://h/x?sslmode=maybe", "verify-full"),
        ("postgresql://h/x?host=/run", "not both"),
    ],
)
def test_what_a_server_s_url_cannot_say_is_refused_with_what_it_can(url: str, mend: str) -> None:
    """A part that cannot be understood is refused; the message shows the URL and how to write it."""
    with pytest.raises(InvalidUrl, match=mend) as refused:
        parse(url, base=BASE)
    assert repr(url) in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ada:s3cret@[host/jobs",
        "x://:s3cret@host",
        "x://ada:s3@cret@host",
        "sqlite://a:s3cret@h/x.db",
        "redis://:s3/cret@host",
        "redis://:s3?cret=1@host",
        "redis://:s3#cret@host",
        "redis://ada@corp:s3cret@host?x=y",
        "redis+sentinel://h/main?sentinel_password=s3cret&x=y",
        "postgresql://ada:s3cret@h/x?sslpassword=s3cret&y=z",
        "postgresql://h:x/y?password=s3cret",
    ],
)
def test_a_password_shows_in_no_message(url: str) -> None:
    """Passwords are masked, however broken the URL is."""
    with pytest.raises(InvalidUrl) as refused:
        parse(url, base=BASE)
    assert "s3" not in str(refused.value)
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize("url", ["sqlite:///jobs.db", "redis://h", "postgresql://h/x"])
def test_parsing_loads_no_driver(url: str) -> None:
    """Understanding a URL imports no store."""
    loaded = loaded_by(
        f"import pathlib; from backburner.backends.urls import parse; parse({url!r}, base=pathlib.Path('/'))"
    )
    assert loaded.isdisjoint({"sqlite3", "aiosqlite", "redis", "asyncpg"})
