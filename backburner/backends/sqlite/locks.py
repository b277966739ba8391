"""Proof of life: each node holds a lock on a file of its own, and its kernel lets go when the node dies."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import quote
from weakref import WeakSet

from backburner.errors import StoreReadOnly, StoreUnsupported

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NodeLocks"]

_SUFFIX = ".lock"
#: Other users of the database look at the lock; nobody writes into the file.
_READABLE = 0o644


class NodeLocks:
    """The node files of one database, and those that this backend holds.

    ``flock`` belongs to the open file: two backends of one process conflict as two processes do. A forked child shares
    its parent's open files, and would keep a dead parent's locks: it closes them at once, without unlocking. Looking
    takes a shared lock, so that two who look do not see each other. Safe to use from any thread.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._held: dict[str, int] = {}
        self._lock = Lock()
        _alive.add(self)

    def prove(self) -> None:
        """Raise `StoreUnsupported` where locks do not hold, `StoreReadOnly` where there can be none."""
        try:
            self._directory.mkdir(exist_ok=True)
            first, name = tempfile.mkstemp(dir=self._directory, prefix="test-")
        except OSError as error:
            raise StoreReadOnly(
                f"{self._directory} cannot hold node files ({error}): check its permissions", stored="no"
            ) from error
        try:
            second = os.open(name, os.O_RDONLY)
            try:
                fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
                holds = not _lock(second)
            except OSError as error:
                raise self._unsupported(str(error)) from error
            finally:
                os.close(second)
        finally:
            os.close(first)
            Path(name).unlink()
        if not holds:
            raise self._unsupported("one file was locked twice")

    def _unsupported(self, why: str) -> StoreUnsupported:
        return StoreUnsupported(
            f"The file system of {self._directory} does not keep file locks ({why}), so SQLite is not safe there "
            "either: move the database to a local file system",
            stored="no",
        )

    def hold(self, node: str) -> None:
        """Prove from now on that a node lives; twice is once."""
        with self._lock:
            if node in self._held:
                return
            self._directory.mkdir(exist_ok=True)
            file, name = tempfile.mkstemp(dir=self._directory, prefix="new-")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # It appears under its name locked already: nobody ever sees a living node's file unlocked.
            new = Path(name)
            new.chmod(_READABLE)
            new.rename(self._file(node))
            self._held[node] = file

    def holds(self, node: str) -> bool:
        """Tell whether this backend holds a node's lock."""
        return node in self._held

    def proves(self, node: str) -> bool:
        """Tell whether others see that a node lives: it is held, and the file of its name is still the one locked."""
        with self._lock:
            file = self._held.get(node)
            if file is None:
                return False
            try:
                return os.path.samestat(os.fstat(file), self._file(node).stat())
            except FileNotFoundError:
                return False
            except OSError:
                # Nobody is dead without proof.
                return True

    def release(self, node: str) -> None:
        """Let a node's lock go, as its death would; nothing if it is not held."""
        with self._lock:
            file = self._held.pop(node, None)
            if file is not None:
                os.close(file)

    def release_all(self) -> None:
        """Let every lock go."""
        for node in tuple(self._held):
            self.release(node)

    def forget(self, nodes: Iterable[str]) -> None:
        """Remove the files of nodes that are gone."""
        for node in nodes:
            _remove(self._file(node))

    def dead(self, nodes: Iterable[str]) -> list[str]:
        """Return those of these nodes that are dead."""
        return [node for node in nodes if self._is_dead(self._file(node))]

    def dead_files(self) -> frozenset[str]:
        """Return the names of all files whose nodes are dead."""
        try:
            files = list(self._directory.iterdir())
        except OSError:
            # None yet; or none that can be seen, and nobody is dead without proof.
            return frozenset()
        return frozenset(file.name for file in files if file.suffix == _SUFFIX and self._is_dead(file))

    def sweep(self, known: Iterable[str]) -> None:
        """Remove the files of dead nodes that nobody knows: of those that died while they were entered or struck."""
        for name in self.dead_files() - {self._file(node).name for node in known}:
            _remove(self._directory / name)

    def close_in_child(self) -> None:
        """Close the files that a forked child has no business with; the parent's locks stay."""
        # Another thread may have held the parent's lock as it forked; here, nobody else lives.
        self._lock = Lock()
        for file in self._held.values():
            os.close(file)
        self._held.clear()

    def _file(self, node: str) -> Path:
        return self._directory / (quote(node, safe="") + _SUFFIX)

    def _is_dead(self, path: Path) -> bool:
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return True
        except OSError:
            # Nobody is dead without proof.
            return False
        try:
            return _lock(file)
        except OSError:
            # The kernel has no lock to spare, or the disk fails: no proof either.
            return False
        finally:
            os.close(file)


def _remove(path: Path) -> None:
    # One that cannot be removed now is swept by a later recovery.
    with suppress(OSError):
        path.unlink()


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


_alive: WeakSet[NodeLocks] = WeakSet()


def _after_fork() -> None:
    for locks in tuple(_alive):
        locks.close_in_child()


os.register_at_fork(after_in_child=_after_fork)
