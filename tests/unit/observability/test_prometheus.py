"""Metrics as Prometheus scrapes them."""

from __future__ import annotations

import asyncio
import builtins
import importlib
import logging
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from starlette.applications import Starlette
from starlette.routing import Mount

from backburner.errors import InvalidOption, NotRunning, StoreUnavailable
from backburner.model.catalogue import METRICS, Form
from backburner.model.clock import SECOND
from backburner.observability import prometheus
from backburner.observability.collector import EngineCollector
from backburner.observability.paced import Reading
from backburner.observability.prometheus import Prometheus
from backburner.observability.tally import Tally
from backburner.ports.jobs import Backlog, QueueBacklog
from backburner.ports.telemetry import Signal
from backburner.testing.clock import FakeClock
from tests.unit.observability.measuring import BUSY, SAMPLE, Measured, claim, new_job, settlement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client.core import Metric

#: Metrics of the store: those of the table from here on.
STORE = [entry.name for entry in METRICS].index("backburner_queue_jobs")
#: The labels of each family.
FIELDS = {entry.name.removesuffix("_total"): entry.fields for entry in METRICS}
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def bb() -> Measured:
    """Bring an engine at work."""
    return Measured()


async def scrape(app: Any, path: str = "/", **headers: str) -> httpx.Response:  # noqa: ANN401 - whatever speaks ASGI
    """Ask an app."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test", follow_redirects=True
    ) as http:
        return await http.get(path, headers=headers)


async def families(app: Prometheus) -> dict[str, Metric]:
    """Return what a scrape shows, by the names of the table."""
    text = (await scrape(app, Accept=OPENMETRICS)).text
    found: list[Metric] = list(parse_openmetrics(text))  # type: ignore[no-untyped-call]
    assert len({family.name for family in found}) == len(found)
    return {f"{family.name}_total" if family.type == "counter" else family.name: family for family in found}


def values(family: Metric) -> dict[tuple[str, ...], float]:
    """Return a family's samples by the values of their labels, in the order of the table."""
    return {tuple(sample.labels[field] for field in FIELDS[family.name]): sample.value for sample in family.samples}


# ---- what is shown -------------------------------------------------------------------------------------------------


async def test_the_table_and_the_metrics_are_one(bb: Measured) -> None:
    """Every metric of the table is shown, with its form and labels; nothing else is."""
    app = Prometheus(bb)
    bb.run()
    shown = await families(app)
    assert list(shown) == [entry.name for entry in METRICS]
    for entry in METRICS:
        family = shown[entry.name]
        assert (family.type, family.documentation) == (entry.form.value, entry.says)
        labels = {frozenset(sample.labels) - {"le"} for sample in family.samples}
        assert labels == {frozenset(entry.fields)}, entry.name


@pytest.mark.parametrize("name", [entry.name for entry in METRICS])
def test_names_are_as_prometheus_wants_them(name: str) -> None:
    """Counters end in ``_total`` and nothing else does; what has a unit of time is in seconds."""
    (entry,) = [entry for entry in METRICS if entry.name == name]
    assert name.startswith("backburner_")
    assert name.endswith("_total") is (entry.form is Form.COUNTER)
    assert name.endswith("_seconds") is (entry.unit == "seconds")
    assert not {"id", "job", "instance", "le"} & set(entry.fields)


async def test_what_the_process_did(bb: Measured) -> None:
    """Counts by kind, queue and outcome; times as histograms; what runs now."""
    app = Prometheus(bb)
    bb.run(seconds=0.1)
    bb.run(seconds=40)
    bb.tell(Signal.LOOP_FAILED, loop="claimer")
    shown = await families(app)
    assert values(shown["backburner_jobs_stored_total"]) == {("send", "mail"): 2}
    assert values(shown["backburner_jobs_settled_total"])["send", "mail", "completed"] == 2
    assert values(shown["backburner_signals_total"])["loop.failed",] == 1
    assert values(shown["backburner_running_jobs"]) == {("send", "mail"): 2}
    run = {(sample.name, sample.labels.get("le")): sample.value for sample in shown["backburner_run_seconds"].samples}
    assert run["backburner_run_seconds_bucket", "0.025"] == 0
    assert run["backburner_run_seconds_bucket", "0.1"] == 1
    assert run["backburner_run_seconds_bucket", "60.0"] == 2
    assert run["backburner_run_seconds_bucket", "+Inf"] == run["backburner_run_seconds_count", None] == 2
    assert run["backburner_run_seconds_sum", None] == pytest.approx(40.1)


async def test_what_runs_no_more_is_shown_at_zero(bb: Measured) -> None:
    """A gauge that vanished would stand for its last value."""
    app = Prometheus(bb)
    bb.run()
    bb.now = replace(BUSY, running={})
    assert values((await families(app))["backburner_running_jobs"]) == {("send", "mail"): 0}


async def test_what_the_store_holds(bb: Measured) -> None:
    """The backlog by queue and state, nodes, slots, breakers, lags, schedules."""
    shown = await families(Prometheus(bb))
    jobs = values(shown["backburner_queue_jobs"])
    assert {state: count for (queue, state), count in jobs.items() if queue == "mail"} == {
        "waiting": 3,
        "scheduled": 1,
        "retrying": 2,
        "held": 4,
        "running": 2,
        "dead": 5,
    }
    assert values(shown["backburner_queue_oldest_seconds"]) == {("mail",): 12, ("slow",): 0}
    assert values(shown["backburner_queue_slots"]) == {("mail",): 20}
    assert values(shown["backburner_unknown_jobs"]) == {("resize",): 7}
    assert values(shown["backburner_nodes"]) == {("working",): 2, ("draining",): 1, ("dead",): 0}
    assert values(shown["backburner_breaker_phase"]) == {
        ("stripe", "closed"): 0,
        ("stripe", "open"): 1,
        ("stripe", "half_open"): 0,
        ("stripe", "closing"): 0,
    }
    assert values(shown["backburner_subscription_lag_events"]) == {("audit",): 12}
    assert values(shown["backburner_schedule_overdue_seconds"]) == {(): 3}
    assert values(shown["backburner_store_readable"]) == {(): 1}


def test_labels_are_bounded_whatever_is_told() -> None:
    """However many kinds, queues and subscriptions there are, no family has more than the cap and one more of each."""
    most, many = 3, [f"n{number}" for number in range(50)]
    tally = Tally(most=most)
    for name in many:
        tally.stored([new_job(name, name)])
        tally.ended(claim(name, name), settlement(), 0.1)
        tally.settled(claim(name, name), settlement())
    sample = msgspec.structs.replace(
        SAMPLE,
        backlog=Backlog(
            now=100 * SECOND,
            queues=tuple(QueueBacklog(queue=name, waiting=2, oldest=90 * SECOND) for name in many),
            unknown=dict.fromkeys(many, 1),
        ),
        slots=dict.fromkeys(many, 1),
        breakers=dict.fromkeys(many, "open"),
        lags=dict.fromkeys(many, 4),
    )
    vitals = replace(BUSY, running={(name, name): 1 for name in many})
    reading = Reading(value=sample, seconds=0.1)
    collector = EngineCollector(tally, vitals=lambda: vitals, reading=lambda: reading, most=most)
    shown = {family.name: family for family in collector.collect()}
    for family in shown.values():
        for label in ("kind", "queue", "breaker", "subscription"):
            assert len({sample.labels[label] for sample in family.samples if label in sample.labels}) <= most + 1
    assert sum(values(shown["backburner_running_jobs"]).values()) == len(many)
    waiting = {labels: count for labels, count in values(shown["backburner_queue_jobs"]).items() if "waiting" in labels}
    assert waiting["other", "waiting"] == 2 * (len(many) - most)
    assert values(shown["backburner_queue_oldest_seconds"])["other",] == 10
    assert values(shown["backburner_subscription_lag_events"])["other",] == 4


# ---- reading the store ---------------------------------------------------------------------------------------------


async def test_scrapes_share_one_reading_of_the_store(bb: Measured) -> None:
    """However many scrape, it is read every fifteen seconds at most."""
    clock = FakeClock()
    app = Prometheus(bb, clock=clock)
    await asyncio.gather(*(scrape(app) for _ in range(5)))
    assert bb.samples == 1
    await clock.advance(15)
    await scrape(app)
    assert bb.samples == 2


@pytest.mark.parametrize(
    "error", [NotRunning(), StoreUnavailable("away", stored="no"), ValueError("a bug")], ids=["stopped", "away", "bug"]
)
async def test_without_the_store_the_process_is_still_shown(
    bb: Measured, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """What the process counted comes, the store's metrics do not, and one says why; the log does once, and when it is over."""
    caplog.set_level(logging.INFO, logger="backburner.metrics")
    clock = FakeClock()
    app = Prometheus(bb, clock=clock)
    await scrape(app)
    bb.run()
    found, bb.found = bb.found, error
    for _ in range(2):
        await clock.advance(15)
        shown = await families(app)
        assert values(shown["backburner_store_readable"]) == {(): 0}
        assert values(shown["backburner_jobs_stored_total"]) == {("send", "mail"): 1}
        assert [entry.name for entry in METRICS[STORE:] if shown[entry.name].samples] == []
    bb.found = found
    await clock.advance(15)
    assert values((await families(app))["backburner_store_readable"]) == {(): 1}
    assert [message.split()[0] for message in caplog.messages] == [
        "metrics.store_not_readable",
        "metrics.store_readable",
    ]


async def test_the_store_need_not_be_read_at_all(bb: Measured) -> None:
    """Of many processes one may show the store, and the others only themselves."""
    app = Prometheus(bb, backlog_every=None)
    bb.run()
    shown = await families(app)
    assert bb.samples == 0
    assert shown["backburner_store_readable"].samples == []
    assert values(shown["backburner_jobs_stored_total"]) == {("send", "mail"): 1}


@pytest.mark.parametrize("every", [0, -1, float("nan")])
def test_an_interval_that_is_none_is_refused(bb: Measured, every: float) -> None:
    """And nothing is registered."""
    with pytest.raises(InvalidOption, match="backlog_every=") as refused:
        Prometheus(bb, backlog_every=every)
    assert refused.value.option == "backlog_every"
    assert bb.hooks.stored == []


# ---- registries ----------------------------------------------------------------------------------------------------


async def test_two_engines_in_one_process_are_counted_apart(bb: Measured) -> None:
    """Each has a registry of its own."""
    other = Measured()
    one, two = Prometheus(bb), Prometheus(other)
    bb.run()
    other.run("resize", "slow")
    assert values((await families(one))["backburner_jobs_stored_total"]) == {("send", "mail"): 1}
    assert values((await families(two))["backburner_jobs_stored_total"]) == {("resize", "slow"): 1}


async def test_a_registry_of_yours_is_served_whole(bb: Measured) -> None:
    """Your own metrics come in the same scrape."""
    registry = CollectorRegistry()
    Gauge("carts", "Carts that are open", registry=registry).set(4)
    text = (await scrape(Prometheus(bb, registry=registry))).text
    assert "carts 4.0" in text
    assert "backburner_queue_jobs{" in text


def test_a_registry_shows_one_engine(bb: Measured) -> None:
    """A second one would make the page unreadable: it is refused, and does not listen."""
    registry = CollectorRegistry()
    Prometheus(bb, registry=registry)
    other = Measured()
    with pytest.raises(InvalidOption, match="registry= shows an engine's metrics already"):
        Prometheus(other, registry=registry)
    assert other.hooks.stored == []


async def test_a_registry_may_be_shown_by_others(bb: Measured) -> None:
    """Then the store is as it was read last: by a scrape of the app, or a refresh."""
    registry = CollectorRegistry()
    app = Prometheus(bb, registry=registry)
    assert registry.get_sample_value("backburner_nodes", {"state": "working"}) is None
    await app.refresh()
    assert registry.get_sample_value("backburner_nodes", {"state": "working"}) == 2


# ---- over HTTP -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ({}, "text/plain"),
        ({"Accept": "text/plain"}, "text/plain"),
        ({"Accept": OPENMETRICS}, "application/openmetrics-text"),
        ({"Accept": f"{OPENMETRICS};q=0.8,text/plain;q=0.5"}, "application/openmetrics-text"),
    ],
    ids=["none", "text", "openmetrics", "prometheus"],
)
async def test_a_scrape_is_answered_in_the_format_it_accepts(
    bb: Measured, accept: Mapping[str, str], kind: str
) -> None:
    """Both are read back whole."""
    app = Starlette(routes=[Mount("/metrics", Prometheus(bb))])
    answer = await scrape(app, "/metrics", **accept)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    parse = parse_openmetrics if kind.startswith("application") else parse_text
    assert len(list(parse(answer.text))) >= len(METRICS)


async def test_it_can_be_read_only(bb: Measured) -> None:
    """By GET and HEAD, at its own path; the rest costs no reading of the store."""
    app = Starlette(routes=[Mount("/metrics", Prometheus(bb))])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        assert (await http.post("/metrics/")).status_code == 405
        assert (await http.get("/metrics/jobs")).status_code == 404
        assert bb.samples == 0
        head = await http.head("/metrics/")
    assert (head.status_code, head.content) == (200, b"")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The import names the extra."""
    real = builtins.__import__

    def absent(name: str, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - as __import__ has it
        if name.startswith("prometheus_client"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    monkeypatch.delitem(sys.modules, prometheus.__name__)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'backburner\[prometheus\]'"):
        importlib.import_module(prometheus.__name__)
