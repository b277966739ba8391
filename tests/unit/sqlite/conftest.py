"""A SQLite store for tests that look at what only SQLite has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner.backends.sqlite.backend import SqliteBackend
from backburner.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "jobs.db"


@pytest.fixture
def clock() -> FakeClock:
    """Bring the store's clock."""
    return FakeClock()


@pytest.fixture
async def backend(path: Path, clock: FakeClock) -> AsyncIterator[SqliteBackend]:
    """Bring an open store with its schema; transactions wait briefly for locks."""
    made = SqliteBackend(path, clock=clock, write_timeout=0.2)
    await made.open(create=True)
    await made.schema.upgrade()
    yield made
    await made.close()
