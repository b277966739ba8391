"""Store URLs."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    ("url", "option"),
    [("sqlite:///jobs.db?pool_size=5", "synchronous"), ("memory://?synchronous=full", "none")],
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


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg", "redis", "rediss", "redis+cluster"])
def test_a_store_of_a_later_version_is_named_as_such(scheme: str) -> None:
    """PostgreSQL and Redis are known, but this version does not have them; no password shows."""
    with pytest.raises(InvalidUrl, match="SQLite and memory only") as refused:
        parse(f"{scheme}://ada:s3cret@db.example/jobs?password=s3cret", base=BASE)
    assert "s3cret" not in str(refused.value)
    assert "ada" in str(refused.value)


@pytest.mark.parametrize(
    "url", ["mysql://ada:s3cret@[host/jobs", "x://:s3cret@host", "x://ada:s3@cret@host", "sqlite://a:s3cret@h/x.db"]
)
def test_a_password_shows_in_no_message(url: str) -> None:
    """Passwords are masked, however broken the URL is."""
    with pytest.raises(InvalidUrl) as refused:
        parse(url, base=BASE)
    assert "s3" not in str(refused.value)
    assert "cret" not in str(refused.value)


def test_parsing_loads_no_driver() -> None:
    """Understanding a URL imports no store."""
    loaded = loaded_by(
        "import pathlib; from backburner.backends.urls import parse; parse('sqlite:///jobs.db', base=pathlib.Path('/'))"
    )
    assert loaded.isdisjoint({"sqlite3", "aiosqlite"})
