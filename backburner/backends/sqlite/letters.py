"""Dead letters, on their way back or out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite import telling
from backburner.backends.sqlite.asking import find_asked
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.failures import is_content, why_refused
from backburner.backends.sqlite.opening import open_where
from backburner.backends.sqlite.operations import swap
from backburner.backends.sqlite.statements import load
from backburner.backends.sqlite.steps import run
from backburner.errors import StoreRefused
from backburner.model.job import UNIQUE_GATE
from backburner.ports.jobs import Disposed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from backburner.model.operation import OperationRecord
    from backburner.ports.jobs import Letter

__all__ = ["purge", "replay"]

_LETTERS = load("letters")
_KEEPERS = load("keepers")
_REPLAY = load("replay")
_DISOWN = load("disown")
_FORGET = load("forget")
_DELETE = load("delete")


class _Found(msgspec.Struct, array_like=True, gc=False):
    """A dead letter as it is stored: the column order of its statement."""

    id: str
    seq: int
    token: int
    #: The unique key that it would hold if it were pending.
    key: str | None
    #: Its parent, where that has not ended.
    parent: str | None


_decode_found = msgspec.json.Decoder(list[_Found]).decode
_decode_holders = msgspec.json.Decoder(dict[str, str]).decode


def replay(
    connection: sqlite3.Connection, letters: Sequence[Letter], operation: OperationRecord | None, now: int
) -> Disposed:
    """Bring letters back; raises `StoreRefused`, naming the job, before anything is written."""
    asked = _first_of_each(letters)
    _check(asked)
    found = _find(connection, asked, now)
    kept = _find_holders(connection, [each for each in asked if each.id in found], found, now)
    disposed = Disposed(now=now, missed=_missed(asked, found), kept=kept)
    if operation is not None and not _count(connection, operation, len(asked), disposed):
        return Disposed(now=now, outrun=True)
    rows = [
        (found[each.id].seq, each.gate, each.args, each.retry)
        for each in asked
        if each.id in found and each.id not in kept
    ]
    if rows:
        _tell(connection, [seq for seq, *_ in rows], telling.REPLAYED, now)
        connection.execute(_REPLAY, {"letters": to_json(rows), "now": now})
        open_where(connection, {gate for _, gate, _, _ in rows}, now)
    return disposed


def purge(
    connection: sqlite3.Connection, letters: Sequence[Letter], operation: OperationRecord | None, now: int
) -> Disposed:
    """Delete letters, and let their children go."""
    asked = _first_of_each(letters)
    found = _find(connection, asked, now)
    kept = {job_id: each.parent for job_id, each in found.items() if each.parent is not None}
    disposed = Disposed(now=now, missed=_missed(asked, found), kept=kept)
    if operation is not None and not _count(connection, operation, len(asked), disposed):
        return Disposed(now=now, outrun=True)
    gone = [each for each in found.values() if each.id not in kept]
    if gone:
        _tell(connection, [each.seq for each in gone], telling.PURGED, now, reason="purged")
        connection.execute(_DISOWN, {"ids": to_json([each.id for each in gone])})
        seqs = to_json([each.seq for each in gone])
        connection.execute(_FORGET, {"seqs": seqs})
        connection.execute(_DELETE, {"seqs": seqs})
    return disposed


def _tell(
    connection: sqlite3.Connection, seqs: Sequence[int], name: str, now: int, *, reason: str | None = None
) -> None:
    asked = run(connection, find_asked())
    run(connection, telling.of_letters(to_json(seqs), name, asked, now, reason=reason))


def _first_of_each(letters: Iterable[Letter]) -> list[Letter]:
    first: dict[str, Letter] = {}
    for letter in letters:
        first.setdefault(letter.id, letter)
    return [*first.values()]


def _check(letters: Sequence[Letter]) -> None:
    try:
        to_json([(each.gate, each.args, each.retry) for each in letters])
    except Exception as error:
        if not is_content(error):
            raise
        guilty = next(each.id for each in letters if not _is_storable(each))
        raise StoreRefused(
            f"Job {guilty!r} cannot be replayed: {why_refused(error)}", stored="no", job_id=guilty
        ) from error


def _is_storable(letter: Letter) -> bool:
    try:
        to_json([letter.gate, letter.args, letter.retry])
    except Exception as error:
        if is_content(error):
            return False
        raise
    return True


def _find(connection: sqlite3.Connection, letters: Sequence[Letter], now: int) -> dict[str, _Found]:
    """Return the letters that are as they were found, by id."""
    tokens = {letter.id: letter.token for letter in letters}
    (rows,) = connection.execute(_LETTERS, {"ids": to_json([*tokens]), "now": now}).fetchone()
    return {each.id: each for each in _decode_found(rows) if each.token == tokens[each.id]}


def _find_holders(
    connection: sqlite3.Connection, letters: Sequence[Letter], found: dict[str, _Found], now: int
) -> dict[str, str]:
    """Return who holds the keys that letters would hold, by the letters' ids: the first of those of one key takes it."""
    # Whoever stands at the gate of its own key does not hold it.
    keys = {
        each.id: key for each in letters if (key := found[each.id].key) is not None and each.gate != UNIQUE_GATE + key
    }
    if not keys:
        return {}
    (rows,) = connection.execute(_KEEPERS, {"jobs": to_json([*keys.items()]), "now": now}).fetchone()
    holders = _decode_holders(rows)
    taken: dict[str, str] = {}
    for job_id, key in keys.items():
        if job_id not in holders and taken.setdefault(key, job_id) != job_id:
            holders[job_id] = taken[key]
    return holders


def _missed(letters: Iterable[Letter], found: dict[str, _Found]) -> tuple[str, ...]:
    return tuple(each.id for each in letters if each.id not in found)


def _count(connection: sqlite3.Connection, operation: OperationRecord, number: int, disposed: Disposed) -> bool:
    """Write into its operation what becomes of so many letters; False when its version is another."""
    kept, missed = len(disposed.kept), len(disposed.missed)
    return swap(connection, operation, disposed.now, done=number - kept - missed, kept=kept, missed=missed)
