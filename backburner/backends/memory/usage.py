"""How much of a rate is used, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.model.lane import Algorithm, Meter
from backburner.resilience import rates

if TYPE_CHECKING:
    from backburner.model.lane import Rate

__all__ = ["Usage"]


class Usage:
    """A meter, and the rate that it was last read by."""

    __slots__ = ("_meter", "_rate")

    def __init__(self) -> None:
        self._meter = Meter()
        self._rate: Rate | None = None

    def permits(self, rate: Rate, now: int) -> int:
        """Return how many may start now."""
        return rates.permits(rate, self._meter, now)

    def next_at(self, rate: Rate, now: int, taken: int = 0) -> int:
        """Return when the next may start once so many more have: ``now`` if it may now."""
        return rates.next_at(rate, rates.spent(rate, self._meter, now, taken) if taken else self._meter, now)

    def spend(self, rate: Rate, now: int) -> None:
        """Let one start now."""
        self._meter = rates.spent(rate, self._meter, now, 1)
        self._rate = rate

    def deposit(self, amount: int) -> None:
        """Take in what a budget is given for one first attempt."""
        self._meter = rates.deposited(self._meter, amount, 1)

    def change(self, rate: Rate | None) -> None:
        """Go on by this rate: what was used of the same one stays used, another begins anew."""
        if rate is not None and self._rate is not None:
            if rate != self._rate:
                self._meter = Meter()
            self._rate = rate

    def full(self, now: int) -> bool:
        """Tell whether nothing of it is used any more."""
        rate = self._rate
        if rate is None:
            return True
        return self.permits(rate, now) >= (rate.burst if rate.algorithm is Algorithm.GCRA else rate.limit)
