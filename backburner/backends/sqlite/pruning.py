"""Ended jobs whose time has passed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite import telling
from backburner.backends.sqlite.asking import find_asked
from backburner.backends.sqlite.statements import load
from backburner.backends.sqlite.steps import run

if TYPE_CHECKING:
    import sqlite3

    from backburner.ports.jobs import Keep

__all__ = ["prune"]

_PRUNABLE = load("prunable")
_CHILDREN = load("children")
_ORPHAN = load("orphan")
_CHILDLESS = load("childless")
_LIFT = load("lift")
_FORGET = load("forget")
_DELETE = load("delete")
_FORGET_OPERATIONS = load("forget_operations")
_FORGET_LEASES = load("forget_leases")
_FORGET_TICKS = load("forget_ticks")
_OLD_EVENTS = load("old_events")
_FORGET_EVENTS = load("forget_events")
_MARK_PRUNED = load("mark_pruned")
_FORGET_SUBSCRIPTIONS = load("forget_subscriptions")

_decode_seqs = msgspec.json.Decoder(list[int]).decode


def prune(connection: sqlite3.Connection, keep: Keep, limit: int, now: int) -> int:
    """Delete jobs, after letting their children go, operations, lines of ledgers, events and subscriptions.

    Returns how many rows changed, without those lifted out.

    A job that is kept for its parent's sake lets its children go all the same, and is then lifted out of what is to be
    pruned, so that it is not looked at again until its parent lets it go.
    """
    lengths = {"completed": keep.completed, "cancelled": keep.cancelled, "dead": keep.dead}
    before = {state: None if length is None else now - length for state, length in lengths.items()}
    asked = run(connection, find_asked())
    changed = 0
    left = limit
    while left > 0:
        (seqs,) = connection.execute(_PRUNABLE, {**before, "limit": left}).fetchone()
        if seqs == "[]":
            break
        (children,) = connection.execute(_CHILDREN, {"seqs": seqs, "limit": left}).fetchone()
        orphans = len(_decode_seqs(children))
        if orphans:
            connection.execute(_ORPHAN, {"seqs": children})
        gone, kept = connection.execute(_CHILDLESS, {"seqs": seqs, "limit": left - orphans}).fetchone()
        deleted, lifted = len(_decode_seqs(gone)), len(_decode_seqs(kept))
        if deleted:
            run(connection, telling.of_letters(gone, telling.PURGED, asked, now, reason="retention"))
            connection.execute(_FORGET, {"seqs": gone})
            connection.execute(_DELETE, {"seqs": gone})
        if lifted:
            connection.execute(_LIFT, {"seqs": kept})
        changed += orphans + deleted
        left -= orphans + deleted + lifted
    if left > 0 and keep.dead is not None:
        forgotten = connection.execute(_FORGET_OPERATIONS, {"before": now - keep.dead, "limit": left}).rowcount
        changed += forgotten
        left -= forgotten
    if left > 0 and keep.ticks is not None:
        forgotten = connection.execute(_FORGET_TICKS, {"before": now - keep.ticks, "limit": left}).rowcount
        changed += forgotten
        left -= forgotten
    if left > 0 and keep.events is not None:
        changed += _forget_events(connection, now - keep.events, left)
    changed += connection.execute(_FORGET_SUBSCRIPTIONS, {"now": now}).rowcount
    connection.execute(_FORGET_LEASES, {"name": None, "now": now})
    return changed


def _forget_events(connection: sqlite3.Connection, before: int, limit: int) -> int:
    """Delete the oldest events, and note how far; return how many."""
    (upto,) = connection.execute(_OLD_EVENTS, {"before": before, "limit": limit}).fetchone()
    if upto is None:
        return 0
    connection.execute(_MARK_PRUNED, {"upto": upto})
    return connection.execute(_FORGET_EVENTS, {"upto": upto}).rowcount
