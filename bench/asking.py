"""Who asks for events, so that they are kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backburner import Backburner

__all__ = ["EVENT", "SUBSCRIPTION", "ask"]

#: The event that is published, and the subscription that asks for what is measured.
EVENT = "bench.told"
SUBSCRIPTION = "bench"
#: Seconds between looks whether it is entered.
LOOK = 0.001


async def ask(bb: Backburner, *names: str) -> None:
    """Have events of these names kept from now on; nobody reads them."""
    reading = asyncio.ensure_future(anext(bb.events(*names, subscription=SUBSCRIPTION)))
    while SUBSCRIPTION not in (await bb.sample()).lags:  # noqa: ASYNC110 - nobody tells that it is
        await asyncio.sleep(LOOK)
    reading.cancel()
    await asyncio.wait([reading])
