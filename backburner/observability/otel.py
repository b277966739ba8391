"""OpenTelemetry: a span for what stores jobs, one for each run in the same trace, and metrics of both.

The context travels in the job's headers, by the app's own propagator: W3C's ``traceparent``, ``tracestate`` and
``baggage`` unless the app has set another. Names and attributes are those of the semantic conventions for messaging;
`backburner.model.catalogue` has them in a table.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from backburner.model.clock import SystemClock
from backburner.model.fingerprint import qualified
from backburner.model.job import CORRELATION_HEADER
from backburner.model.schedule import SCHEDULE_HEADER
from backburner.observability.otel_endings import end_of
from backburner.ports.telemetry import Telemetry

try:
    from opentelemetry import context, metrics, propagate, trace
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, Status, StatusCode
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "OpenTelemetry's API is not installed: pip install 'backburner[otel]'", name=error.name
    ) from error

from backburner.observability.otel_instruments import PROCESS, SEND, Instruments

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.propagators.textmap import TextMapPropagator
    from opentelemetry.trace import Span, TracerProvider

    from backburner.model.clock import Clock
    from backburner.model.job import Claim, NewJob, Settlement

__all__ = ["Instrumented", "OpenTelemetry"]

_SCOPE: Final = "backburner"
#: Characters that a job carries for tracing; what a client sends as baggage may be more than a job's headers hold.
_ROOM: Final = 4096
_decode = msgspec.json.Decoder(dict[str, str]).decode


class _Carried(NamedTuple):
    """What a job's headers carry."""

    headers: Mapping[str, str]
    parent: Context
    #: The span that stored the job.
    creation: trace.SpanContext


class Instrumented(Protocol):
    """What takes a telemetry; a `Backburner` does."""

    def instrument(self, telemetry: Telemetry, /) -> None:
        """Have a telemetry watch jobs come and go."""
        ...


class OpenTelemetry(Telemetry):
    """Traces and measures the jobs of an engine: ``OpenTelemetry(bb)``, once, anywhere before it starts.

    Providers and propagator are the global ones, also those that are set later, unless they are given. Without an SDK,
    and where the request's trace is not sampled, it costs microseconds and records nothing.
    """

    def __init__(
        self,
        bb: Instrumented,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        propagator: TextMapPropagator | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._tracer = trace.get_tracer(_SCOPE, tracer_provider=tracer_provider)
        self._instruments = Instruments(metrics.get_meter(_SCOPE, meter_provider=meter_provider))
        self._given = propagator
        self._clock = clock or SystemClock()
        #: Recording spans of what is being stored, by their ids: what is stored tells which it was.
        self._sending: dict[int, Span] = {}
        #: Recording spans of runs, by job and token: they stay open until it is known how the run ended.
        self._runs: dict[tuple[str, int], Span] = {}
        #: What was injected last, and of which context.
        self._injected: tuple[Context | None, Mapping[str, str]] = None, {}
        #: What was extracted last, and of which headers.
        self._extracted: tuple[str | None, _Carried] = "", _Carried({}, Context(), trace.INVALID_SPAN_CONTEXT)
        bb.instrument(self)

    @property
    def _propagator(self) -> TextMapPropagator:
        return self._given or propagate.get_global_textmap()

    # ---- what is stored ----------------------------------------------------------------------------------------

    def headers(self) -> Mapping[str, str]:
        """Return the current context, as far as there is room: what takes the least goes first."""
        current = context.get_current()
        if current is not self._injected[0]:
            carrier: dict[str, str] = {}
            self._propagator.inject(carrier)  # pyright: ignore[reportArgumentType] - of a setter that the API itself defaults to
            if sum(map(len, carrier.values())) > _ROOM:
                carrier = _fitting(carrier)
            # Many calls are stored within one span.
            self._injected = current, carrier
        return self._injected[1]

    @contextmanager
    def storing(self, calls: int) -> Generator[None]:
        """Surround a call that stores by a span, whose context jobs carry.

        How many jobs it is of is known here; which they are once they are stored, where they are.
        """
        began = self._clock.monotonic()
        span = self._tracer.start_span("send", kind=SpanKind.PRODUCER, attributes=SEND)
        recording = span.is_recording()
        number = span.get_span_context().span_id
        if recording:
            self._sending[number] = span
            if calls != 1:
                span.set_attribute("messaging.batch.message_count", calls)
        failed: str | None = None
        try:
            with trace.use_span(span):
                yield
        except Exception as error:
            failed = qualified(error)
            span.set_attribute("error.type", failed)
            raise
        finally:
            if recording:
                del self._sending[number]
            span.end()
            self._instruments.stored(self._clock.monotonic() - began, failed)

    def stored(self, jobs: Sequence[NewJob]) -> None:
        """Count what was stored, and tell the span of the call that stored it, if it has one."""
        self._instruments.sent(jobs)
        if self._sending and jobs:
            span = self._sending.get(self._carried(jobs[0].headers).creation.span_id)
            if span is not None:
                _describe(span, jobs)

    # ---- what runs ---------------------------------------------------------------------------------------------

    def running(self, claim: Claim) -> AbstractContextManager[None]:
        """Surround a run by a span, in the trace of what stored the job; without one it begins a trace.

        Where that trace is not sampled the run has no span of its own, and what it calls is not sampled either.
        """
        carried = self._carried(claim.headers)
        if carried.creation.is_valid and not carried.creation.trace_flags.sampled:
            return _Attached(carried.parent)
        return self._traced(claim, carried)

    @contextmanager
    def _traced(self, claim: Claim, carried: _Carried) -> Generator[None]:
        headers, parent, creation = carried
        span = self._tracer.start_span(
            f"process {claim.kind}",
            parent,
            SpanKind.CONSUMER,
            {**PROCESS, "messaging.destination.name": claim.queue, "backburner.kind": claim.kind},
            # The conventions want the link; its parent it is too, so that it stands in the request's trace.
            [Link(creation)] if creation.is_valid else None,
        )
        if span.is_recording():
            self._runs[claim.id, claim.token] = span
            span.set_attribute("messaging.message.id", claim.id)
            span.set_attribute("backburner.attempt", claim.attempt)
            for header, attribute in _TOLD.items():
                if header in headers:
                    span.set_attribute(attribute, headers[header])
        token = context.attach(trace.set_span_in_context(span, parent))
        try:
            yield
        finally:
            context.detach(token)

    def ended(self, claim: Claim, settlement: Settlement | None, seconds: float) -> None:
        """End a run's span by what is written down of the run, and measure it."""
        end = end_of(settlement)
        self._instruments.processed(claim, end, seconds)
        span = self._runs.pop((claim.id, claim.token), None)
        if span is None:
            return
        span.set_attribute("backburner.outcome", end.outcome)
        if settlement is not None and end.error is not None:
            span.set_attribute("error.type", end.error)
            # An error of another process too, of which there is no exception here.
            event = {"exception.type": end.error, "exception.message": settlement.message}
            if settlement.traceback:
                event["exception.stacktrace"] = settlement.traceback
            span.add_event("exception", event)
            span.set_status(Status(StatusCode.ERROR, f"{end.error}: {settlement.message}"))
        span.end()

    def _carried(self, text: str | None) -> _Carried:
        """Return what headers carry, whatever the current context is."""
        known, carried = self._extracted
        if known != text:
            headers: Mapping[str, str] = {} if text is None else _decode(text)
            # A context of its own: an engine may have been started within somebody's span.
            parent = self._propagator.extract(headers, Context())
            carried = _Carried(headers, parent, trace.get_current_span(parent).get_span_context())
            # Jobs that were stored together carry the same.
            self._extracted = text, carried
        return carried


class _Attached:
    """Surrounds a run by a context."""

    __slots__ = ("_context", "_token")

    def __init__(self, surrounding: Context) -> None:
        self._context = surrounding

    def __enter__(self) -> None:
        self._token = context.attach(self._context)

    def __exit__(self, *_: object) -> None:
        context.detach(self._token)


#: Headers of a job that its run's span shows.
_TOLD: Final = {
    CORRELATION_HEADER: "messaging.message.conversation_id",
    SCHEDULE_HEADER: "backburner.schedule",
}


def _fitting(carrier: Mapping[str, str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    room = _ROOM
    for name in sorted(carrier, key=lambda name: len(carrier[name])):
        room -= len(carrier[name])
        if room < 0:
            break
        kept[name] = carrier[name]
    return kept


def _describe(span: Span, jobs: Sequence[NewJob]) -> None:
    """Give a span what all jobs of the call have in common."""
    kinds = {job.kind for job in jobs}
    queues = {job.queue for job in jobs}
    if len(kinds) == 1:
        span.update_name(f"send {jobs[0].kind}")
        span.set_attribute("backburner.kind", jobs[0].kind)
    if len(queues) == 1:
        span.set_attribute("messaging.destination.name", jobs[0].queue)
    if len(jobs) == 1:
        span.set_attribute("messaging.message.id", jobs[0].id)
