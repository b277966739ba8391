"""Where pending rows stand."""

from __future__ import annotations

from backburner.backends.memory.line import Line
from backburner.model.job import PRIORITIES

__all__ = ["Place", "Queue"]


class Place:
    """Where pending rows stand together: in a queue's line, or at one gate. A line a priority."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines = tuple(Line() for _ in PRIORITIES)

    @property
    def empty(self) -> bool:
        """Nobody stands here."""
        return not any(line.live for line in self.lines)


class Queue:
    """The pending rows of one queue: its line, and the gates where any stand."""

    __slots__ = ("gates", "line")

    def __init__(self) -> None:
        self.line = Place()
        self.gates: dict[str, Place] = {}

    def place(self, gate: str) -> Place:
        """Return the place of a gate; the empty one is the line."""
        if not gate:
            return self.line
        place = self.gates.get(gate)
        if place is None:
            place = self.gates[gate] = Place()
        return place
