"""Due jobs on their way to a node."""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import merge
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.statements import load
from backburner.model.job import MISFIT_GATE, SUSPECT_GATE, UNKNOWN_GATE, Claim
from backburner.ports.jobs import ClaimBatch

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from backburner.ports.jobs import ClaimRequest

__all__ = ["claim"]

_LOOK = load("look")
_GATES = load("gates")
_MISFITS = load("misfits")
_TAKE = load("take")
_PARK = load("park")
_NEXT_DUE = load("next_due")

_LINE = ""
#: Before every due time.
_EVER = -(1 << 63)
#: Jobs of unknown kinds that one claim parks; it must not hold the writer for long.
_MOST_PARKED = 1000

_decode_claims = msgspec.json.Decoder(list[Claim]).decode
_decode_seqs = msgspec.json.Decoder(list[int]).decode
_decode_settings = msgspec.json.Decoder(tuple[bool, int | None, int | None]).decode
_decode_gates = msgspec.json.Decoder(list[tuple[str, str]]).decode


@dataclass(slots=True)
class _Room:
    """An asked queue that is not paused, and how many more of its jobs the node takes."""

    queue: str
    free: int
    #: The operator's slots, not the node's, are what bounds it.
    capped: bool
    #: Where its jobs may come from.
    gates: list[str]
    #: Those of its gates that were left before all their due jobs were seen.
    unseen: set[str] = field(default_factory=set[str])


class _Look(NamedTuple):
    """The first due jobs at a gate, at most ``limit``."""

    claims: list[Claim]
    #: JSON, in the same order.
    seqs: str
    limit: int


class _Found(NamedTuple):
    """A due job."""

    claim: Claim
    seq: int
    room: _Room
    gate: str


def _order(found: _Found) -> tuple[int, int, str]:
    return found.claim.priority, found.claim.due_at, found.claim.id


def claim(connection: sqlite3.Connection, request: ClaimRequest, now: int) -> ClaimBatch:
    """Hand over due jobs; the lease has been seen to."""
    return _Claiming(connection, request, now).run()


class _Claiming:
    """One claim under way."""

    def __init__(self, connection: sqlite3.Connection, request: ClaimRequest, now: int) -> None:
        self._connection = connection
        self._request = request
        self._kinds = request.kinds
        self._now = now
        self._left = request.limit
        self._suspect = request.suspect
        self._claims: list[Claim] = []
        self._taken: list[int] = []
        self._parked: list[int] = []
        #: How many were parked in all, by kind.
        self._unknown: dict[str, int] = {}
        #: Queues of which the node ran as many as the operator allows before this claim.
        self._capped: list[str] = []
        #: Moments when paused queues go on.
        self._resumes: list[int] = []
        #: Due jobs are left that the node could have taken, had it asked for more.
        self._more = False

    def run(self) -> ClaimBatch:
        opened = list(self._open())
        rooms = [room for room, _, _ in opened]
        gated = [room for room, _, gated in opened if gated]
        if len(opened) == 1 and not gated and self._take_whole(*opened[0][:2]):
            return self._batch(rooms)
        self._find_gates(gated)
        sources = [self._source(room, _LINE, look) for room, look, _ in opened]
        sources += [
            self._source(room, gate, self._look(room, gate)) for room in gated for gate in room.gates if gate != _LINE
        ]
        for found in merge(*sources, key=_order):
            if not self._pick(found):
                break
        self._write()
        return self._batch(rooms)

    # ---- looking -----------------------------------------------------------------------------------------------

    def _open(self) -> Iterator[tuple[_Room, _Look, bool]]:
        """Go through the queues that are not paused: each with a look at its line, and whether it has gates."""
        for queue, slots in self._request.queues.items():
            if slots <= 0:
                continue
            limit = min(slots, self._left) + 1
            settings, gated, claims, seqs = self._ask(queue, _LINE, limit, kinds=None)
            free = slots
            if settings is not None:
                paused, until, left = _decode_settings(settings)
                if paused:
                    self._resumes += () if until is None else (until,)
                    continue
                free = slots if left is None else min(slots, left)
            if free <= 0:
                self._capped.append(queue)
            else:
                room = _Room(queue, free, capped=free < slots, gates=[_LINE])
                yield room, _Look(_decode_claims(claims), seqs, limit), bool(gated)

    def _look(self, room: _Room, gate: str) -> _Look:
        limit = min(room.free, self._left) + 1
        kinds = to_json(tuple(self._kinds)) if gate == SUSPECT_GATE else None
        _, _, claims, seqs = self._ask(room.queue, gate, limit, kinds=kinds)
        return _Look(_decode_claims(claims), seqs, limit)

    def _ask(self, queue: str, gate: str, limit: int, *, kinds: str | None) -> tuple[str | None, int, str, str]:
        parameters = {
            "queue": queue,
            "gate": gate,
            "now": self._now,
            "limit": limit,
            "node": self._request.node,
            "kinds": kinds,
        }
        row: tuple[str | None, int, str, str] = self._connection.execute(_LOOK, parameters).fetchone()
        return row

    def _find_gates(self, rooms: list[_Room]) -> None:
        """Find where anybody stands that may be handed over: the unknown, suspects, misfits of another signature."""
        if not rooms:
            return
        gates = [UNKNOWN_GATE + kind for kind in self._kinds] + ([SUSPECT_GATE] if self._suspect else [])
        asked = [(room.queue, gate) for room in rooms for gate in gates]
        by_queue = {room.queue: room for room in rooms}
        (standing,) = self._connection.execute(_GATES, {"gates": to_json(asked)}).fetchone()
        for queue, gate in _decode_gates(standing):
            by_queue[queue].gates.append(gate)
        if self._request.signatures:
            (misfits,) = self._connection.execute(_MISFITS, {"queues": to_json(list(by_queue))}).fetchone()
            for queue, gate in _decode_gates(misfits):
                if self._may_fit(gate):
                    by_queue[queue].gates.append(gate)

    def _may_fit(self, gate: str) -> bool:
        """Tell whether those at a gate of misfits are of a known kind, by a signature that they were not tried on."""
        kind, _, tried = gate.removeprefix(MISFIT_GATE).rpartition(":")
        signature = self._request.signatures.get(kind)
        return kind in self._kinds and signature is not None and signature not in tried.split(",")

    def _source(self, room: _Room, gate: str, look: _Look) -> Iterator[_Found]:
        """Go through the due jobs at a gate, looking again once all that was seen is dealt with."""
        while True:
            for job, seq in zip(look.claims, _decode_seqs(look.seqs), strict=True):
                yield _Found(job, seq, room, gate)
            if len(look.claims) < look.limit or (gate == SUSPECT_GATE and not self._suspect):
                return
            if room.free <= 0 or self._left <= 0:
                room.unseen.add(gate)
                return
            self._write()
            look = self._look(room, gate)

    # ---- taking ------------------------------------------------------------------------------------------------

    def _take_whole(self, room: _Room, look: _Look) -> bool:
        """Take all that one look found, if it is known by kind: the common case, in few steps."""
        wanted = min(room.free, self._left)
        claims = look.claims
        if len(claims) > wanted:
            self._more = not room.capped or room.free > wanted
            claims = claims[:wanted]
        if not self._kinds.issuperset([found.kind for found in claims]):
            self._more = False
            return False
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
        room = found.room
        if found.gate == SUSPECT_GATE and not self._suspect:
            return True
        if self._left <= 0 or room.free <= 0:
            # What an operator's slots hold back waits for one of this node's own runs to end.
            self._more = self._more or not (room.capped and room.free <= 0)
            return self._left > 0 or not self._more
        if found.claim.kind not in self._kinds:
            self._parked.append(found.seq)
            self._unknown[found.claim.kind] = self._unknown.get(found.claim.kind, 0) + 1
            if sum(self._unknown.values()) < _MOST_PARKED:
                return True
            self._more = True
            return False
        if found.gate == SUSPECT_GATE:
            self._suspect = False
        self._taken.append(found.seq)
        self._claims.append(found.claim)
        room.free -= 1
        self._left -= 1
        return True

    def _write(self) -> None:
        """Write down what was taken and parked so far."""
        if self._taken:
            self._hand_over(to_json(self._taken))
            self._taken = []
        if self._parked:
            self._connection.execute(_PARK, {"seqs": to_json(self._parked), "prefix": UNKNOWN_GATE})
            self._parked = []

    def _hand_over(self, seqs: str) -> None:
        if self._claims:
            self._connection.execute(_TAKE, {"seqs": seqs, "node": self._request.node, "now": self._now})

    # ---- answering ---------------------------------------------------------------------------------------------

    def _batch(self, rooms: list[_Room]) -> ClaimBatch:
        return ClaimBatch(
            now=self._now,
            claims=tuple(self._claims),
            wait=self._wait(rooms),
            capped=(*self._capped, *(room.queue for room in rooms if room.capped and room.free <= 0)),
            parked=self._unknown,
        )

    def _wait(self, rooms: list[_Room]) -> int | None:
        """Return how long it takes until more of what was asked for can be claimed."""
        if self._more:
            return 0
        moments = list(self._resumes)
        asked = [
            (room.queue, gate, _EVER if gate in room.unseen else self._now)
            for room in rooms
            if room.free > 0 or not room.capped
            for gate in room.gates
            if gate != SUSPECT_GATE or self._suspect
        ]
        if asked:
            (due,) = self._connection.execute(_NEXT_DUE, {"gates": to_json(asked)}).fetchone()
            moments += () if due is None else (due,)
        return max(0, min(moments) - self._now) if moments else None
