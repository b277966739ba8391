"""Due jobs on their way to a node."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from backburner.backends.memory.row import claim_of
from backburner.errors import LeaseLost
from backburner.model.job import MISFIT_GATE, PRIORITIES, SUSPECT_GATE, UNKNOWN_GATE
from backburner.ports.jobs import ClaimBatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.backends.memory.database import MemoryDatabase
    from backburner.backends.memory.line import Entry, Line
    from backburner.backends.memory.place import Place, Queue
    from backburner.backends.memory.row import Row
    from backburner.model.job import Claim
    from backburner.ports.jobs import ClaimRequest

__all__ = ["claim", "require_lease"]


class _Room:
    """An asked queue that is not paused, and how many more of its jobs the node takes."""

    __slots__ = ("capped", "free", "lines", "name", "queue")

    def __init__(self, name: str, queue: Queue, lines: tuple[Place, ...], free: int, *, capped: bool) -> None:
        self.name = name
        self.queue = queue
        #: The line, and the gates that this node opens.
        self.lines = lines
        self.free = free
        #: The operator's slots, not the node's, are what bounds it.
        self.capped = capped


def require_lease(database: MemoryDatabase, node: str, now: int) -> None:
    """Raise `LeaseLost` unless the node's lease is live."""
    if not database.alive(node, now):
        raise LeaseLost(f"The lease of node {node} is not live: publish the node under a new id", stored="no")


def claim(database: MemoryDatabase, request: ClaimRequest, now: int) -> ClaimBatch:
    """Hand over due jobs; the lease has been seen to."""
    picking = _Picking(database, request, now)
    for priority in PRIORITIES:
        if picking.left <= 0:
            break
        picking.pick(priority)
    return ClaimBatch(
        now=now,
        claims=tuple(picking.claims),
        wait=picking.wait(),
        capped=picking.full(),
        parked=picking.parked,
    )


class _Picking:
    """One claim under way."""

    __slots__ = (
        "_database",
        "_kinds",
        "_node",
        "_now",
        "_pauses",
        "_rooms",
        "_signatures",
        "_suspect",
        "capped",
        "claims",
        "left",
        "parked",
    )

    def __init__(self, database: MemoryDatabase, request: ClaimRequest, now: int) -> None:
        self._database = database
        self._node = request.node
        self._kinds = request.kinds
        self._signatures = request.signatures
        self._now = now
        self._suspect = request.suspect
        #: The ends of the pauses met.
        self._pauses: list[int] = []
        self.capped: list[str] = []
        self._rooms = list(self._open_rooms(request.queues))
        self.left = request.limit
        self.claims: list[Claim] = []
        self.parked: dict[str, int] = {}

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
            else:
                yield _Room(name, queue, self._lines(queue), free, capped=free < slots)

    def _lines(self, queue: Queue) -> tuple[Place, ...]:
        """Return the line and the gates that this node opens; drop those where nobody stands any more."""
        if not queue.gates:
            return (queue.line,)
        queue.gates = {gate: place for gate, place in queue.gates.items() if not place.empty}
        return (queue.line, *(place for gate, place in queue.gates.items() if self._opens(gate)))

    def _opens(self, gate: str) -> bool:
        """Tell whether the node knows the kind that stands at this gate, by a signature not refused yet."""
        if gate.startswith(UNKNOWN_GATE):
            return gate.removeprefix(UNKNOWN_GATE) in self._kinds
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
        while heads and self.left > 0:
            entry, line, room = heads[0]
            row = entry[3]
            if room.free <= 0 or (line is None and not self._suspect):
                heapq.heappop(heads)
                continue
            if row.job.kind in self._kinds:
                self._take(row, room)
            else:
                self._park(row)
            head = line.head() if line is not None else None
            if line is not None and head is not None and head[0] <= self._now:
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
        first = min((entry for entry in self._suspects(room, priority) if entry[0] <= self._now), default=None)
        if first is not None:
            yield first, None, room

    def _suspects(self, room: _Room, priority: int) -> Iterator[Entry]:
        """Go through the suspects that the node may be handed, due or not."""
        place = room.queue.gates.get(SUSPECT_GATE) if self._suspect else None
        if place is not None:
            yield from (entry for entry in place.lines[priority] if entry[3].job.kind in self._kinds)

    def _take(self, row: Row, room: _Room) -> None:
        if row.gate == SUSPECT_GATE:
            self._suspect = False
        database, gate, now = self._database, row.gate, self._now
        database.leave(row)
        row.attempt += 1
        row.started_at = now
        database.hold(row, self._node, row.token + 1)
        self.claims.append(claim_of(row, gate, now))
        room.free -= 1
        self.left -= 1

    def _park(self, row: Row) -> None:
        kind = row.job.kind
        self._database.leave(row)
        self._database.stand(row, UNKNOWN_GATE + kind, self._now)
        self.parked[kind] = self.parked.get(kind, 0) + 1

    def full(self) -> tuple[str, ...]:
        """Return the queues of which the node runs as many as the operator allows."""
        return (*self.capped, *(room.name for room in self._rooms if room.capped and room.free <= 0))

    def wait(self) -> int | None:
        """Return how long it takes until more can be claimed of what was asked for."""
        moments = self._pauses
        for room in self._rooms:
            # What an operator's slots hold back waits for one of this node's own runs to end, not for time.
            if room.free > 0 or not room.capped:
                for place in room.lines:
                    moments += [head[0] for line in place.lines if line.live and (head := line.head())]
                for priority in PRIORITIES:
                    moments += [entry[0] for entry in self._suspects(room, priority)]
        return max(0, min(moments) - self._now) if moments else None
