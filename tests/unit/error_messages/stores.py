"""What stores answer: paths, files, transactions, and the errors of servers, in our words."""

from __future__ import annotations

import errno
import sqlite3
import ssl
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import aiosqlite
from redis import exceptions

import backburner
from backburner.backends.postgres import failures as postgres
from backburner.backends.redis import failures as redis
from backburner.backends.redis import transactions as redis_transactions
from backburner.backends.redis.server import Server
from backburner.backends.sqlite import failures as sqlite
from backburner.codec import patching

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

bb: Any = backburner

ARGS = '{"user":{"id":7,"name":"ada"},"tags":["a"]}'
#: What drivers and servers say.
SQLSTATES = {
    "28P01": 'password authentication failed for user "ada"',
    "42501": "permission denied for schema backburner",
    "3D000": 'database "jobs" does not exist',
    "42P01": 'relation "jobs" does not exist',
    "25006": "cannot execute INSERT in a read-only transaction",
    "53100": "could not extend file",
    "53300": "sorry, too many clients already",
    "53200": "out of memory",
    "55P03": "canceling statement due to lock timeout",
    "40001": "could not serialize access",
    "57014": "canceling statement due to statement timeout",
    "57P01": "terminating connection due to administrator command",
    "08P01": "unsupported startup parameter",
    "26000": 'prepared statement "x" does not exist',
    "08006": "connection failure",
    "25P03": "terminating connection due to idle-in-transaction timeout",
    "58030": "could not read block",
    "XX001": "invalid page in block",
    "0A000": "cannot use a prepared statement",
    "22021": "invalid byte sequence",
    "P0001": "raised by a trigger",
}
REDIS_ERRORS = (
    exceptions.ResponseError("LEASELOST n1"),
    exceptions.ResponseError("OOM command not allowed when used memory > 'maxmemory'."),
    exceptions.ResponseError("READONLY You can't write against a read only replica."),
    exceptions.ResponseError("NOAUTH Authentication required."),
    exceptions.ResponseError("NOPERM this user has no permissions"),
    exceptions.ResponseError("WRONGPASS invalid username-password pair"),
    exceptions.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
    exceptions.ResponseError("LOADING Redis is loading the dataset in memory"),
    exceptions.ResponseError("BUSY Redis is busy running a script."),
    exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"),
    exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."),
    exceptions.ResponseError("MASTERDOWN Link with MASTER is down"),
    exceptions.ResponseError("CLUSTERDOWN The cluster is down"),
    exceptions.ResponseError("CROSSSLOT Keys in request don't hash to the same slot"),
    exceptions.ResponseError("unknown command 'XAUTOCLAIM'"),
    exceptions.ResponseError("DB index is out of range"),
    exceptions.ResponseError("ERR something else"),
    exceptions.ConnectionError("Connection refused"),
    exceptions.TimeoutError("Timeout reading"),
    exceptions.RedisError("something odd"),
)
SQLITE_ERRORS = {
    sqlite3.SQLITE_BUSY: "database is locked",
    sqlite3.SQLITE_INTERRUPT: "interrupted",
    sqlite3.SQLITE_FULL: "database or disk is full",
    sqlite3.SQLITE_CORRUPT: "database disk image is malformed",
    sqlite3.SQLITE_NOTADB: "file is not a database",
    sqlite3.SQLITE_READONLY: "attempt to write a readonly database",
    sqlite3.SQLITE_PERM: "access permission denied",
    sqlite3.SQLITE_CANTOPEN: "unable to open database file",
    sqlite3.SQLITE_IOERR: "disk I/O error",
    sqlite3.SQLITE_ERROR: "no such table: jobs",
}


def of_postgres(state: str, words: str) -> Callable[[], object]:
    """Return what a server's error means."""
    error = type("PostgresError", (Exception,), {"sqlstate": state})(words)
    return lambda: postgres.translate(error, "postgresql://db:5432/jobs", stored="unknown")


def of_redis(error: Exception, where: str = "redis://db:6379/0") -> Callable[[], object]:
    """Return what an error of Redis means."""
    return lambda: redis.translate(error, where, timeout=5, stored="no")


def of_sqlite(code: int, words: str) -> Callable[[], object]:
    """Return what an error of SQLite means."""
    error = sqlite3.OperationalError(words)
    error.sqlite_errorcode = code
    return lambda: sqlite.translate(error, Path("/srv/jobs.db"), timeout=5, stored="unknown")


async def nothing() -> None:
    """Do nothing."""


def on_a_file(use: Callable[[Any, Any, Path], Coroutine[Any, Any, object]], **options: object) -> Callable[[], object]:
    """Use an engine on a file: with a job, and the file's folder."""

    async def case() -> object:
        with TemporaryDirectory() as folder:
            app = bb.Backburner(f"sqlite:///{folder}/jobs.db", **options)
            job = app.job(nothing)
            async with app:
                return await use(app, job, Path(folder))

    return case


def opening(make: Callable[[Path], object], url: str = "sqlite:///{}/jobs.db") -> Callable[[], object]:
    """Enter an engine on what was made in a folder."""

    async def case() -> object:
        with TemporaryDirectory() as folder:
            make(Path(folder))
            async with bb.Backburner(url.format(folder), migrate=False):
                return None

    return case


async def in_transaction(app: Any, job: Any, file: Path, begin: str = "BEGIN IMMEDIATE") -> object:  # noqa: ANN401
    """Store in a transaction of one's own."""
    async with aiosqlite.connect(file, isolation_level=None) as connection:
        if begin:
            await connection.execute(begin)
        return await app.create_task(job(), tx=connection)


async def meanwhile(app: Any, job: Any, folder: Path) -> object:  # noqa: ANN401
    """Store without the transaction that this task has open, which would wait for itself."""
    async with aiosqlite.connect(folder / "jobs.db") as connection:
        await connection.execute("BEGIN IMMEDIATE")
        await app.create_task(job(), tx=connection)
        try:
            return await app.create_task(job())
        finally:
            await connection.rollback()


async def awaited_too_soon(app: Any, job: Any, folder: Path) -> object:  # noqa: ANN401
    """Await a job whose transaction is open."""
    async with aiosqlite.connect(folder / "jobs.db") as connection:
        await connection.execute("BEGIN IMMEDIATE")
        handle = await app.create_task(job(), tx=connection)
        try:
            return await handle
        finally:
            await connection.rollback()


async def closed(app: Any, job: Any, folder: Path) -> object:  # noqa: ANN401
    """Store on a closed connection."""
    connection = await aiosqlite.connect(folder / "jobs.db")
    await connection.close()
    return await app.create_task(job(), tx=connection)


def of_server(**info: str) -> Callable[[], object]:
    """Look at a Redis server that will not do."""
    return lambda: Server(info).check("redis://db:6379/0", write=True)


SERVERS = [
    *(of_postgres(state, words) for state, words in SQLSTATES.items()),
    lambda: postgres.translate(OSError(errno.ECONNREFUSED, "refused"), "postgresql://db:5432/jobs", stored="no"),
    lambda: postgres.translate(ssl.SSLError("wrong version number"), "postgresql://db:5432/jobs", stored="no"),
    *map(of_redis, REDIS_ERRORS),
    of_redis(exceptions.TimeoutError("Timeout reading"), "rediss://db:6379/0"),
    of_redis(exceptions.ConnectionError(ssl.SSLError("wrong version number"))),
    lambda: redis_transactions.refuse(5),
    of_server(redis_version="5.0.7"),
    of_server(redis_version="7.0.15", role="slave", master_host="db-1", master_port="6379"),
    *(of_sqlite(code, words) for code, words in SQLITE_ERRORS.items()),
    lambda: sqlite.translate(OSError(errno.EIO, "Input/output error"), Path("/srv/jobs.db"), timeout=5, stored="no"),
]
FILES = [
    opening(lambda folder: folder.joinpath("jobs.db").mkdir()),
    opening(lambda folder: folder.joinpath("jobs.db").write_text("no database" * 100)),
    opening(lambda _: None),
    opening(lambda _: None, "sqlite:///{}/missing/jobs.db"),
    on_a_file(lambda app, job, _: app.create_task(job(), tx=5)),
    on_a_file(lambda app, job, folder: in_transaction(app, job, folder / "other.db")),
    on_a_file(lambda app, job, folder: in_transaction(app, job, folder / "jobs.db", "")),
    on_a_file(closed),
    on_a_file(meanwhile),
    on_a_file(awaited_too_soon),
]
PATCHES = [
    lambda: patching.patch(ARGS, "user.adress.city", '"x"'),
    lambda: patching.patch(ARGS, "tags.first", '"x"'),
    lambda: patching.patch(ARGS, "user.id", "x"),
    lambda: patching.patch(ARGS, "user.id", '"\\u0000"'),
    lambda: patching.patch("[", "user.id", "1"),
    lambda: patching.check('{"user":"x"}', '{"type":"object","properties":{"user":{"type":"integer"}}}'),
    lambda: patching.check("{}", "{"),
]
CASES: list[Callable[[], object]] = [*SERVERS, *FILES, *PATCHES]
