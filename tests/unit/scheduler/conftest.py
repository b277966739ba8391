"""An office, and nodes in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.scheduler.office import Node, Office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    """Bring an office."""
    made = Office()
    await made.backend.open(create=True)
    yield made
    await made.backend.close()


@pytest.fixture
def node(office: Office) -> Node:
    """Bring a node."""
    return Node(office)
