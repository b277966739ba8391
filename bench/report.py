"""One line of the report: a figure, the raw limit beside it, their ratio, the goal and whether it was reached."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HEADING", "Goal", "Line", "mebibytes", "milliseconds", "percent", "rate"]

_LAYOUT = "{:<44} {:>13} {:>13} {:>7}  {:<9} {}"
HEADING = _LAYOUT.format("", "engine", "raw", "ratio", "goal", "").rstrip()


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that the judged number must keep."""

    bound: float
    #: Whether more is better.
    least: bool
    #: How a person reads the goal; the bound itself unless given.
    shown: str = ""

    def met(self, judged: float) -> bool:
        """Whether a number keeps the bound."""
        return judged >= self.bound if self.least else judged <= self.bound

    def __str__(self) -> str:
        return self.shown or f"{'≥' if self.least else '≤'} {self.bound:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A measured figure. What the goal judges is the ratio, unless ``judged`` names another number."""

    name: str
    figure: str
    #: The same through the driver alone, or whatever the figure is held against.
    raw: str = ""
    ratio: float | None = None
    goal: Goal | None = None
    judged: float | None = None

    @property
    def verdict(self) -> str:
        """Say ok or MISSED; nothing without a goal."""
        judged = self.ratio if self.judged is None else self.judged
        if self.goal is None or judged is None:
            return ""
        return "ok" if self.goal.met(judged) else "MISSED"

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return _LAYOUT.format(self.name, self.figure, self.raw, ratio, str(self.goal or ""), self.verdict).rstrip()


def rate(per_second: float) -> str:
    """Write jobs a second."""
    return f"{per_second:,.0f}/s"


def milliseconds(seconds: float) -> str:
    """Write seconds in milliseconds."""
    return f"{seconds * 1000:,.2f} ms"


def mebibytes(size: float) -> str:
    """Write bytes in MiB."""
    return f"{size / 2**20:,.1f} MiB"


def percent(share: float) -> str:
    """Write a share of one in percent."""
    return f"{share:.2%}"
