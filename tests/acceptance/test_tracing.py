"""A request's trace and its correlation id, all the way through its jobs."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from backburner import (
    Backburner,
    Event,
    Every,
    JobCancelled,
    JobDead,
    RetryPolicy,
    Snooze,
    constant,
    current_job,
)
from backburner.observability.correlation import CorrelationId, correlated, correlation_id
from backburner.observability.otel import OpenTelemetry

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import ReadableSpan
    from starlette.requests import Request


PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "trace.md").read_text("utf-8")


class Traces:
    """What is recorded of engines."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._provider = TracerProvider()
        self._provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self._provider.get_tracer("test")

    def watch(self, bb: Backburner[Any]) -> None:
        """Trace an engine."""
        OpenTelemetry(bb, tracer_provider=self._provider)

    def of(self, name: str) -> list[ReadableSpan]:
        """Return the spans of a name, in the order in which they ended."""
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def tree(self) -> set[tuple[str, str]]:
        """Return each span's name, and that of its parent."""
        spans = self._exporter.get_finished_spans()
        names = {number(span): span.name for span in spans}
        return {(span.name, names[span.parent.span_id] if span.parent else "") for span in spans}

    def traces(self) -> int:
        """Count the traces."""
        return len({trace_of(span) for span in self._exporter.get_finished_spans()})


def number(span: ReadableSpan) -> int:
    """Return a span's id."""
    found = span.get_span_context()
    assert found is not None
    return found.span_id


def trace_of(span: ReadableSpan) -> int:
    """Return the id of a span's trace."""
    found = span.get_span_context()
    assert found is not None
    return found.trace_id


@pytest.fixture
def traces() -> Traces:
    """Bring a tracer that keeps what it records."""
    return Traces()


async def test_one_trace_from_request_to_grandchildren(bb: Backburner, traces: Traces) -> None:
    """What a request stores, its retries, their children and follow-ups stand in the request's trace."""
    traces.watch(bb)

    @bb.job
    async def receipt(order: int) -> int:
        return order

    @bb.job
    async def ship(order: int) -> int:
        return order

    @bb.job
    async def order(number: int) -> str:
        if current_job().attempt == 1:
            raise ConnectionError("no route")
        await (await bb.create_task(receipt(number)))
        return current_job().then(ship(number))

    async with bb:
        with traces.tracer.start_as_current_span("request"):
            handle = await bb.create_task(order(7))
        assert await bb.handle(await handle, ship) == 7
    assert traces.tree() == {
        ("request", ""),
        ("send order", "request"),
        ("process order", "send order"),
        ("send receipt", "process order"),
        ("process receipt", "send receipt"),
        ("process ship", "process order"),
    }
    assert traces.traces() == 1
    first, second = traces.of("process order")
    assert first.attributes is not None
    assert first.attributes["backburner.outcome"] == "retry"
    assert first.attributes["error.type"] == "ConnectionError"
    assert first.attributes["messaging.message.id"] == handle.id
    (raised,) = first.events
    assert raised.attributes is not None
    assert "in order" in str(raised.attributes["exception.stacktrace"])
    assert second.attributes is not None
    assert second.attributes["backburner.outcome"] == "completed"
    assert second.status.status_code is StatusCode.UNSET


async def test_batches_are_found_from_the_request(bb: Backburner, traces: Traces) -> None:
    """The runs of many jobs stored at once stand in the request's trace, each linked to what stored it."""
    traces.watch(bb)

    @bb.job
    async def resize(number: int) -> int:
        return number

    async with bb:
        with traces.tracer.start_as_current_span("request"):
            for handle in await bb.create_tasks([resize(1), resize(2)]):
                await handle
            async with bb.TaskGroup() as group:
                for number in (3, 4, 5):
                    group.create_task(resize(number))
    assert traces.traces() == 1
    sends = [*traces.of("send resize"), *traces.of("send")]
    assert [span.attributes["messaging.batch.message_count"] for span in sends if span.attributes] == [2, 3]
    runs = traces.of("process resize")
    assert len(runs) == 5
    assert all(span.links[0].context.span_id == span.parent.span_id for span in runs if span.parent)


async def test_a_schedule_begins_a_trace(bb: Backburner, traces: Traces) -> None:
    """A scheduled job's run belongs to nobody's trace, and names its schedule."""
    traces.watch(bb)

    @bb.job
    async def report() -> str:
        return "done"

    with traces.tracer.start_as_current_span("startup"):
        async with bb:
            await bb.schedules.put("nightly", Every(hours=24), report())
            fired = await bb.schedules.trigger("nightly")
            assert await bb.handle(fired, report) == "done"
    (run,) = traces.of("process report")
    assert run.parent is None
    assert run.attributes is not None
    assert run.attributes["backburner.schedule"] == "nightly"
    assert traces.traces() == 2


async def test_threads_see_the_span(bb: Backburner, traces: Traces) -> None:
    """A `def` job's code is within its run's span, and what a thread stores through the sync door joins the trace."""
    traces.watch(bb)

    @bb.job
    async def receipt() -> None: ...

    @bb.job
    def convert() -> int:
        bb.blocking.create_task(receipt())
        return trace.get_current_span().get_span_context().span_id

    async with bb:
        seen = await (await bb.create_task(convert()))
    (run,) = traces.of("process convert")
    assert seen == number(run)
    assert ("send receipt", "process convert") in traces.tree()


async def test_decisions_are_no_errors(bb: Backburner, traces: Traces) -> None:
    """A snooze and a cancellation are told as what they are; a death is an error."""
    traces.watch(bb)
    begun = asyncio.Event()

    @bb.job
    async def later() -> None:
        if current_job().attempt == 1:
            raise Snooze(delay=0)

    @bb.job
    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    @bb.job(retry="none")
    async def broken() -> None:
        raise ValueError("broken")

    async with bb:
        await (await bb.create_task(later()))
        handle = await bb.create_task(endless())
        await begun.wait()
        await handle.cancel()
        with pytest.raises(JobCancelled):
            await handle
        with pytest.raises(JobDead):
            await (await bb.create_task(broken()))
    ends = {
        name: [
            (span.attributes["backburner.outcome"], span.status.status_code)
            for span in traces.of(name)
            if span.attributes
        ]
        for name in ("process later", "process endless", "process broken")
    }
    assert ends == {
        "process later": [("snoozed", StatusCode.UNSET), ("completed", StatusCode.UNSET)],
        "process endless": [("cancelled", StatusCode.UNSET)],
        "process broken": [("dead", StatusCode.ERROR)],
    }


async def test_a_time_out_is_an_error(make: Callable[..., Backburner], traces: Traces) -> None:
    """A run that took too long tells so, and not that it was cancelled."""
    bb = make(timeout=0.01, retry="none")
    traces.watch(bb)

    @bb.job
    async def endless() -> None:
        await asyncio.Event().wait()

    async with bb:
        with pytest.raises(JobDead):
            await (await bb.create_task(endless()))
    (run,) = traces.of("process endless")
    assert run.attributes is not None
    assert run.attributes["error.type"] == "TimeoutError"


async def test_a_request_and_its_jobs_share_an_id(bb: Backburner) -> None:
    """The id that a client sent is answered, and is that of the request's job and the job's child, in threads too."""

    @bb.job
    def child() -> str | None:
        return correlation_id()

    @bb.job
    async def parent() -> list[str | None]:
        return [correlation_id(), await (await bb.create_task(child()))]

    async def endpoint(_: Request) -> PlainTextResponse:
        seen = await (await bb.create_task(parent()))
        return PlainTextResponse(",".join(map(str, seen)))

    app = Starlette(routes=[Route("/", endpoint)], middleware=[Middleware(CorrelationId)])
    async with bb, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
        answer = await client.get("/", headers={"x-request-id": "abc"})
        assert (answer.text, answer.headers["x-request-id"]) == ("abc,abc", "abc")
        other = await client.get("/")
        made = other.headers["x-request-id"]
        assert other.text == f"{made},{made}"
        assert made != "abc"


async def test_an_event_carries_its_request_on(bb: Backburner, traces: Traces) -> None:
    """Its handlers work under the id that it was published under, in the same trace; each delivery shows neither in its data."""
    traces.watch(bb)
    seen: list[tuple[str | None, Event]] = []
    done = asyncio.Event()

    @bb.on("order.*")
    async def handle(event: Event) -> None:
        seen.append((correlation_id(), event))
        done.set()

    async with bb:
        with correlated("abc"), traces.tracer.start_as_current_span("request"):
            await bb.publish("order.paid", {"total": 12})
        await done.wait()
        await bb.drain()
    ((under, event),) = seen
    assert under == "abc"
    assert event.data == {"total": 12}
    assert event.headers["correlation_id"] == "abc"
    assert ("process handle", "request") in traces.tree()
    assert traces.traces() == 1


async def test_the_log_tells_of_a_job_by_the_id_of_its_request(caplog: pytest.LogCaptureFixture) -> None:
    """A retry and a death are told with the id that the job was stored under; a job without one, without."""
    bb = Backburner("memory://", retry=RetryPolicy(attempts=2, backoff=constant(0)))

    @bb.job
    async def fail() -> None:
        raise ValueError("no")

    async with bb:
        with correlated("abc"):
            await (await bb.create_task(fail())).wait()
        await (await bb.create_task(fail(), retry="none")).wait()
    told = [record.getMessage() for record in caplog.records if "job." in record.getMessage()]
    assert ["correlation_id=abc" in line for line in told] == [True, True, False]


async def test_the_page(url: str, traces: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app of docs/how-to/trace.md is traced, and answers ids; the rest of that page is run in test_sentry.py."""
    monkeypatch.setenv("BACKBURNER_URL", url)
    monkeypatch.setattr(trace, "get_tracer", lambda *_, **__: traces.tracer)
    tracing, correlating, *_ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {"__name__": "how_to"}
    exec(compile(tracing + correlating, "how-to", "exec"), names)  # noqa: S102 - the page's own code
    bb: Backburner = names["bb"]

    @bb.job
    async def order() -> str:
        return "done"

    async with bb, httpx.AsyncClient(transport=httpx.ASGITransport(names["app"]), base_url="http://app") as client:
        assert await (await bb.create_task(order())) == "done"
        answer = await client.get("/", headers={"x-request-id": "abc"})
    assert answer.headers["x-request-id"] == "abc"
    assert traces.tree() == {("send order", ""), ("process order", "send order")}


async def test_a_job_without_a_request_has_no_id(bb: Backburner) -> None:
    """Not even that under which the engine was started; it may give itself one, for what it stores."""

    @bb.job
    async def child() -> str | None:
        return correlation_id()

    @bb.job
    async def parent() -> list[str | None]:
        with correlated(current_job().id):
            stored = await bb.create_task(child())
        return [correlation_id(), await stored]

    with correlated("startup"):
        await bb.__aenter__()
    handle = await bb.create_task(parent())
    assert await handle == [None, handle.id]
    await bb.__aexit__(None, None, None)
