"""Values of every type go through the store into a job and come back as its result, typed as annotated."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pydantic
import pytest

from backburner.errors import ArgumentNotStorable, JobDead

if TYPE_CHECKING:
    from backburner import Backburner

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 2


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass(frozen=True, slots=True)
class Item:
    name: str
    price: Decimal
    tags: frozenset[Colour] = frozenset()


@dataclass
class Page(Generic[T]):
    items: list[T]
    following: Page[T] | None = None


class Card(msgspec.Struct, tag=True):
    number: bytes


class Cash(msgspec.Struct, tag=True):
    amount: Decimal


class Address(TypedDict):
    city: str
    since: NotRequired[date]


class Point(NamedTuple):
    x: float
    y: float = 0.0


class User(pydantic.BaseModel):
    id: UUID
    born: date
    levels: dict[str, Level] = {}


@dataclass
class Order:
    """Everything at once."""

    id: UUID
    placed: datetime
    opens: time
    within: timedelta
    pages: Page[Item]
    paid: Card | Cash
    buyer: User
    to: Address
    route: tuple[Point, ...]
    sizes: tuple[int, str]
    rights: Access
    seen: set[date]
    by_day: dict[date, list[Item]]
    state: Literal["open", "shut"]
    raw: bytearray
    note: int | str | None = None
    plain: dict[str, Any] = field(default_factory=dict)


def an_order(placed: datetime) -> Order:
    """Make an order."""
    item = Item("cup", Decimal("9.90"), frozenset(Colour))
    day = date(2026, 2, 28)
    return Order(
        id=UUID(int=7),
        placed=placed,
        opens=time(8, 30),
        within=timedelta(days=-1, microseconds=1),
        pages=Page([item], Page([])),
        paid=Card(b"\x00\xff"),
        buyer=User(id=UUID(int=8), born=day, levels={"a": Level.HIGH}),
        to={"city": "Ulm", "since": day},
        route=(Point(1.5), Point(2.0, 3.0)),
        sizes=(1, "m"),
        rights=Access.READ | Access.WRITE,
        seen={day},
        by_day={day: [item]},
        state="open",
        raw=bytearray(b"\xfe"),
        note="fragile",
        plain={"nested": [1, None, {"deep": True}]},
    )


@pytest.mark.parametrize(
    "placed",
    [
        pytest.param(datetime(2026, 2, 28, 12, 30, 0, 5), id="naive"),  # noqa: DTZ001 - that, too
        pytest.param(datetime(2026, 2, 28, 12, 30, tzinfo=UTC), id="UTC"),
        pytest.param(datetime(2026, 2, 28, 12, 30, tzinfo=timezone(timedelta(hours=-3, minutes=-30))), id="offset"),
    ],
)
async def test_a_job_takes_and_returns_what_its_annotations_say(bb: Backburner, placed: datetime) -> None:
    """The job sees equal values of the annotated types, and so does who awaits it."""
    sent = an_order(placed)

    @bb.job
    async def ship(order: Order, *more: Point, **named: Decimal) -> tuple[Order, tuple[Point, ...], dict[str, Decimal]]:
        assert type(order.buyer) is User
        assert type(order.pages.items[0]) is Item
        assert order.paid == Card(b"\x00\xff")
        assert order == sent
        return order, more, named

    async with bb:
        back = await (await bb.create_task(ship(sent, Point(1.0), vat=Decimal("0.19"))))
    assert back == (sent, (Point(1.0),), {"vat": Decimal("0.19")})
    assert type(back[0].buyer) is User
    assert type(back[0].raw) is bytearray
    assert back[0].placed.utcoffset() == placed.utcoffset()


async def test_a_value_that_cannot_be_stored_is_refused_at_the_call_by_its_path(bb: Backburner) -> None:
    """What would come back different, or not at all, never leaves its caller; the error says where it is and what helps."""

    @bb.job
    async def ship(order: Order) -> None:
        raise AssertionError(order)

    @bb.job
    async def note(text) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        raise AssertionError(text)

    wrong = an_order(datetime(2026, 1, 1, tzinfo=UTC))
    wrong.plain = {"files": [Path("a"), 1]}
    kinds: Any = an_order(datetime(2026, 1, 1, tzinfo=UTC))
    kinds.by_day[date(2026, 2, 28)].append(Item(7, Decimal(1)))  # type: ignore[arg-type]
    refusals: list[tuple[Any, str, str]] = [
        (ship(wrong), "order.plain.files[0]", r"use str\(path\)"),
        (ship(kinds), "order.by_day['2026-02-28'][1].name", "Expected str, got int"),
        (note({"when": date(2026, 1, 1)}), "text.when", "date"),
        (note({1, 2}), "text", "annotate it, 'text: set'"),
    ]
    async with bb:
        for call, path, mend in refusals:
            with pytest.raises(ArgumentNotStorable, match=mend) as refused:
                await bb.create_task(call)
            assert refused.value.path == path


async def test_plain_json_needs_no_annotation(bb: Backburner) -> None:
    """An argument without an annotation takes what JSON has, and comes back the same."""

    @bb.job
    async def echo(value):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return value

    sent = {"a": [1, 2.5, "x", None, True], "b": {}}
    async with bb:
        assert await (await bb.create_task(echo(sent))) == sent


async def test_a_result_that_cannot_be_stored_is_a_failure_of_its_job(bb: Backburner) -> None:
    """A job that returns what no store can hold is dead at once, and whoever awaits it learns where the trouble is."""

    @bb.job(retry="none")
    async def locate() -> dict[str, Any]:
        return {"at": Path("a")}

    async with bb:
        with pytest.raises(JobDead, match=r"result\.at"):
            await (await bb.create_task(locate()))
