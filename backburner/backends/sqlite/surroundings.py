"""What a database file lives on: its file system, the room that is left, how long its disk takes to keep a write."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from backburner.model.clock import SECOND
from backburner.model.duration import short
from backburner.ports.backend import Finding, Level

if TYPE_CHECKING:
    from backburner.backends.sqlite.place import Place
    from backburner.model.clock import Clock

__all__ = ["MOUNTS", "ROOM", "file_system", "look_around", "time_of_a_write"]

#: Where Linux tells what is mounted.
MOUNTS = Path("/proc/self/mountinfo")

#: Blanks and the like in a mount's place.
_ESCAPED = re.compile(r"\\([0-7]{3})")

#: File systems whose files are gone with what they belong to, and that.
_PASSING = {
    **dict.fromkeys(("overlay", "aufs"), "its container"),
    **dict.fromkeys(("tmpfs", "ramfs"), "the machine's next start"),
}
#: File systems of other machines: SQLite's log needs memory that all its users share.
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "lustre", "beegfs", "afs", "gpfs"})
#: File systems that may be another machine's, or a host's seen from its guest.
_FOREIGN = frozenset({"9p", "virtiofs", "vboxsf", "prl_fs"})

_MEGABYTE = 1_000_000
#: Room below which nobody is at ease, and below which writes are about to fail.
ROOM = (1000 * _MEGABYTE, 50 * _MEGABYTE)
#: A log is folded into the database long before it is as long as this.
_LONG = 250 * _MEGABYTE
#: Microseconds that a disk takes to keep a write, beyond which few jobs a second are to be had.
_SLOW = SECOND // 20
_TRIES = 5


def look_around(place: Place) -> list[Finding]:
    """Look at the file system, its room, and the sizes of the files. Blocks."""
    return [_file_system(place), _room(place), _size(place)]


def file_system(path: Path, mounts: str) -> str | None:
    """Return the type of the file system that a path is on, by the text of ``mountinfo``; None if that does not tell."""
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        mount, _, source = line.partition(" - ")
        point = Path(_ESCAPED.sub(lambda code: chr(int(code[1], 8)), mount.split(" ")[4]))
        # Of two mounts at one point the later hides the former.
        if path.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = (len(point.parts), source.split(" ")[0])
    return None if found is None else found[1]


def time_of_a_write(place: Place, clock: Clock) -> Finding:
    """Time how long the disk takes to keep a page, by a file of its own beside the database. Blocks."""
    times: list[float] = []
    with tempfile.TemporaryFile(dir=place.nodes) as file:
        for _ in range(_TRIES):
            before = clock.monotonic()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            times.append(clock.monotonic() - before)
    time = round(median(times) * SECOND)
    if time <= _SLOW:
        return _good("latency", f"The disk keeps a write in {_told(time)}")
    return Finding(
        check="latency",
        level=Level.WARNING,
        found=f"The disk takes {_told(time)} to keep a write, and every commit waits for that",
        mend="move the file to a local SSD, or store jobs in groups: a group is one commit",
    )


def _file_system(place: Place) -> Finding:
    kind = None
    with suppress(OSError, ValueError, IndexError):
        kind = file_system(place.path, MOUNTS.read_text("utf-8", "surrogateescape"))
    if kind is None:
        return _good("file system", "Which file system the file is on cannot be seen here")
    if kind in _PASSING:
        return Finding(
            check="file system",
            level=Level.WARNING,
            found=f"{place.path} is on {kind}: it is lost with {_PASSING[kind]}",
            mend="put it on a volume that stays, and name it by its absolute path: sqlite:////data/jobs.db",
        )
    if kind in _REMOTE:
        return Finding(
            check="file system",
            level=Level.PROBLEM,
            found=f"{place.path} is on {kind}, a network file system, where SQLite may damage the file",
            mend="move it to a local disk, or use a store that has a server",
        )
    if kind in _FOREIGN or kind.startswith("fuse"):
        return Finding(
            check="file system",
            level=Level.WARNING,
            found=f"{place.path} is on {kind}, whose locks and memory other machines may not share",
            mend="move it to a local disk, or make sure that only one machine uses it",
        )
    return _good("file system", f"The file is on {kind}")


def _room(place: Place) -> Finding:
    free = shutil.disk_usage(place.path.parent).free
    told = f"{_size_of(free)} are free on its disk"
    little, hardly = ROOM
    if free >= little:
        return _good("room", told)
    level = Level.WARNING if free >= hardly else Level.PROBLEM
    return Finding(check="room", level=level, found=told, mend="make room: a full disk refuses every write")


def _size(place: Place) -> Finding:
    log = place.path.with_name(place.path.name + "-wal")
    length = log.stat().st_size if log.exists() else 0
    told = f"The file has {_size_of(place.path.stat().st_size)}, its log {_size_of(length)}"
    if length <= _LONG:
        return _good("size", told)
    return Finding(
        check="size",
        level=Level.WARNING,
        found=f"{told}, which should have been folded into the file",
        mend="end what reads the file in a transaction that is never closed",
    )


def _good(check: str, found: str) -> Finding:
    return Finding(check=check, level=Level.GOOD, found=found)


def _told(time: int) -> str:
    return f"{time / 1000:.1f} ms" if time < SECOND else short(time)


def _size_of(size: int) -> str:
    return f"{size / _MEGABYTE:,.1f} MB"
