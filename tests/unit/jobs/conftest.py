"""The stage on which the engine's parts are tested."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.jobs.floor import Floor
from tests.unit.jobs.told import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A store that does as told, a fake clock, and one published node."""
    made = Stage()
    await made.open()
    yield made
    await made.backend.close()


@pytest.fixture
async def floor(stage: Stage) -> AsyncIterator[Floor]:
    """Bring an executor and its desk; afterwards nothing may run and no slot be taken."""
    made = Floor(stage)
    yield made
    await made.close()
