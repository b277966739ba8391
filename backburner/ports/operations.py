"""The role that holds operations: replays under way, and the audit of what people did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from backburner.model.operation import OperationRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.event import NewEvent

__all__ = ["OperationStore", "Operations"]


class Operations(msgspec.Struct, frozen=True):
    """The answer to `OperationStore.find`: newest id first, and where the next page begins (None: there is none)."""

    now: int
    operations: tuple[OperationRecord, ...]
    after: str | None = None


class OperationStore(Protocol):
    """Operations and what became of them. Ended ones are kept as long as dead letters are (`JobAdmin.prune`)."""

    async def put(self, operation: OperationRecord, events: Sequence[NewEvent] = ()) -> bool:
        """Write a new operation as version 1, and events as `EventStore.append` does; False, and nothing, when the id exists."""
        ...

    async def get(self, ids: Sequence[str]) -> Operations:
        """Return those of these ids that exist, newest id first, in one page."""
        ...

    async def find(self, *, active: bool | None = None, limit: int, after: str | None = None) -> Operations:
        """Return operations, those below ``after``: all, or only those that have or have nothing left to do."""
        ...

    async def swap(self, operation: OperationRecord, events: Sequence[NewEvent] = ()) -> bool:
        """Write ``state`` and ``active`` if the stored version is the operation's, which grows by one; else False.

        Events are stored in the same step, as by `EventStore.append`, if it is written.
        """
        ...
