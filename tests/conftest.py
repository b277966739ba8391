"""What every test shares."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

# Here, before any test imports the suite.
pytest.register_assert_rewrite("backburner.testing.contracts")

#: Seconds a coroutine test may take. It then fails and shows the await it stood at, which a dump of stacks cannot.
LIMIT = 60
#: Seconds in which a thread that was told to end does.
PATIENCE = 5


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run coroutine tests on asyncio: the engine lives on nothing else."""
    return "asyncio"


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
        pyfuncitem.obj = limited(pyfuncitem.obj)


def limited(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Return the test as one that fails when it takes longer than the limit."""

    @functools.wraps(test)
    async def within(*args: object, **kwargs: object) -> None:
        async with asyncio.timeout(LIMIT):
            await test(*args, **kwargs)

    return within
