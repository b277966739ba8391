"""The wall times that a cron expression names: croniter's calendar, without any time zone."""

from __future__ import annotations

import functools
from threading import Lock

from backburner.scheduler.cron import read

__all__ = ["Walls", "walls"]

#: Expressions kept ready.
_KEPT = 2_048


class Walls:
    """The wall times of an expression, as seconds since a naive 1970. Any thread may ask."""

    __slots__ = ("_bad_date", "_croniter", "_lock")

    def __init__(self, text: str, *, seconds: bool, seed: str | None) -> None:
        # It takes a while to load, and an app that only declares schedules never needs it.
        from croniter import CroniterBadDateError, croniter  # noqa: PLC0415

        self._croniter = croniter(text, 0, second_at_beginning=seconds, hash_id=seed)
        self._bad_date = CroniterBadDateError
        self._lock = Lock()

    def first(self, wall: int) -> int | None:
        """Return the first wall time from this one on; None where there is none in the next fifty years."""
        with self._lock:
            try:
                # It answers what comes after: a whole second less keeps its floats exact.
                return int(self._croniter.get_next(float, start_time=float(wall - 1)))
            except self._bad_date:
                return None


@functools.lru_cache(_KEPT)
def walls(expression: str, *, seconds: bool, seed: str | None) -> Walls:
    """Return the wall times of an expression that `backburner.scheduler.cron` has read; ``seed`` is what an ``H`` is drawn from."""
    return Walls(read(expression, seconds=seconds).text, seconds=seconds, seed=seed)
