"""The stores under contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contracts.harnesses import MemoryHarness, SqliteHarness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(params=["memory", "sqlite"])
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MemoryHarness | SqliteHarness]:
    """Bring a fresh, empty store on a fake clock."""
    made = MemoryHarness() if request.param == "memory" else SqliteHarness(tmp_path / "jobs.db")
    async with made:
        yield made
