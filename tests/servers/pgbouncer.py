"""A PgBouncer of the tests' own, in front of a PostgreSQL: a context manager, for tests and programs alike."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from tests.servers.launch import Process, ServerMissing, account, folder, on_free_port

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

PROGRAM = "pgbouncer"
#: Where systems put what only an administrator usually starts.
SYSTEM = Path("/usr/sbin")

MISSING = "there is no PgBouncer to test with: install it (apt-get install pgbouncer)"

#: From this version on SIGTERM waits for all clients to leave, and SIGQUIT does not.
PATIENT = (1, 23)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """A program."""

    path: Path
    version: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PgBouncer:
    """A pooler that may be stopped, killed and started again on the same port."""

    binary: Binary
    port: int
    process: Process

    def url(self, url: str) -> str:
        """Return the URL of a database of the server's as one that leads through the pooler."""
        parts = urlsplit(url)
        login, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}{at}127.0.0.1:{self.port}"))


@contextmanager
def serve(
    url: str,
    *,
    mode: Literal["session", "transaction", "statement"] = "transaction",
    settings: Mapping[str, str] | None = None,
) -> Generator[PgBouncer]:
    """Start a pooler on a free port of 127.0.0.1; stop it and remove all in the end.

    It needs no rights: started by root, it runs as nobody.

    Args:
        url: Leads to the server, as the one user that the pooler lets in.
        mode: What a client has a connection of the server's for.
        settings: Of pgbouncer.ini, beside and before ours.

    Raises:
        ServerMissing: There is no program to start.
        ServerFailed: It does not start.
    """
    binary, owner = find(), account()
    parts = urlsplit(url)
    with folder("bb-pgbouncer", owner) as place:
        users = place / "users.txt"
        users.write_text(f"{quoted(unquote(parts.username or ''))} {quoted(unquote(parts.password or ''))}\n")
        options = {
            "listen_addr": "127.0.0.1",
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": str(users),
            "pool_mode": mode,
            # Where the server is away, its connections are tried again at once rather than after a quarter of a minute.
            "server_login_retry": "0.1",
        }

        def make(port: int) -> Process:
            written = {**options, **(settings or {}), "listen_port": str(port)}
            lines = [f"{name} = {value}" for name, value in written.items()]
            server = f"* = host={parts.hostname} port={parts.port}"
            (place / "pgbouncer.ini").write_text("\n".join(["[databases]", server, "[pgbouncer]", *lines, ""]))
            return Process(
                [binary.path, place / "pgbouncer.ini"],
                folder=place,
                ready="process up",
                stop=signal.SIGTERM if binary.version < PATIENT else signal.SIGQUIT,
                owner=owner,
            )

        port, process = on_free_port(make)
        try:
            yield PgBouncer(binary=binary, port=port, process=process)
        finally:
            process.stop()


def find() -> Binary:
    """Return the program there is.

    Raises:
        ServerMissing: There is none.
    """
    path = shutil.which(PROGRAM) or shutil.which(PROGRAM, path=SYSTEM)
    if path is None:
        raise ServerMissing(MISSING)
    said = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
    words = re.search(r"PgBouncer ([\d.]+)", said)
    assert words, said
    return Binary(path=Path(path), version=tuple(map(int, words[1].split("."))))


def quoted(value: str) -> str:
    """Return a string as the file of users has it."""
    return '"' + value.replace('"', '""') + '"'
