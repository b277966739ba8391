"""What can be wrong with a server, each as one typed error that says how to mend it."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal

from backburner.backends.postgres import link
from backburner.backends.postgres.backend import PostgresBackend
from backburner.backends.postgres.failures import is_locked, translate
from backburner.backends.urls import parse
from backburner.errors import (
    SchemaTooNew,
    SchemaTooOld,
    StoreBusy,
    StoreCorrupt,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreMissing,
    StoreReadOnly,
    StoreRefused,
    StoreUnavailable,
    StoreUnsupported,
)
from backburner.model.clock import SystemClock
from backburner.model.node import QueueRecord
from backburner.ports.backend import Level
from tests.servers import certificate, launch, postgres
from tests.servers.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.backends.postgres.place import PostgresPlace
    from tests.servers.postgres import Postgres

PASSWORD = "s3/cr@t"  # noqa: S105 - of a role that lives as long as a test
QUEUE = QueueRecord(name="queue", slots=3)

pytestmark = pytest.mark.usefixtures("servers")


def at(url: str, **options: Any) -> PostgresBackend:  # noqa: ANN401 - whatever a URL may say
    """Return the backend of a URL with more options."""
    query = "&".join(f"{name}={value}" for name, value in options.items())
    place = parse(f"{url}?{query}", base=Path("/")).place
    return PostgresBackend(place, clock=SystemClock(), write_timeout=1)  # type: ignore[arg-type]  # it is one of PostgreSQL's


def changed(url: str, *, login: str | None = None, database: str | None = None, port: int | None = None) -> str:
    """Return a URL with other parts."""
    parts = urlsplit(url)
    user, _, where = parts.netloc.rpartition("@")
    host = where.partition(":")[0] if port else where
    netloc = f"{user if login is None else login}@{host}{f':{port}' if port else ''}"
    return urlunsplit(parts._replace(netloc=netloc, path=parts.path if database is None else f"/{database}"))


async def refused(backend: PostgresBackend, kind: type[StoreError], *words: str, create: bool = True) -> None:
    """Open in vain: one typed error, which says what to do, before anything was stored, and no password."""
    with pytest.raises(StoreError) as caught:
        await backend.open(create=create)
    told(caught.value, kind, *words)


def told(error: StoreError, kind: type[StoreError], *words: str) -> None:
    """See what an error is, and that it says what it should."""
    text = str(error)
    assert type(error) is kind, text
    assert all(word in text for word in words), text
    assert PASSWORD not in text
    assert not text.endswith(".")
    assert error.stored == "no"


@pytest.fixture
def role(postgres_server: Postgres) -> Iterator[str]:
    """Bring a role that may log in, and nothing else."""
    name = postgres.fresh()
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute(SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(Identifier(name), Literal(PASSWORD)))
        yield name
        connection.execute(SQL("DROP OWNED BY {}").format(Identifier(name)))
        connection.execute(SQL("DROP ROLE {}").format(Identifier(name)))


@pytest.fixture
def theirs(role: str, place: PostgresPlace) -> str:
    """Return the URL of the server for that role."""
    return changed(place.dsn, login=f"{role}:s3%2Fcr%40t")


async def test_a_wrong_password(place: PostgresPlace) -> None:
    """A password that is wrong, and a user that is not there, are told."""
    await refused(at(changed(place.dsn, login="postgres:wrong")), StoreDenied, "password", "URL")
    await refused(
        at(changed(place.dsn, login=f"nobody:{PASSWORD.replace('/', '%2F').replace('@', '%40')}")), StoreDenied
    )


async def test_an_unknown_database(place: PostgresPlace) -> None:
    """A database that is not there is named, with the way to make it."""
    await refused(at(changed(place.dsn, database="nowhere")), StoreMissing, '"nowhere"', "createdb")


async def test_nobody_listens(place: PostgresPlace) -> None:
    """A port where nobody listens, and a name that nobody has, are named."""
    port = launch.free_port()
    await refused(at(changed(place.dsn, port=port)), StoreUnavailable, f":{port}", "check host and port")
    await refused(at("postgresql://nobody.invalid/x"), StoreUnavailable, "nobody.invalid")


async def test_a_server_that_does_not_answer(place: PostgresPlace) -> None:
    """A server that accepts and says nothing is given up in time; nothing was stored."""
    parts = urlsplit(place.dsn)
    async with Proxy(str(parts.hostname), parts.port or 5432) as proxy:
        proxy.freeze()
        await refused(at(proxy.url(place.dsn)), StoreUnavailable, "has not answered within write_timeout, 1 s")


async def test_no_tls(place: PostgresPlace) -> None:
    """A server without TLS refuses who insists on it, and both ways to mend are told."""
    await refused(at(place.dsn, sslmode="require"), StoreUnavailable, "no TLS", "sslmode=")


async def test_a_certificate_nobody_vouches_for(tmp_path: Path) -> None:
    """A certificate of an unknown maker is refused by who checks it; who trusts it connects."""
    owner = launch.account()
    with launch.folder("bb-certificate", owner) as folder:
        made, other = certificate.issue(folder), certificate.issue(tmp_path)
        binaries = next((each for each in postgres.found() if each.origin == "system"), None)
        if made is None or other is None or binaries is None:
            pytest.skip("no program openssl, or no PostgreSQL of the system: the one of the test extra speaks no TLS")
        if owner is not None:
            os.chown(made.key, owner.uid, owner.gid)
        settings = {"ssl": "on", "ssl_cert_file": str(made.chain), "ssl_key_file": str(made.key)}
        with postgres.serve(binaries, durable=False, settings=settings) as server:
            strict = at(server.url, sslmode="verify-full", sslrootcert=other.chain)
            await refused(strict, StoreUnavailable, "certificate", "sslrootcert=")
            backend = at(server.url, sslmode="verify-full", sslrootcert=made.chain)
            await backend.open(create=True)
            await backend.close()


async def test_there_is_no_store(place: PostgresPlace) -> None:
    """Where nobody made a store, who may not make one is told how; so is who writes where the schema is not there."""
    await refused(at(place.dsn, schema=place.schema), StoreMissing, "`backburner db upgrade`", create=False)
    backend = at(place.dsn, schema=place.schema)
    await backend.open(create=True)
    with pytest.raises(SchemaTooOld, match="`backburner db upgrade`"):
        await backend.queues.set(QUEUE)
    await backend.close()


async def test_a_schema_of_another_version(backend: PostgresBackend, place: PostgresPlace) -> None:
    """A schema from a newer version is not touched, and neither is one whose steps read otherwise."""
    with psycopg.connect(place.dsn, autocommit=True) as connection:
        table = Identifier(place.schema, "migrations")
        connection.execute(SQL("INSERT INTO {} VALUES (999, 'x', 'y', 0)").format(table))
        for look in (backend.schema.state, backend.schema.upgrade):
            with pytest.raises(StoreError) as caught:
                await look()
            told(caught.value, SchemaTooNew, "999", "upgrade it")
        connection.execute(SQL("DELETE FROM {} WHERE version = 999").format(table))
        connection.execute(SQL("UPDATE {} SET checksum = 'z'").format(table))
        with pytest.raises(StoreError) as caught:
            await backend.schema.state()
        told(caught.value, StoreCorrupt, "step 1 (initial)", "another build")
    assert {finding.level for finding in await backend.examine() if finding.check == "schema"} == {Level.PROBLEM}


async def test_a_server_that_is_too_old(place: PostgresPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server older than what is asked of one is refused by its version."""
    monkeypatch.setattr(link, "OLDEST", 99)
    await refused(at(place.dsn), StoreUnsupported, "needs 99 or later", "upgrade the server")


async def test_a_database_that_cannot_hold_every_text(postgres_server: Postgres) -> None:
    """A database in another encoding than UTF-8 is refused before a job gets lost in it."""
    name = postgres.fresh()
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'LATIN1'").format(Identifier(name)))
        try:
            url = changed(postgres_server.url, database=name)
            await refused(at(url), StoreUnsupported, "LATIN1", "createdb -E UTF8")
        finally:
            connection.execute(SQL("DROP DATABASE {}").format(Identifier(name)))


async def test_missing_privileges(backend: PostgresBackend, place: PostgresPlace, role: str, theirs: str) -> None:
    """Who lacks rights is told what prints them; who was granted those may do everything but change the schema."""
    other = at(theirs, schema=place.schema)
    await other.open(create=False)
    for verb in (lambda: other.queues.set(QUEUE), other.queues.list, other.schema.state):
        with pytest.raises(StoreError) as caught:
            await verb()
        told(caught.value, StoreDenied, "permission denied", "`backburner db sql --grants ROLE`")
    assert [each.level for each in await other.examine() if each.check == "privileges"] == [Level.PROBLEM]
    with psycopg.connect(place.dsn, autocommit=True) as connection:
        connection.execute(backend.schema.grants(role))
        await other.queues.set(QUEUE)
        assert await other.queues.list() == (QUEUE,)
        assert (await other.admin.expedite(["nobody"])).missing == ("nobody",)
        assert (await other.schema.state()).pending == ()
        assert [each.level for each in await other.examine() if each.check == "privileges"] == [Level.GOOD]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(
                SQL("SET ROLE {}; CREATE TABLE {} (x int)").format(Identifier(role), Identifier(place.schema, "mine"))
            )
    await other.close()


async def test_a_role_that_may_make_no_schema(theirs: str) -> None:
    """Who may not make a schema is told so, and has changed nothing."""
    backend = at(theirs, schema=postgres.fresh())
    await backend.open(create=True)
    with pytest.raises(StoreError) as caught:
        await backend.schema.upgrade()
    told(caught.value, StoreDenied, "permission denied", "only the owner runs `backburner db upgrade`")
    assert (await backend.schema.state()).current == 0
    await backend.close()


async def test_too_many_connections(place: PostgresPlace, role: str, theirs: str) -> None:
    """Where no connection is left, the ways to have more are told, and it passes by itself."""
    with psycopg.connect(place.dsn, autocommit=True) as connection:
        connection.execute(SQL("ALTER ROLE {} CONNECTION LIMIT 0").format(Identifier(role)))
        await refused(at(theirs), StoreUnavailable, "too many connections", "max_connections", "pool_size=")


async def test_a_database_that_takes_no_writes(backend: PostgresBackend, place: PostgresPlace) -> None:
    """What a replica answers, and a database that is set to read-only, is told with the way to the primary."""
    with psycopg.connect(place.dsn, autocommit=True) as connection:
        connection.execute("ALTER ROLE postgres SET default_transaction_read_only = on")
        try:
            await backend.close()
            await backend.open(create=False)
            with pytest.raises(StoreError) as caught:
                await backend.queues.set(QUEUE)
            told(caught.value, StoreReadOnly, "read-only", "primary")
        finally:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER ROLE postgres RESET default_transaction_read_only")


async def test_a_server_that_goes_and_comes() -> None:
    """While a server is down or starting, that is told; when it is back, the same backend works on."""
    with postgres.serve(durable=False) as server:
        backend = at(server.url)
        await backend.open(create=True)
        await backend.schema.upgrade()
        server.process.stop()
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await backend.queues.set(QUEUE)
        server.process.start()
        await backend.queues.set(QUEUE)
        assert await backend.queues.list() == (QUEUE,)
        server.process.kill()
        with pytest.raises(StoreUnavailable):
            await backend.queues.list()
        server.process.start()
        assert await backend.queues.list() == (QUEUE,)
        await backend.close()


class Failed(Exception):
    """A driver's error, as far as it is looked at."""

    def __init__(self, sqlstate: str, words: str = "what the server said.\nDETAIL: secret values") -> None:
        super().__init__(words)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("state", "kind", "words", "stored"),
    [
        ("28P01", StoreDenied, "check user and password", "no"),
        ("3D000", StoreMissing, "createdb", "no"),
        ("42501", StoreDenied, "--grants", "no"),
        ("42883", SchemaTooOld, "db upgrade", "no"),
        ("53100", StoreFull, "make room", "no"),
        ("53300", StoreUnavailable, "max_connections", "no"),
        ("55P03", StoreBusy, "holds a lock", "no"),
        ("40P01", StoreBusy, "passes by itself", "no"),
        ("57014", StoreUnavailable, "overloaded", "no"),
        ("57P01", StoreUnavailable, "restarted", "unknown"),
        ("57P03", StoreUnavailable, "restarted", "no"),
        ("08006", StoreUnavailable, "restarted", "unknown"),
        ("08P01", StoreUnsupported, "listen=off", "unknown"),
        ("25006", StoreReadOnly, "primary", "no"),
        ("25P03", StoreUnavailable, "idle", "no"),
        ("58030", StoreUnavailable, "disk", "no"),
        ("XX001", StoreCorrupt, "backup", "no"),
        ("0A000", StoreUnsupported, "PostgreSQL 14", "no"),
        ("P0001", StoreUnavailable, "server's log", "no"),
    ],
)
def test_errors_of_the_server(state: str, kind: type[StoreError], words: str, stored: str) -> None:
    """Each error of the server is one typed error, says how to mend it, and what became of the write."""
    error = translate(Failed(state), "there", stored="unknown")
    assert type(error) is kind
    assert isinstance(error, StoreError)
    assert f"there: what the server said (SQLSTATE {state}); " in str(error)
    assert words in str(error)
    assert "secret" not in str(error)
    assert error.stored == stored
    assert is_locked(error) is (state == "55P03")


@pytest.mark.parametrize("state", ["22P02", "22021", "23505", "54000"])
def test_content_is_not_repeated(state: str) -> None:
    """Values that were refused are not repeated: they may be anybody's secrets."""
    error = translate(Failed(state, 'invalid input: "hunter2"'), "there", stored="unknown")
    assert type(error) is StoreRefused
    assert "hunter2" not in str(error)
    assert state in str(error)


def test_errors_of_the_network() -> None:
    """What never reached the server is as unknown as the caller says; an error of nobody's is left alone."""
    error = translate(ConnectionResetError("gone"), "there", stored="unknown")
    assert isinstance(error, StoreUnavailable)
    assert error.stored == "unknown"
    assert "sslmode=" in str(translate(ssl.SSLError("handshake"), "there", stored="no"))
    mine = KeyError("mine")
    assert translate(mine, "there", stored="no") is mine
    known = StoreFull("full", stored="no")
    assert translate(known, "there", stored="unknown") is known
