"""Functions as sinks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from backburner.errors import DeliveryFailed, DeliveryRefused, InvalidOption
from backburner.events.sinks.callback import callback
from backburner.resilience.retry import Verdict
from tests.unit.events.sinks.examples import example

if TYPE_CHECKING:
    from backburner.events.event import Event
    from backburner.events.sinks.sink import Sink

seen: list[Event] = []


async def note(event: Event) -> None:
    """Note an event."""
    seen.append(event)


class Noting:
    """An object that is called."""

    async def __call__(self, event: Event) -> None:
        seen.append(event)


async def forever(_: Event) -> None:
    """Do not end."""
    await asyncio.Event().wait()


async def test_a_function_is_awaited_with_the_event() -> None:
    """It goes by where it is written, or by the name that is given."""
    seen.clear()
    sink: Sink = callback(note)
    await sink.send(example())
    await sink.close()
    await callback(Noting(), name="noting").send(example(id="b"))
    assert seen == [example(), example(id="b")]
    assert sink.name == f"call:{note.__module__}.note"
    assert repr(sink) == f"<sink {sink.name}>"
    assert sink.breaker is None


async def test_its_time_is_bounded() -> None:
    """And to be out of time is a failure."""
    sink = callback(forever, timeout=0.01)
    with pytest.raises(DeliveryFailed, match=r"forever took longer than 10ms"):
        await sink.send(example())


@pytest.mark.parametrize(
    ("error", "verdict"),
    [(TimeoutError, Verdict.RETRY), (ValueError, Verdict.RETRY), (DeliveryRefused, Verdict.REJECT)],
)
async def test_what_it_raises_passes(error: type[Exception], verdict: Verdict) -> None:
    """A refusal is not tried again, all else is."""

    async def failing(_: Event) -> None:
        raise error("its own")

    sink = callback(failing, name="failing")
    with pytest.raises(error, match="its own") as raised:
        await sink.send(example())
    assert sink.retry.rule(type(raised.value)) is verdict


@pytest.mark.parametrize(
    ("function", "mend"),
    [
        (print, "write async def"),
        (None, "write async def"),
        (lambda _: None, "write async def"),
        (Noting(), "name=…"),
    ],
    ids=["sync", "none", "lambda", "object"],
)
def test_what_cannot_be_one_is_refused(function: Any, mend: str) -> None:  # noqa: ANN401 - whatever somebody gives
    """At the call, with how to mend it."""
    with pytest.raises(InvalidOption, match=mend):
        callback(function)


def test_a_function_inside_another_needs_a_name() -> None:
    """Two may have the same."""

    async def inner(_: Event) -> None: ...

    with pytest.raises(InvalidOption, match="name=…"):
        callback(inner)
    assert callback(inner, name="inner").name == "inner"
