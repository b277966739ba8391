"""What is measured, by name, in the order of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.measures.across import across
from bench.measures.backlog import backlog
from bench.measures.blocked import blocked
from bench.measures.busy import busy
from bench.measures.cost import cost
from bench.measures.draining import drain, through
from bench.measures.enqueue import bulk, one_by_one, producers
from bench.measures.features import processes, providing
from bench.measures.latency import start
from bench.measures.letters import letters, replay
from bench.measures.pending import pending, room
from bench.measures.rest import idle, importing, life
from bench.measures.together import together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.report import Line
    from bench.stage import Stage

__all__ = ["MEASURES"]

#: A measure yields nothing for a store it does not apply to.
MEASURES: Mapping[str, Callable[[Stage], Iterator[Line]]] = {
    "one-by-one": one_by_one,
    "producers": producers,
    "bulk": bulk,
    "drain": drain,
    "through": through,
    "start": start,
    "across": across,
    "cost": cost,
    "together": together,
    "pending": pending,
    "room": room,
    "busy": busy,
    "backlog": backlog,
    "blocked": blocked,
    "letters": letters,
    "replay": replay,
    "idle": idle,
    "life": life,
    "import": importing,
    "provide": providing,
    "process": processes,
}
