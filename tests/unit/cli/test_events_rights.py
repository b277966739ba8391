"""`backburner events` for who may read a store, but not write to it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.servers import postgres
from tests.stores import postgres_url, redis_url
from tests.unit.cli.rights import without_rights

if TYPE_CHECKING:
    from tests.servers.postgres import Postgres, Schema
    from tests.servers.redis import Namespace
    from tests.unit.cli.conftest import Run


def _as(url: str, login: str) -> str:
    """Return a URL with another login."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))


def _pause(run: Run, url: str) -> None:
    """Make the store, and have an event be stored."""
    assert run("db", "upgrade", "--url", url).code == 0
    assert run("queues", "pause", "mail", "--anyway", "--by", "ada", "--url", url).code == 0


def _reads(run: Run, url: str) -> None:
    """See that what is stored is listed, and that nothing can be forgotten."""
    listed = run("events", "list", "--url", url)
    assert (listed.code, listed.err) == (0, "")
    assert [line.split("\t")[2] for line in listed.out.splitlines()] == ["operator.queue.paused"]
    nobody = run("events", "subscriptions", "--url", url)
    assert (nobody.code, nobody.err) == (3, "Error: nobody asks for events; only those of operator.* are stored\n")


def test_a_read_only_file(run: Run) -> None:
    """A file in a directory, neither of which may be written."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder}/shop.db"
        _pause(run, url)
        (folder / "shop.db").chmod(0o444)
        folder.chmod(0o555)
        with without_rights():
            _reads(run, url)
            assert run("events", "unsubscribe", "mailer", "--yes", "--url", url).code == 4
        folder.chmod(0o755)


def test_a_copy(shop: str, run: Run, tmp_path: Path) -> None:
    """A copy of a file has the log that the file had, and cursors of one are good for the other."""
    _pause(run, shop)
    there = tmp_path / "there"
    there.mkdir()
    shutil.copy(tmp_path / "shop.db", there / "copy.db")
    _reads(run, f"sqlite:///{there}/copy.db")
    cursor = run("events", "list").out.split("\t")[0]
    later = run("events", "list", "--after", cursor, "--url", f"sqlite:///{there}/copy.db")
    assert (later.code, later.out) == (3, "")


def test_a_role_that_only_reads(run: Run, postgres_server: Postgres, postgres_schema: Schema) -> None:
    """A role that may read tables sees what has a number by then: all that anybody saw who may write."""
    url, role = postgres_url(postgres_schema), postgres.fresh()
    _pause(run, url)
    grants = SQL("""
        CREATE ROLE {1} LOGIN PASSWORD 'pw';
        GRANT USAGE ON SCHEMA {0} TO {1};
        GRANT SELECT ON ALL TABLES IN SCHEMA {0} TO {1}
    """)
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute(grants.format(Identifier(postgres_schema.name), Identifier(role)))
        try:
            theirs = _as(url, f"{role}:pw")
            # Nobody has looked yet, so it has no number.
            assert run("events", "list", "--url", theirs).code == 3
            _reads(run, url)
            _reads(run, theirs)
            assert run("events", "unsubscribe", "mailer", "--yes", "--url", theirs).code == 3
        finally:
            connection.execute(SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(Identifier(role)))


def test_a_user_who_only_reads(run: Run, redis_namespace: Namespace) -> None:
    """A user of Redis who may write nothing reads all the same."""
    url = redis_url(redis_namespace)
    _pause(run, url)
    rights = ("reset", "on", ">pw", "~*", "&*", "+@all", "-@write")
    with redis_namespace.server.connect() as client:
        client.execute_command("ACL", "SETUSER", "reader", *rights)
        try:
            _reads(run, _as(url, "reader:pw"))
            assert run("events", "unsubscribe", "mailer", "--yes", "--url", _as(url, "reader:pw")).code == 4
        finally:
            client.execute_command("ACL", "DELUSER", "reader")


@pytest.mark.usefixtures("shop")
def test_memory(run: Run) -> None:
    """Memory is seen from nowhere else."""
    assert run("events", "list", "--url", "memory://").code == 2
