"""What every test shares."""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# Here, before any test imports the suite.
pytest.register_assert_rewrite("backburner.testing.contracts")

#: Seconds a coroutine test may take. It then fails and shows the await it stood at, which a dump of stacks cannot.
LIMIT = 60


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run coroutine tests on asyncio: the engine lives on nothing else."""
    return "asyncio"


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
