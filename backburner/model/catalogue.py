"""One table of everything the engine tells by name: events, signals, metrics, spans. Its page of the docs is made of it.

Names and fields are bounded: kinds, queues, lanes, schedules and nodes stand in fields; ids stand in events' subjects and in logs, never in
a metric.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

__all__ = ["BUILT_IN", "EVENTS", "FAMILIES", "INSTRUMENTS", "METRICS", "SPANS", "Entry", "Form", "event_names"]


class Form(StrEnum):
    """How something is told."""

    #: Stored where a subscription asks for it; listeners in the process hear it.
    EVENT = "event"
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SPAN = "span"


class Entry(NamedTuple):
    """One name."""

    name: str
    form: Form
    #: What it tells, in a sentence without a full stop.
    says: str
    #: The fields of an event's data, the labels of a metric, the attributes of a span.
    fields: tuple[str, ...] = ()
    #: Of a metric: ``seconds``, ``jobs`` …
    unit: str = ""
    #: An event that is stored whether or not anybody asks: what people did is never lost.
    kept: bool = False


def _event(name: str, says: str, *fields: str, kept: bool = False) -> Entry:
    return Entry(name, Form.EVENT, says, fields, kept=kept)


_JOB = ("kind", "queue", "attempt")
_WHO = ("by", "reason")

#: Events, by the order of the page. The subject of a ``job.`` event is the job's id; of others the name of what they tell
#: of: a node's id, a breaker's or schedule's or alert's name.
EVENTS = (
    _event("job.enqueued", "A job was stored", *_JOB),
    _event("job.claimed", "A node took it to run it", *_JOB, "node"),
    _event("job.completed", "It returned", *_JOB, "node"),
    _event("job.retry", "It failed, and runs again later", *_JOB, "node", "error", "message", "fingerprint", "delay"),
    _event("job.snoozed", "It asked to run again later", *_JOB, "node", "message", "delay"),
    _event(
        "job.interrupted", "Its node had to stop it; nothing is counted against it", *_JOB, "node", "error", "message"
    ),
    _event("job.crashed", "Its node or its process died; it runs again", *_JOB, "node", "error", "message"),
    _event("job.misfit", "Its arguments do not fit the signature there", *_JOB, "node", "error", "message"),
    _event("job.released", "Its claim was given back before it began", *_JOB, "node", "delay"),
    _event("job.cancelled", "It was cancelled, or expired", *_JOB, "node", "reason"),
    _event("job.dead", "It is a dead letter", *_JOB, "node", "reason", "error", "message", "fingerprint"),
    _event("job.replayed", "A dead letter was brought back", *_JOB),
    _event("job.purged", "A dead letter was deleted, by a person or since its time was over", *_JOB, "reason"),
    _event("schedule.fired", "A job was stored for a tick", "tick", "job", "late"),
    _event("schedule.skipped", "A tick was skipped", "tick", "last", "count", "reason"),
    _event(
        "schedule.missed",
        "A tick was decided upon long after its time, or passed over",
        "tick",
        "count",
        "reason",
        "late",
    ),
    _event("schedule.declared", "A schedule in code was stored, or changed", "kind"),
    _event("schedule.retired", "No living node declares it any more", "kind"),
    _event("breaker.opened", "A dependency fails; the jobs that name its breaker wait", "seconds"),
    _event("breaker.probing", "A few of them try it"),
    _event("breaker.closed", "It works again"),
    _event("budget.dry", "A retry budget has run out; retries wait"),
    _event("budget.refilled", "No retry waits for it any more"),
    _event("lock.lost", "A lock's lease was over while its holder worked", "node"),
    _event("node.joined", "A node has started", "host", "pid", "queues"),
    _event("node.left", "A node has stopped", "host"),
    _event("node.lost", "A node died; its jobs are taken over", "host"),
    _event("alert.fired", "An alert's condition holds", "when", "value", "since"),
    _event("alert.resolved", "It holds no more", "when", "value", "since"),
    _event("events.lost", "A subscription was too slow: events went before it saw them", "upto"),
    _event("operation.ended", "A replay, purge or import has ended", "action", "outcome", "done", "kept", "missed"),
    _event("operator.queue.paused", "A person paused a queue", *_WHO, "until", kept=True),
    _event("operator.queue.resumed", "A person resumed it", *_WHO, kept=True),
    _event("operator.queue.set", "A person limited it", *_WHO, "slots", "rate", kept=True),
    _event("operator.job.cancelled", "A person cancelled jobs; of one its id is the subject", *_WHO, "jobs", kept=True),
    _event(
        "operator.job.expedited", "A person had jobs run now; of one its id is the subject", *_WHO, "jobs", kept=True
    ),
    _event("operator.kind.paused", "A person paused a kind", *_WHO, "until", kept=True),
    _event("operator.kind.resumed", "A person resumed it", *_WHO, kept=True),
    _event("operator.limit.set", "A person overrode a limit", *_WHO, "slots", "rate", kept=True),
    _event("operator.limit.reset", "What code declares holds again", *_WHO, kept=True),
    _event("operator.breaker.opened", "A person opened a breaker", *_WHO, kept=True),
    _event("operator.breaker.auto", "It goes by how runs end again", *_WHO, kept=True),
    _event("operator.schedule.put", "A person put a schedule", *_WHO, "kind", kept=True),
    _event("operator.schedule.removed", "A person removed it", *_WHO, kept=True),
    _event("operator.schedule.paused", "A person paused it", *_WHO, "until", kept=True),
    _event("operator.schedule.resumed", "A person resumed it", *_WHO, kept=True),
    _event("operator.schedule.triggered", "A person had it fire", *_WHO, "job", kept=True),
    _event("operator.schedule.backfilled", "A person had it fire for what had passed", *_WHO, "count", kept=True),
    _event("operator.operation.begun", "A person began a replay, purge or import", *_WHO, "action", kept=True),
    _event("operator.operation.stopped", "A person stopped it", *_WHO, "action", kept=True),
    _event("operator.node.drained", "A person asked a node to drain", *_WHO, kept=True),
)

_MESSAGING = ("messaging.system", "messaging.operation.name", "messaging.operation.type")

#: Spans of OpenTelemetry, with their attributes: by its semantic conventions for messaging, and some of our own. Of names
#: that end in a kind, the kind is left out where there are several.
SPANS = (
    Entry(
        "send {kind}",
        Form.SPAN,
        "Jobs are checked and stored by one call; one of many jobs tells their number",
        (
            *_MESSAGING,
            "messaging.destination.name",
            "messaging.batch.message_count",
            "messaging.message.id",
            "backburner.kind",
            "error.type",
        ),
    ),
    Entry(
        "process {kind}",
        Form.SPAN,
        "A run, in the trace of what stored the job; linked to it too",
        (
            *_MESSAGING,
            "messaging.destination.name",
            "messaging.message.id",
            "messaging.message.conversation_id",
            "backburner.kind",
            "backburner.attempt",
            "backburner.schedule",
            "backburner.outcome",
            "error.type",
        ),
    ),
)

#: Metrics of OpenTelemetry: by its semantic conventions for messaging.
INSTRUMENTS = (
    Entry(
        "messaging.client.sent.messages",
        Form.COUNTER,
        "Jobs that were stored",
        (*_MESSAGING, "messaging.destination.name", "backburner.kind"),
        "{message}",
    ),
    Entry(
        "messaging.client.operation.duration",
        Form.HISTOGRAM,
        "How long the checking and storing of jobs took, by one call",
        (*_MESSAGING, "error.type"),
        "s",
    ),
    Entry(
        "messaging.client.consumed.messages",
        Form.COUNTER,
        "Runs that have ended",
        (*_MESSAGING, "messaging.destination.name", "backburner.kind", "backburner.outcome", "error.type"),
        "{message}",
    ),
    Entry(
        "messaging.process.duration",
        Form.HISTOGRAM,
        "How long a run took",
        (*_MESSAGING, "messaging.destination.name", "backburner.kind", "backburner.outcome", "error.type"),
        "s",
    ),
)

BUILT_IN = {entry.name: entry for entry in EVENTS}
_FAMILIES = {name.partition(".")[0] for name in BUILT_IN}
#: First parts of names that are the engine's own: nobody else publishes under them. So are their plurals, which are slips.
FAMILIES = frozenset({*_FAMILIES, *(f"{family}s" for family in _FAMILIES)})


def event_names() -> tuple[str, ...]:
    """Return the names of the engine's own events, in order."""
    return tuple(BUILT_IN)


def _metric(name: str, form: Form, says: str, *labels: str, unit: str = "") -> Entry:
    return Entry(f"backburner_{name}", form, says, labels, unit)


_COUNTER, _GAUGE, _HISTOGRAM = Form.COUNTER, Form.GAUGE, Form.HISTOGRAM
_JOBS = ("kind", "queue")

#: Metrics: first those of one process, which add up over all of them; then, from `backburner_queue_jobs` on, those of the
#: store, which every process shows alike: take the greatest, never the sum.
METRICS = (
    _metric("jobs_stored_total", _COUNTER, "Jobs stored by this process", *_JOBS, unit="jobs"),
    _metric(
        "jobs_settled_total",
        _COUNTER,
        "Claims of this process that ended, by how, once that is durable",
        *_JOBS,
        "outcome",
        unit="jobs",
    ),
    _metric("run_seconds", _HISTOGRAM, "How long runs took, of those that have ended", *_JOBS, unit="seconds"),
    _metric(
        "wait_seconds",
        _HISTOGRAM,
        "For how long jobs had been due when they were claimed, told as their run ends",
        *_JOBS,
        unit="seconds",
    ),
    _metric("running_jobs", _GAUGE, "Runs under way in this process", *_JOBS, unit="jobs"),
    _metric("signals_total", _COUNTER, "What the engine of this process has told, by name", "signal", unit="signals"),
    _metric(
        "loop_failures",
        _GAUGE,
        "Steps that failed in a row, of each of the engine's loops in this process",
        "loop",
        unit="failures",
    ),
    _metric("last_beat_age_seconds", _GAUGE, "How long ago this node last renewed its lease", unit="seconds"),
    _metric("draining", _GAUGE, "1: this node takes no more work"),
    _metric("store_readable", _GAUGE, "0: the store could not be read, so what it holds is not shown"),
    _metric("store_read_seconds", _GAUGE, "How long the last reading of the store for metrics took", unit="seconds"),
    _metric(
        "queue_jobs",
        _GAUGE,
        "Jobs in the store, by state: waiting (due), scheduled, retrying, held (at a gate), running, dead",
        "queue",
        "state",
        unit="jobs",
    ),
    _metric(
        "queue_oldest_seconds",
        _GAUGE,
        "How long the first job in line has been due; 0: none waits",
        "queue",
        unit="seconds",
    ),
    _metric("queue_slots", _GAUGE, "Slots of all nodes that take work", "queue", unit="slots"),
    _metric("unknown_jobs", _GAUGE, "Jobs that wait for a node which knows their kind", "kind", unit="jobs"),
    _metric("nodes", _GAUGE, "Nodes, by state: working, draining, dead", "state", unit="nodes"),
    _metric(
        "breaker_phase",
        _GAUGE,
        "1 for the phase that a breaker is in: closed, open, half_open, closing",
        "breaker",
        "phase",
    ),
    _metric(
        "subscription_lag_events",
        _GAUGE,
        "Events that were stored since the last one which a subscription is done with, whether or not it asks for them",
        "subscription",
        unit="events",
    ),
    _metric(
        "schedule_overdue_seconds",
        _GAUGE,
        "By how much the earliest schedule that is due, and was not decided upon, is late; 0: none is",
        unit="seconds",
    ),
)
