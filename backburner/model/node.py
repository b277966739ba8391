"""Nodes, and what operators set for queues and kinds, as the store keeps them."""

from __future__ import annotations

import msgspec

from backburner.model.lane import Rate

__all__ = ["KindRecord", "NodeRecord", "QueueRecord"]


class NodeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One engine in one process."""

    #: ``host-pid-random``.
    id: str
    host: str
    pid: int
    started_at: int
    #: Slots by queue.
    queues: dict[str, int]
    kinds: tuple[str, ...]
    #: JSON text by kind: a JSON Schema of the object that its stored arguments are.
    signatures: dict[str, str] = {}
    #: The queue of each kind, where its code names another than ``default``.
    kind_queues: dict[str, str] = {}
    #: The names of the schedules that its code declares.
    schedules: tuple[str, ...] = ()
    #: Its lease is live. Answered by the store, never written.
    alive: bool = True
    #: It was asked to drain. Answered by the store, never written by the node.
    draining: bool = False


class QueueRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator set for a queue."""

    name: str
    paused: bool = False
    #: The pause ends by itself then: microseconds since 1970 UTC.
    paused_until: int | None = None
    reason: str | None = None
    #: Who set it.
    by: str | None = None
    #: Slots a node, in place of what the code declares.
    slots: int | None = None
    #: How many of its jobs may start in how long, over all nodes.
    rate: Rate | None = None


class KindRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator set for a kind."""

    name: str
    paused: bool = True
    #: The pause ends by itself then: microseconds since 1970 UTC.
    paused_until: int | None = None
    reason: str | None = None
    #: Who set it.
    by: str | None = None
