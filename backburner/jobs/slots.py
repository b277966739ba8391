"""Room for runs: one ledger on which births, claims and runs all draw, so that no slot is promised twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Slots"]


class Slots:
    """Counts taken slots, by queue and in all. A slot is taken when it is promised, not when its run begins."""

    __slots__ = ("_lent", "_limits", "_nothing", "_taken", "_total", "taken")

    def __init__(self, limits: Mapping[str, int], total: int) -> None:
        self._limits = dict(limits)
        self._taken = dict.fromkeys(limits, 0)
        self._total = total
        self.taken = 0
        #: Runs that wait for a job: no slot is theirs meanwhile.
        self._lent = 0
        #: Somebody waits for this; made only then, for slots change with every run.
        self._nothing: asyncio.Event | None = None

    @property
    def limits(self) -> Mapping[str, int]:
        """Slots by queue."""
        return self._limits

    def free(self, queue: str) -> int:
        """Return how many runs of this queue may be promised now."""
        limit = self._limits.get(queue, 0)
        return min(limit - self._taken[queue], self._total - self.taken) if limit else 0

    @property
    def free_in_all(self) -> int:
        """Return how many runs may be promised now, whatever their queue."""
        return self._total - self.taken

    def take(self, queue: str, count: int = 1) -> None:
        """Promise slots."""
        self._taken[queue] += count
        self.taken += count

    def give(self, queue: str, count: int = 1) -> None:
        """Take promises back."""
        self._taken[queue] -= count
        self.taken -= count
        if self._nothing is not None and not self.busy:
            self._nothing.set()

    def lend(self, queue: str) -> None:
        """Give the slot of a run that waits for a job; it still runs."""
        self._lent += 1
        self.give(queue)

    def take_back(self, queue: str) -> None:
        """Take it again, whatever has been promised since."""
        self._lent -= 1
        self.take(queue)

    @property
    def busy(self) -> bool:
        """Whether anything runs, or a birth or claim is under way."""
        return bool(self.taken or self._lent)

    async def idle(self) -> None:
        """Wait until nothing runs, and no birth or claim is under way."""
        while self.busy:
            if self._nothing is None or self._nothing.is_set():
                self._nothing = asyncio.Event()
            await self._nothing.wait()
