"""Due jobs on their way to a node."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

from backburner.backends.memory.opening import open_lanes
from backburner.backends.memory.row import claim_of
from backburner.backends.memory.telling import tell
from backburner.errors import LeaseLost
from backburner.model.clock import SECOND
from backburner.model.job import MISFIT_GATE, PAUSED_GATE, PRIORITIES, SUSPECT_GATE, UNKNOWN_GATE
from backburner.model.lane import LANE_GATE
from backburner.ports.jobs import ClaimBatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.backends.memory.database import MemoryDatabase
    from backburner.backends.memory.line import Entry, Line
    from backburner.backends.memory.place import Place, Queue
    from backburner.backends.memory.row import Row
    from backburner.model.job import Claim
    from backburner.model.lane import Rate
    from backburner.ports.jobs import ClaimRequest

__all__ = ["claim", "require_lease"]

#: One claim parks no more than this.
_PARKED: Final = 1_000
#: So many suspects and misfits that a lane refused are passed over by one claim, on the way to those behind them.
_PASSED: Final = 50


class _Room:
    """An asked queue that is not paused, and how many more of its jobs the node takes."""

    __slots__ = ("capped", "free", "lines", "name", "queue", "rate")

    def __init__(
        self, name: str, queue: Queue, lines: tuple[Place, ...], free: int, rate: Rate | None, *, capped: bool
    ) -> None:
        self.name = name
        self.queue = queue
        #: The line, and the gates that this node opens.
        self.lines = lines
        self.free = free
        #: What an operator set; what it leaves is in ``free``.
        self.rate = rate
        #: The operator's slots, not the node's, are what bounds it.
        self.capped = capped


def require_lease(database: MemoryDatabase, node: str, now: int) -> None:
    """Raise `LeaseLost` unless the node's lease is live."""
    if not database.alive(node, now):
        raise LeaseLost(f"The lease of node {node} is not live: publish the node under a new id", stored="no")


def claim(database: MemoryDatabase, request: ClaimRequest, now: int) -> ClaimBatch:
    """Hand over due jobs; the lease has been seen to."""
    open_lanes(database, now)
    picking = _Picking(database, request, now)
    for priority in PRIORITIES:
        if picking.left <= 0 or picking.parking <= 0:
            break
        picking.pick(priority)
    wait = picking.wait()
    picking.put_back()
    return ClaimBatch(
        now=now,
        claims=tuple(picking.claims),
        wait=wait,
        capped=picking.full(),
        parked=picking.parked,
    )


class _Picking:
    """One claim under way."""

    __slots__ = (
        "_database",
        "_kinds",
        "_known",
        "_node",
        "_now",
        "_passed",
        "_pauses",
        "_rooms",
        "_signatures",
        "_suspect",
        "capped",
        "claims",
        "left",
        "parked",
        "parking",
    )

    def __init__(self, database: MemoryDatabase, request: ClaimRequest, now: int) -> None:
        self._database = database
        self._node = request.node
        self._known = request.kinds
        self._signatures = request.signatures
        self._now = now
        self._suspect = request.suspect
        #: The ends of the pauses met.
        self._pauses: list[int] = []
        #: The kinds that the node knows and that are not paused.
        self._kinds = self._running_kinds() if database.kinds else request.kinds
        #: The suspects and misfits that a lane refused, out of the way until the claim is over, and their gates.
        self._passed: list[tuple[Row, str]] = []
        self.capped: list[str] = []
        self._rooms = list(self._open_rooms(request.queues))
        self.left = request.limit
        self.claims: list[Claim] = []
        self.parked: dict[str, int] = {}
        #: How many more may be parked.
        self.parking = _PARKED

    def _running_kinds(self) -> frozenset[str]:
        paused = self._database.paused_kinds(self._now)
        self._pauses += [
            kind.paused_until for name, kind in paused.items() if name in self._known and kind.paused_until is not None
        ]
        return self._known.difference(paused)

    def _open_rooms(self, asked: dict[str, int]) -> Iterator[_Room]:
        database, now = self._database, self._now
        for name, slots in asked.items():
            queue = database.queues.get(name)
            if queue is None or slots <= 0:
                continue
            if database.paused(name, now):
                until = database.settings[name].paused_until
                if until is not None:
                    self._pauses.append(until)
                continue
            free = database.room(name, self._node, slots)
            if free <= 0:
                self.capped.append(name)
                continue
            settings = database.settings.get(name)
            rate = None if settings is None else settings.rate
            if rate is None:
                yield _Room(name, queue, self._lines(queue), free, None, capped=free < slots)
            else:
                permits = database.usage[name].permits(rate, now)
                capped = free < slots and free <= permits
                yield _Room(name, queue, self._lines(queue), min(free, permits), rate, capped=capped)

    def _lines(self, queue: Queue) -> tuple[Place, ...]:
        """Return the line and the gates that this node opens; drop those where nobody stands any more."""
        if not queue.gates:
            return (queue.line,)
        queue.gates = {gate: place for gate, place in queue.gates.items() if not place.empty}
        return (queue.line, *(place for gate, place in queue.gates.items() if self._opens(gate)))

    def _opens(self, gate: str) -> bool:
        """Tell whether the node may run the kind that stands at this gate, by a signature not refused yet."""
        for parked in (UNKNOWN_GATE, PAUSED_GATE):
            if gate.startswith(parked):
                return gate.removeprefix(parked) in self._kinds
        if not gate.startswith(MISFIT_GATE):
            return False
        # A kind may contain a colon, the signatures do not.
        kind, _, misfits = gate.removeprefix(MISFIT_GATE).rpartition(":")
        signature = self._signatures.get(kind)
        return kind in self._kinds and signature is not None and signature not in misfits.split(",")

    def pick(self, priority: int) -> None:
        """Take the due jobs of one priority, by due time and id over all queues and gates."""
        heads = [found for room in self._rooms for found in self._heads(room, priority)]
        heapq.heapify(heads)
        while heads and self.left > 0 and self.parking > 0:
            entry, line, room = heads[0]
            row = entry[3]
            if room.free <= 0 or (line is None and not self._suspect) or (self._passed and self._passes(row)):
                heapq.heappop(heads)
                continue
            if row.job.kind not in self._kinds:
                self._park_kind(row)
            elif row.job.lanes and (lane := self._database.lanes.refusing(row, self._now)) is not None:
                self._turn_away(row, lane)
            else:
                self._take(row, room)
            head = self._first_suspect(room, priority) if line is None else line.head()
            if head is not None and head[0] <= self._now:
                heapq.heapreplace(heads, (head, line, room))
            else:
                heapq.heappop(heads)

    def _heads(self, room: _Room, priority: int) -> Iterator[tuple[Entry, Line | None, _Room]]:
        """Return the first due entry of each line of a room; a suspect comes alone, without its line."""
        for place in room.lines:
            line = place.lines[priority]
            head = line.head() if line.live else None
            if head is not None and head[0] <= self._now:
                yield head, line, room
        first = self._first_suspect(room, priority)
        if first is not None and first[0] <= self._now:
            yield first, None, room

    def _first_suspect(self, room: _Room, priority: int) -> Entry | None:
        """Return the first suspect that the node may be handed, due or not."""
        place = room.queue.gates.get(SUSPECT_GATE) if self._suspect else None
        if place is None:
            return None
        return min((entry for entry in place.lines[priority] if entry[3].job.kind in self._kinds), default=None)

    def _passes(self, row: Row) -> bool:
        """Tell whether the claim has asked about enough of those who stay at their gate when they are refused."""
        return len(self._passed) >= _PASSED and _stays(row.gate)

    def _take(self, row: Row, room: _Room) -> None:
        if row.gate == SUSPECT_GATE:
            self._suspect = False
        database, gate, now = self._database, row.gate, self._now
        database.leave(row)
        row.attempt += 1
        row.started_at = now
        database.hold(row, self._node, row.token + 1)
        if row.job.lanes:
            database.lanes.enter(row, now)
        if room.rate is not None:
            database.usage[room.name].spend(room.rate, now)
        self.claims.append(claim_of(row, gate, now))
        if database.log.asked:
            tell(database, "job.claimed", row, now, node=self._node)
        room.free -= 1
        self.left -= 1

    def _park_kind(self, row: Row) -> None:
        kind = row.job.kind
        if kind in self._known:
            self._park(row, PAUSED_GATE + kind)
        else:
            self._park(row, UNKNOWN_GATE + kind)
            self.parked[kind] = self.parked.get(kind, 0) + 1

    def _turn_away(self, row: Row, lane: str) -> None:
        if _stays(row.gate):
            self._passed.append((row, row.gate))
            self._database.leave(row)
        else:
            self._park(row, LANE_GATE + lane)
            self._database.lanes.refused(row, lane, self._now)

    def _park(self, row: Row, gate: str) -> None:
        self._database.leave(row)
        self._database.stand(row, gate, self._now)
        self.parking -= 1

    def put_back(self) -> None:
        """Put those who were passed over back to their gates."""
        for row, gate in self._passed:
            self._database.stand(row, gate, self._now)

    def full(self) -> tuple[str, ...]:
        """Return the queues of which the node runs as many as the operator allows."""
        return (*self.capped, *(room.name for room in self._rooms if room.capped and room.free <= 0))

    def wait(self) -> int | None:
        """Return how long it takes until more can be claimed of what was asked for."""
        if self.parking <= 0:
            return 0
        moments = self._pauses
        if self._passed:
            moments.append(self._now + SECOND)
        opening = self._database.lanes.next_opening()
        if opening is not None:
            moments.append(opening[0])
        for room in self._rooms:
            # What an operator's slots hold back waits for one of this node's own runs to end, not for time.
            if room.free > 0 or not room.capped:
                moments += self._moments(room)
        return max(0, min(moments) - self._now) if moments else None

    def _moments(self, room: _Room) -> list[int]:
        """Return when the first of each line of a room are due, and its rate has a permit for them."""
        heads = [head for place in room.lines for line in place.lines if line.live and (head := line.head())]
        heads += [head for priority in PRIORITIES if (head := self._first_suspect(room, priority))]
        moments = [head[0] for head in heads if not self._passes(head[3])]
        if room.rate is None:
            return moments
        permit = self._database.usage[room.name].next_at(room.rate, self._now)
        return [max(moment, permit) for moment in moments]


def _stays(gate: str) -> bool:
    """Tell whether those at this gate stay there when a lane refuses them."""
    return gate == SUSPECT_GATE or gate.startswith(MISFIT_GATE)
