"""Events of what happened outside the store, on their way there."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.model.event import NewEvent
    from backburner.model.ids import Ids
    from backburner.ports.events import EventStore

__all__ = ["Untold"]

#: Of more than so many the oldest are forgotten: the store has been away for long, and they are in the log.
_MOST: Final = 1_000


class Untold:
    """Keeps them until the store has taken them: they mostly happen because it is away. In the log they stand at once.

    ``wake`` has `step` called; ``told`` is called when an event was stored.
    """

    def __init__(self, store: EventStore, ids: Ids, *, wake: Callable[[], None], told: Callable[[], None]) -> None:
        self._store = store
        self._ids = ids
        self._wake = wake
        self._told = told
        self._waiting: deque[NewEvent] = deque(maxlen=_MOST)

    def tell(self, event: NewEvent) -> None:
        """Take one, under an id of its own: whatever becomes of a write, it is stored once."""
        self._waiting.append(msgspec.structs.replace(event, id=self._ids.new()))
        self._wake()

    async def step(self) -> None:
        """Write what waits; raises `StoreError`."""
        batch = tuple(self._waiting)
        if batch:
            if (await self._store.append(batch)).stored:
                self._told()
            written = {event.id for event in batch}
            self._waiting = deque((event for event in self._waiting if event.id not in written), maxlen=_MOST)
