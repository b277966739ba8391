"""Metrics as prometheus_client collects them: each family of the table, filled from what was counted and read."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from backburner.model.catalogue import METRICS, Form
from backburner.model.clock import SECOND
from backburner.observability.tally import MOST, OTHER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client.core import Metric

    from backburner.model.catalogue import Entry
    from backburner.observability.paced import Reading
    from backburner.observability.sampling import Sample
    from backburner.observability.tally import Histogram, Tally
    from backburner.observability.vitals import Vitals
    from backburner.ports.jobs import QueueBacklog

__all__ = ["EngineCollector"]

K = TypeVar("K")
F = TypeVar("F", CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily)

_PHASES = ("closed", "open", "half_open", "closing")
_STATES = ("waiting", "scheduled", "retrying", "held", "running", "dead")


class EngineCollector(Collector):
    """Every metric of one engine, made at each collection; it reads no store, but shows the last reading of one.

    Nothing is shown of a store that could not be read the last time: old numbers would pass for true ones. ``reading``
    answers None where none was tried.
    """

    def __init__(
        self,
        tally: Tally,
        *,
        vitals: Callable[[], Vitals],
        reading: Callable[[], Reading[Sample] | None],
        most: int = MOST,
    ) -> None:
        self._tally = tally
        self._vitals = vitals
        self._reading = reading
        self._most = most

    def describe(self) -> Iterable[Metric]:
        """Return the families without samples, so that a registry finds a second engine's before it shows both."""
        return _Families().all()

    def collect(self) -> Iterable[Metric]:
        """Return the families."""
        families = _Families()
        self._add_counts(families)
        self._add_vitals(families)
        reading = self._reading()
        if reading is not None:
            families.gauge("store_readable").add_metric([], 1 if reading.value is not None else 0)
            families.gauge("store_read_seconds").add_metric([], reading.seconds)
            if reading.value is not None:
                self._add_sample(families, reading.value)
        return families.all()

    # ---- of the process ------------------------------------------------------------------------------------------

    def _add_counts(self, families: _Families) -> None:
        stored, settled = families.counter("jobs_stored_total"), families.counter("jobs_settled_total")
        run, waited = families.histogram("run_seconds"), families.histogram("wait_seconds")
        for labels, series in self._tally.series():
            stored.add_metric(labels, series.stored)
            for outcome, count in series.outcomes.copy().items():
                settled.add_metric((*labels, outcome), count)
            _add_histogram(run, labels, series.run)
            _add_histogram(waited, labels, series.waited)
        signals = families.counter("signals_total")
        for signal, count in self._tally.signals().items():
            signals.add_metric([signal.value], count)

    def _add_vitals(self, families: _Families) -> None:
        vitals = self._vitals()
        running = families.gauge("running_jobs")
        # What was counted before is shown at zero once it runs no more.
        counts = {**dict.fromkeys((labels for labels, _ in self._tally.series()), 0), **vitals.running}
        for labels, count in _bounded(counts, self._most, (OTHER, OTHER)).items():
            running.add_metric(labels, count)
        failures = families.gauge("loop_failures")
        for loop in vitals.loops:
            failures.add_metric([loop.name], loop.failures)
        families.gauge("draining").add_metric([], vitals.draining)
        if vitals.last_beat is not None:
            families.gauge("last_beat_age_seconds").add_metric([], vitals.last_beat)

    # ---- of the store --------------------------------------------------------------------------------------------

    def _add_sample(self, families: _Families, sample: Sample) -> None:
        self._add_queues(families, sample.backlog.queues, sample.backlog.now)
        for name, counts in (
            ("queue_slots", sample.slots),
            ("unknown_jobs", sample.backlog.unknown),
            ("nodes", sample.nodes),
        ):
            family = families.gauge(name)
            for label, count in _bounded(counts, self._most, OTHER).items():
                family.add_metric([label], count)
        phases = families.gauge("breaker_phase")
        for breaker, now in tuple(sample.breakers.items())[: self._most]:
            for phase in _PHASES:
                phases.add_metric([breaker, phase], phase == now)
        lags = families.gauge("subscription_lag_events")
        for name, lag in _bounded(sample.lags, self._most, OTHER, join=max).items():
            lags.add_metric([name], lag)
        families.gauge("schedule_overdue_seconds").add_metric([], sample.overdue / SECOND)

    def _add_queues(self, families: _Families, queues: Iterable[QueueBacklog], now: int) -> None:
        found = tuple(queues)
        jobs = families.gauge("queue_jobs")
        for state in _STATES:
            counts = {each.queue: int(getattr(each, state)) for each in found}
            for queue, count in _bounded(counts, self._most, OTHER).items():
                jobs.add_metric([queue, state], count)
        oldest = families.gauge("queue_oldest_seconds")
        ages = {each.queue: 0 if each.oldest is None else max(0, now - each.oldest) for each in found}
        for queue, age in _bounded(ages, self._most, OTHER, join=max).items():
            oldest.add_metric([queue], age / SECOND)


class _Families:
    """The families of the table, to be filled."""

    def __init__(self) -> None:
        self._made = {entry.name: _family(entry) for entry in METRICS}

    def counter(self, name: str) -> CounterMetricFamily:
        """Return a counter."""
        return self._find(name, CounterMetricFamily)

    def gauge(self, name: str) -> GaugeMetricFamily:
        """Return a gauge."""
        return self._find(name, GaugeMetricFamily)

    def histogram(self, name: str) -> HistogramMetricFamily:
        """Return a histogram."""
        return self._find(name, HistogramMetricFamily)

    def all(self) -> Iterable[Metric]:
        """Return them in the table's order."""
        return self._made.values()

    def _find(self, name: str, kind: type[F]) -> F:
        family = self._made[f"backburner_{name}"]
        if not isinstance(family, kind):
            raise TypeError(f"backburner_{name} is no {kind.__name__} in the table of metrics")
        return family


def _family(entry: Entry) -> CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily:
    # The text format knows a unit only where the name ends with it.
    unit = entry.unit if entry.name.endswith(f"_{entry.unit}") else ""
    if entry.form is Form.COUNTER:
        return CounterMetricFamily(entry.name, entry.says, labels=entry.fields, unit=unit)
    if entry.form is Form.HISTOGRAM:
        return HistogramMetricFamily(entry.name, entry.says, labels=entry.fields, unit=unit)
    return GaugeMetricFamily(entry.name, entry.says, labels=entry.fields, unit=unit)


def _add_histogram(family: HistogramMetricFamily, labels: tuple[str, ...], counted: Histogram) -> None:
    counts = counted.counts.copy()
    bounds = (*map(str, counted.bounds), "+Inf")
    family.add_metric(labels, tuple(zip(bounds, accumulate(counts), strict=True)), counted.sum)


def _bounded(
    values: Mapping[K, int], most: int, other: K, join: Callable[[int, int], int] = lambda one, two: one + two
) -> Mapping[K, int]:
    """Return values under at most so many labels and one more, under which the others are joined."""
    if len(values) <= most:
        return values
    kept: dict[K, int] = {}
    for label, value in values.items():
        key = label if len(kept) < most or label in kept else other
        kept[key] = join(kept[key], value) if key in kept else value
    return kept
