"""Events, for the type checkers: never run, only checked, by mypy and pyright in strict mode.

Where a line must be an error, the checkers are told to expect one: an ignore that is not needed is an error itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, assert_type

from backburner import Backburner, Event, EventsGone, InvalidCursor, Job, Registry
from backburner.sinks import callback, log

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

bb = Backburner("memory://", keep={"events": timedelta(days=1)})
jobs = Registry("shop")


@bb.on("order.paid", "order.refunded")
async def invoice(event: Event) -> str:
    """Write an invoice."""
    return event.subject


@jobs.on("job.dead", name="support")
@jobs.job(queue="mail", retry="aggressive")
def tell(event: Event) -> int:
    """Tell somebody."""
    return len(event.data)


@bb.listen("breaker.*")
def ring(event: Event) -> None:
    """Ring."""
    assert event.name


async def send(event: Event) -> None:
    """Send."""
    assert event.data


bb.on("order.*", to=callback(send, timeout=5))
jobs.on("*", to=log("warning"), name="archive")


async def use() -> None:
    """What handles is a job of the event alone, and what listens stays a function."""
    by_hand: Job[[Event], str] = invoice
    in_a_registry: Job[[Event], int] = tell
    heard: Callable[[Event], None] = ring
    assert_type(await bb.publish("order.paid", {"total": 12}, subject="order/42", id="p-1", tx=object()), str)
    reading: AsyncGenerator[Event] = bb.events("order.*", after="log-1", subject="order/42", subscription="billing")
    try:
        async for event in reading:
            assert_type(event, Event)
            assert_type(event.time, datetime)
            assert_type(event.data, dict[str, Any])
            assert_type(event.cursor, str)
            assert_type(await (await bb.create_task(invoice(event))), str)
    except EventsGone as gone:
        assert_type(gone.after, str)
    except InvalidCursor:
        raise
    assert [by_hand, in_a_registry, heard]


async def misuse() -> None:
    """Every line here is an error."""
    bb.on(5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    bb.on("order.*", to=send)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    bb.on("order.*", nmae="x")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    bb.on("order.*")(7)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    bb.listen("order.*")(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await bb.publish(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await bb.publish("order.paid", subject=42)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bb.events(after=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    invoice("order/42")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
