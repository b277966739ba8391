"""Subscriptions on their way on, with the jobs that handle what they were handed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.halving import Halving
from backburner.backends.sqlite.asking import find_asked
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.failures import is_content, why_refused
from backburner.backends.sqlite.inserting import store
from backburner.backends.sqlite.statements import load
from backburner.backends.sqlite.steps import run
from backburner.ports.events import Confirmed
from backburner.ports.jobs import GroupAnswer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from backburner.backends.sqlite.asking import Asked
    from backburner.ports.events import Confirmation

__all__ = ["confirm"]

_CURSORS = load("cursors")
_MOVE = load("move_cursors")

_decode_cursors = msgspec.json.Decoder(dict[str, int]).decode


def confirm(connection: sqlite3.Connection, confirmations: Sequence[Confirmation], now: int) -> Confirmed:
    """Apply confirmations in their order, halving away those whose jobs are refused for their content."""
    answers: list[GroupAnswer | None] = [None] * len(confirmations)
    asked = run(connection, find_asked())
    plan = Halving(len(confirmations))
    for part in plan:
        connection.execute("SAVEPOINT confirmations")
        try:
            answers[part.start : part.stop] = _apply(connection, confirmations[part.start : part.stop], asked, now)
        except Exception as error:
            if not is_content(error):
                raise
            connection.execute("ROLLBACK TO confirmations")
            if not plan.split(part):
                answers[part.start] = GroupAnswer(refused=why_refused(error))
        connection.execute("RELEASE confirmations")
    return Confirmed(now=now, groups=tuple(answers))


def _apply(
    connection: sqlite3.Connection, confirmations: Sequence[Confirmation], asked: Asked, now: int
) -> list[GroupAnswer | None]:
    """Apply those that say where their subscription stands, all or none: a statement for each table, however many."""
    (found,) = connection.execute(_CURSORS, {"names": to_json([*{each.name for each in confirmations}])}).fetchone()
    cursors = _decode_cursors(found)
    heard: list[bool] = []
    for each in confirmations:
        first = cursors.get(each.name) == each.cursor
        if first:
            cursors[each.name] = each.upto
        heard.append(first)
    applied = [each for each, first in zip(confirmations, heard, strict=True) if first]
    if not applied:
        return [None] * len(confirmations)
    groups = iter(run(connection, store([each.jobs for each in applied], None, now, asked)))
    connection.execute(_MOVE, {"cursors": to_json([(each.name, cursors[each.name]) for each in applied])})
    return [next(groups) if first else None for first in heard]
