"""What a claim finds: queues that have room, and the due jobs at their gates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.opening import open_due
from backburner.backends.sqlite.statements import load
from backburner.model.job import MISFIT_GATE, PAUSED_GATE, SUSPECT_GATE, UNKNOWN_GATE, Claim
from backburner.model.lane import Meter, Rate
from backburner.resilience import rates

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from backburner.ports.jobs import ClaimRequest

__all__ = ["LINE", "Look", "Looking", "Room", "stays"]

_LOOK = load("look")
_GATES = load("gates")
_MISFITS = load("misfits")

LINE = ""

#: Suspects or misfits that are looked at at once: those whom a lane refuses stay there, before the others.
_STAYING = 50


class _Settings(msgspec.Struct, array_like=True):
    """What an operator set for a queue: the column order of its statement."""

    paused: bool
    until: int | None
    #: Slots that the node has left; None: as many as it likes.
    slots: int | None
    rate: Rate | None
    meter: Meter


_decode_claims = msgspec.json.Decoder(list[Claim]).decode
_decode_settings = msgspec.json.Decoder(_Settings).decode
_decode_pauses = msgspec.json.Decoder(dict[str, int | None]).decode
_decode_gates = msgspec.json.Decoder(list[tuple[str, str]]).decode


@dataclass(slots=True)
class Room:
    """An asked queue that is not paused, and how many more of its jobs the node takes."""

    queue: str
    free: int
    #: The operator's slots, not the node's, are what bounds it.
    capped: bool
    #: What an operator set, and how much of it is used but for what this claim takes.
    rate: Rate | None
    meter: Meter
    #: Where its jobs may come from.
    gates: list[str]
    #: Those of its gates that were left before all their due jobs were seen.
    unseen: set[str] = field(default_factory=set[str])
    taken: int = 0

    def spend(self, now: int) -> Meter:
        """Return the meter after what was taken; asked of a room with a rate."""
        return self.meter if self.rate is None else rates.spent(self.rate, self.meter, now, self.taken)


class Look(NamedTuple):
    """The first due jobs at a gate, at most ``limit``."""

    claims: list[Claim]
    #: JSON, in the same order.
    seqs: str
    limit: int


class _Row(NamedTuple):
    """What one look answers: the column order of its statement."""

    settings: str | None
    gated: int
    pauses: str
    opens_at: int | None
    claims: str
    seqs: str


class Looking:
    """One claim's looks at queues and gates."""

    def __init__(self, connection: sqlite3.Connection, request: ClaimRequest, now: int) -> None:
        self._connection = connection
        self._request = request
        self._now = now
        #: The kinds that the node knows and that are not paused.
        self.kinds = request.kinds
        #: Queues of which the node ran as many as the operator allows before this claim.
        self.capped: list[str] = []
        #: Moments when paused queues and kinds go on.
        self.resumes: list[int] = []

    def open(self) -> Iterator[tuple[Room, Look, bool]]:
        """Go through the queues that are not paused: each with a look at its line, and whether it has gates.

        Lanes that open by now let those in first who stand there.
        """
        first = True
        for queue, slots in self._request.queues.items():
            if slots <= 0:
                continue
            limit = min(slots, self._request.limit) + 1
            row = self._ask(queue, LINE, limit, kinds=None)
            if first:
                first = False
                if row.opens_at is not None and row.opens_at <= self._now:
                    open_due(self._connection, self._now)
                    row = self._ask(queue, LINE, limit, kinds=None)
                if row.pauses != "{}":
                    self._pause(_decode_pauses(row.pauses))
            room = self._room(queue, slots, row.settings)
            if room is not None:
                yield room, Look(_decode_claims(row.claims), row.seqs, limit), bool(row.gated)

    def _pause(self, pauses: dict[str, int | None]) -> None:
        known = self._request.kinds
        self.kinds = known - pauses.keys()
        self.resumes += [until for kind, until in pauses.items() if kind in known and until is not None]

    def _room(self, queue: str, slots: int, settings: str | None) -> Room | None:
        """Return what room there is in a queue; None where it is paused, or the node runs what an operator allows."""
        if settings is None:
            return Room(queue, slots, capped=False, rate=None, meter=Meter(), gates=[LINE])
        said = _decode_settings(settings)
        if said.paused:
            self.resumes += () if said.until is None else (said.until,)
            return None
        free = slots if said.slots is None else min(slots, said.slots)
        if free <= 0:
            self.capped.append(queue)
            return None
        permits = free if said.rate is None else rates.permits(said.rate, said.meter, self._now)
        capped = free < slots and free <= permits
        return Room(queue, min(free, permits), capped=capped, rate=said.rate, meter=said.meter, gates=[LINE])

    def look(self, room: Room, gate: str, limit: int) -> Look:
        """Look at a gate."""
        if stays(gate):
            limit = max(limit, _STAYING)
        kinds = to_json(tuple(self.kinds)) if gate == SUSPECT_GATE else None
        row = self._ask(room.queue, gate, limit, kinds=kinds)
        return Look(_decode_claims(row.claims), row.seqs, limit)

    def _ask(self, queue: str, gate: str, limit: int, *, kinds: str | None) -> _Row:
        parameters = {
            "queue": queue,
            "gate": gate,
            "now": self._now,
            "limit": limit,
            "node": self._request.node,
            "kinds": kinds,
        }
        return _Row(*self._connection.execute(_LOOK, parameters).fetchone())

    def find_gates(self, rooms: list[Room]) -> None:
        """Find where anybody stands that may be handed over: of once unknown or paused kinds, suspects, misfits."""
        if not rooms:
            return
        gates = [prefix + kind for kind in self.kinds for prefix in (UNKNOWN_GATE, PAUSED_GATE)]
        if self._request.suspect:
            gates.append(SUSPECT_GATE)
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
        return kind in self.kinds and signature is not None and signature not in tried.split(",")


def stays(gate: str) -> bool:
    """Tell whether those at this gate stay there when a lane refuses them."""
    return gate == SUSPECT_GATE or gate.startswith(MISFIT_GATE)
