"""What alerts can be set on: one table."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from backburner.model.clock import SECOND

__all__ = ["LONGEST_WINDOW", "METRICS", "SHORTEST_WINDOW", "Metric", "Unit"]

_MINUTE = 60 * SECOND
#: Of what is counted over a while, in microseconds.
SHORTEST_WINDOW: Final = _MINUTE
LONGEST_WINDOW: Final = 60 * _MINUTE


class Unit(StrEnum):
    """What a metric is compared with."""

    COUNT = "a whole number, such as 100"
    DURATION = "a duration, such as 15m"
    PERCENT = "a percentage, such as 20%"


class Metric(NamedTuple):
    """One of them; a missing argument is the sum, of ages, lags and shares the worst or the whole."""

    name: str
    unit: Unit
    #: What an argument in brackets names.
    argument: str
    #: What it tells, in a sentence without a full stop.
    says: str
    #: May stand alone, and then is above 0.
    alone: bool = False
    #: Microseconds over which it looks back unless ``over`` says otherwise; None: it is of this moment.
    window: int | None = None


METRICS: Final = {
    metric.name: metric
    for metric in (
        Metric("queue.depth", Unit.COUNT, "queue", "Jobs that are due and wait in line"),
        Metric("queue.oldest", Unit.DURATION, "queue", "For how long the first job in line has been due"),
        Metric(
            "jobs.failure_ratio",
            Unit.PERCENT,
            "kind",
            "Which share of the runs that ended failed, of ten or more",
            window=5 * _MINUTE,
        ),
        Metric("dlq.count", Unit.COUNT, "queue", "Dead letters"),
        Metric(
            "schedules.missed",
            Unit.COUNT,
            "schedule",
            "Ticks that were passed over or decided upon late, and schedules that are overdue now",
            window=60 * _MINUTE,
        ),
        Metric("breaker.open", Unit.COUNT, "breaker", "Breakers that are open, or try whether to close", alone=True),
        Metric("kinds.unserved", Unit.COUNT, "kind", "Due jobs that no living node takes", alone=True),
        Metric("events.lag", Unit.COUNT, "subscription", "Events that a subscription has before it"),
    )
}
