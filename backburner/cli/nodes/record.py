"""A node's record, for people and for programs."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from backburner.cli.times import iso

if TYPE_CHECKING:
    from backburner.model.node import NodeRecord

__all__ = ["NodeState", "node_json", "queues_line", "state_of"]


class NodeState(StrEnum):
    """The states that people are shown."""

    #: Its lease is live and it takes work.
    ALIVE = "alive"
    #: Its lease is live; it takes no new work and ends what it runs.
    DRAINING = "draining"
    #: Its lease ended; it stays listed until what it ran is taken over.
    DEAD = "dead"


def state_of(node: NodeRecord) -> NodeState:
    """Return the state that people are shown."""
    if not node.alive:
        return NodeState.DEAD
    return NodeState.DRAINING if node.draining else NodeState.ALIVE


def queues_line(node: NodeRecord) -> str:
    """Write its queues, by name, and their slots as `run --queues` takes them."""
    return ",".join(f"{name}={slots}" for name, slots in sorted(node.queues.items()))


def node_json(node: NodeRecord) -> dict[str, object]:
    """Return a node as `--json` writes it: times in UTC, slots by queue, every kind."""
    return {
        "id": node.id,
        "state": state_of(node),
        "host": node.host,
        "pid": node.pid,
        "queues": dict(sorted(node.queues.items())),
        "kinds": sorted(node.kinds),
        "started_at": iso(node.started_at),
    }
