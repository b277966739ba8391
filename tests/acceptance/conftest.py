"""Engines for the acceptance tests: real loops, real stores."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from backburner import Backburner, RetryPolicy, constant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Fails fast enough for a test to watch.
QUICK = RetryPolicy(attempts=3, backoff=constant(0.001))


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty store of each kind."""
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/jobs.db"


@pytest.fixture
def make(url: str) -> Callable[..., Backburner]:
    """Make engines on one store."""
    return partial(Backburner, url, retry=QUICK)


@pytest.fixture
def bb(make: Callable[..., Backburner]) -> Backburner:
    """Return an engine that is not entered yet."""
    return make()
