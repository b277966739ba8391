"""The log as a sink."""

from __future__ import annotations

import logging

import pytest

from backburner.errors import InvalidOption
from backburner.events.sinks.log import log
from tests.unit.events.sinks.examples import example


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
async def test_each_event_is_a_line(level: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its name, and the rest as fields."""
    caplog.set_level(logging.DEBUG, "backburner.events")
    sink = log(level)  # type: ignore[arg-type]
    await sink.send(example())
    await sink.close()
    [record] = caplog.records
    assert (record.name, record.levelname) == ("backburner.events", level.upper())
    assert record.message == (
        "order.paid id=k3xq90ab-42 subject=order/42 time=2025-06-15T15:06:40.250000Z cursor=k3xq90ab-42 "
        'data=amount:12.5,who:"Ada Łovelace"'
    )
    assert (sink.name, sink.breaker, repr(sink)) == (f"log:{level}", None, f"<sink log:{level}>")


def test_levels_are_checked() -> None:
    """At the call."""
    with pytest.raises(InvalidOption, match="there are debug, info, warning, error"):
        log("loud")  # type: ignore[arg-type]
