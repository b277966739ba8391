"""What the tests of the Redis store share."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backburner.backends.redis.backend import RedisBackend
from backburner.backends.redis.place import RedisPlace
from backburner.backends.redis.session import Session
from backburner.backends.urls import parse
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from backburner.model.clock import Clock
    from tests.servers.redis import Namespace

    Opened = Callable[..., AbstractAsyncContextManager[Session]]


@pytest.fixture
def clock() -> FakeClock:
    """A clock that the test moves."""
    return FakeClock()


@pytest.fixture
def opened(clock: FakeClock) -> Opened:
    """Open sessions, each for the length of a block."""

    @asynccontextmanager
    async def opening(
        url: str, *, timeout: float = 5, write: bool = True, clock: Clock = clock
    ) -> AsyncGenerator[Session]:
        place = parse(url, base=Path("/")).place
        assert isinstance(place, RedisPlace)
        session = Session(place, clock, timeout=timeout)
        try:
            await session.open(write=write)
            yield session
        finally:
            await session.close()

    return opening


@pytest.fixture
def url(redis_namespace: Namespace) -> str:
    """A URL of a namespace of one's own."""
    return named(redis_namespace)


@pytest.fixture
async def session(opened: Opened, url: str) -> AsyncIterator[Session]:
    """A session on a namespace of its own."""
    async with opened(url) as session:
        yield session


@pytest.fixture
async def backend(url: str, clock: FakeClock) -> AsyncIterator[RedisBackend]:
    """A store in a namespace of its own, on the test's clock."""
    async with store(url, clock) as backend:
        yield backend


@asynccontextmanager
async def store(url: str, clock: Clock) -> AsyncGenerator[RedisBackend]:
    """Open a store for the length of a block."""
    place = parse(url, base=Path("/")).place
    assert isinstance(place, RedisPlace)
    backend = RedisBackend(place, clock=clock, write_timeout=30)
    try:
        await backend.open(create=True)
        yield backend
    finally:
        await backend.close()


def named(namespace: Namespace) -> str:
    """Return the URL of a namespace."""
    url = namespace.server.url
    return f"{url}{'&' if '?' in url else '?'}namespace={namespace.name.strip('{}')}"
