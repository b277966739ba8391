"""What every test shares."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.servers.launch import ServerMissing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator
    from contextlib import AbstractContextManager

    from tests.servers.postgres import LaunchedPostgres, Postgres, Schema
    from tests.servers.redis import LaunchedCluster, LaunchedRedis, Namespace, RedisServer

T = TypeVar("T")

# Here, before any test imports the suite.
pytest.register_assert_rewrite("backburner.testing.contracts")

#: Seconds a coroutine test may take, unless its marker `limit` says otherwise. It then fails and shows the await it stood at, which a dump of stacks cannot.
LIMIT = 60
#: Seconds in which a thread that was told to end does.
PATIENCE = 5


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run coroutine tests on asyncio: the engine lives on nothing else."""
    return "asyncio"


def pytest_configure(config: pytest.Config) -> None:
    """Know the markers there are."""
    config.addinivalue_line("markers", "limit(seconds): how long this coroutine test may take")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let whoever cannot have servers say so: a test that finds none fails."""
    parser.addoption("--no-servers", action="store_true", help="skip tests that need a PostgreSQL or a Redis")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Fail a test that leaves a thread of ours behind: a store not closed, an engine not stopped."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("backburner"):
            thread.join(PATIENCE)
            assert not thread.is_alive(), f"{thread.name} is left"


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Put every coroutine test under the limit."""
    if inspect.iscoroutinefunction(pyfuncitem.obj):
        marker = pyfuncitem.get_closest_marker("limit")
        pyfuncitem.obj = limited(pyfuncitem.obj, marker.args[0] if marker else LIMIT)


def limited(test: Callable[..., Awaitable[None]], limit: float) -> Callable[..., Awaitable[None]]:
    """Return the test as one that fails when it takes longer than so many seconds."""

    @functools.wraps(test)
    async def within(*args: object, **kwargs: object) -> None:
        async with asyncio.timeout(limit):
            await test(*args, **kwargs)

    return within


# Servers: the first test that asks starts one for the whole session; drivers are imported no sooner.


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> None:
    """Skip where servers are not wanted: for tests that start their own."""
    if request.config.getoption("--no-servers"):
        pytest.skip("--no-servers: this test needs one")


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """Bring a PostgreSQL; it need not outlive a crash of the machine, so it does not sync its files."""
    from tests.servers import postgres  # noqa: PLC0415 - loads a driver

    with served(request, postgres.bring(durable=False)) as server:
        yield server


@pytest.fixture(scope="session")
def other_postgres(request: pytest.FixtureRequest) -> Iterator[LaunchedPostgres]:
    """Bring a PostgreSQL of each other major version there is, in turn."""
    from tests.servers import postgres  # noqa: PLC0415 - loads a driver

    with served(request, postgres.serve(request.param, durable=False)) as server:
        yield server


@pytest.fixture
def postgres_schema(postgres_server: Postgres) -> Iterator[Schema]:
    """Bring an empty schema, and drop it."""
    with postgres_server.schema() as schema:
        yield schema


@pytest.fixture
def postgres_database(postgres_server: Postgres) -> Iterator[Postgres]:
    """Bring an empty database, and drop it; a schema is quicker."""
    with postgres_server.database() as database:
        yield database


@pytest.fixture(scope="session")
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """Bring a Redis that keeps nothing on disk."""
    from tests.servers import redis  # noqa: PLC0415 - loads a driver

    with served(request, redis.bring()) as server:
        yield server


@pytest.fixture(scope="session")
def other_redis(request: pytest.FixtureRequest) -> Iterator[LaunchedRedis]:
    """Bring a Redis of each other program there is, in turn."""
    from tests.servers import redis  # noqa: PLC0415 - loads a driver

    with served(request, redis.serve(request.param)) as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster(request: pytest.FixtureRequest) -> Iterator[LaunchedCluster]:
    """Bring a cluster of three."""
    from tests.servers import redis  # noqa: PLC0415 - loads a driver

    with served(request, redis.serve_cluster()) as cluster:
        yield cluster


@pytest.fixture
def redis_namespace(redis_server: RedisServer) -> Iterator[Namespace]:
    """Bring an empty namespace, and delete its keys."""
    with redis_server.namespace() as namespace:
        yield namespace


@contextmanager
def served(request: pytest.FixtureRequest, server: AbstractContextManager[T]) -> Generator[T]:
    """Enter a server where servers are wanted; where there is none, fail and say what to install."""
    request.getfixturevalue("servers")
    with ExitStack() as stack:
        try:
            entered = stack.enter_context(server)
        except ServerMissing as missing:
            pytest.fail(str(missing), pytrace=False)
        yield entered


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat a test on every other version there is, where it asks for one."""
    if "other_postgres" in metafunc.fixturenames:
        from tests.servers import postgres  # noqa: PLC0415 - loads a driver

        metafunc.parametrize("other_postgres", postgres.versions()[1:], indirect=True, ids=str, scope="session")
    if "other_redis" in metafunc.fixturenames:
        from tests.servers import redis  # noqa: PLC0415 - loads a driver

        metafunc.parametrize("other_redis", redis.found()[1:], indirect=True, ids=str, scope="session")
