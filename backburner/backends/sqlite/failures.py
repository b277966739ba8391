"""What SQLite's errors mean, in the words of the error tree."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from backburner.errors import (
    SchemaTooOld,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from pathlib import Path

    from backburner.errors import Stored

__all__ = ["Unstorable", "is_content", "is_duplicate", "primary_code", "translate", "why_refused"]

#: The low byte of an extended result code is the primary one.
_PRIMARY = 0xFF

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
#: What an error is, and what to do about it.
_ADVICE: dict[int | None, tuple[type[StoreError], str]] = {
    **dict.fromkeys(
        (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM),
        (StoreReadOnly, "check the permissions of the file and its directory, and how the file system is mounted"),
    ),
    **dict.fromkeys(
        (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT),
        (StoreCorrupt, "restore it from a backup, or see what `sqlite3 FILE .recover` saves"),
    ),
    sqlite3.SQLITE_FULL: (StoreFull, "make room on its disk"),
    sqlite3.SQLITE_CANTOPEN: (StoreUnavailable, "check that it exists, and the permissions of its directory"),
}
_CONTENT = frozenset({sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH})


class Unstorable(ValueError):
    """A value cannot be stored as it is."""


def primary_code(error: BaseException) -> int | None:
    """Return the primary result code of an error of SQLite; None for any other error."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & _PRIMARY


def translate(error: Exception, path: Path, *, timeout: float, stored: Stored) -> Exception:
    """Return the `StoreError` that tells of an error of SQLite or of the disk; any other is returned as it is."""
    if isinstance(error, sqlite3.Error):
        told = _told(error, path, timeout=timeout, stored=stored)
    elif isinstance(error, OSError):
        told = StoreUnavailable(f"{path}: {error}; check the disk, and the permissions of the directory", stored=stored)
    else:
        return error
    told.__cause__ = error
    return told


def _told(error: sqlite3.Error, path: Path, *, timeout: float, stored: Stored) -> StoreError:
    code = primary_code(error)
    if code in _BUSY:
        return StoreBusy(
            f"{path} has been write-locked for {timeout:.1f} s by another connection, which may be one given as tx whose "
            "transaction is still open: end it, keep transactions on the file short, or give the jobs a file of their own",
            stored="no",
        )
    if code == sqlite3.SQLITE_INTERRUPT:
        return StoreUnavailable(
            f"{path}: a transaction took longer than write_timeout, {timeout:.1f} s, and was rolled back: raise that, or see to the disk",
            stored="no",
        )
    if "no such table" in str(error) or "no such column" in str(error):
        return SchemaTooOld(
            f"{path} lacks tables that this backburner needs ({error}): run `backburner db upgrade`", stored="no"
        )
    kind, advice = _ADVICE.get(code, (StoreUnavailable, "see to the disk and the file system it is on"))
    return kind(f"{path}: {error}; {advice}", stored=stored)


def is_content(error: Exception) -> bool:
    """Tell whether the values of a write were refused, rather than the write."""
    return isinstance(error, (UnicodeError, OverflowError, Unstorable)) or primary_code(error) in _CONTENT


def is_duplicate(error: sqlite3.IntegrityError) -> bool:
    """Tell whether a row of the same key stands already."""
    return error.sqlite_errorcode in {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}


def why_refused(error: Exception) -> str:
    """Say why values were refused, without repeating them."""
    if isinstance(error, UnicodeError):
        return "a text is not valid Unicode: it holds half of a surrogate pair"
    if isinstance(error, OverflowError):
        return "a number does not fit into 64 bits"
    return str(error)
