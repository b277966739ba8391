"""What the parts of the engine and its stores refuse, asked alone: what no call of a user's meets at once."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import backburner
from backburner import errors, sinks
from backburner.backends.urls import connect, parse
from backburner.errors import BackburnerError, EventsGone, LeaseLost
from backburner.events.sinks.bounded import bounded
from backburner.events.sinks.webhooks.answer import Answer, judge
from backburner.events.sinks.webhooks.resolver import checked
from backburner.model.clock import SystemClock
from backburner.observability.prometheus import Prometheus
from backburner.resilience import adaptive, breaker, retry
from backburner.scheduler import triggers

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

bb: Any = backburner
AllOf: Any = triggers.AllOf

DAILY = bb.Cron("0 9 * * *")
HOOK = "https://hooks.example.com"


async def _skipping(ctx: object, run: object) -> None:
    """Wrap a run without awaiting it."""


def told(cls: type[BackburnerError], **data: Any) -> Callable[[], object]:  # noqa: ANN401 - of whatever class
    """Return an error as its class words it, where it is raised without a message."""
    return lambda: cls(**data)


def answered(status: int, **more: Any) -> Callable[[], object]:  # noqa: ANN401 - of `Answer`
    """Judge what a receiver answered."""
    return lambda: judge(Answer(status, **more), HOOK, ())


def resolving(*addresses: str) -> Callable[[], object]:
    """Look for the addresses of a host."""

    async def found(host: str, port: int) -> Sequence[str]:
        del host, port
        return addresses

    return lambda: checked("hooks.example.com", 443, by=found, allow_private=False)


async def slow() -> None:
    """Take too long to deliver."""
    async with bounded(0.001, HOOK):
        await asyncio.Event().wait()


@contextmanager
def lacking(name: str) -> Iterator[None]:
    """Be where a package is not installed."""
    with patch.dict("sys.modules", {name: None}):
        yield


def without(name: str, use: Callable[[], object]) -> Callable[[], object]:
    """Do what needs a package that is not installed."""

    def case() -> object:
        with lacking(name):
            return use()

    return case


def opened(
    url: str, use: Callable[[Any], Coroutine[Any, Any, object]], *, write: bool = True, create: bool = True
) -> Callable[[], object]:
    """Open a store, and use it."""

    async def case() -> object:
        with TemporaryDirectory() as folder:
            backend: Any = connect(parse(url.format(folder), base=Path("/")), clock=SystemClock(), write_timeout=5)
            if create:
                await backend.open(create=True, write=True)
                await backend.schema.upgrade()
                if not write:
                    await backend.close()
                    await backend.open(create=False, write=False)
            try:
                return await use(backend)
            finally:
                await backend.close()

    return case


def altered(sql: str) -> Callable[[], object]:
    """Look at the schema of a file that somebody altered."""

    async def case() -> object:
        with TemporaryDirectory() as folder:
            app = bb.Backburner(f"sqlite:///{folder}/jobs.db")
            async with app:
                pass
            with sqlite3.connect(f"{folder}/jobs.db") as connection:
                connection.execute(sql)
            connection.close()
            async with app:
                return None

    return case


def anonymous() -> Any:  # noqa: ANN401 - as in `bb`
    """Return an async function without a name of its own."""

    async def receive(event: backburner.Event) -> None:
        """Do nothing."""

    return receive


async def nothing() -> None:
    """Do nothing."""


def wrapped() -> object:
    """Await a job whose wrapper did not run it."""

    async def case() -> object:
        app = bb.Backburner("memory://", around=[_skipping])
        job = app.job(retry=bb.RetryPolicy(name="r", attempts=1, backoff=bb.constant(0)))(nothing)
        async with app:
            return await (await app.create_task(job()))

    return case()


async def stopped() -> object:
    """Await a handle until its engine stops."""
    app = bb.Backburner("memory://")
    job = app.job(nothing)
    async with app:
        handle = await app.create_task(job(), delay=3600)
        waiting = asyncio.ensure_future(handle.wait())
        await asyncio.wait({waiting}, timeout=0)
    await waiting
    return await handle


def twice_measured() -> object:
    """Show the metrics of two engines in one registry."""
    from prometheus_client import CollectorRegistry  # noqa: PLC0415 - an extra

    registry = CollectorRegistry()
    Prometheus(bb.Backburner("memory://"), registry=registry)
    return Prometheus(bb.Backburner("memory://"), registry=registry)


PARTS = [
    answered(302, location="https://elsewhere.example.com"),
    answered(404, body=b"no such hook"),
    answered(503),
    answered(429, retry_after="30"),
    resolving(),
    resolving("10.0.0.1"),
    slow,
    without("asyncpg", lambda: sinks.postgres_notify("postgresql://db/jobs", "orders")),
    without("redis", lambda: sinks.redis_stream("redis://db", "orders")),
    lambda: retry.decode("{"),
    lambda: breaker.decode("{"),
    lambda: adaptive.decode("{"),
    lambda: bb.Backburner("memory://").on("job.dead", to=sinks.callback(anonymous())),
    lambda: AllOf((DAILY, 5)),
    lambda: AllOf((DAILY,)),
    lambda: AllOf((DAILY,) * 200),
    lambda: bb.Backburner("memory://").lock("report").release(),
    wrapped,
    stopped,
    twice_measured,
]
STORES = [
    *(
        opened(url, lambda backend: backend.queues.list(), create=False)
        for url in ("memory://", "sqlite:///{}/jobs.db", "redis://127.0.0.1", "postgresql://127.0.0.1")
    ),
    *(
        opened(url, lambda backend: backend.limits.declare({}), write=False)
        for url in ("memory://", "sqlite:///{}/jobs.db")
    ),
    altered("UPDATE backburner_migrations SET checksum = 'x'"),
    altered("INSERT INTO backburner_migrations VALUES (99, 'later', 'x', 0)"),
]
#: Classes that are raised in their own words.
WORDS = [
    told(EventsGone, after="LOG-5"),
    told(LeaseLost),
    *(
        told(each)
        for each in (
            errors.AlreadyRunning,
            errors.ClaimLost,
            errors.NotRunning,
            errors.ResultNotStorable,
            errors.RunSkipped,
            errors.TransactionRolledBack,
        )
    ),
]
CASES: list[Callable[[], object]] = [*PARTS, *STORES, *WORDS]
