"""Due jobs on their way to a node."""

from __future__ import annotations

from heapq import merge
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from backburner.backends.sqlite import telling
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.judging import Judge
from backburner.backends.sqlite.lanes import named
from backburner.backends.sqlite.looking import LINE, Look, Looking, Room, stays
from backburner.backends.sqlite.statements import load
from backburner.backends.sqlite.steps import run
from backburner.model.clock import SECOND
from backburner.model.job import PAUSED_GATE, SUSPECT_GATE, UNKNOWN_GATE, Claim
from backburner.model.lane import LANE_GATE
from backburner.ports.jobs import ClaimBatch
from backburner.resilience import rates

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from backburner.backends.sqlite.asking import Asked
    from backburner.model.lane import Rate
    from backburner.ports.jobs import ClaimRequest

__all__ = ["claim"]

_TAKE = load("take")
_PARK = load("park")
_SPEND = load("spend")
_NEXT_DUE = load("next_due")

#: Before every due time.
_EVER = -(1 << 63)
#: Jobs that one claim parks; it must not hold the writer for long.
_MOST_PARKED = 1000
#: Where all that was seen was turned away, the next look sees so many times as many, at most so many at once.
_WIDER = 4
_WIDEST = 250

_decode_seqs = msgspec.json.Decoder(list[int]).decode


class _Found(NamedTuple):
    """A due job."""

    claim: Claim
    seq: int
    room: Room
    gate: str


def _order(found: _Found) -> tuple[int, int, str]:
    return found.claim.priority, found.claim.due_at, found.claim.id


def claim(connection: sqlite3.Connection, request: ClaimRequest, now: int, asked: Asked) -> ClaimBatch:
    """Hand over due jobs; the lease has been seen to."""
    batch = _Claiming(connection, request, now).run()
    run(connection, telling.claimed(batch.claims, request.node, asked, now))
    return batch


class _Claiming:
    """One claim under way."""

    def __init__(self, connection: sqlite3.Connection, request: ClaimRequest, now: int) -> None:
        self._connection = connection
        self._request = request
        self._looking = Looking(connection, request, now)
        self._judge = Judge(connection, now)
        self._now = now
        self._left = request.limit
        self._suspect = request.suspect
        self._claims: list[Claim] = []
        self._taken: list[int] = []
        #: Whom to park where.
        self._parked: list[tuple[int, str]] = []
        self._may_park = _MOST_PARKED
        #: How many were parked, by their unknown kind.
        self._unknown: dict[str, int] = {}
        #: Somebody was refused who stays where he is.
        self._passed = False
        #: Due jobs are left that the node could have taken, had it asked for more.
        self._more = False

    def run(self) -> ClaimBatch:
        opened = list(self._looking.open())
        rooms = [room for room, _, _ in opened]
        gated = [room for room, _, gated in opened if gated]
        if len(opened) == 1 and not gated and self._take_whole(*opened[0][:2]):
            return self._batch(rooms)
        self._looking.find_gates(gated)
        sources = [self._source(room, LINE, look) for room, look, _ in opened]
        sources += [
            self._source(room, gate, self._look(room, gate)) for room in gated for gate in room.gates if gate != LINE
        ]
        for found in merge(*sources, key=_order):
            if not self._pick(found):
                break
        self._write()
        for room in rooms:
            if room.taken and room.rate is not None:
                self._spend(room, room.rate)
        return self._batch(rooms)

    # ---- looking -----------------------------------------------------------------------------------------------

    def _look(self, room: Room, gate: str, before: int = 0) -> Look:
        """Look at a gate, at more jobs than ``before``: however many are turned away, that takes few looks."""
        wanted = min(room.free, self._left) + 1
        return self._looking.look(room, gate, max(wanted, min(before * _WIDER, _WIDEST)))

    def _source(self, room: Room, gate: str, look: Look) -> Iterator[_Found]:
        """Go through the due jobs at a gate, looking again once all that was seen is dealt with."""
        while True:
            self._judge.look(look.claims)
            for job, seq in zip(look.claims, _decode_seqs(look.seqs), strict=True):
                yield _Found(job, seq, room, gate)
            if len(look.claims) < look.limit or (gate == SUSPECT_GATE and not self._suspect):
                return
            if room.free <= 0 or self._left <= 0:
                room.unseen.add(gate)
                return
            if stays(gate) and self._passed:
                return
            self._write()
            look = self._look(room, gate, look.limit)

    # ---- taking ------------------------------------------------------------------------------------------------

    def _take_whole(self, room: Room, look: Look) -> bool:
        """Take all that one look found, if nothing but its kinds is to be looked at: the common case, in few steps."""
        if room.rate is not None:
            return False
        wanted = min(room.free, self._left)
        claims = look.claims[:wanted]
        known = self._looking.kinds
        if not all([found.kind in known and not found.lanes for found in claims]):  # noqa: C419 - a list takes half the time
            return False
        if len(claims) < len(look.claims):
            self._more = not room.capped or room.free > wanted
        self._claims = claims
        self._left -= len(claims)
        room.free -= len(claims)
        if len(claims) == len(look.claims):
            self._hand_over(look.seqs)
        else:
            self._hand_over(to_json(_decode_seqs(look.seqs)[:wanted]))
        return True

    def _pick(self, found: _Found) -> bool:
        """Take a job, park it or pass it over; False when there is no reason to look on."""
        room, kind = found.room, found.claim.kind
        if found.gate == SUSPECT_GATE and not self._suspect:
            return True
        if self._left <= 0 or room.free <= 0:
            # What an operator holds back waits for one of this node's own runs to end, or for a permit.
            self._more = self._more or not (room.free <= 0 and (room.capped or room.rate is not None))
            return self._left > 0 or not self._more
        if kind not in self._looking.kinds:
            return self._park(found, self._gate_of(kind))
        lane = self._judge.refusing(found.claim) if found.claim.lanes else None
        if lane is None:
            self._take(found)
        elif stays(found.gate):
            self._passed = True
        else:
            self._judge.turn_away(found.claim, lane)
            return self._park(found, LANE_GATE + lane)
        return True

    def _gate_of(self, kind: str) -> str:
        """Return where jobs stand of a kind that the node does not run now."""
        if kind in self._request.kinds:
            return PAUSED_GATE + kind
        self._unknown[kind] = self._unknown.get(kind, 0) + 1
        return UNKNOWN_GATE + kind

    def _take(self, found: _Found) -> None:
        if found.gate == SUSPECT_GATE:
            self._suspect = False
        if found.claim.lanes:
            self._judge.enter(found.claim)
        self._taken.append(found.seq)
        self._claims.append(found.claim)
        found.room.free -= 1
        found.room.taken += 1
        self._left -= 1

    def _park(self, found: _Found, gate: str) -> bool:
        """Park a job; False when that was the last that this claim parks."""
        self._parked.append((found.seq, gate))
        self._may_park -= 1
        self._more = self._more or not self._may_park
        return self._may_park > 0

    # ---- writing -----------------------------------------------------------------------------------------------

    def _write(self) -> None:
        """Write down what was taken and parked so far."""
        if self._taken:
            self._hand_over(to_json(self._taken))
            self._taken = []
        if self._parked:
            self._connection.execute(_PARK, {"jobs": to_json(self._parked)})
            self._parked = []
        self._judge.write()

    def _hand_over(self, seqs: str) -> None:
        if self._claims:
            self._connection.execute(_TAKE, {"seqs": seqs, "node": self._request.node, "now": self._now})

    def _spend(self, room: Room, rate: Rate) -> None:
        """Write down how much of a queue's rate is used."""
        meter = room.spend(self._now)
        self._connection.execute(_SPEND, {"name": room.queue, "metered": named(rate), **msgspec.structs.asdict(meter)})

    # ---- answering ---------------------------------------------------------------------------------------------

    def _batch(self, rooms: list[Room]) -> ClaimBatch:
        return ClaimBatch(
            now=self._now,
            claims=tuple(self._claims),
            wait=self._wait(rooms),
            capped=(*self._looking.capped, *(room.queue for room in rooms if room.capped and room.free <= 0)),
            parked=self._unknown,
        )

    def _wait(self, rooms: list[Room]) -> int | None:
        """Return how long it takes until more of what was asked for can be claimed."""
        if self._more:
            return 0
        moments = list(self._looking.resumes)
        if self._passed:
            moments.append(self._now + SECOND)
        asked = [
            (room.queue, gate, self._seen(room, gate), self._permit(room))
            for room in rooms
            if room.free > 0 or not room.capped
            for gate in room.gates
            if gate != SUSPECT_GATE or self._suspect
        ]
        (moment,) = self._connection.execute(_NEXT_DUE, {"gates": to_json(asked)}).fetchone()
        moments += () if moment is None else (moment,)
        return max(0, min(moments) - self._now) if moments else None

    def _seen(self, room: Room, gate: str) -> int:
        """Return until which due time all jobs at a gate were seen."""
        held_back = room.rate is not None and room.free <= 0
        return _EVER if held_back or gate in room.unseen else self._now

    def _permit(self, room: Room) -> int:
        """Return when a queue has a permit for its next job."""
        return _EVER if room.rate is None else rates.next_at(room.rate, room.spend(self._now), self._now)
