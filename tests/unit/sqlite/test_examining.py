"""What `SqliteBackend.examine` finds."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backburner.backends.sqlite import surroundings
from backburner.backends.sqlite.backend import SqliteBackend
from backburner.backends.sqlite.locks import NodeLocks
from backburner.errors import StoreUnsupported
from backburner.ports.backend import Level
from backburner.testing.contracts.making import publish

if TYPE_CHECKING:
    from backburner.ports.backend import Finding
    from backburner.testing import FakeClock

MOUNTS = """\
21 1 8:1 / / rw,relatime shared:1 - overlay overlay rw
22 21 0:5 / /proc rw - proc proc rw
23 21 0:6 / /mnt/data rw - ext4 /dev/sdb1 rw
24 23 0:7 / /mnt/data/far rw master:3 - nfs4 server:/export rw
25 21 0:8 / /a\\040b rw - tmpfs tmpfs rw
26 23 0:9 / /mnt/data/twice rw - ext4 /dev/sdc1 rw
28 23 0:11 /mnt /mnt/data/straße rw - btrfs /dev/sde1 rw
27 23 0:10 / /mnt/data/twice rw - xfs /dev/sdd1 rw
"""


async def _look(backend: SqliteBackend, check: str) -> Finding:
    (finding,) = (finding for finding in await backend.examine() if finding.check == check)
    return finding


def _mounted(kind: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the system say that everything is on a file system of that type."""
    mounts = directory / "mountinfo"
    mounts.write_text(f"20 1 8:1 / / rw - {kind} device rw\n")
    monkeypatch.setattr(surroundings, "MOUNTS", mounts)


def _in_space(free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


async def test_version(backend: SqliteBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version is told; one that is too old is a problem."""
    finding = await _look(backend, "version")
    assert (finding.level, finding.found) == (Level.GOOD, f"SQLite {sqlite3.sqlite_version}")
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 37, 2))
    assert (await _look(backend, "version")).level is Level.PROBLEM


@pytest.mark.parametrize(("synchronous", "level"), [("full", Level.GOOD), ("normal", Level.WARNING)])
async def test_durability(path: Path, clock: FakeClock, synchronous: str, level: Level) -> None:
    """What a power cut may lose is told."""
    backend = SqliteBackend(path, clock=clock, synchronous=synchronous)
    await backend.open(create=True)
    finding = await _look(backend, "durability")
    assert (finding.level, synchronous.upper() in finding.found) == (level, True)
    await backend.close()


async def test_no_write_ahead_log(backend: SqliteBackend, clock: FakeClock, path: Path) -> None:
    """A copy whose journal is another, opened for reading, is found to have it."""
    copy = path.with_name("copy.db")
    with sqlite3.connect(path) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    connection.close()
    del backend
    reading = SqliteBackend(copy, clock=clock)
    await reading.open(create=False, write=False)
    finding = await _look(reading, "durability")
    assert (finding.level, "'delete'" in finding.found) == (Level.WARNING, True)
    await reading.close()


async def test_schema(path: Path, clock: FakeClock) -> None:
    """A store without its tables is looked over all the same; what is wrong is the schema."""
    backend = SqliteBackend(path, clock=clock)
    await backend.open(create=True)
    findings = await backend.examine()
    assert [finding.check for finding in findings if finding.level is Level.PROBLEM] == ["schema"]
    await backend.schema.upgrade()
    assert (await _look(backend, "schema")).level is Level.GOOD
    await backend.close()


async def test_a_schema_of_another_build(backend: SqliteBackend, path: Path) -> None:
    """A step that reads otherwise, or that is not known, is a problem, not an error."""
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE backburner_migrations SET checksum = 'x' WHERE version = 1")
    connection.close()
    finding = await _look(backend, "schema")
    assert (finding.level, "another build" in finding.found) == (Level.PROBLEM, True)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/jobs.db", "overlay"),
        ("/mnt/data/jobs.db", "ext4"),
        ("/mnt/database/jobs.db", "overlay"),
        ("/mnt/data/far/jobs.db", "nfs4"),
        ("/a b/jobs.db", "tmpfs"),
        ("/mnt/data/twice/jobs.db", "xfs"),
        ("/mnt/data/straße/jobs.db", "btrfs"),
    ],
)
def test_which_file_system(path: str, kind: str) -> None:
    """The deepest mount over the file counts, and of two at one place the later."""
    assert surroundings.file_system(Path(path), MOUNTS) == kind
    assert surroundings.file_system(Path(path), "") is None


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        ("ext4", Level.GOOD),
        ("overlay", Level.WARNING),
        ("tmpfs", Level.WARNING),
        ("nfs4", Level.PROBLEM),
        ("cifs", Level.PROBLEM),
        ("9p", Level.WARNING),
        ("fuse.sshfs", Level.WARNING),
    ],
)
async def test_file_system(
    backend: SqliteBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, level: Level
) -> None:
    """What is lost with a container or a reboot is a warning; a network file system is a problem."""
    _mounted(kind, tmp_path, monkeypatch)
    finding = await _look(backend, "file system")
    assert (finding.level, kind in finding.found) == (level, True)


@pytest.mark.parametrize("text", [None, "nonsense", "20 1 8:1 / rw - ext4"])
async def test_a_system_that_does_not_tell(
    backend: SqliteBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    """Where the system does not tell what is mounted, that is said."""
    mounts = tmp_path / "mountinfo"
    if text is not None:
        mounts.write_text(text)
    monkeypatch.setattr(surroundings, "MOUNTS", mounts)
    assert "cannot be seen" in (await _look(backend, "file system")).found


@pytest.mark.parametrize(("free", "level"), [(10**10, Level.GOOD), (10**8, Level.WARNING), (10**6, Level.PROBLEM)])
async def test_room(backend: SqliteBackend, monkeypatch: pytest.MonkeyPatch, free: int, level: Level) -> None:
    """Little room is a warning, hardly any a problem."""
    _in_space(free, monkeypatch)
    assert (await _look(backend, "room")).level is level


async def test_size(backend: SqliteBackend, path: Path) -> None:
    """The sizes are told; a log that is not folded is a warning."""
    assert (await _look(backend, "size")).level is Level.GOOD
    log = path.with_name(path.name + "-wal")
    length = log.stat().st_size
    os.truncate(log, 300_000_000)
    try:
        finding = await _look(backend, "size")
    finally:
        os.truncate(log, length)
    assert (finding.level, "its log 300.0 MB" in finding.found) == (Level.WARNING, True)


async def test_locks(backend: SqliteBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that keeps no locks is a problem."""
    assert (await _look(backend, "locks")).level is Level.GOOD

    def unsupported(_: NodeLocks) -> None:
        raise StoreUnsupported("no locks", stored="no")

    monkeypatch.setattr(NodeLocks, "prove", unsupported)
    assert (await _look(backend, "locks")).level is Level.PROBLEM


async def test_a_file_that_takes_no_writes(backend: SqliteBackend, path: Path) -> None:
    """A file that another program keeps locked is a problem, which names what to do; nothing is written meanwhile."""
    assert (await _look(backend, "writing")).level is Level.GOOD
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    finding = await _look(backend, "writing")
    other.rollback()
    other.close()
    assert (finding.level, "write-locked" in finding.found) == (Level.PROBLEM, True)


async def test_latency(backend: SqliteBackend, clock: FakeClock, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long the disk takes to keep a write is told; a slow one is a warning. The probe leaves nothing behind."""
    before = sorted(path.parent.rglob("*"))
    assert (await _look(backend, "latency")).found == "The disk keeps a write in 0.0 ms"
    assert sorted(path.parent.rglob("*")) == before
    monkeypatch.setattr(os, "fsync", lambda _: clock.move(0.12))
    finding = await _look(backend, "latency")
    assert (finding.level, "120.0 ms" in finding.found) == (Level.WARNING, True)


async def test_nodes(backend: SqliteBackend, clock: FakeClock, path: Path) -> None:
    """Dead nodes are no warning while anybody lives who takes over what they ran."""
    assert (await _look(backend, "nodes")).found == "0 alive, 0 dead"
    other = SqliteBackend(path, clock=clock)
    await other.open(create=False)
    await publish(other, "gone")
    await other.close()
    finding = await _look(backend, "nodes")
    assert (finding.level, "gone" in finding.found) == (Level.WARNING, True)
    await publish(backend, "here")
    finding = await _look(backend, "nodes")
    assert (finding.level, finding.found) == (Level.GOOD, "1 alive, 1 dead")


async def test_opened_for_reading(backend: SqliteBackend, clock: FakeClock, path: Path) -> None:
    """Opened for reading nothing is tried that writes, and that is said."""
    del backend
    before = sorted(path.parent.rglob("*"))
    reading = SqliteBackend(path, clock=clock)
    await reading.open(create=False, write=False)
    findings = {finding.check: finding for finding in await reading.examine()}
    assert "not tried" in findings["locks"].found
    assert not {"writing", "latency"} & findings.keys()
    assert sorted(path.parent.rglob("*")) == before
    await reading.close()


async def test_no_roles(backend: SqliteBackend) -> None:
    """A file knows no roles, may be upgraded by the engine that opens it, and its nodes live by locks."""
    assert (backend.schema.grants("web"), backend.schema.unattended, backend.timed_leases) == (None, True, False)
