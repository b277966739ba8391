"""The servers that tests bring themselves."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.servers import certificate, launch, postgres, redis
from tests.servers.launch import ServerFailed

if TYPE_CHECKING:
    from tests.servers.postgres import LaunchedPostgres, Postgres, Schema
    from tests.servers.redis import LaunchedCluster, LaunchedRedis, Namespace, RedisServer

ROOT = Path(__file__).parents[2]
PATIENCE = 30


# ---- their lives ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("servers")
def test_a_postgres_outlives_being_killed() -> None:
    """A server of our own is killed and started again with its data, and nothing of it is left in the end."""
    with postgres.serve(durable=False, settings={"work_mem": "5MB"}) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        server.process.kill()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.url)
        server.process.start()
        assert "was not properly shut down" in server.process.log()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT one, current_setting('work_mem') FROM kept").fetchone() == (1, "5MB")
            assert connection.execute("SHOW max_prepared_transactions").fetchone() == ("50",)
        folder = Path(server.process._order["folder"])
    assert not folder.exists()


@pytest.mark.usefixtures("servers")
def test_a_redis_with_an_append_only_file_outlives_being_killed() -> None:
    """A Redis keeps its data where told to, asks for its password, bounds its memory, and has replicas."""
    password = 'a "b" \\ @'  # noqa: S105 - of a server that lives as long as this test
    with redis.serve(append=True, password=password, maxmemory=50_000_000) as server:
        with server.connect() as client:
            client.set("kept", 1)
        with redis.serve(replica_of=server) as replica, replica.connect() as client:
            assert client.get("kept") == b"1"
        server.process.kill()
        server.process.start()
        with server.connect() as client:
            assert client.get("kept") == b"1"
            assert client.config_get("maxmemory*")["maxmemory"] == "50000000"


def test_a_cluster_serves_all_slots(redis_cluster: LaunchedCluster) -> None:
    """Keys of all slots are served, each by its own node; a namespace has one slot, and is cleared."""
    with redis_cluster.connect() as client:
        for number in range(20):
            client.set(f"{number}", number)
        assert len({client.get_node_from_key(f"{number}") for number in range(20)}) == len(redis_cluster.nodes) == 3
        with redis_cluster.namespace() as namespace:
            client.mset({f"{namespace.name}:a": 1, f"{namespace.name}:b": 2})
            assert namespace.keys() == [f"{namespace.name}:a", f"{namespace.name}:b"]
        assert namespace.keys() == []


@pytest.mark.usefixtures("servers")
def test_a_redis_speaks_tls(tmp_path: Path) -> None:
    """A server with a certificate is trusted by who trusts that, where a program here speaks TLS."""
    issued, binary = certificate.issue(tmp_path), redis.with_tls()
    if issued is None or binary is None:
        pytest.skip("there is no openssl, or no Redis here that speaks TLS")
    with redis.serve(binary, certificate=issued) as server, server.connect() as client:
        assert server.url.startswith("rediss://")
        assert client.ping()


@pytest.mark.usefixtures("servers")
def test_a_server_that_does_not_start_says_why() -> None:
    """What the server said last stands in the error."""
    with (
        pytest.raises(ServerFailed, match="unrecognized configuration parameter"),
        postgres.serve(settings={"no": "1"}),
    ):
        pass
    with pytest.raises(ServerFailed, match="Bad directive"), redis.serve(settings={"no": "1"}):
        pass


@pytest.mark.usefixtures("servers")
def test_a_port_taken_meanwhile_is_given_up_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """When somebody else was quicker to listen on a port, the next one is tried."""
    with redis.serve() as other:
        ports = iter([other.port, other.port, launch.free_port()])
        monkeypatch.setattr(launch, "free_port", lambda: next(ports))
        with postgres.serve(durable=False) as server:
            assert next(ports, None) is None
            with psycopg.connect(server.url):
                pass


PROGRAM = """
import sys
from tests.servers import {module} as module
with module.serve() as server:
    print(server.process._guard.pid, server.process._order["folder"], flush=True)
    sys.stdin.read()
"""


@pytest.mark.usefixtures("servers")
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux, to wait for another's child")
@pytest.mark.parametrize("module", ["postgres", "redis"])
def test_a_server_dies_with_its_starter(module: str) -> None:
    """When the process that started a server is killed with -9, the server is stopped and its folder removed."""
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(module=module)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with program:
        assert program.stdout is not None
        guard, folder = program.stdout.readline().split()
        watched = os.pidfd_open(int(guard))
        with open(watched), Path(folder, "server.log").open() as log:  # noqa: PTH123 - a descriptor has no path
            program.kill()
            ended, _, _ = select.select([watched], [], [], PATIENCE)
            said = log.read()
    assert ended
    assert "database system is shut down" in said or "ready to exit" in said
    assert not Path(folder).exists()


# ---- places on them -------------------------------------------------------------------------------------------------


def names(server: Postgres, kind: str) -> set[str]:
    """Return the schemas or databases there are."""
    query = {"schema": "SELECT nspname FROM pg_namespace", "database": "SELECT datname FROM pg_database"}[kind]
    with psycopg.connect(server.url) as connection:
        return {name for (name,) in connection.execute(query)}


def test_a_schema_is_dropped_with_all_in_it_and_nothing_else(
    postgres_server: Postgres, postgres_schema: Schema
) -> None:
    """A schema is one's own: others stand beside it, and stay."""
    with postgres_server.schema() as schema:
        with psycopg.connect(schema.url) as connection:
            connection.execute(SQL("CREATE TABLE {} ()").format(Identifier(schema.name, "mine")))
        assert {schema.name, postgres_schema.name} <= names(postgres_server, "schema")
    after = names(postgres_server, "schema")
    assert schema.name not in after
    assert postgres_schema.name in after


def test_a_database_is_dropped_under_who_is_connected(postgres_server: Postgres) -> None:
    """A database of one's own is dropped in the end, whoever still has a connection."""
    with postgres_server.database() as database:
        with psycopg.connect(database.url) as connection:
            found = connection.execute("SELECT current_database()").fetchone()
        left = psycopg.connect(database.url)
    assert found is not None
    assert found[0] not in names(postgres_server, "database")
    with pytest.raises(psycopg.errors.AdminShutdown):
        left.execute("SELECT 1")
    left.close()


def test_every_other_postgres_there_is_can_be_asked_for(other_postgres: LaunchedPostgres) -> None:
    """A test that asks for other versions runs on each."""
    with psycopg.connect(other_postgres.url) as connection:
        assert connection.info.server_version // 10_000 == other_postgres.binaries.major
    assert other_postgres.binaries != postgres.first()


def test_every_other_redis_there_is_can_be_asked_for(other_redis: LaunchedRedis) -> None:
    """A test that asks for other servers runs on each."""
    assert other_redis.binary != redis.first()
    with other_redis.connect() as client:
        assert client.ping()


def test_a_namespace_tells_what_was_left_in_it(redis_server: RedisServer, redis_namespace: Namespace) -> None:
    """The keys of a namespace, and no others, are told and in the end deleted."""
    with redis_server.connect() as client:
        with redis_server.namespace() as namespace:
            client.set(f"{namespace.name}:left", 1)
            client.set(f"{redis_namespace.name}:kept", 1)
            assert namespace.keys() == [f"{namespace.name}:left"]
        assert namespace.keys() == []
        assert redis_namespace.keys() == [f"{redis_namespace.name}:kept"]
