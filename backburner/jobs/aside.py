"""What somebody's open transaction keeps from being written: set aside, and tried again a little later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from backburner.model.clock import SECOND
from backburner.resilience.backoff import exponential

if TYPE_CHECKING:
    from backburner.jobs.kit import Kit

__all__ = ["Aside"]

#: Between the tries.
_BACKOFF = exponential(0.05, factor=2, cap=1, jitter="equal")
#: Seconds by which one may be tried too early, so that many of them share a write.
_TOGETHER = 0.05
#: Seconds waited at least: a timer may be early by less.
_LEAST = 0.001
#: In one write.
_MOST = 500


class _Busy(Protocol):
    #: How often it was busy.
    busy: int
    #: When it may be tried again, on the clock's monotonic time.
    again_at: float


T = TypeVar("T", bound=_Busy)


class Aside(Generic[T]):
    """Holds items until it is worth trying them again; others pass by."""

    def __init__(self, kit: Kit) -> None:
        self._clock = kit.clock
        self._random = kit.random
        #: In the order in which they were set aside first.
        self.items: list[T] = []

    def __bool__(self) -> bool:
        return bool(self.items)

    def put(self, item: T) -> None:
        """Set an item aside, once more."""
        item.busy += 1
        delay = _BACKOFF.delay(item.busy, previous=None, random=self._random)
        item.again_at = self._clock.monotonic() + delay / SECOND
        self.items.append(item)

    def due(self) -> list[T]:
        """Take out what is to be tried now."""
        now = self._clock.monotonic()
        if not any(item.again_at <= now for item in self.items):
            return []
        due = [item for item in self.items if item.again_at <= now + _TOGETHER][:_MOST]
        taken = set(map(id, due))
        self.items = [item for item in self.items if id(item) not in taken]
        return due

    def wait(self) -> float | None:
        """Return the seconds until the next may be tried; None when there is none."""
        soonest = min((item.again_at for item in self.items), default=None)
        return None if soonest is None else max(_LEAST, soonest - self._clock.monotonic())
