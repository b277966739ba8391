"""Hints on their way out, debounced on both edges: at once when it was quiet, then at most one a pause."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backburner.errors import StoreError
from backburner.ports.telemetry import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.jobs.kit import Kit
    from backburner.model.clock import Timer
    from backburner.ports.backend import Hint, Notifier

__all__ = ["Hints"]

#: Seconds between two hints of a kind.
PAUSE = 0.05


class Hints:
    """Sends hints; one that is lost costs only time. Whether this node hears its own is the store's affair."""

    def __init__(self, notifier: Notifier, kit: Kit) -> None:
        #: Set once, before the start, where this node is to be told too.
        self.heard: Callable[[Hint], None] | None = None
        #: Likewise told, at once, that something was written here: with every hint, and where none is needed.
        self.told: Callable[[], None] | None = None
        self._here: set[Hint] = set()
        self._notifier = notifier
        self._clock = kit.clock
        self._listener = kit.listener
        self._quiet: dict[Hint, Timer] = {}
        self._again: set[Hint] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def wrote(self) -> None:
        """Know that something was written here which no other node waits for."""
        if self.told is not None:
            self.told()

    def tell(self, hint: Hint, *, here: bool = False) -> None:
        """Send a hint, now or at the end of the pause that the last one began; with ``here``, this node hears it too."""
        self.wrote()
        if here:
            self._here.add(hint)
        if hint in self._quiet:
            self._again.add(hint)
            return
        self._quiet[hint] = self._clock.call_later(PAUSE, lambda: self._pause_over(hint))
        if hint in self._here:
            self._here.discard(hint)
            if self.heard is not None:
                self.heard(hint)
        task = asyncio.get_running_loop().create_task(self._send(hint))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Send what was held back, and wait for what is on its way."""
        for timer in self._quiet.values():
            timer.cancel()
        self._quiet.clear()
        for hint in tuple(self._again):
            self.tell(hint)
        for timer in self._quiet.values():
            timer.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _pause_over(self, hint: Hint) -> None:
        del self._quiet[hint]
        if hint in self._again:
            self._again.discard(hint)
            self.tell(hint)

    async def _send(self, hint: Hint) -> None:
        try:
            await self._notifier.notify(hint)
        except StoreError as error:
            self._listener(Signal.STORE_WAITING, error=error, loop="hints", failures=1)
