"""Jobs that nobody settles: handed to a node that will."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.memory.row import claim_of
from backburner.backends.memory.telling import tell_lost
from backburner.model.job import Cause, Recovered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.backends.memory.database import MemoryDatabase
    from backburner.backends.memory.row import Row

__all__ = ["recover"]


def recover(database: MemoryDatabase, node: str, limit: int, now: int) -> tuple[Recovered, ...]:
    """Hand over the claims of dead nodes, then expired jobs; strike the dead nodes that hold nothing any more."""
    recovered: list[Recovered] = []
    # Whose key may have come free: it waited for it, or held it only while it was pending, or for a time that has passed.
    keys: list[str] = []
    for row in [*_lapsed(database, now)][: max(0, limit)]:
        # One handed over before keeps the cause and the node of the first time.
        _lose(database, row, now)
        cause, row.lapsed_on = (row.cause, row.lapsed_on) if row.cause is not None else (Cause.LAPSED, row.node)
        database.release(row)
        row.lent = False
        recovered.append(_hand_over(database, row, node, now, cause=cause))
        if row.job.unique is not None:
            keys.append(row.job.unique.key)
    for dead in [name for name in database.nodes if not database.alive(name, now) and name not in database.running]:
        del database.nodes[dead]
    while len(recovered) < limit and (head := database.expiring.head()) is not None and head[0] <= now:
        row, gate = head[3], head[3].gate
        database.leave(row)
        recovered.append(_hand_over(database, row, node, now, cause=Cause.EXPIRED, gate=gate))
        if row.job.unique is not None:
            keys.append(row.job.unique.key)
    for key in dict.fromkeys(keys):
        database.let_through(key, now)
    return tuple(recovered)


def _lose(database: MemoryDatabase, row: Row, now: int) -> None:
    """Take note that the node of a row has died; the first time it is told."""
    entry = database.nodes.get(row.node or "")
    if entry is not None and not entry.lost:
        entry.lost = True
        if database.log.asked:
            tell_lost(database, entry, now)


def _lapsed(database: MemoryDatabase, now: int) -> Iterator[Row]:
    for holder, rows in database.running.items():
        if not database.alive(holder, now):
            yield from rows.values()


def _hand_over(database: MemoryDatabase, row: Row, node: str, now: int, *, cause: Cause, gate: str = "") -> Recovered:
    row.cause = cause
    database.hold(row, node, row.token + 1)
    return Recovered(claim=claim_of(row, gate, now), cause=cause, node=row.lapsed_on, cancel=row.asked is not None)
