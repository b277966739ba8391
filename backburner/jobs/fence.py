"""Where a lease ends by time: ends what runs here before it can be over, and waits before judging others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.model.clock import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.jobs.kit import Kit
    from backburner.model.clock import Timer

__all__ = ["Fence"]

#: Seconds before the end of a lease at which what runs is ended; of short leases, a share.
MARGIN = 5.0
SHARE = 6
#: Seconds between two looks. A timer does not see the machine sleep: the clock does, and nothing may run on for long.
LOOK = 1.0
#: Seconds that make no difference: a timer may be early by less.
LEAST = 0.001


class Fence:
    """Counts from the start of the last beat that succeeded; the store counts from its end, so it is never earlier.

    The keeper may tell of beats from its own thread; the looks are the engine's loop's. A loop that was busy finds the
    fence at its next turn, before anything that was about to start.
    """

    def __init__(self, lease: int, fell: Callable[[], None], kit: Kit) -> None:
        self._lease = lease / SECOND
        self._limit = self._lease - min(MARGIN, self._lease / SHARE)
        self._fell = fell
        self._clock = kit.clock
        self._renewed_at = 0.0
        #: Since when no beat failed.
        self._steady_since: float | None = None
        self._timer: Timer | None = None

    def start(self, began: float) -> None:
        """Begin, with a lease that was asked for at this moment of the clock's monotonic time."""
        self._renewed_at = self._steady_since = began
        self._look()

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def renewed(self, began: float) -> None:
        """Know of a beat that succeeded, and when it began; from any thread."""
        self._renewed_at = began
        if self._steady_since is None:
            self._steady_since = began

    def failed(self) -> None:
        """Know of a beat that did not succeed; from any thread."""
        self._steady_since = None

    @property
    def left(self) -> float:
        """Seconds until what runs is ended, unless a beat succeeds."""
        return self._renewed_at + self._limit - self._clock.monotonic()

    @property
    def novitiate(self) -> float:
        """Seconds until this node may take over what others ran: until its beats have succeeded for a whole lease.

        So a store that was away, for all nodes alike, costs no job a crash.
        """
        since = self._steady_since
        if since is None:
            return self._lease
        left = since + self._lease - self._clock.monotonic()
        return left if left > LEAST else 0.0

    def _look(self) -> None:
        left = self.left
        if left <= LEAST:
            self._timer = None
            self._fell()
        else:
            self._timer = self._clock.call_later(min(left, LOOK), self._look)
