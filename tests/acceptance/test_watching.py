"""What watches an engine, from its start to its end, beside jobs that go on as ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner import Backburner, Event, current_job
from backburner.observability.correlation import correlated, correlation_id
from backburner.ports.telemetry import Telemetry
from tests.acceptance.eventful import Told, seen, standing

if TYPE_CHECKING:
    from collections.abc import Mapping


class Traced(Telemetry):
    """Has jobs carry what they were stored under."""

    def headers(self) -> Mapping[str, str]:
        return {"under": correlation_id() or "nothing"}


async def test_handlers_do_not_run_under_what_the_engine_was_entered_in() -> None:
    """Whose request entered the engine, or in whose trace that was, is nothing to the events of others."""
    bb, told = Backburner("memory://"), Told()
    bb.instrument(Traced())
    carried: list[Mapping[str, str]] = []

    @bb.on("order.paid")
    async def ship(event: Event) -> None:
        carried.append(current_job().headers)
        told.add(event)

    with correlated("whoever-started"):
        await bb.__aenter__()
        assert correlation_id() == "whoever-started"
    try:
        await bb.publish("order.paid")
        await told.count(1)
    finally:
        await bb.__aexit__(None, None, None)
    assert carried == [{}]


async def test_where_nothing_runs_a_later_handler_is_asked_for_too() -> None:
    """What is published on a node that only stores is kept for a handler that was declared once it had started."""
    bb = Backburner("memory://", run=False)

    async with bb:

        @bb.on("order.paid")
        async def ship(event: Event) -> None:
            """Run elsewhere."""

        async def names() -> bool:
            return [each.name for each in await standing(bb)] == ["ship"]

        await seen(names)
