"""What is measured, by name, in the order of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.measures.backlog import backlog
from bench.measures.busy import busy
from bench.measures.draining import drain, through
from bench.measures.enqueue import bulk, one_by_one, producers
from bench.measures.features import processes, providing
from bench.measures.latency import start
from bench.measures.pending import pending
from bench.measures.rest import idle, importing, life

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
    "pending": pending,
    "busy": busy,
    "backlog": backlog,
    "idle": idle,
    "life": life,
    "import": importing,
    "provide": providing,
    "process": processes,
}
