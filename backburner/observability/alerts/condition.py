"""When an alert fires: comparisons of metrics with numbers, and for how long they must hold."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backburner.model.clock import SECOND
from backburner.observability.alerts.metrics import Unit

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.observability.alerts.metrics import Metric

__all__ = ["OPERATORS", "Comparison", "Condition", "Measure", "Verdict"]

#: Longest first: so they are read.
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured."""

    metric: Metric
    #: A queue, kind, schedule …; None: all of them.
    argument: str | None = None
    #: Microseconds, of a metric that looks back.
    window: int | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A measure and a bound: a number, microseconds, or percent."""

    measure: Measure
    operator: str
    bound: float

    def holds(self, value: float | None) -> bool:
        """Compare; of what could not be measured nothing holds."""
        return value is not None and OPERATORS[self.operator](value, self.bound)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a condition comes to at one moment."""

    holds: bool
    #: What was measured, of a comparison that decides: seconds for durations, percent for shares. None: nothing could be.
    value: float | None


@dataclass(frozen=True, slots=True)
class Condition:
    """Comparisons, all of which must hold, or any."""

    #: As it was written, spaces put in order.
    text: str
    comparisons: tuple[Comparison, ...]
    #: Joined by ``or``.
    any: bool = False
    #: Microseconds for which it must have held.
    duration: int = 0

    def judge(self, values: Callable[[Measure], float | None]) -> Verdict:
        """Say whether it holds, by the values of what it measures."""
        judged: list[tuple[bool, float | None]] = []
        for each in self.comparisons:
            value = values(each.measure)
            judged.append((each.holds(value), _shown(each.measure, value)))
        outcomes = [held for held, _ in judged]
        holds = any(outcomes) if self.any else all(outcomes)
        # The first that agrees with the whole: of several that hold the first, of those that fail the one to blame.
        return Verdict(holds, next(value for held, value in judged if held is holds))


def _shown(measure: Measure, value: float | None) -> float | None:
    if value is None:
        return None
    if measure.metric.unit is Unit.DURATION:
        return round(value / SECOND, 3)
    return round(value, 1) if measure.metric.unit is Unit.PERCENT else value
