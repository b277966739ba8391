"""Clocks as machines have them."""

from __future__ import annotations

from backburner.model.clock import SECOND, SystemClock

__all__ = ["OFF", "WrongClock"]

#: Ten minutes.
OFF = 600 * SECOND


class WrongClock(SystemClock):
    """A machine's clock that somebody set wrong."""

    def __init__(self, ahead: int) -> None:
        super().__init__()
        self._ahead = ahead

    def now(self) -> int:
        return super().now() + self._ahead
