"""The time a delivery may take."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from backburner.errors import DeliveryFailed
from backburner.model.clock import micros
from backburner.model.duration import about

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["bounded"]


@asynccontextmanager
async def bounded(timeout: float, where: str) -> AsyncGenerator[None]:
    """End the block after so many seconds, by `DeliveryFailed`; a `TimeoutError` of its own passes."""
    deadline = asyncio.timeout(timeout)
    try:
        async with deadline:
            yield
    except TimeoutError as error:
        if not deadline.expired():
            raise
        raise DeliveryFailed(f"{where} took longer than {about(micros(timeout))}") from error
