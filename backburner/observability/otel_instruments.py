"""The metrics of OpenTelemetry that tell of jobs: kinds and queues, never an id."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from backburner.model.catalogue import INSTRUMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.metrics import Meter

    from backburner.model.job import Claim, NewJob
    from backburner.observability.otel_endings import End

__all__ = ["PROCESS", "SEND", "Instruments"]

#: What spans and metrics of each operation say first. Its name and its type are one.
SEND: Final[Mapping[str, str]] = {
    "messaging.system": "backburner",
    "messaging.operation.name": "send",
    "messaging.operation.type": "send",
}
PROCESS: Final[Mapping[str, str]] = {
    "messaging.system": "backburner",
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
}
#: Seconds: those of the conventions, and what jobs take beyond.
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 300.0, 1800.0)
#: Ends of claims whose job's function never began.
_NOT_RUN = frozenset({"misfit", "released"})


class Instruments:
    """Counts and measures by one meter."""

    def __init__(self, meter: Meter) -> None:
        sent, storing, consumed, process = INSTRUMENTS
        self._sent = meter.create_counter(sent.name, sent.unit, sent.says)
        self._storing = meter.create_histogram(
            storing.name, storing.unit, storing.says, explicit_bucket_boundaries_advisory=_BOUNDS
        )
        self._consumed = meter.create_counter(consumed.name, consumed.unit, consumed.says)
        self._process = meter.create_histogram(
            process.name, process.unit, process.says, explicit_bucket_boundaries_advisory=_BOUNDS
        )

    def sent(self, jobs: Sequence[NewJob]) -> None:
        """Count jobs that were stored."""
        for (kind, queue), count in Counter((job.kind, job.queue) for job in jobs).items():
            self._sent.add(count, {**SEND, "messaging.destination.name": queue, "backburner.kind": kind})

    def stored(self, seconds: float, error: str | None) -> None:
        """Measure one call that stores, and the type of what it raised."""
        self._storing.record(seconds, SEND if error is None else {**SEND, "error.type": error})

    def processed(self, claim: Claim, end: End, seconds: float) -> None:
        """Count and measure a run."""
        if end.outcome in _NOT_RUN:
            return
        attributes = {
            **PROCESS,
            "messaging.destination.name": claim.queue,
            "backburner.kind": claim.kind,
            "backburner.outcome": end.outcome,
        }
        if end.error is not None:
            attributes["error.type"] = end.error
        self._consumed.add(1, attributes)
        self._process.record(seconds, attributes)
