"""Hints, in memory: a call on the listener's loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backburner.backends.memory.database import Ear

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.backends.memory.connection import Connection
    from backburner.ports.backend import Hint

__all__ = ["MemoryNotifier"]


class MemoryNotifier:
    """A `Notifier`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def notify(self, hint: Hint) -> None:
        """Tell every listener, also this connection's own."""
        self._connection.reading().changed(None, hint)

    def listen(self, heard: Callable[[Hint], None]) -> Callable[[], None]:
        """Call ``heard`` for each hint on the running loop; returns the end."""
        ears = self._connection.reading().ears
        ear = Ear(self._connection, asyncio.get_running_loop(), heard)
        ears.append(ear)

        def end() -> None:
            if ear in ears:
                ears.remove(ear)

        return end
