"""Engines for the acceptance tests: real loops, real stores."""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import pytest

from backburner import Backburner, RetryPolicy, constant
from backburner.backends.memory.jobs import MemoryJobStore
from backburner.backends.postgres.jobs import PostgresJobStore
from backburner.backends.redis.jobs import RedisJobStore
from backburner.backends.sqlite.jobs import SqliteJobStore
from tests.stores import STORES, empty_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from backburner.model.job import NewJob

#: Fails fast enough for a test to watch.
QUICK = RetryPolicy(attempts=3, backoff=constant(0.001))


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty store of each kind."""
    return empty_store(request.param, request, tmp_path)


@pytest.fixture
def make(url: str) -> Callable[..., Backburner]:
    """Make engines on one store."""
    return partial(Backburner, url, retry=QUICK)


@pytest.fixture
def bb(make: Callable[..., Backburner]) -> Backburner:
    """Return an engine that is not entered yet."""
    return make()


@pytest.fixture(params=["memory", "sqlite"])
def make_local(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Backburner]:
    """Make engines on a store where no lease ends by time, so that a fake clock may leap."""
    return partial(Backburner, empty_store(request.param, request, tmp_path), retry=QUICK)


@pytest.fixture
def make_sqlite(tmp_path: Path) -> Callable[..., Backburner]:
    """Make engines on one file: what needs a store that outlives its engine, or that two engines share."""
    return partial(Backburner, f"sqlite:///{tmp_path}/jobs.db", retry=QUICK)


class Writes:
    """What was sent to the stores of this test."""

    def __init__(self) -> None:
        #: The jobs of each group that was to be stored, in order.
        self.groups: list[list[str]] = []
        #: How many settlements each write held.
        self.settlements: list[int] = []


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Writes:
    """Count the writes of every store."""
    seen = Writes()

    def watch(store: type[Any]) -> None:
        enqueue, settle = store.enqueue, store.settle

        @wraps(enqueue)
        async def watched_enqueue(self: object, groups: Sequence[Sequence[NewJob]], *rest: object) -> object:
            seen.groups += [[job.kind for job in group] for group in groups]
            return await enqueue(self, groups, *rest)

        @wraps(settle)
        async def watched_settle(self: object, node: str, settlements: Sequence[object], *rest: object) -> object:
            seen.settlements.append(len(settlements))
            return await settle(self, node, settlements, *rest)

        monkeypatch.setattr(store, "enqueue", watched_enqueue)
        monkeypatch.setattr(store, "settle", watched_settle)

    for store in (MemoryJobStore, SqliteJobStore, PostgresJobStore, RedisJobStore):
        watch(store)
    return seen
