"""What can be wrong with a server, each as one typed error that says how to mend it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ResponseError

from backburner.backends.redis.examine import examine
from backburner.backends.redis.failures import translate
from backburner.backends.redis.jobs import RedisJobStore
from backburner.backends.redis.reader import RedisJobReader
from backburner.backends.redis.server import Server
from backburner.errors import (
    StoreCorrupt,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    StoreUnsupported,
)
from backburner.model.query import JobFilter, Shown
from backburner.ports.backend import Level
from backburner.testing.contracts.making import add, new
from tests.servers import certificate, launch, redis
from tests.unit.redis.conftest import store

if TYPE_CHECKING:
    from pathlib import Path

    from backburner.backends.redis.session import Session
    from backburner.testing.clock import FakeClock
    from tests.servers.redis import LaunchedCluster, LaunchedRedis, Namespace
    from tests.unit.redis.conftest import Opened

PASSWORD = "s3/cr@t"  # noqa: S105 - of a server that lives as long as a test

pytestmark = pytest.mark.usefixtures("servers")


async def _refused(opened: Opened, url: str, kind: type[StoreError], *words: str) -> None:
    """Open in vain: one typed error, which says what to do, before anything was stored, and no password."""
    with pytest.raises(StoreError) as refused:
        async with opened(url, timeout=1):
            pass
    assert type(refused.value) is kind
    text = str(refused.value)
    assert all(word in text for word in words), text
    assert PASSWORD not in text
    assert not text.endswith(".")
    assert refused.value.stored == "no"


async def _write(session: Session) -> None:
    keys = session.keys
    args = ("queue", b"x", "", keys.hints, "control", b"")
    used = (*keys.logging, keys.queues, keys.leases, keys.meters, keys.filling)
    await session.scripts.run("queues_set", used, args)


async def test_a_password_that_is_wrong_or_missing(opened: Opened) -> None:
    """A password that is wrong or missing is told apart; the right one opens."""
    with redis.serve(password=PASSWORD) as server:
        where = f"127.0.0.1:{server.port}"
        await _refused(opened, f"redis://{where}", StoreDenied, where, "asks for a password")
        await _refused(opened, f"redis://:wrong@{where}", StoreDenied, where, "are wrong")
        await _refused(opened, f"redis://ada:wrong@{where}", StoreDenied, where, "are wrong")
        async with opened(server.url) as session:
            assert PASSWORD not in session.place.address
            assert PASSWORD not in repr(session.place)


async def test_a_password_that_changes(opened: Opened) -> None:
    """While the server wants another password than the URL has, all is refused and nothing stored; then it goes on."""
    with redis.serve(password=PASSWORD) as server, server.connect() as client:
        async with opened(server.url) as session:
            client.config_set("requirepass", "other")
            # Who has logged in is not asked again.
            await _write(session)
            client.client_kill_filter(_type="normal")
            for _ in range(3):
                with pytest.raises(StoreDenied, match="correct them in the URL") as refused:
                    await _write(session)
                assert refused.value.stored == "no"
            client.config_set("requirepass", PASSWORD)
            await _write(session)


async def test_too_many_clients(opened: Opened) -> None:
    """A server with no room for one more connection says so; nothing is stored, and once there is room it goes on."""
    with redis.serve() as server, server.connect() as client:
        async with opened(server.url) as session:
            client.config_set("maxclients", 1)
            client.client_kill_filter(_type="normal")
            with pytest.raises(StoreUnavailable, match="max number of clients") as refused:
                await _write(session)
            assert refused.value.stored == "no"
            client.config_set("maxclients", 100)
            await _write(session)


async def test_a_database_that_is_not_there(opened: Opened, redis_namespace: Namespace) -> None:
    """A database beyond those the server has is named."""
    url = redis_namespace.server.url.removesuffix("/0") + "/4711"
    await _refused(opened, url, StoreUnavailable, "/4711", "no database of this number")


async def test_nobody_listens(opened: Opened) -> None:
    """A port where nobody listens, and a name that nobody has, are named."""
    port = launch.free_port()
    await _refused(opened, f"redis://127.0.0.1:{port}", StoreUnavailable, f"127.0.0.1:{port}", "see to the server")
    await _refused(opened, "redis://nobody.invalid", StoreUnavailable, "nobody.invalid")
    await _refused(opened, "redis+unix:///nowhere/redis.sock", StoreUnavailable, "/nowhere/redis.sock")
    await _refused(opened, f"redis+cluster://127.0.0.1:{port}", StoreUnavailable, f"127.0.0.1:{port}")
    await _refused(opened, f"redis+sentinel://127.0.0.1:{port}/main", StoreUnavailable, "'main'")


async def test_tls(opened: Opened, redis_namespace: Namespace, tmp_path: Path) -> None:
    """TLS opens with a certificate that is trusted; without, or on one side alone, it is refused."""
    made, binary = certificate.issue(tmp_path), redis.with_tls()
    if made is None or binary is None:
        pytest.skip("there is no openssl, or no Redis here that speaks TLS")
    plain = redis_namespace.server.url.replace("redis:", "rediss:")
    await _refused(opened, plain, StoreUnavailable, "TLS")
    with redis.serve(binary, certificate=made) as server:
        where = f"127.0.0.1:{server.port}"
        async with opened(server.url) as session:
            # What TLS itself says beside is no reason to connect anew.
            assert len({await session.client.call("CLIENT", "ID") for _ in range(5)}) == 1
        await _refused(opened, f"rediss://{where}", StoreUnavailable, where, "TLS", "ssl_ca_certs")
        async with opened(f"rediss://{where}?ssl_cert_reqs=none"):
            pass
        await _refused(opened, f"redis://{where}", StoreUnavailable, where)
        named_otherwise = f"rediss://[::ffff:127.0.0.1]:{server.port}?ssl_ca_certs={made.chain}"
        await _refused(opened, named_otherwise, StoreUnavailable, "TLS")


async def test_a_replica(opened: Opened, redis_server: LaunchedRedis) -> None:
    """A replica is not opened for writing, and names its primary; for reading it is."""
    with redis.serve() as primary, redis.serve(replica_of=primary) as replica:
        await _refused(opened, replica.url, StoreReadOnly, f"127.0.0.1:{primary.port}", "name that one in the URL")
        async with opened(replica.url, write=False) as session:
            assert await session.scripts.read("queues_list", (session.keys.queues,)) == [session.clock.now(), []]
            levels = {finding.check: finding.level for finding in await examine(session)}
            assert levels["role"] is Level.WARNING
        async with opened(primary.url) as session:
            # It becomes one while the store is open.
            await session.client.call("REPLICAOF", "127.0.0.1", redis_server.port)
            with pytest.raises(StoreReadOnly, match="replica") as refused:
                await _write(session)
            assert refused.value.stored == "no"
            await session.client.call("REPLICAOF", "NO", "ONE")
            await _write(session)


@pytest.mark.parametrize("binary", redis.found(), ids=str)
async def test_full(opened: Opened, binary: redis.Binary) -> None:
    """A server at its maxmemory refuses what is stored, says so, still reads, and takes it when there is room again."""
    with redis.serve(binary, maxmemory=8_000_000) as server:
        async with opened(server.url) as session:
            jobs, stored = RedisJobStore(session), 0
            refused: StoreFull | None = None
            while refused is None:
                try:
                    await jobs.enqueue([[new(args="x" * 100_000)]])
                    stored += 1
                except StoreFull as full:
                    refused = full
            assert "keep ended jobs for a shorter time" in str(refused)
            assert refused.stored == "no"
            counted = await RedisJobReader(session).count(JobFilter())
            assert counted == {Shown.WAITING: stored}
            memory = {finding.check: finding for finding in await examine(session)}["memory"]
            # Some refuse a little before they are full.
            assert memory.level in {Level.WARNING, Level.PROBLEM}
            assert memory.mend
            await session.client.call("CONFIG", "SET", "maxmemory", 1_000_000)
            memory = {finding.check: finding for finding in await examine(session)}["memory"]
            assert (memory.level, bool(memory.mend)) == (Level.PROBLEM, True)
            await session.client.call("CONFIG", "SET", "maxmemory", 0)
            await jobs.enqueue([[new()]])


async def test_evicting(opened: Opened) -> None:
    """A server that throws keys away when it is full is a finding, and the start line says so."""
    settings = {"maxmemory-policy": "allkeys-lru", "maxmemory": "100000000"}
    with redis.serve(settings=settings) as server:
        async with opened(server.url) as session:
            found = {finding.check: finding for finding in await examine(session)}
            assert found["eviction"].level is Level.PROBLEM
            assert "noeviction" in found["eviction"].mend
            assert "allkeys-lru" in session.durability


async def test_loading(opened: Opened) -> None:
    """A server that is still loading its data is waited for."""
    if redis.first().version < (7,):
        pytest.skip("Redis 6.2 cannot be told to look up so often while it loads")
    settings = {
        "enable-debug-command": "yes",
        # Microseconds a key, until the test has seen enough.
        "key-load-delay": "5000",
        "loading-process-events-interval-bytes": "1024",
    }
    with redis.serve(settings=settings) as server, server.connect() as client:
        async with opened(server.url) as session:
            client.mset({f"key-{number}": "x" * 100 for number in range(20_000)})
            reload = threading.Thread(target=client.execute_command, args=("DEBUG", "RELOAD"))
            reload.start()
            refused: StoreUnavailable | None = None
            while refused is None and reload.is_alive():
                try:
                    await _write(session)
                except StoreUnavailable as error:
                    # It is silent while it saves, and some save slowly.
                    refused = error if "wait until it has" in str(error) else None
            with server.connect() as other:
                other.config_set("key-load-delay", 0)
            await asyncio.to_thread(reload.join)
            assert refused is not None
            assert refused.stored == "no"
            await _write(session)


async def test_grants(opened: Opened, redis_namespace: Namespace) -> None:
    """A user who lacks a right is told how to grant it; with that very grant the store opens and works."""
    namespace = redis_namespace.name.strip("{}")
    where = redis_namespace.server.url.removeprefix("redis://")
    url = f"redis://ada:pw@{where}?namespace={namespace}"
    with redis_namespace.server.connect() as client:
        client.execute_command("ACL", "SETUSER", "ada", "reset", "resetchannels", "on", ">pw", "+ping")
        try:
            await _refused(opened, url, StoreDenied, "ACL SETUSER", "~{NAMESPACE}:*")
            text = str(translate(ResponseError("NOPERM x"), "y", timeout=1, stored="unknown"))
            grant = text.partition("ACL SETUSER NAME ")[2].replace("NAMESPACE", namespace).split()
            client.execute_command("ACL", "SETUSER", "ada", *grant)
            async with opened(url) as session:
                await _write(session)
                assert {finding.level for finding in await examine(session)} <= {Level.GOOD, Level.WARNING}
                client.execute_command("ACL", "SETUSER", "ada", "-hset")
                with pytest.raises(StoreDenied, match="ACL SETUSER") as refused:
                    await _write(session)
                assert refused.value.stored == "no"
        finally:
            client.execute_command("ACL", "DELUSER", "ada")


@pytest.mark.parametrize("command", ["zremrangebylex", "hdel", "zmscore"])
async def test_a_right_that_is_needed_in_the_middle(redis_namespace: Namespace, clock: FakeClock, command: str) -> None:
    """A user who lacks one right is refused at the start: no script ends half-way for want of it."""
    namespace = redis_namespace.name.strip("{}")
    url = f"redis://bob:pw@{redis_namespace.server.url.removeprefix('redis://')}?namespace={namespace}"
    with redis_namespace.server.connect() as client:
        client.execute_command("ACL", "SETUSER", "bob", "reset", "on", ">pw", "~*", "&*", "+@all", f"-{command}")
        try:
            with pytest.raises(StoreDenied, match="ACL SETUSER"):
                async with store(url, clock):
                    pass
            client.execute_command("ACL", "SETUSER", "bob", f"+{command}")
            async with store(url, clock) as backend:
                await add(backend)
        finally:
            client.execute_command("ACL", "DELUSER", "bob")


async def test_a_node_of_a_cluster_named_as_a_server(opened: Opened, redis_cluster: LaunchedCluster) -> None:
    """A node of a cluster is to be named as one, and a server that is none is not."""
    told = 0
    for node in redis_cluster.nodes:
        async with opened(f"redis://127.0.0.1:{node.port}") as session:
            try:
                await _write(session)
            except StoreUnavailable as error:
                told += "redis+cluster://" in str(error)
            else:
                await session.client.call("DEL", session.keys.queues)
    assert told == len(redis_cluster.nodes) - 1


async def test_no_cluster(opened: Opened, redis_namespace: Namespace) -> None:
    """A server that is no node of a cluster is to be named as a server."""
    url = redis_namespace.server.url.replace("redis:", "redis+cluster:").removesuffix("/0")
    await _refused(opened, url, StoreUnavailable, "redis://")


@pytest.mark.parametrize("name", ["queues", "held", "meta"])
async def test_somebody_else_s_keys(session: Session, url: str, clock: FakeClock, name: str) -> None:
    """Keys of another kind under our names are not taken for ours, and nothing is written beside them."""
    key = getattr(session.keys, name)
    await session.client.call("SET", key, "text")
    with pytest.raises(StoreCorrupt, match="namespace"):
        async with store(url, clock):
            pass
    assert await session.client.call("GET", key) == b"text"


@pytest.mark.parametrize("version", ["6.0.16", "5.0.14", "3.2.12"])
def test_a_server_that_is_too_old(version: str) -> None:
    """A server older than 6.2 is refused, naming what it is; 6.2 and those after it are not."""
    with pytest.raises(StoreUnsupported, match=rf"Redis {version}.*6\.2"):
        Server({"redis_version": version}).check("redis://here", write=True)
    for fine in ("6.2.0", "7.0.15", "7.2.4", "10.1"):
        Server({"redis_version": fine, "role": "master"}).check("redis://here", write=True)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("MISCONF Redis is configured to save RDB snapshots", StoreFull),
        ("NOREPLICAS Not enough good replicas to write.", StoreUnavailable),
        ("BUSY Redis is busy running a script.", StoreUnavailable),
        ("DENIED Redis is running in protected mode because protected mode is enabled", StoreDenied),
        (
            "ERR Error running script (call to f_1): @user_script:7: @user_script: 7: -OOM command not allowed",
            StoreFull,
        ),
        (
            "Error running script (call to f_1): @user_script:9: WRONGTYPE Operation against a key holding the wrong kind",
            StoreCorrupt,
        ),
        ("ERR unknown command `ZMSCORE`, with args beginning with: ", StoreUnsupported),
    ],
)
def test_what_a_server_says(words: str, kind: type[StoreError]) -> None:
    """What cannot be brought about here is known by its words."""
    told = translate(ResponseError(words), "redis://here", timeout=1, stored="unknown")
    assert isinstance(told, StoreError)
    assert type(told) is kind
    assert told.stored == "no"
    assert str(told).startswith("redis://here")


def test_what_is_none_of_redis_is_not_translated() -> None:
    """An error of our own stays what it is."""
    error = KeyError("x")
    assert translate(error, "redis://here", timeout=1, stored="no") is error
