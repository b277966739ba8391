"""Lanes that open: who stands there is let into the line."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.lanes import decode_lanes, load_lanes
from backburner.backends.sqlite.statements import load
from backburner.model.lane import LANE_GATE
from backburner.resilience import rates

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from backburner.backends.sqlite.lanes import Lane

__all__ = ["Round", "forget", "open_due", "open_where", "release"]

_OPENING = load("opening")
_THOSE = load("those_in_lanes")
_LET_IN = load("let_in")
_SHUT = load("shut_lanes")
_FORGET = load("forget_lanes")
_OPEN = load("open_lanes")

#: Lanes that one claim opens, and jobs that it lets in; it must not hold the writer for long.
_MOST_LANES = 100
_MOST_JOBS = 1000

_decode_those = msgspec.json.Decoder(list[tuple[str, int]]).decode
_decode_names = msgspec.json.Decoder(list[str]).decode


def open_due(connection: sqlite3.Connection, now: int) -> None:
    """Let in whom there is room for, of each queue, at the lanes that open by now; the others wait for the next time."""
    (found,) = connection.execute(_OPENING, {"now": now, "limit": _MOST_LANES}).fetchone()
    lanes = decode_lanes(found)
    # Without a limit there is more room than is ever let in.
    free = {lane.name: _MOST_JOBS + 1 if (room := _room(lane, now)) is None else room for lane in lanes}
    asked = to_json([(name, room) for name, room in free.items() if room])
    (found,) = connection.execute(_THOSE, {"lanes": asked, "most": _MOST_JOBS}).fetchone()
    those = _decode_those(found)
    if those:
        connection.execute(_LET_IN, {"seqs": to_json([seq for _, seq in those])})
    let_in = Counter(name for name, _ in those)
    # Whom the bound kept out, the next claim lets in.
    cut = {name for name, room in free.items() if len(those) == _MOST_JOBS and let_in[name] < room}
    moments = [(lane.name, now if lane.name in cut else _opens_at(lane, free[lane.name], now)) for lane in lanes]
    connection.execute(_SHUT, {"lanes": to_json(moments)})
    forget(connection, [*free], now)


def release(connection: sqlite3.Connection, names: Sequence[str], now: int) -> int:
    """Have the next claim open those of these lanes, where jobs stand, that have room; return how many it would not have."""
    opened = [
        lane.name
        for lane in load_lanes(connection, names)
        if _room(lane, now) != 0 and (lane.opens_at is None or lane.opens_at > now)
    ]
    if opened:
        connection.execute(_OPEN, {"lanes": to_json(opened), "now": now})
    return len(opened)


def open_where(connection: sqlite3.Connection, gates: Iterable[str], now: int) -> None:
    """Have the next claim open the lanes among these gates, where jobs were put without being refused."""
    lanes = [gate.removeprefix(LANE_GATE) for gate in gates if gate.startswith(LANE_GATE)]
    if lanes:
        connection.execute(_OPEN, {"lanes": to_json(lanes), "now": now})


def forget(connection: sqlite3.Connection, names: Sequence[str], now: int) -> None:
    """Delete what is left of those of these lanes that nobody uses any more."""
    connection.execute(_FORGET, {"lanes": to_json(names), "now": now})


class Round:
    """Lanes in turn, by name, some at a time."""

    def __init__(self, statement: str) -> None:
        #: The next names after one.
        self._statement = load(statement)
        self._after = ""

    def go_on(self, connection: sqlite3.Connection, limit: int) -> list[str]:
        """Return the next of them, at most ``limit``, from the first again after the last."""
        (found,) = connection.execute(self._statement, {"after": self._after, "limit": max(0, limit)}).fetchone()
        names = _decode_names(found)
        self._after = names[-1] if names and len(names) == limit else ""
        return names


def _room(lane: Lane, now: int) -> int | None:
    """Return for how many more there is room; None is any number."""
    slots, rate = lane.slots(), lane.limit.rate
    if rate is None:
        return slots
    permits = lane.permits(rate, now)
    return permits if slots is None else min(slots, permits)


def _opens_at(lane: Lane, room: int, now: int) -> int | None:
    """Return when time opens a lane again after so many were let in; None where it is not time that they wait for."""
    rate = lane.limit.rate
    if rate is None or room != lane.permits(rate, now):
        return None
    return rates.next_at(rate, rates.spent(rate, lane.meter, now, room), now)
