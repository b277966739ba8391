"""The roles that know who is alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from backburner.model.event import NewEvent
    from backburner.model.node import NodeRecord

__all__ = ["Beat", "Held", "Keeper", "NodeStore"]


class Held(msgspec.Struct, frozen=True):
    """A claim that the store says this node holds."""

    id: str
    token: int
    #: A person asked to cancel it.
    cancel: bool


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """What a beat found."""

    now: int
    #: Everything the store says this node runs; what it lacks is lost, what the node does not know is stray.
    claims: tuple[Held, ...]
    #: The node was asked to drain.
    drain: bool = False


class Keeper(Protocol):
    """Keeps one node's lease, on a connection of its own. Entered and used on one loop, which need not be the engine's.

    A node that beats holds its claims; one that stopped beating for its whole lease has lost them to whoever recovers.
    """

    async def __aenter__(self) -> Self:
        """Open the connection."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Close it; the lease stays until it runs out or the node is withdrawn."""
        ...

    async def beat(self, node: str, ttl: int) -> Beat:
        """Renew the node's lease for ``ttl`` microseconds and answer what it holds.

        Raises `LeaseLost` when the node's lease had already run out or the node was never published: its claims may
        be another's, and it must be published under a new id.
        """
        ...

    async def abandon(self, node: str) -> None:
        """Let the lease go at once, without a word to the store's tables: the node's own loop hangs."""
        ...


class NodeStore(Protocol):
    """The list of nodes."""

    async def publish(self, node: NodeRecord, ttl: int, events: Sequence[NewEvent] = ()) -> None:
        """Enter a node, alive for ``ttl`` microseconds unless it beats; events are stored in the same step, if it is new.

        Entered again, its queues, kinds, signatures and schedules change; that it was asked to drain stays.
        """
        ...

    async def withdraw(self, node: str, events: Sequence[NewEvent] = ()) -> None:
        """Strike a node that has given back its claims; what it still held is recovered as lapsed.

        Events are stored in the same step, if it was there.
        """
        ...

    async def drain(self, node: str, events: Sequence[NewEvent] = ()) -> bool:
        """Ask a node to drain: its next beats say so. False, and no events stored, when no live node has this id."""
        ...

    async def find(self) -> tuple[NodeRecord, ...]:
        """Return the nodes, each alive or not, by id. The dead ones stay until their claims are recovered."""
        ...
