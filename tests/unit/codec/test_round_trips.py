"""Every type that the documentation lists comes back the same, as an argument and as a result."""

from __future__ import annotations

import enum
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Required,
    TypeAlias,
    TypedDict,
    TypeVar,
)
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backburner.codec.patching import check
from backburner.codec.signature import Signature
from backburner.codec.values import same
from backburner.errors import ArgumentNotStorable

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mood(enum.StrEnum):
    GOOD = "good"


@dataclass
class Item:
    name: str
    price: Decimal
    tags: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Box(Generic[T]):
    inside: T


@dataclass(frozen=True, slots=True)
class Tree:
    at: time
    kids: tuple[Tree, ...] = ()


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Weight(enum.IntFlag):
    BOLD = 1
    BLACK = 2


class Held(msgspec.Struct, Generic[T], frozen=True, rename="camel"):
    what_is_held: T


class Row(msgspec.Struct, array_like=True, omit_defaults=True):
    size: int
    when: timedelta = timedelta()


class Strict(TypedDict, total=False):
    size: Required[int]
    price: Decimal


class Team(pydantic.BaseModel, Generic[T]):
    members: list[User]
    colour: Colour
    lead: T
    tree: Tree | None = None


Number = NewType("Number", int)
Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


class Order(msgspec.Struct):
    id: UUID
    items: list[Item]
    placed: datetime | None = None


class Circle(msgspec.Struct, tag=True):
    radius: float


class Square(msgspec.Struct, tag=True):
    side: float


class Settings(TypedDict):
    size: int
    colour: NotRequired[Colour]


class Point(NamedTuple):
    x: int
    y: int = 0


class User(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)

    name: str
    born: date
    scores: dict[str, Decimal] = pydantic.Field(default_factory=dict, alias="points")


text = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
decimals = st.decimals(allow_nan=False)
zones = st.one_of(st.none(), st.just(UTC), st.just(timezone(timedelta(hours=5, minutes=30))))
moments = st.datetimes(timezones=zones)
json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), numbers, text),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=4)),
    max_leaves=8,
)
items = st.builds(Item, text, decimals, st.sets(text, max_size=3))
orders = st.builds(Order, st.uuids(), st.lists(items, max_size=3), st.one_of(st.none(), moments))
users = st.builds(
    lambda name, born, scores: User(name=name, born=born, points=scores),
    text,
    st.dates(),
    st.dictionaries(text, st.decimals(allow_nan=False, allow_infinity=False), max_size=2),
)
trees = st.recursive(
    st.builds(Tree, st.times()), lambda inner: st.builds(Tree, st.times(), st.lists(inner, max_size=3).map(tuple))
)
flags = st.sampled_from([Access(number) for number in range(4)])
rows = st.builds(Row, st.integers(), st.timedeltas())
teams = st.builds(
    lambda members, colour, lead, tree: Team[date](members=members, colour=colour, lead=lead, tree=tree),
    st.lists(users, max_size=2),
    st.sampled_from(Colour),
    st.dates(),
    st.one_of(st.none(), trees),
)

KINDS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "anything JSON": (Any, json),
    "unannotated": (None, json),
    "str": (str, text),
    "int": (int, st.integers()),
    "float": (float, st.one_of(numbers, st.integers(-1000, 1000))),
    "datetime": (datetime, moments),
    "date": (date, st.dates()),
    "time": (time, st.times()),
    "timedelta": (timedelta, st.timedeltas()),
    "UUID": (UUID, st.uuids()),
    "Decimal": (Decimal, decimals),
    "Enum": (Colour, st.sampled_from(Colour)),
    "IntEnum": (Level, st.sampled_from(Level)),
    "StrEnum": (Mood, st.sampled_from(Mood)),
    "Literal": (Literal["a", 1], st.sampled_from(["a", 1])),
    "bytes": (bytes, st.binary()),
    "set": (set[int], st.sets(st.integers())),
    "frozenset": (frozenset[date], st.frozensets(st.dates(), max_size=4)),
    "set of tuples": (set[tuple[int, str]], st.sets(st.tuples(st.integers(), text), max_size=3)),
    "tuple": (tuple[int, str], st.tuples(st.integers(), text)),
    "tuple of any length": (tuple[Colour, ...], st.lists(st.sampled_from(Colour)).map(tuple)),
    "dict of int keys": (dict[int, str], st.dictionaries(st.integers(), text, max_size=4)),
    "dict of date keys": (dict[date, bytes], st.dictionaries(st.dates(), st.binary(), max_size=4)),
    "Sequence": (Sequence[int], st.lists(st.integers())),
    "Mapping": (Mapping[str, int], st.dictionaries(text, st.integers())),
    "dataclass": (Item, items),
    "generic dataclass": (Box[datetime], moments.map(Box)),
    "Struct": (Order, orders),
    "tagged union": (Circle | Square, st.one_of(numbers.map(Circle), numbers.map(Square))),
    "TypedDict": (Settings, st.fixed_dictionaries({"size": st.integers()}, optional={"colour": st.just(Colour.RED)})),
    "NamedTuple": (Point, st.builds(Point, st.integers(), st.integers())),
    "union": (int | str | None, st.one_of(st.integers(), text, st.none())),
    "constrained": (Annotated[int, msgspec.Meta(ge=0)], st.integers(0)),
    "pydantic": (User, users),
    "Flag": (Access, flags),
    "IntFlag": (Weight, st.integers(0, 7).map(Weight)),
    "bytearray": (bytearray, st.binary().map(bytearray)),
    "frozen dataclass with slots, in itself": (Tree, trees),
    "generic Struct": (Held[set[UUID]], st.sets(st.uuids(), max_size=3).map(Held)),
    "Struct as a list": (dict[UUID, Row], st.dictionaries(st.uuids(), rows, max_size=3)),
    "Required": (Strict, st.fixed_dictionaries({"size": st.integers()}, optional={"price": decimals})),
    "NewType": (list[Number], st.lists(st.integers())),
    "alias of itself": (Json, json),
    "optional": (list[time | None], st.lists(st.one_of(st.none(), st.times()))),
    "dict of Enum keys": (dict[Level, frozenset[Mood]], st.just({Level.LOW: frozenset(Mood), Level.HIGH: frozenset()})),
    "generic pydantic, with a dataclass": (Team[date], teams),
    "pydantic in a Struct": (Held[list[User]], st.lists(users, max_size=2).map(Held)),
    "nested": (
        dict[str, list[tuple[Order | None, User]]],
        st.dictionaries(text, st.lists(st.tuples(st.one_of(st.none(), orders), users), max_size=2), max_size=2),
    ),
}


def taking(annotation: object) -> Signature:
    """Return the signature of a job that takes and returns a value so annotated."""

    def job(value: object) -> object:
        return value

    job.__annotations__ = {} if annotation is None else {"value": annotation, "return": annotation}
    return Signature.of(job, "job")


SIGNATURES = {name: taking(annotation) for name, (annotation, _) in KINDS.items()}


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_was_stored_comes_back_the_same(kind: str, data: st.DataObject) -> None:
    """An argument and a result come back equal and of equal type, in all their parts; its schema describes what is stored."""
    signature = SIGNATURES[kind]
    value = data.draw(KINDS[kind][1])
    text = signature.encode(signature.bind((value,), {}))
    check(text, signature.schema)
    args, kwargs = signature.decode(text)
    assert args == ()
    assert same(value, kwargs["value"])
    assert same(value, signature.decode_result(signature.encode_result(value)))


def test_a_moment_in_a_repeated_hour_comes_back() -> None:
    """The second 2:30 of the night in which the clock goes back is that moment again."""
    signature = taking(datetime)
    moment = datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))
    _, kwargs = signature.decode(signature.encode({"value": moment}))
    assert kwargs["value"].utcoffset() == timedelta(hours=1)  # type: ignore[attr-defined]
    assert kwargs["value"].replace(tzinfo=None) == datetime(2024, 10, 27, 2, 30)  # type: ignore[attr-defined]  # noqa: DTZ001


def test_without_pydantic_nothing_is_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no one has imported pydantic, it is not looked for: the codec never imports it."""
    monkeypatch.delitem(sys.modules, "pydantic")
    with pytest.raises(ArgumentNotStorable, match="use its id"):
        taking(None).encode({"value": User(name="a", born=date(2024, 1, 1))})
    assert "pydantic" not in sys.modules


def test_none_may_always_be_returned() -> None:
    """A job that falls off its end has returned, whatever its annotation says."""
    signature = taking(int)
    assert signature.encode_result(None) == "null"
    assert signature.decode_result("null") is None


def test_a_nan_is_the_same_as_nothing() -> None:
    """What is not equal to itself would not come back equal."""
    assert not same(math.nan, math.nan)
    assert not same(Decimal("sNaN"), Decimal("sNaN"))
    assert not same([math.nan], [float("nan")])


@pytest.mark.parametrize(
    ("sent", "back"),
    [
        (True, 1),
        (1.0, 1),
        (Mood.GOOD, "good"),
        ([1, Mood.GOOD], [1, "good"]),
        ({"a": True}, {"a": 1}),
        ({Mood.GOOD: 1}, {"good": 1}),
        ({Mood.GOOD}, {"good"}),
        (Point(1), (1, 0)),
        (Box(inside=True), Box(inside=1)),
        ({1, 2}, {1}),
        ([1, 2], [1]),
        (datetime(2024, 1, 1, 12, tzinfo=UTC), datetime(2024, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))),
    ],
    ids=repr,
)
def test_equal_is_not_yet_the_same(sent: object, back: object) -> None:
    """``==`` is too kind: it overlooks types."""
    assert not same(sent, back)
