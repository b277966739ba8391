"""Commands over a store whose schema is not this program's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from backburner.backends.postgres.statements import read_all
from backburner.backends.sqlite import schema
from tests.stores import postgres_url

if TYPE_CHECKING:
    from tests.servers.postgres import Schema
    from tests.unit.cli.conftest import Run

_STEPS = schema._STEPS
_WANTED = _STEPS[-1].version
_READS = (
    "jobs list",
    "jobs show 01jd1",
    "jobs why 01jd3",
    "dlq list",
    "dlq groups",
    "queues list",
    "kinds list",
    "schedules list",
    "nodes list",
    "replays list",
    "events list",
    "events subscriptions",
    "jobs cancel 01jd3 --dry-run",
)
_CHANGES = ("jobs cancel 01jd3", "queues pause default", "dlq purge --all --yes", "schedules remove daily")


def _older(url: str, monkeypatch: pytest.MonkeyPatch, run: Run, *, steps: int) -> None:
    """Make a store as an earlier backburner did, with a job."""
    with monkeypatch.context() as earlier:
        earlier.setattr(schema, "_STEPS", _STEPS[:-steps])
        assert run("db", "upgrade").code == 0
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute(
            "INSERT INTO backburner_jobs (id, kind, queue, priority, created_at, due_at, args) "
            "VALUES ('01jd1', 'mail', 'default', 5, 1, 1, '{}')"
        )


def _newer(url: str, *, steps: int) -> None:
    """Have a store say that a later backburner upgraded it."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        connection.executemany(
            "INSERT INTO backburner_migrations (version, name, checksum, applied_at) VALUES (?, 'later', 'x', 0)",
            [(_WANTED + step,) for step in range(1, steps + 1)],
        )


@pytest.mark.parametrize("command", _READS)
def test_one_newer_is_read(command: str, shop: str, run: Run) -> None:
    """What reads, reads a store one step newer as its own, and says on stderr that it is."""
    before = run(*command.split())
    _newer(shop, steps=1)
    answer = run(*command.split())
    assert (answer.code, answer.out) == (before.code, before.out)
    first, *rest = answer.err.splitlines()
    assert f"schema version {_WANTED + 1}, this backburner knows {_WANTED}: upgrade it" in first
    assert rest == before.err.splitlines()


@pytest.mark.parametrize("command", _CHANGES)
def test_one_newer_is_not_changed(command: str, shop: str, run: Run) -> None:
    """What changes refuses a newer store with 5, and asks for a newer program."""
    _newer(shop, steps=1)
    answer = run(*command.split())
    assert (answer.code, answer.out) == (5, "")
    assert answer.err.endswith(f"schema version {_WANTED + 1}, this backburner knows {_WANTED}: upgrade it\n")


def test_two_newer_is_not_even_read(shop: str, run: Run) -> None:
    """Two steps newer is refused to readers as well."""
    _newer(shop, steps=2)
    answer = run("jobs", "list")
    assert (answer.code, answer.out, len(answer.err.splitlines())) == (5, "", 1)
    assert f"schema version {_WANTED + 2}" in answer.err


def test_one_older_is_read(url: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reads, reads a store one step older, and says on stderr how to upgrade it."""
    _older(url, monkeypatch, run, steps=1)
    told = f"{url} has schema {_WANTED - 1}, this backburner wants {_WANTED}: `backburner db upgrade`; until then"
    for command in ("jobs list", "jobs show 01jd1"):
        answer = run(*command.split())
        assert (answer.code, answer.err.count("\n")) == (0, 1), answer.err
        assert answer.err.startswith(told)
        assert "01jd1" in answer.out


def test_one_older_lacks_what_is_read(url: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a command reads of an older store, it ends with an answer, or with 5 and the mend; never otherwise."""
    _older(url, monkeypatch, run, steps=1)
    for command in _READS:
        answer = run(*command.split())
        assert answer.code in {0, 3, 5}, (command, answer)
        if answer.code == 5:
            assert answer.err.endswith("lacks what this command reads: run `backburner db upgrade`\n"), answer.err


def test_one_older_is_not_changed(url: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes refuses an older store with 5, and names the upgrade."""
    _older(url, monkeypatch, run, steps=1)
    for command in (*_CHANGES, "move - sqlite:///new.db"):
        answer = run(*command.split(), typed=f"{url}\n")
        assert (answer.code, answer.out) == (5, ""), (command, answer)
        assert answer.err.endswith("run `backburner db upgrade`\n")


def test_two_older_is_not_even_read(url: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps older is refused to readers as well."""
    _older(url, monkeypatch, run, steps=2)
    answer = run("jobs", "list")
    assert (answer.code, answer.out) == (5, "")
    assert answer.err == (
        f"Error: {url} has schema {_WANTED - 2}, this backburner wants {_WANTED}: run `backburner db upgrade`\n"
    )


def test_what_a_newer_schema_changed(shop: str, run: Run) -> None:
    """Where a newer store no longer has what a command reads, that is 5, and asks for a newer program."""
    _newer(shop, steps=1)
    with closing(sqlite3.connect(shop.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("DROP TABLE backburner_schedules")
    answer = run("schedules", "list")
    assert (answer.code, answer.out) == (5, "")
    assert answer.err.endswith("has changed what this command reads: upgrade this backburner\n")


def test_postgres(postgres_schema: Schema, run: Run) -> None:
    """On PostgreSQL it is the same: one step newer or older is read, and not changed."""
    place = ("--url", postgres_url(postgres_schema))
    wanted = len(read_all("tables"))
    assert run("db", "upgrade", *place).code == 0
    migrations = Identifier(postgres_schema.name, "migrations")
    with psycopg.connect(postgres_schema.url) as connection:
        later = "INSERT INTO {} (version, name, checksum, applied_at) VALUES ({}, 'later', 'x', 0)"
        connection.execute(SQL(later).format(migrations, wanted + 1))
    listed, refused = (run(*name.split(), *place) for name in ("jobs list", "jobs cancel x"))
    assert (listed.code, refused.code) == (3, 5)
    assert f"schema version {wanted + 1}, this backburner knows {wanted}: upgrade it" in listed.err
    with psycopg.connect(postgres_schema.url) as connection:
        connection.execute(SQL("DELETE FROM {} WHERE version >= {}").format(migrations, wanted))
        connection.execute(SQL("DROP TABLE {} CASCADE").format(Identifier(postgres_schema.name, "events")))
    listed, told, refused = (run(*name.split(), *place) for name in ("jobs list", "events list", "jobs cancel x"))
    assert (listed.code, listed.out) == (3, "")
    assert f"this backburner wants {wanted}: `backburner db upgrade`; until then" in listed.err
    assert (told.code, refused.code) == (5, 5)
    assert told.err.endswith("lacks what this command reads: run `backburner db upgrade`\n")


def test_a_step_of_another_build(shop: str, run: Run) -> None:
    """A step that reads otherwise than this program's is no matter of versions: it is refused with 4."""
    with closing(sqlite3.connect(shop.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("UPDATE backburner_migrations SET checksum = 'x' WHERE version = 1")
    assert run("jobs", "list").code == 4
