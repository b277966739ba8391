"""What is wrong with events, publishers, handlers and listeners is refused where it stands, in words that help."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import pytest
from anyio.lowlevel import checkpoint

from backburner import Backburner, Event, NotRunning, Registry, StoreError
from backburner.errors import (
    DuplicateSubscription,
    InvalidArguments,
    InvalidEvent,
    InvalidOption,
    TransactionRefused,
    UnknownEvent,
)
from tests.acceptance.eventful import Told, reading

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def memory() -> Backburner:
    """Return an engine where the store does not matter."""
    return Backburner("memory://")


#: What is published, and what is said to it.
PUBLISHED: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "a-name-of-spaces": (("order paid",), {}, "is no event's name: letters, digits"),
    "no-name": (("",), {}, "is no event's name"),
    "no-text": ((5,), {}, "is no event's name"),
    "a-pattern": (("order.*",), {}, "is no event's name"),
    "a-long-name": (("n" * 129,), {}, "at most 128 characters"),
    "the-engine's": (("job.dead",), {}, "events under job. are the engine's own"),
    "a-list": (("order.paid", [1, 2]), {}, "its data is an object, values by name"),
    "what-json-has-not": (("order.paid", {"at": object()}), {}, "cannot be published"),
    "not-a-number": (("order.paid", {"total": math.nan}), {}, "cannot be published"),
    "too-much": (("order.paid", {"text": "x" * 70_000}), {}, "65,536 are allowed"),
    "an-empty-id": (("order.paid",), {"id": ""}, "id must not be empty"),
    "a-subject-that-is-no-text": (("order.paid",), {"subject": 42}, "subject is a text, not int"),
    "no-subject": (("order.paid",), {"subject": 0}, "subject is a text, not int"),
    "a-long-subject": (("order.paid",), {"subject": "s" * 129}, "128 are allowed"),
}


@pytest.mark.parametrize(("given", "options", "said"), PUBLISHED.values(), ids=[*PUBLISHED])
async def test_what_cannot_be_published(
    memory: Backburner, given: tuple[Any, ...], options: dict[str, Any], said: str
) -> None:
    """It is refused before anything is written, and says what would do."""
    async with memory as bb:
        with pytest.raises((InvalidEvent, InvalidOption), match=said):
            await bb.publish(*given, **options)


async def test_the_largest_event(bb: Backburner) -> None:
    """64 KiB are stored and handed to a handler, whatever they are made of; a byte more is refused."""
    told = Told()

    @bb.on("order.*")
    async def ship(event: Event) -> None:
        told.add(event)

    text = 'ß"' * ((64 * 1024 - len('{"text":""}')) // 4) + "x"
    async with bb:
        await bb.publish("order.paid", {"text": text})
        with pytest.raises(InvalidEvent, match="65,537 bytes"):
            await bb.publish("order.paid", {"text": text + "x"})
        (event,) = await told.count(1)
    assert event.data == {"text": text}


#: What is asked for, and what is said to it.
ASKED: dict[str, tuple[Any, str]] = {
    "a-misspelt-name": ("job.deid", r"no event 'job.deid'; did you mean job.dead\b"),
    "a-family-without-such": ("schedule.fried", "did you mean schedule.fired"),
    "nothing-below": ("job.done.*", "no event of the engine matches 'job.done.\\*'"),
    "no-name": ("", "asks for no event"),
    "half-a-pattern": ("order.*.paid", "asks for no event"),
    "no-text": (5, "asks for no event"),
    "too-long": ("n" * 129, "is longer than 128 characters"),
}


@pytest.mark.parametrize(("name", "said"), ASKED.values(), ids=[*ASKED])
async def test_what_cannot_be_asked_for(memory: Backburner, name: Any, said: str) -> None:  # noqa: ANN401 - anything
    """Handlers, listeners and readers are told alike, with the nearest names there are."""
    for declare in (memory.on, memory.listen, Registry().on):
        with pytest.raises(UnknownEvent, match=said):
            declare(name)
    async with memory as bb:
        with pytest.raises(UnknownEvent, match=said):
            bb.events(name)


def test_handlers_that_are_none(memory: Backburner) -> None:
    """What takes no event, and who forgot the names, is refused where it stands."""

    def two(event: Event, other: int) -> None: ...

    def none() -> None: ...

    def text(event: str) -> None: ...

    for wrong in (two, none, text):
        with pytest.raises(InvalidArguments, match=r"cannot handle events: .* a handler takes the event alone"):
            memory.on("order.paid")(wrong)
    with pytest.raises(InvalidOption, match="takes the names of events"):
        memory.on()
    with pytest.raises(InvalidOption, match="and then the function"):
        memory.on(none)  # type: ignore[call-overload]
    with pytest.raises(InvalidOption, match="is no sink"):
        memory.on("order.paid", to="https://example.org")  # type: ignore[call-overload]


def test_two_of_one_name(memory: Backburner) -> None:
    """Both places are named; the same function may handle more under a name of its own, in a registry too."""

    @memory.on("order.paid")
    def ship(event: Event) -> None: ...

    with pytest.raises(DuplicateSubscription, match=r"'ship' is declared twice: .*test_events_refused.py:\d+.* and "):
        memory.on("order.sent")(ship)
    assert memory.on("order.sent", name="ship-sent")(ship) is ship
    jobs = Registry()

    @jobs.on("order.paid", name="ship-sent")
    def other(event: Event) -> None: ...

    again = Backburner("memory://", jobs=[jobs])
    with pytest.raises(DuplicateSubscription):

        @again.on("order.paid", name="ship-sent")
        def late(event: Event) -> None: ...


def test_listeners_that_are_none(memory: Backburner) -> None:
    """A coroutine would never run; a text is no function."""

    async def work(event: Event) -> None: ...

    for wrong in (work, "work"):
        with pytest.raises(InvalidOption, match="cannot listen"):
            memory.listen("order.paid")(wrong)  # type: ignore[arg-type]


async def test_outside_of_an_engine(memory: Backburner) -> None:
    """Nothing is published or read before the engine is entered."""
    with pytest.raises(NotRunning):
        await memory.publish("order.paid")
    with pytest.raises(NotRunning):
        memory.events("order.paid")


async def test_a_start_that_fails_lets_nobody_wait(tmp_path: Path) -> None:
    """What is published while an engine starts is refused with the start, if that fails."""
    bb = Backburner(f"sqlite:///{tmp_path / 'nowhere' / 'jobs.db'}")
    starting = asyncio.ensure_future(bb.__aenter__())
    await checkpoint()
    publishing = asyncio.ensure_future(bb.publish("order.paid"))
    with pytest.raises(StoreError):
        await starting
    with pytest.raises(NotRunning):
        await publishing


@pytest.mark.parametrize("url", ["memory", "redis"], indirect=True)
async def test_stores_without_transactions(make: Callable[..., Backburner]) -> None:
    """Where the store joins none, `tx=` is refused, and nothing is published."""
    async with make() as bb, reading(bb, "order.*") as told:
        with pytest.raises(TransactionRefused):
            await bb.publish("order.paid", tx=object())
        await bb.publish("order.sent")
        await told.count(1)
    assert told.names == ["order.sent"]
