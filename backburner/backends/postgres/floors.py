"""Where a node's next claim begins to look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.model.job import PRIORITIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backburner.model.clock import Clock
    from backburner.ports.jobs import ClaimBatch

__all__ = ["IN_A_ROW", "KEPT", "SLOW", "Floors"]

#: Seconds between two looks from the head: who comes into a full line below the floors is seen after that at the latest.
KEPT = 1.0
#: Looks from the head that take so many microseconds, so many in a row, are over what somebody's old snapshot keeps; a
#: single one may have had to be planned, or to wait for a busy machine.
SLOW = 10_000
IN_A_ROW = 3
#: Before everybody.
_HEAD = -(1 << 63)


class Floors:
    """By queue, the due time and id of the last job of each priority that was claimed.

    Index entries of what was claimed stay at the head of the line until the next vacuum, longer where somebody's
    transaction keeps an old snapshot, and every look from there walks over them. Whoever comes into the line later is due
    later, but for who stood at a gate: a line that gives less than was asked for is looked at from the head too, and a
    full one once a second. While such looks are slow, once a second is all.

    Not ``steady``, by a test's clock that may stand still, everybody is due at once: then every look is from the head.
    """

    def __init__(self, clock: Clock, *, steady: bool) -> None:
        self._clock = clock
        self._steady = steady
        self._floors: dict[str, tuple[list[int], list[str]]] = {}
        self._slow = 0
        self._looked_at = clock.monotonic()

    def ask(self, queues: Iterable[str]) -> dict[str, object]:
        """Return what a claim of these queues says of floors; nothing for a look from the head."""
        if not self._steady or self._clock.monotonic() - self._looked_at >= KEPT:
            return {}
        floors = {
            queue: {"dues": self._floors[queue][0], "ids": self._floors[queue][1]}
            for queue in queues
            if queue in self._floors
        }
        return {"floors": floors, "walk": self._slow < IN_A_ROW} if floors else {}

    def learn(self, batch: ClaimBatch, looked: int | None, *, left: bool = False) -> None:
        """Take note of an answer, and of the microseconds that looking for it took, if that was from the head.

        Where some were left in line that could have been claimed, the next look is from the head too.
        """
        if looked is not None:
            self._slow = self._slow + 1 if looked > SLOW else 0
            self._looked_at = self._clock.monotonic()
        if left:
            self._floors.clear()
            return
        for claim in batch.claims:
            if not claim.gate:
                dues, ids = self._floors.setdefault(claim.queue, ([_HEAD] * len(PRIORITIES), [""] * len(PRIORITIES)))
                dues[claim.priority], ids[claim.priority] = claim.due_at, claim.id
