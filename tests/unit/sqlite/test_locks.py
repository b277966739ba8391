"""A node's life is a lock on a file."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from backburner.backends.sqlite.backend import SqliteBackend
from backburner.backends.sqlite.locks import NodeLocks
from backburner.errors import LeaseLost
from backburner.model.clock import SystemClock
from backburner.model.job import Cause
from backburner.ports.jobs import Birth
from tests.unit.sqlite.making import completed, demand, new, node

if TYPE_CHECKING:
    from pathlib import Path

    from backburner.testing import FakeClock

WORK = """
import asyncio, pathlib, sys
from backburner.backends.sqlite.backend import SqliteBackend
from backburner.model.clock import SystemClock
from tests.unit.sqlite.making import demand, new, node

async def main():
    backend = SqliteBackend(pathlib.Path(sys.argv[1]), clock=SystemClock())
    await backend.open(create=False)
    await backend.nodes.publish(node("doomed"), 1)
    await backend.jobs.enqueue([[new("a"), new("b")]])
    print(len((await backend.jobs.claim(demand(id="doomed"))).claims), flush=True)
    sys.stdin.readline()

asyncio.run(main())
"""


def _working(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORK, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def locks(tmp_path: Path) -> NodeLocks:
    """Bring the node files of a database."""
    return NodeLocks(tmp_path / "nodes")


def test_a_lock_is_seen_from_beside_it(locks: NodeLocks, tmp_path: Path) -> None:
    """A held lock is seen by the holder and by others of the same process; released, its node is dead to all."""
    other = NodeLocks(tmp_path / "nodes")
    locks.hold("node")
    locks.hold("node")
    assert (locks.holds("node"), other.holds("node")) == (True, False)
    assert locks.dead(["node", "unknown"]) == other.dead(["node", "unknown"]) == ["unknown"]
    locks.release("node")
    locks.release("node")
    assert locks.dead(["node"]) == other.dead(["node"]) == ["node"]


def test_looking_is_not_seen(locks: NodeLocks, tmp_path: Path) -> None:
    """Who looks at a dead node's file while another looks finds it dead too."""
    locks.hold("node")
    locks.release("node")
    (name,) = locks.dead_files()
    with (tmp_path / "nodes" / name).open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert locks.dead(["node"]) == ["node"]


def test_a_lock_that_cannot_be_asked_for_proves_no_death(locks: NodeLocks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel answers neither yes nor no, nobody is dead, and the thread that looks lives on."""
    locks.hold("node")
    locks.release("node")

    def refuse(file: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available", str((file, operation)))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert locks.dead(["node"]) == []
    assert locks.dead_files() == frozenset()


@pytest.mark.parametrize("name", ["../escape", "a/b", ".", "%2F", "ä"])
def test_any_name_is_a_file_of_its_own(locks: NodeLocks, tmp_path: Path, name: str) -> None:
    """No node id leads out of the directory."""
    locks.hold(name)
    assert len(list((tmp_path / "nodes").iterdir())) == 1
    assert locks.dead([name]) == []
    locks.forget([name])
    locks.release(name)
    assert locks.dead([name]) == [name]


def test_a_forked_child_holds_no_lock(locks: NodeLocks) -> None:
    """A child closes its parent's files: the parent's lock stays, and ends with the parent alone."""
    locks.hold("node")
    ready, going = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(going, b"1" if locks.holds("node") else b"0")
        signal.pause()
    try:
        assert os.read(ready, 1) == b"0"
        assert locks.dead(["node"]) == []
        locks.release("node")
        assert locks.dead(["node"]) == ["node"]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(going)


async def test_a_killed_process_loses_its_jobs_at_once(backend: SqliteBackend, path: Path) -> None:
    """What a killed process ran is handed over by the next recovery, and its node is struck."""
    await backend.nodes.publish(node(), 1)
    with _working(path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "2\n"
        assert (await backend.jobs.recover("node", 10)).jobs == ()
        process.kill()
        process.wait()
    assert [(each.id, each.alive) for each in await backend.nodes.find()] == [("doomed", False), ("node", True)]
    recovered = (await backend.jobs.recover("node", 10)).jobs
    assert sorted((each.claim.id, each.cause, each.node) for each in recovered) == [
        ("a", Cause.LAPSED, "doomed"),
        ("b", Cause.LAPSED, "doomed"),
    ]
    assert [each.id for each in await backend.nodes.find()] == ["node"]
    assert len(list(path.with_name("jobs.db-nodes").iterdir())) == 1


async def test_a_dead_node_stays_until_all_it_held_is_recovered(backend: SqliteBackend) -> None:
    """Bounded recoveries strike a dead node with the last of its claims."""
    await backend.nodes.publish(node("doomed"), 1)
    await backend.jobs.enqueue([[new(str(number)) for number in range(3)]])
    await backend.jobs.claim(demand(id="doomed"))
    async with backend.keeper() as keeper:
        await keeper.abandon("doomed")
        with pytest.raises(LeaseLost):
            await keeper.beat("doomed", 1)
    assert len((await backend.jobs.recover("node", 2)).jobs) == 2
    assert [each.id for each in await backend.nodes.find()] == ["doomed"]
    assert len((await backend.jobs.recover("node", 2)).jobs) == 1
    assert await backend.nodes.find() == ()


async def test_a_node_without_its_lock_bears_nothing(backend: SqliteBackend) -> None:
    """Births on offer by a node whose lock was let go are stored pending, for a node that lives."""
    (group,) = (await backend.jobs.enqueue([[new()]], Birth("nobody", {"job": 7}))).groups
    assert group.born == ()


async def test_files_that_nobody_knows_are_swept(backend: SqliteBackend, path: Path) -> None:
    """A node that died before it was entered leaves a file, which the next recovery removes."""
    stray = NodeLocks(path.with_name("jobs.db-nodes"))
    stray.hold("stray")
    await backend.jobs.recover("node", 10)
    assert stray.dead(["stray"]) == []
    stray.release("stray")
    await backend.jobs.recover("node", 10)
    assert list(path.with_name("jobs.db-nodes").iterdir()) == []


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_removed_file_proves_nothing(backend: SqliteBackend, path: Path, *, replaced: bool) -> None:
    """A node whose file was removed under it is dead to all others, so it loses its lease and must come back anew."""
    await backend.nodes.publish(node(), 1)
    (file,) = path.with_name("jobs.db-nodes").iterdir()
    async with backend.keeper() as keeper:
        await keeper.beat("node", 1)
        file.unlink()
        if replaced:
            file.touch()
        with pytest.raises(LeaseLost):
            await keeper.beat("node", 1)
    with pytest.raises(LeaseLost):
        await backend.jobs.claim(demand())


async def test_closing_lets_the_locks_go(path: Path, backend: SqliteBackend, clock: FakeClock) -> None:
    """A store closed without withdrawing its nodes leaves them dead, not undecided."""
    other = SqliteBackend(path, clock=clock)
    await other.open(create=False)
    await other.nodes.publish(node("other"), 1)
    assert [each.alive for each in await backend.nodes.find()] == [True]
    await other.close()
    assert [each.alive for each in await backend.nodes.find()] == [False]


async def test_two_links_to_one_file_are_one_store(path: Path, backend: SqliteBackend, tmp_path: Path) -> None:
    """A symbolic link leads to the same database and the same node files."""
    link = tmp_path / "link.db"
    link.symlink_to(path)
    other = SqliteBackend(link, clock=SystemClock())
    await other.open(create=False)
    await other.nodes.publish(node("other"), 1)
    assert [each.alive for each in await backend.nodes.find()] == [True]
    assert other.address == backend.address
    await other.close()


async def test_a_settlement_after_the_lock_is_gone(backend: SqliteBackend) -> None:
    """Without its lock a node may still settle what nobody took over, but claims nothing with it."""
    await backend.nodes.publish(node(), 1)
    await backend.jobs.enqueue([[new()]])
    claims = (await backend.jobs.claim(demand())).claims
    async with backend.keeper() as keeper:
        await keeper.abandon("node")
    with pytest.raises(LeaseLost):
        await backend.jobs.settle("node", completed(claims), demand())
    assert (await backend.jobs.settle("node", completed(claims))).stale == ()
