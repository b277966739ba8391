"""Where a node's next look for due schedules begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.postgres.floors import IN_A_ROW, KEPT, SLOW

if TYPE_CHECKING:
    from backburner.model.clock import Clock

__all__ = ["DueFloor"]


class DueFloor:
    """The moment before which nothing was due when this node last looked.

    Each tick leaves an entry at the head of the index of what is due, until the next vacuum, longer where somebody's
    transaction keeps an old snapshot, and every look from there walks over them. While such looks are slow, several in a
    row, the others begin at the floor, and one a second at the head: what somebody else made due before the floor is seen
    after that at the latest.

    Not ``steady``, by a test's clock that may stand still, every look is from the head.
    """

    def __init__(self, clock: Clock, *, steady: bool) -> None:
        self._clock = clock
        self._steady = steady
        self._floor: int | None = None
        self._slow = 0
        self._looked_at = clock.monotonic()

    def ask(self) -> int | None:
        """Return the moment to look from; None for the head."""
        if not self._steady or self._slow < IN_A_ROW or self._clock.monotonic() - self._looked_at >= KEPT:
            return None
        return self._floor

    def learn(self, first: int, looked: int | None) -> None:
        """Take note of the first moment that was found, and of the microseconds that a look from the head took."""
        self._floor = first
        if looked is not None:
            self._slow = self._slow + 1 if looked > SLOW else 0
            self._looked_at = self._clock.monotonic()

    def lower(self, moment: int) -> None:
        """Take note of what this node itself makes due at a moment."""
        if self._floor is not None:
            self._floor = min(self._floor, moment)
