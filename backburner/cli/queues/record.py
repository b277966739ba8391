"""A queue, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backburner.cli.render import View
from backburner.cli.times import iso
from backburner.model.node import NodeRecord, QueueRecord
from backburner.resilience.rates import rate_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.cli.controls import Controls

__all__ = ["QUEUES", "Queue", "read_queues"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What is set for a queue, and what its live nodes have of it."""

    record: QueueRecord
    #: Live nodes that take work from it.
    nodes: int
    #: Their slots together, as they are set, else as the code declares them.
    slots: int
    #: On dead nodes too, whose jobs were not taken over yet.
    running: int

    @property
    def state(self) -> str:
        """Whether its jobs are started: ``active``, ``paused`` or ``unserved``, where no live node takes them."""
        if self.record.paused:
            return "paused"
        return "active" if self.nodes else "unserved"


async def read_queues(controls: Controls, name: str | None = None) -> Sequence[Queue]:
    """Return the queues that nodes have, that something is set for or that jobs are in, by name; or the one of this name."""
    nodes = [node for node in await controls.backend.nodes.find() if node.alive]
    records = {record.name: record for record in await controls.queues.list()}
    running = {queue.queue: queue.running for queue in (await controls.backend.reader.backlog()).queues}
    names = {*records, *running, *(queue for node in nodes for queue in node.queues)} if name is None else {name}
    return [_queue(records.get(each, QueueRecord(name=each)), nodes, running.get(each, 0)) for each in sorted(names)]


def _queue(record: QueueRecord, nodes: Sequence[NodeRecord], running: int) -> Queue:
    taking = [node for node in nodes if record.name in node.queues and not node.draining]
    slots = sum(node.queues[record.name] if record.slots is None else record.slots for node in taking)
    return Queue(record=record, nodes=len(taking), slots=slots, running=running)


def _cells(queue: Queue) -> tuple[str, ...]:
    record = queue.record
    slots = str(queue.slots) if record.slots is None else f"{queue.slots} ({record.slots} each)"
    counts = (str(queue.nodes), str(queue.running), slots)
    return (record.name, queue.state, *counts, _rate(record), iso(record.paused_until), record.by or "", _why(record))


def _fields(queue: Queue) -> tuple[str, ...]:
    record = queue.record
    counts = (str(queue.nodes), str(queue.running), str(queue.slots))
    each = "" if record.slots is None else str(record.slots)
    set_by = (iso(record.paused_until), record.by or "", _why(record))
    return (record.name, queue.state, *counts, each, _rate(record), *set_by)


def _value(queue: Queue) -> dict[str, object]:
    record = queue.record
    return {
        "name": record.name,
        "state": queue.state,
        "nodes": queue.nodes,
        "running": queue.running,
        "slots": queue.slots,
        "slots_each": record.slots,
        "rate": _rate(record) or None,
        "paused_until": iso(record.paused_until) or None,
        "by": record.by,
        "reason": record.reason,
    }


def _rate(record: QueueRecord) -> str:
    return "" if record.rate is None else rate_text(record.rate)


def _why(record: QueueRecord) -> str:
    return record.reason or ""


QUEUES: View[Queue] = View(
    titles=("QUEUE", "STATE", "NODES", "RUNNING", "SLOTS", "RATE", "UNTIL", "BY", "REASON"),
    cells=_cells,
    fields=_fields,
    value=_value,
    spare=(2, 7, 5),
    numbers=(2, 3),
)
