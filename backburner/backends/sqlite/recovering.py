"""Jobs that nobody settles, on their way to a node that will."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.appending import carry
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.keys import let_through
from backburner.backends.sqlite.statements import load
from backburner.backends.sqlite.steps import run
from backburner.model.event import NewEvent
from backburner.model.job import Cause, Recovered
from backburner.ports.jobs import Recovery

if TYPE_CHECKING:
    import sqlite3

    from backburner.backends.sqlite.locks import NodeLocks

__all__ = ["recover"]

_HOLDERS = load("holders")
_RECOVERABLE = load("recoverable")
_LOSE = load("lose")
_TAKE_OVER = load("take_over")
_IDLE = load("idle")
_STRIKE = load("strike")

_encode = msgspec.json.Encoder().encode
_decode_nodes = msgspec.json.Decoder(list[str]).decode
_decode_recovered = msgspec.json.Decoder(tuple[Recovered, ...]).decode


def recover(connection: sqlite3.Connection, locks: NodeLocks, node: str, *, limit: int, now: int) -> Recovery:
    """Hand over the claims of nodes whose locks are free, then expired jobs; strike dead nodes that hold nothing."""
    (found,) = connection.execute(_HOLDERS).fetchone()
    known = _decode_nodes(found)
    dead = to_json([each for each in locks.dead(known) if each != node])
    jobs, seqs = connection.execute(_RECOVERABLE, {"nodes": dead, "now": now, "limit": max(0, limit)}).fetchone()
    recovered = _decode_recovered(jobs)
    if any(each.cause is Cause.LAPSED for each in recovered):
        _tell_of_lost(connection, seqs, now)
    if recovered:
        connection.execute(_TAKE_OVER, {"seqs": seqs, "node": node})
        # Whose key may have come free: it waited for it, or held it only while it was pending, or for a time.
        run(connection, let_through((each.claim.id for each in recovered), now))
    if dead != "[]":
        (idle,) = connection.execute(_IDLE, {"nodes": dead}).fetchone()
        if idle != "[]":
            connection.execute(_STRIKE, {"nodes": idle})
            locks.forget(_decode_nodes(idle))
    locks.sweep(known)
    return Recovery(now, recovered)


def _tell_of_lost(connection: sqlite3.Connection, seqs: str, now: int) -> None:
    """Tell, once for each, of nodes that hold jobs which are to be taken over."""
    lost = connection.execute(_LOSE, {"seqs": seqs}).fetchall()
    events = [
        NewEvent(name="node.lost", subject=node, data=_encode({"host": host}).decode()) for node, host in sorted(lost)
    ]
    carry(connection, events, now)
