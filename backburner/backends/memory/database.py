"""The tables of the store in memory, and the few moves a row makes between them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from backburner.backends.memory.line import Line
from backburner.model.job import PRIORITIES, JobState

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from backburner.backends.memory.row import Row
    from backburner.model.job import Attempt
    from backburner.model.node import NodeRecord, QueueRecord
    from backburner.ports.backend import Hint

__all__ = ["Ear", "MemoryDatabase", "Node", "Place", "Queue"]


class Node:
    """A published node and the moment its lease ends."""

    __slots__ = ("lease", "record")

    def __init__(self, record: NodeRecord, lease: int) -> None:
        self.record = record
        self.lease = lease


class Place:
    """Where pending rows of one queue stand: in the line, or at one gate. A line a priority."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines = tuple(Line() for _ in PRIORITIES)

    @property
    def empty(self) -> bool:
        """Nobody stands here."""
        return not any(line.live for line in self.lines)


class Queue:
    """The pending rows of one queue: its line, and the gates where any stand."""

    __slots__ = ("gates", "line")

    def __init__(self) -> None:
        self.line = Place()
        self.gates: dict[str, Place] = {}

    def place(self, gate: str) -> Place:
        """Return the place of a gate; the empty one is the line."""
        if not gate:
            return self.line
        place = self.gates.get(gate)
        if place is None:
            place = self.gates[gate] = Place()
        return place


class Ear:
    """One listener: what it hears with, on which loop, and the connection whose own changes are no news to it."""

    __slots__ = ("heard", "loop", "owner")

    def __init__(self, owner: object, loop: AbstractEventLoop, heard: Callable[[Hint], None]) -> None:
        self.owner = owner
        self.loop = loop
        self.heard = heard


class MemoryDatabase:
    """What several `MemoryBackend` objects of one process may share, as connections share a file. Not thread-safe."""

    def __init__(self) -> None:
        self.jobs: dict[str, Row] = {}
        self.history: dict[str, list[Attempt]] = {}
        self.queues: defaultdict[str, Queue] = defaultdict(Queue)
        self.settings: dict[str, QueueRecord] = {}
        self.nodes: dict[str, Node] = {}
        #: What each node holds, by id.
        self.running: defaultdict[str, dict[str, Row]] = defaultdict(dict)
        #: The pending rows that expire, by that moment.
        self.expiring = Line()
        #: The ended rows, by the moment they ended.
        self.ended = {state: Line() for state in (JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD)}
        self.ears: list[Ear] = []
        self._stamp = 0

    def line_of(self, row: Row) -> Line:
        """Return the line where a pending row stands."""
        job = row.job
        return self.queues[job.queue].place(row.gate).lines[job.priority]

    def stand(self, row: Row, gate: str, now: int) -> None:
        """Put a row that stands nowhere into the line, or at a gate."""
        self._stamp = row.stamp = stamp = self._stamp + 1
        row.state = JobState.PENDING
        row.gate = gate
        job = row.job
        self.queues[job.queue].place(gate).lines[job.priority].put((row.due_at, job.id, stamp, row), now)
        if row.expires_at is not None:
            self.expiring.put((row.expires_at, job.id, stamp, row), now)

    def leave(self, row: Row) -> None:
        """Take a pending row out of the line, or away from its gate."""
        row.stamp = 0
        self.line_of(row).left()
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
        self._stamp = row.stamp = stamp = self._stamp + 1
        row.state = state
        row.reason = reason
        row.ended_at = now
        self.ended[state].put((now, row.job.id, stamp, row), now)

    def delete(self, row: Row) -> None:
        """Delete an ended row and its history."""
        row.stamp = 0
        self.ended[row.state].left()
        del self.jobs[row.job.id]
        self.history.pop(row.job.id, None)

    def alive(self, node: str, now: int) -> bool:
        """Tell whether a node is published and its lease not over."""
        entry = self.nodes.get(node)
        return entry is not None and entry.lease > now

    def paused(self, queue: str, now: int) -> bool:
        """Tell whether a queue is paused, by a pause whose end has not passed."""
        settings = self.settings.get(queue)
        if settings is None or not settings.paused:
            return False
        return settings.paused_until is None or settings.paused_until > now

    def room(self, queue: str, node: str, asked: int) -> int:
        """Return how many more runs of a queue an operator's slots leave a node, out of those asked for."""
        settings = self.settings.get(queue)
        if settings is None or settings.slots is None:
            return asked
        runs = sum(row.job.queue == queue for row in self.running.get(node, {}).values())
        return min(asked, settings.slots - runs)

    def changed(self, owner: object, hint: Hint) -> None:
        """Tell the other connections of a change that nobody may notify of."""
        for ear in self.ears:
            if ear.owner is not owner:
                ear.loop.call_soon(ear.heard, hint)
