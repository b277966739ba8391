"""What comes free when runs end or lend their slots: unique keys and lanes, and who is let in for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.keys import free_keys
from backburner.backends.sqlite.statements import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.sqlite.steps import Steps

__all__ = ["free", "lend"]

_ANYBODY = load("anybody")
_HELD_LANES = load("held_lanes")
_LET_GO = load("let_go")
_STANDING_IN = load("standing_in")
_OPEN = load("open_lanes")
_LENT = load("lent")
_HOLD_AGAIN = load("hold_again")

_decode_names = msgspec.json.Decoder(set[str]).decode
_decode_lent = msgspec.json.Decoder(list[tuple[str, int]]).decode


def free(ids: Sequence[str], now: int, *, joined: bool) -> Steps[tuple[set[str], int]]:
    """Free what these jobs held that have ended; return the lanes that open for it, and how many are let in by keys.

    In a caller's transaction, of which others hear late, no lane opens: a release does that.

    Where nobody waits for a key and nobody runs in a lane, which is nearly always so, that is one probe.
    """
    waiting, running = yield _ANYBODY, {}
    opened = (yield from _leave(ids, now, joined=joined)) if running else set[str]()
    let_in = (yield from free_keys(ids, now)) if waiting else 0
    return opened, let_in


def lend(notes: Sequence[tuple[str, int, bool]], node: str, now: int, *, joined: bool) -> Steps[set[str]]:
    """Have runs, each with its token, count no more while they lend their slots, and again afterwards, whatever room is.

    Comes before that is written down. Returns the lanes that open.
    """
    (found,) = yield _LENT, {"notes": to_json(notes), "node": node}
    changes = _decode_lent(found)
    back = [job_id for job_id, lent in changes if not lent]
    if back:
        yield _HOLD_AGAIN, {"ids": to_json(back)}
    lent = [job_id for job_id, lent in changes if lent]
    return (yield from _leave(lent, now, joined=joined)) if lent else set()


def _leave(ids: Sequence[str], now: int, *, joined: bool) -> Steps[set[str]]:
    """Count runs no more against the slots of their lanes; return those where jobs stand, which the next claim opens."""
    runs = {"ids": to_json(ids)}
    (lanes,) = yield _HELD_LANES, runs
    if lanes == "[]":
        return set()
    yield _LET_GO, runs
    if joined:
        return set()
    (standing,) = yield _STANDING_IN, {"lanes": lanes}
    opened = _decode_names(standing)
    if opened:
        yield _OPEN, {"lanes": standing, "now": now}
    return opened
