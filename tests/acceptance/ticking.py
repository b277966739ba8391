"""What tests ask of schedules, and how they wait for what schedules do."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backburner.model.clock import instant
from tests.acceptance.gauge import turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backburner import Backburner
    from backburner.ports.telemetry import Signal
    from backburner.scheduler.views import Schedule, Tick
    from backburner.testing import FakeClock

__all__ = ["LEAPING", "PATIENCE", "Heard", "leap", "ledger", "lines", "seen", "shown"]

PATIENCE = 20

#: Of a node whose clock leaps for hours: it is not taken for one that stood still.
LEAPING: dict[str, Any] = {"stall_limit": timedelta(days=80)}
#: Seconds within which such a node has another look at what is due.
BEAT = 10.0


class Heard:
    """A listener that keeps what an engine tells."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, signal: Signal, /, *, error: BaseException | None = None, **fields: object) -> None:
        """Keep a signal."""
        self.told.append((signal.value, fields | ({"error": error} if error else {})))

    def of(self, signal: str) -> list[dict[str, Any]]:
        """Return what was told under a name."""
        return [fields for name, fields in self.told if name == signal]


async def seen(look: Callable[[], Awaitable[Any]], clock: FakeClock | None = None) -> Any:  # noqa: ANN401 - whatever is looked for
    """Look until there is something to see, and return that; a clock that is given goes on meanwhile."""
    async with asyncio.timeout(PATIENCE):
        while not (found := await look()):
            await turn()
            if clock is not None:
                await clock.advance(BEAT)
    return found


async def leap(bb: Backburner, clock: FakeClock, seconds: float) -> None:
    """Let much time pass at once, until what is due by then was decided upon; jobs run when they come to it."""
    clock.move(seconds)

    async def decided() -> bool:
        due = [schedule.next for schedule in await shown(bb) if schedule.next is not None]
        return all(instant(each) > clock.now() for each in due)

    await seen(decided, clock)


async def ledger(bb: Backburner, name: str | None = None, **where: Any) -> list[Tick]:  # noqa: ANN401 - filters
    """Return the lines of the ledger, the first decided first."""
    return [tick async for tick in bb.schedules.ticks(name, **where)][::-1]


async def lines(bb: Backburner, name: str, count: int, **where: Any) -> list[Tick]:  # noqa: ANN401 - filters
    """Wait for so many lines of the ledger, and return them, the first decided first."""

    async def look() -> list[Tick]:
        found = await ledger(bb, name, **where)
        return found if len(found) >= count else []

    found: list[Tick] = await seen(look)
    return found


async def shown(bb: Backburner, **where: Any) -> list[Schedule]:  # noqa: ANN401 - filters
    """Return the schedules, by name."""
    return [schedule async for schedule in bb.schedules.list(**where)]
