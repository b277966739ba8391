"""The tables of the store in memory, and the few moves a row makes between them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

from backburner.backends.memory.book import ScheduleBook
from backburner.backends.memory.eventlog import EventLog
from backburner.backends.memory.keys import Keys
from backburner.backends.memory.lanes import Lanes
from backburner.backends.memory.leases import LeaseBook
from backburner.backends.memory.ledger import Ledger
from backburner.backends.memory.line import Line
from backburner.backends.memory.place import Queue
from backburner.backends.memory.usage import Usage
from backburner.model.job import UNIQUE_GATE, JobState
from backburner.model.lane import LANE_GATE

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from backburner.backends.memory.row import Row
    from backburner.model.job import Attempt, NewJob
    from backburner.model.lane import Cell
    from backburner.model.node import KindRecord, NodeRecord, QueueRecord
    from backburner.model.operation import OperationRecord
    from backburner.ports.backend import Hint

__all__ = ["Ear", "MemoryDatabase", "Node"]


#: Python looks the members of an enumeration up anew each time.
_DEAD = JobState.DEAD


class Node:
    """A published node, the moment its lease ends, whether it was asked to drain, and whether it is known to have died."""

    __slots__ = ("draining", "lease", "lost", "record")

    def __init__(self, record: NodeRecord, lease: int, *, draining: bool) -> None:
        self.record = record
        self.lease = lease
        self.draining = draining
        self.lost = False


class Ear:
    """One listener: what it hears with, on which loop, and the connection whose own changes are no news to it."""

    __slots__ = ("heard", "loop", "owner")

    def __init__(self, owner: object, loop: AbstractEventLoop, heard: Callable[[Hint], None]) -> None:
        self.owner = owner
        self.loop = loop
        self.heard = heard

    def hear(self, hint: Hint) -> None:
        """Let its loop hear, which may be another thread's, or over."""
        if asyncio.get_running_loop() is self.loop:
            self.loop.call_soon(self.heard, hint)
        else:
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self.heard, hint)


class MemoryDatabase:
    """What several `MemoryBackend` objects of one process may share, as connections share a file. Not thread-safe."""

    def __init__(self) -> None:
        self.jobs: dict[str, Row] = {}
        self.history: dict[str, list[Attempt]] = {}
        self.queues: defaultdict[str, Queue] = defaultdict(Queue)
        self.settings: dict[str, QueueRecord] = {}
        #: How much is used of the rates that queues have or had.
        self.usage: defaultdict[str, Usage] = defaultdict(Usage)
        #: What operators set for kinds, by name.
        self.kinds: dict[str, KindRecord] = {}
        self.lanes = Lanes()
        self.cells: dict[str, Cell] = {}
        self.leases = LeaseBook()
        self.operations: dict[str, OperationRecord] = {}
        self.schedules = ScheduleBook()
        self.ledger = Ledger()
        self.log = EventLog()
        self.nodes: dict[str, Node] = {}
        #: What each node holds, by id.
        self.running: defaultdict[str, dict[str, Row]] = defaultdict(dict)
        #: The pending rows that expire, by that moment.
        self.expiring = Line()
        #: The ended rows, by the moment they ended, but for those lifted out since they are kept for their parents.
        self.ended = {state: Line() for state in (JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD)}
        #: The dead letters, those lifted out too.
        self.letters: dict[str, Row] = {}
        self.keys = Keys()
        #: Children by their parent, which need not be stored.
        self.children: dict[str, dict[str, Row]] = {}
        self.ears: list[Ear] = []
        self.stamp = 0

    def enter(self, row: Row) -> None:
        """Enter a new row among the jobs; it stands nowhere yet."""
        job = row.job
        self.jobs[job.id] = row
        if job.unique is not None:
            self.keys.enter(row)
        if job.parent is not None:
            self._join(row, job.parent)

    def _join(self, row: Row, parent: str) -> None:
        self.children.setdefault(parent, {})[row.job.id] = row
        known = self.jobs.get(parent)
        if known is not None and known.ended_at is not None and not known.stamp:
            # Its time may have passed, and it has a child to let go now.
            self.file(known, row.created_at)

    def _line(self, job: NewJob, gate: str) -> Line:
        """Return where a job stands at a gate; keys and lanes have theirs over all queues."""
        if gate.startswith(UNIQUE_GATE):
            return self.keys.place(gate).lines[job.priority]
        if gate.startswith(LANE_GATE):
            return self.lanes.line(gate, job.queue, job.priority)
        return self.queues[job.queue].place(gate).lines[job.priority]

    def stand(self, row: Row, gate: str, now: int) -> None:
        """Put a row that stands nowhere into the line, or at a gate: at its own key's it does not hold that."""
        self.stamp = row.stamp = stamp = self.stamp + 1
        row.state = JobState.PENDING
        row.gate = gate
        job = row.job
        if gate and job.unique is not None and gate == UNIQUE_GATE + job.unique.key:
            self.keys.forget(row)
        line = self._line(job, gate) if gate else self.queues[job.queue].line.lines[job.priority]
        line.put((row.due_at, job.id, stamp, row), now)
        if row.expires_at is not None:
            self.expiring.put((row.expires_at, job.id, stamp, row), now)

    def stand_anew(self, row: Row, gate: str, now: int) -> None:
        """Put a row at a gate where it was told to stand: a lane that did not refuse it itself has to look at it."""
        self.stand(row, gate, now)
        if gate.startswith(LANE_GATE):
            self.lanes.open_at(gate.removeprefix(LANE_GATE), now)

    def leave(self, row: Row) -> None:
        """Take a pending row out of the line, or away from its gate, where it may not have held its key."""
        row.stamp = 0
        job = row.job
        line = self._line(job, row.gate) if row.gate else self.queues[job.queue].line.lines[job.priority]
        line.left()
        if row.gate and job.unique is not None:
            self.keys.enter(row)
        row.gate = ""
        if row.expires_at is not None:
            self.expiring.left()

    def hold(self, row: Row, node: str, token: int) -> None:
        """Let a node hold a row that stands nowhere."""
        row.state = JobState.RUNNING
        row.node = node
        row.token = token
        self.running[node][row.job.id] = row

    def release(self, row: Row) -> None:
        """Take a running row from the node that holds it."""
        holder = row.node or ""
        held = self.running[holder]
        del held[row.job.id]
        if not held:
            del self.running[holder]

    def end(self, row: Row, state: JobState, reason: str | None, now: int) -> None:
        """End a row that stands nowhere."""
        row.state = state
        row.reason = reason
        row.ended_at = now
        self.file(row, now)

    def file(self, row: Row, now: int) -> None:
        """Enter an ended row among those to be pruned."""
        if row.state is _DEAD:
            self.letters[row.job.id] = row
        self.stamp = row.stamp = stamp = self.stamp + 1
        self.ended[row.state].put((row.ended_at or now, row.job.id, stamp, row), now)

    def lift(self, row: Row) -> None:
        """Take an ended row from those to be pruned, if it is there."""
        if row.stamp:
            row.stamp = 0
            self.ended[row.state].left()

    def strike(self, row: Row) -> None:
        """Take an ended row from among the jobs, which leaves its history."""
        self.lift(row)
        job = row.job
        del self.jobs[job.id]
        self.letters.pop(job.id, None)
        if job.unique is not None:
            self.keys.forget(row)
        if job.parent is not None:
            siblings = self.children[job.parent]
            del siblings[job.id]
            if not siblings:
                del self.children[job.parent]

    def delete(self, row: Row) -> None:
        """Delete an ended row and its history."""
        self.strike(row)
        self.history.pop(row.job.id, None)

    def let_through(self, key: str, now: int) -> bool:
        """Let the first that waits for a key into the line, if the key is free; tell whether one was."""
        row = self.keys.first(key, now)
        if row is None:
            return False
        self.leave(row)
        self.stand(row, "", now)
        return True

    def alive(self, node: str, now: int) -> bool:
        """Tell whether a node is published and its lease not over."""
        entry = self.nodes.get(node)
        return entry is not None and entry.lease > now

    def paused(self, queue: str, now: int) -> bool:
        """Tell whether a queue is paused, by a pause whose end has not passed."""
        settings = self.settings.get(queue)
        return settings is not None and _pauses(settings, now)

    def paused_kinds(self, now: int) -> dict[str, KindRecord]:
        """Return the kinds that are paused, by a pause whose end has not passed."""
        return {name: kind for name, kind in sorted(self.kinds.items()) if _pauses(kind, now)}

    def room(self, queue: str, node: str, asked: int) -> int:
        """Return how many more runs of a queue an operator's slots leave a node, out of those asked for."""
        settings = self.settings.get(queue)
        if settings is None or settings.slots is None:
            return asked
        runs = sum(row.job.queue == queue and not row.lent for row in self.running.get(node, {}).values())
        return min(asked, settings.slots - runs)

    def changed(self, owner: object, hint: Hint) -> None:
        """Tell the other connections of a change that nobody may notify of."""
        for ear in self.ears:
            if ear.owner is not owner:
                ear.hear(hint)


def _pauses(record: QueueRecord | KindRecord, now: int) -> bool:
    return record.paused and (record.paused_until is None or record.paused_until > now)
