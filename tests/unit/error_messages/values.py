"""Values that are refused where they are made: policies, rates, names, schedules, alerts, sinks, settings, URLs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import backburner
import backburner.sinks
from backburner import config
from backburner.codec.plain import encode_plain
from backburner.events.event import number_of
from backburner.model.condition_text import parse_condition
from backburner.model.names import check_name
from backburner.observability.correlation import CorrelationId, correlated
from backburner.observability.prometheus import Prometheus
from backburner.scheduler.rule import decode, make_rule

if TYPE_CHECKING:
    from collections.abc import Callable

# What is wrong on purpose is not for a type checker.
bb: Any = backburner
sinks: Any = backburner.sinks
load: Any = config.load
rule: Any = make_rule

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOOK = "https://hooks.example.com/orders"
NAIVE = datetime(2026, 1, 1, 9)  # noqa: DTZ001 - what is refused
AWARE = NAIVE.replace(tzinfo=UTC)
DAILY = bb.Cron("0 9 * * *")


def _any(thing: Any) -> Any:  # noqa: ANN401 - so that it may be called wrongly
    return thing


def setting(**variables: str) -> Callable[[], object]:
    """Read settings from these variables."""
    return lambda: load({f"BACKBURNER_{name.upper()}": text for name, text in variables.items()})


def engine(**options: object) -> Callable[[], object]:
    """Make an engine with these options."""
    return lambda: bb.Backburner("memory://", **options)


def url(text: object) -> Callable[[], object]:
    """Make an engine with this URL."""
    return lambda: bb.Backburner(text)


def ruled(trigger: object = DAILY, **options: object) -> Callable[[], object]:
    """Make a schedule's rule."""
    return lambda: rule(trigger, options, tz="UTC", now=0)


def policy(**options: object) -> Callable[[], object]:
    """Make a retry policy."""
    return lambda: bb.RetryPolicy(**{"name": "patient", "attempts": 3, "backoff": bb.constant(5), **options})


RESILIENCE = [
    policy(attempts=0),
    policy(backoff=5),
    policy(retry="ValueError"),
    policy(retry=ValueError, reject=ValueError),
    lambda: bb.exponential(-1),
    lambda: bb.exponential(0),
    lambda: bb.exponential(10, cap=5),
    lambda: bb.exponential(10, factor=0.5),
    lambda: bb.exponential(10, factor=float("nan")),
    lambda: bb.exponential(10, jitter="some"),
    lambda: bb.polynomial(10, power=0),
    lambda: bb.decorrelated(10, factor=0),
    lambda: bb.constant("soon"),
    lambda: bb.Breaker("stripe", open=30),
    lambda: bb.Breaker("stripe", open=bb.constant(0)),
    lambda: bb.Breaker("stripe", window=0.1),
    lambda: bb.Breaker("stripe", slow=0),
    lambda: bb.Breaker("stripe", ratio=2),
    lambda: bb.Breaker("stripe", calls=0),
    lambda: bb.Budget("stripe", reserve=5),
    lambda: bb.Budget("stripe", reserve="1/s burst 5"),
    lambda: bb.Budget("stripe", reserve="5000/s"),
    lambda: bb.Budget("stripe", ratio=-1),
    lambda: bb.Adaptive(least=5, most=2),
    lambda: bb.Adaptive(start=500),
    lambda: bb.Adaptive(window=0),
    lambda: bb.Adaptive(decrease=1.5),
    lambda: bb.rate(5, 1, algorithm="bucket"),
    lambda: bb.rate(5, 1, algorithm="fixed", burst=5),
    lambda: bb.rate(0, 1),
    lambda: bb.rate(10**7, 1),
    lambda: bb.rate(10**6, 86_400 * 365),
    lambda: bb.Unique(by="user"),
    lambda: bb.Unique(states="pending"),
    lambda: bb.Unique(states=["waiting"]),
    lambda: bb.Unique(states=[]),
    lambda: bb.Unique(period=-1),
]
SCHEDULES = [
    lambda: bb.Cron(5),
    lambda: bb.Cron("0 9 * *"),
    lambda: bb.Cron("0 9 * * mon-fry"),
    lambda: bb.Cron("61 9 * * *"),
    lambda: bb.Cron("0 9 31 2 *"),
    lambda: bb.Cron("0 9 ? ? ?"),
    lambda: bb.Cron("0 9 * * L9"),
    lambda: bb.Cron("0 9 LW-3 * *"),
    lambda: bb.Cron("*/7 * * * * *"),
    lambda: bb.Cron("0 9 1,H * *"),
    lambda: bb.Cron("50-10 0/0 * * *"),
    lambda: bb.Cron("@reboot"),
    lambda: bb.Cron("0 9 * * *", tz="Europe/Berln"),
    lambda: bb.Cron("0 9 * * *", tz="CET-1"),
    lambda: bb.Cron("0 9 * * *", tz=UTC),
    lambda: bb.Cron("0 9 * * *", seconds=1),
    lambda: bb.Cron("0 9 * * *", on_gap="wait"),
    bb.Every,
    lambda: bb.Every(minutes="5"),
    lambda: bb.Every(minutes=-5),
    lambda: bb.Every(seconds=0.001),
    lambda: bb.Every(weeks=10**6),
    lambda: bb.Every(weeks=10**12),
    lambda: bb.Every(hours=1, start=NAIVE),
    lambda: bb.At("tomorrow"),
    lambda: bb.At(NAIVE),
    lambda: bb.At(datetime(9000, 1, 1, tzinfo=UTC)),
    ruled("0 9 * * *"),
    ruled(every=5),
    ruled(start=AWARE, end=AWARE),
    ruled(start=NAIVE),
    ruled(overlap="wait"),
    ruled(misfire="none"),
    ruled(misfire="all(1)"),
    ruled(exclude="2026-12-25"),
    ruled(exclude=[AWARE]),
    ruled(jitter="1m"),
    lambda: decode("[1]"),
]
OBSERVED: list[Callable[[], object]] = [
    lambda: bb.Backburner("memory://").alert("dead > ", to=print),
    lambda: bb.Backburner("memory://").alert(5, to=print),
    lambda: bb.Backburner("memory://").alert("dlq.count > 5 and " * 20 + "dlq.count > 5"),
    lambda: bb.Backburner("memory://").alert("dlq.count > 5", to=print),
    lambda: bb.Backburner("memory://").alert("dlq.count > 5", to=print, at_most_every="often"),
    lambda: bb.Backburner("memory://").alert("dlq.count > 5", to=print, at_most_every=-1),
    lambda: bb.Backburner("memory://").alert("dlq.count > 5", to=5),
    lambda: bb.Backburner("memory://").instrument(print),
    lambda: correlated("a b").__enter__(),
    lambda: _any(CorrelationId)(print, header="a b"),
    lambda: _any(Prometheus)(bb.Backburner("memory://"), backlog_every=0),
]
SINKS = [
    lambda: sinks.webhook("ftp://hooks", secret=SECRET),
    lambda: sinks.webhook("http://hooks.example.com/x", secret=SECRET),
    lambda: sinks.webhook(HOOK, secret=5),
    lambda: sinks.webhook(HOOK, secret=[]),
    lambda: sinks.webhook(HOOK, secret=[5]),
    lambda: sinks.webhook(HOOK, secret="short"),  # noqa: S106 - no secret
    lambda: sinks.webhook(HOOK, secret="a secret that has spaces in it, and is long"),  # noqa: S106 - no secret
    lambda: sinks.webhook(HOOK, secret="whsec_" + "?" * 40),
    lambda: sinks.webhook(HOOK, secret="a" * 40),
    lambda: sinks.webhook(HOOK, secret="whsec_" + "MfKQ9r8GKYqrTwjU" * 8),
    lambda: sinks.webhook(HOOK, secret=SECRET, headers={"a b": "c"}),
    lambda: sinks.webhook(HOOK, secret=SECRET, headers={"host": "c"}),
    lambda: sinks.webhook(HOOK, secret=SECRET, headers={"x": "1", "X": "2"}),
    lambda: sinks.webhook(HOOK, secret=SECRET, headers={"x": " "}),
    lambda: sinks.webhook(HOOK, secret=SECRET, timeout=0),
    lambda: sinks.webhook(HOOK, secret=SECRET, max_response=0),
    lambda: sinks.redis_stream("redis://host", ""),
    lambda: sinks.redis_stream("http://host", "orders"),
    lambda: sinks.redis_stream("redis://host/jobs", "orders"),
    lambda: sinks.redis_stream("redis://host/0?color=red", "orders"),
    lambda: sinks.redis_stream("redis://host", "orders", maxlen=0),
    lambda: sinks.postgres_notify("redis://host", "orders"),
    lambda: sinks.postgres_notify("postgresql://u:p#w@host/db", "orders"),
    lambda: sinks.postgres_notify("postgresql://host/db", ""),
    lambda: sinks.callback(print),
    lambda: sinks.callback(bb.constant),
    lambda: sinks.log(level="loud"),
]
SETTINGS = [
    setting(slot="5"),
    setting(speed="fast"),
    setting(run="maybe"),
    setting(queues="mail"),
    setting(slots="many"),
    setting(timeout="soon"),
    setting(url="mysql://db"),
    setting(tz="Mars/Olympus"),
    engine(slots=0),
    engine(run="yes"),
    engine(queues=["mail"]),
    engine(queues={"mail": 0}),
    engine(queues={"": 1}),
    engine(keep={"done": 5}),
    engine(lease=1),
    engine(write_timeout=-1),
    engine(write_timeout="5"),
    engine(grace=float("inf")),
    engine(grace=10**10),
    engine(timeout=0),
    engine(tz=5),
    engine(secrets="password"),
    engine(retry="hard"),
    engine(retry="standrad"),
    engine(retry=5),
    engine(slot=5),
    engine(around=print),
    engine(around=[5]),
    engine(lifespan=5),
    engine(headers={"a": "b"}),
    engine(jobs=5),
    lambda: bb.Backburner("memory://", jobs=bb.Registry("files")),
    engine(jobs=[5]),
    lambda: bb.Backburner("memory://", lifespan=bb.Backburner("memory://").lifespan()),
    lambda: load({}).as_worker(["mail"]),
]
URLS = [
    url(5),
    url("jobs.db"),
    url("mysql://db/jobs"),
    url("sqlite://jobs.db"),
    url("sqlite:///jobs.db?mode=fast"),
    url("sqlite:///jobs.db?synchronous=never"),
    url("sqlite:///jobs.db#1"),
    url("sqlite:///"),
    url("postgresql://ada:s3/cret@db/jobs"),
    url("postgresql://db/jobs?speed=5"),
    url("postgresql://db/jobs?pool_size=0"),
    url("postgresql://db/jobs?schema=a-b"),
    url("postgresql://db:port/jobs"),
    url("redis://db/first"),
    url("redis://db:99999"),
    url("redis://db?namespace=a{b}"),
    url("redis+sentinel://a:1,b:2"),
    url("redis+cluster://a:1/5"),
    url("memory://jobs"),
]
MODEL = [
    lambda: check_name(5, "queue"),
    lambda: check_name("", "queue"),
    lambda: check_name("a" * 300, "queue"),
    lambda: check_name("a\nb", "queue"),
    lambda: parse_condition("args.user.id"),
    lambda: parse_condition("args.user.id=ada"),
    lambda: parse_condition("args.user.id=[1]"),
    lambda: parse_condition("user.id=1"),
    lambda: number_of("first", "abc", 5),
    lambda: number_of("xyz-3", "abc", 5),
    lambda: number_of("abc-9", "abc", 5),
    lambda: encode_plain({1, 2}, "data", limit=100),
    lambda: encode_plain("x" * 200, "data", limit=100),
    lambda: encode_plain({"a": timedelta(1)}, "data", limit=100),
]
CASES: list[Callable[[], object]] = [*RESILIENCE, *SCHEDULES, *OBSERVED, *SINKS, *SETTINGS, *URLS, *MODEL]
