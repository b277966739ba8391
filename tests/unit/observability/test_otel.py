"""Spans and metrics of OpenTelemetry, from what a telemetry is told."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from backburner.codec.payloads import canonical
from backburner.model.catalogue import INSTRUMENTS, SPANS
from backburner.model.job import Claim, Ending, JobState, NewJob, Settlement
from backburner.observability.otel import OpenTelemetry
from backburner.observability.otel_endings import End, end_of
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.sampling import Sampler

    from backburner.ports.telemetry import Telemetry

SEND = {"messaging.system": "backburner", "messaging.operation.name": "send", "messaging.operation.type": "send"}
PROCESS = {
    "messaging.system": "backburner",
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
}


class Engine:
    """Takes a telemetry, and has it hear what a test says."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=sampler)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.clock = FakeClock()
        self.tracer = provider.get_tracer("test")
        self.otel = OpenTelemetry(
            self, tracer_provider=provider, meter_provider=MeterProvider([self._reader]), clock=self.clock
        )

    def instrument(self, telemetry: Telemetry, /) -> None:
        self.heard = telemetry

    def store(self, *kinds: str, queue: str = "mail") -> list[NewJob]:
        """Store jobs by one call."""
        with self.otel.storing(len(kinds)):
            jobs = [self.job(kind, f"{kind}-{number}", queue=queue) for number, kind in enumerate(kinds)]
            self.clock.move(0.25)
            # The engine tells on its own task, where the caller's span is not the current one.
            token = context.attach(context.Context())
            self.otel.stored(jobs)
            context.detach(token)
        return jobs

    def job(self, kind: str, job_id: str, *, queue: str = "mail") -> NewJob:
        return NewJob(
            id=job_id, kind=kind, queue=queue, args="{}", headers=canonical(dict(self.otel.headers())).decode()
        )

    def run(self, claimed: Claim, settlement: Settlement | None) -> None:
        """Run a claim to an end."""
        with self.otel.running(claimed):
            pass
        self.otel.ended(claimed, settlement, 1.5)

    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.spans() if span.name == name]
        return found

    def points(self) -> Mapping[str, list[Any]]:
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        metrics = [metric for each in data.resource_metrics for scope in each.scope_metrics for metric in scope.metrics]
        return {metric.name: list(metric.data.data_points) for metric in metrics}


def claim(job: NewJob | None = None, *, headers: Mapping[str, str] | None = None, attempt: int = 1) -> Claim:
    """Make the claim of a job, or of one with these headers."""
    if job is None:
        text = None if headers is None else canonical(dict(headers)).decode()
        job = NewJob(id="a1", kind="send_email", queue="mail", args="{}", headers=text)
    return Claim(
        id=job.id,
        kind=job.kind,
        queue=job.queue,
        args=job.args,
        priority=5,
        attempt=attempt,
        failures=0,
        crashes=0,
        interruptions=0,
        token=attempt,
        timeout=None,
        retry=None,
        backoff=None,
        created_at=0,
        due_at=0,
        expires_at=None,
        claimed_at=0,
        headers=job.headers,
    )


def settled(state: JobState = JobState.COMPLETED, **fields: Any) -> Settlement:  # noqa: ANN401 - as a settlement has them
    """Make a settlement."""
    return Settlement(id="a1", token=1, state=state, **fields)


FAILED = settled(
    JobState.PENDING, ending=Ending.FAILED, error="app.Refused", message="no route", traceback="Traceback …", failed=1
)


def context_of(span: ReadableSpan) -> trace.SpanContext:
    """Return a span's context."""
    found = span.get_span_context()
    assert found is not None
    return found


def test_it_registers_itself() -> None:
    """An engine is told of it by the constructor."""
    engine = Engine()
    assert engine.heard is engine.otel


def test_one_job_is_sent_and_processed_in_the_callers_trace() -> None:
    """The send span is the caller's child, the run's span is the send span's, and is linked to it."""
    engine = Engine()
    with engine.tracer.start_as_current_span("request"):
        (job,) = engine.store("send_email")
    engine.run(claim(job), settled())
    request, send, process = engine.span("request"), engine.span("send send_email"), engine.span("process send_email")
    assert send.parent == context_of(request)
    assert process.parent is not None
    assert process.parent.span_id == context_of(send).span_id
    assert [link.context.span_id for link in process.links] == [context_of(send).span_id]
    assert len({context_of(span).trace_id for span in engine.spans()}) == 1
    assert (send.kind, process.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert send.attributes == {
        **SEND,
        "messaging.destination.name": "mail",
        "messaging.message.id": "send_email-0",
        "backburner.kind": "send_email",
    }
    assert process.attributes == {
        **PROCESS,
        "messaging.destination.name": "mail",
        "messaging.message.id": "send_email-0",
        "backburner.kind": "send_email",
        "backburner.attempt": 1,
        "backburner.outcome": "completed",
    }


def test_many_jobs_are_one_span() -> None:
    """A batch is one send span with its number; what its jobs do not have in common is left out."""
    engine = Engine()
    jobs = engine.store("send_email", "send_email")
    assert engine.span("send send_email").attributes == {
        **SEND,
        "messaging.batch.message_count": 2,
        "messaging.destination.name": "mail",
        "backburner.kind": "send_email",
    }
    engine.store("send_email", "resize")
    assert engine.span("send").attributes == {
        **SEND,
        "messaging.batch.message_count": 2,
        "messaging.destination.name": "mail",
    }
    for job in jobs:
        engine.run(claim(job), settled())
    batch = context_of(engine.span("send send_email"))
    runs = [span for span in engine.spans() if span.name == "process send_email"]
    assert [link.context.span_id for span in runs for link in span.links] == [batch.span_id] * 2
    assert {context_of(span).trace_id for span in runs} == {batch.trace_id}


def test_retries_and_children_join_the_trace() -> None:
    """Each attempt has a span below what stored the job; what a run stores hangs below that run."""
    engine = Engine()
    (job,) = engine.store("order")
    first, second = claim(job), claim(job, attempt=2)
    engine.run(first, FAILED)
    with engine.otel.running(second):
        engine.store("receipt")
    engine.otel.ended(second, settled(), 1.0)
    attempts = [span for span in engine.spans() if span.name == "process order"]
    send, child = engine.span("send order"), engine.span("send receipt")
    assert [span.parent.span_id for span in attempts if span.parent] == [context_of(send).span_id] * 2
    assert [span.attributes["backburner.attempt"] for span in attempts if span.attributes] == [1, 2]
    assert child.parent == context_of(attempts[1])


def test_a_job_without_a_trace_begins_one() -> None:
    """A scheduled job's run has no parent, not even the span in which the engine was started."""
    engine = Engine()
    with engine.tracer.start_as_current_span("startup"):
        engine.run(claim(headers={"backburner.schedule": "nightly", "correlation_id": "abc"}), settled())
    run = engine.span("process send_email")
    assert run.parent is None
    assert not run.links
    assert run.attributes is not None
    assert run.attributes["backburner.schedule"] == "nightly"
    assert run.attributes["messaging.message.conversation_id"] == "abc"


def test_baggage_and_tracestate_travel() -> None:
    """A run sees the baggage and the trace state under which its job was stored, and hands them on."""
    engine = Engine()
    incoming = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "vendor=value",
        "baggage": "tenant=acme",
    }
    claimed = claim(headers=incoming)
    with engine.otel.running(claimed):
        assert baggage.get_baggage("tenant") == "acme"
        headers = engine.otel.headers()
    engine.otel.ended(claimed, settled(), 1.0)
    assert {name: headers[name] for name in ("tracestate", "baggage")} == {
        "tracestate": "vendor=value",
        "baggage": "tenant=acme",
    }
    assert headers["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert baggage.get_baggage("tenant") is None


def test_what_takes_too_much_room_stays_behind() -> None:
    """A client's huge baggage is left out, so that no job is refused for it; the trace goes on."""
    engine = Engine()
    token = context.attach(baggage.set_baggage("blob", "x" * 4090))
    with engine.tracer.start_as_current_span("request"):
        headers = engine.otel.headers()
    context.detach(token)
    assert list(headers) == ["traceparent"]


@pytest.mark.parametrize(
    ("settlement", "end"),
    [
        (None, End("lost")),
        (settled(), End("completed")),
        (FAILED, End("retry", "app.Refused")),
        (
            settled(JobState.DEAD, ending=Ending.REJECTED, error="backburner.Reject", message="no"),
            End("dead", "backburner.Reject"),
        ),
        (settled(JobState.DEAD, ending=Ending.CRASHED, error="Poison"), End("dead", "Poison")),
        (settled(JobState.PENDING, ending=Ending.CRASHED, message="it died"), End("crashed", "crashed")),
        (settled(JobState.PENDING, ending=Ending.MISFIT, error="Unfit"), End("misfit", "Unfit")),
        (settled(JobState.PENDING, ending=Ending.SNOOZED, message="later"), End("snoozed")),
        (settled(JobState.PENDING, ending=Ending.INTERRUPTED, message="stopped"), End("interrupted")),
        (settled(JobState.PENDING, ending=Ending.CANCELLED), End("cancelled")),
        (settled(JobState.CANCELLED, ending=Ending.CANCELLED, reason="why"), End("cancelled")),
        (settled(JobState.PENDING, unstarted=True), End("released")),
    ],
    ids=[
        "lost",
        "completed",
        "retry",
        "rejected",
        "poison",
        "crashed",
        "misfit",
        "snoozed",
        "interrupted",
        "cancelled by a person",
        "cancelled by itself",
        "released",
    ],
)
def test_how_a_run_ends(settlement: Settlement | None, end: End) -> None:
    """What failed is an error, with its exception; what somebody decided is none."""
    engine = Engine()
    assert end_of(settlement) == end
    engine.run(claim(), settlement)
    run = engine.span("process send_email")
    assert run.attributes is not None
    assert run.attributes["backburner.outcome"] == end.outcome
    assert run.attributes.get("error.type") == end.error
    assert run.status.status_code is (StatusCode.ERROR if end.error else StatusCode.UNSET)
    assert [event.name for event in run.events] == (["exception"] if end.error else [])


def test_the_exception_is_on_the_span() -> None:
    """Type, message and traceback are those that the store keeps."""
    engine = Engine()
    engine.run(claim(), FAILED)
    run = engine.span("process send_email")
    assert run.events[0].attributes == {
        "exception.type": "app.Refused",
        "exception.message": "no route",
        "exception.stacktrace": "Traceback …",
    }
    assert run.status.description == "app.Refused: no route"


def test_a_failed_write_is_an_error() -> None:
    """What a store refuses is on the send span and in its duration's metric; a caller who goes away is no error."""
    engine = Engine()
    with pytest.raises(ConnectionError), engine.otel.storing(1):
        raise ConnectionError("gone")
    with pytest.raises(KeyboardInterrupt), engine.otel.storing(1):
        raise KeyboardInterrupt
    refused, interrupted = engine.spans()
    assert refused.attributes == {**SEND, "error.type": "ConnectionError"}
    assert refused.status.status_code is StatusCode.ERROR
    assert [event.name for event in refused.events] == ["exception"]
    assert interrupted.attributes == SEND
    assert interrupted.status.status_code is StatusCode.UNSET
    durations = engine.points()["messaging.client.operation.duration"]
    assert [point.attributes.get("error.type") for point in durations] == ["ConnectionError", None]


def test_an_unsampled_parent_is_respected() -> None:
    """Nothing is recorded below a trace that is not sampled, and jobs carry that decision on."""
    engine = Engine()
    dropped = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}
    claimed = claim(headers=dropped)
    with engine.otel.running(claimed):
        (child,) = engine.store("receipt")
    engine.otel.ended(claimed, FAILED, 1.0)
    assert engine.spans() == []
    assert child.headers is not None
    assert "00-0af7651916cd43dd8448eb211c80319c-" in child.headers
    assert '-00"' in child.headers


def test_metrics_count_what_is_not_sampled() -> None:
    """A sampler takes nothing from the metrics."""
    engine = Engine(ParentBased(ALWAYS_OFF))
    engine.run(claim(*engine.store("send_email")), settled())
    assert engine.spans() == []
    assert sorted(engine.points()) == sorted(entry.name for entry in INSTRUMENTS)


def test_metrics_have_bounded_names() -> None:
    """Kinds, queues, outcomes and types of errors; never an id."""
    engine = Engine()
    jobs = engine.store("send_email", "send_email", "resize")
    engine.run(claim(jobs[0]), settled())
    engine.run(claim(jobs[1]), FAILED)
    engine.run(claim(jobs[2]), settled(JobState.PENDING, unstarted=True))
    points = engine.points()
    mail = {"messaging.destination.name": "mail", "backburner.kind": "send_email"}
    assert [(point.value, point.attributes) for point in points["messaging.client.sent.messages"]] == [
        (2, {**SEND, **mail}),
        (1, {**SEND, **mail, "backburner.kind": "resize"}),
    ]
    ends = [
        {**PROCESS, **mail, "backburner.outcome": "completed"},
        {**PROCESS, **mail, "backburner.outcome": "retry", "error.type": "app.Refused"},
    ]
    assert [(point.value, point.attributes) for point in points["messaging.client.consumed.messages"]] == [
        (1, end) for end in ends
    ]
    assert [(point.sum, point.attributes) for point in points["messaging.process.duration"]] == [
        (1.5, end) for end in ends
    ]
    (storing,) = points["messaging.client.operation.duration"]
    assert (storing.sum, storing.count) == (0.25, 1)
    assert storing.explicit_bounds[0] == 0.005


def test_the_catalogue_names_what_is_told() -> None:
    """Spans and metrics have the names and attributes that the table has."""
    engine = Engine()
    engine.store("send_email", "send_email")
    headers = {"backburner.schedule": "nightly", "correlation_id": "abc"}
    engine.run(claim(headers=headers), FAILED)
    engine.run(claim(*engine.store("send_email")), settled())
    with pytest.raises(ConnectionError), engine.otel.storing(1):
        raise ConnectionError
    for entry in SPANS:
        operation, _, _ = entry.name.partition(" ")
        told = [span for span in engine.spans() if span.name.startswith(operation)]
        assert {name for span in told for name in span.attributes or {}} == set(entry.fields)
    points = engine.points()
    for entry in INSTRUMENTS:
        assert {name for point in points[entry.name] for name in point.attributes} == set(entry.fields)


def test_without_an_sdk_nothing_is_recorded_and_contexts_pass() -> None:
    """With the API alone a trace of somebody else's goes through unchanged."""
    heard: list[Telemetry] = []

    class Engine:
        def instrument(self, telemetry: Telemetry, /) -> None:
            heard.append(telemetry)

    otel = OpenTelemetry(Engine(), tracer_provider=trace.NoOpTracerProvider())
    carried = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    with otel.running(claim(headers=carried)), otel.storing(1):
        assert otel.headers() == carried
    assert otel.headers() == {}


def test_a_missing_api_names_the_extra() -> None:
    """Without the package its import says what to install."""
    code = "import sys; sys.modules['opentelemetry'] = None; import backburner.observability.otel"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith(
        "ModuleNotFoundError: OpenTelemetry's API is not installed: pip install 'backburner[otel]'"
    )
