"""What cannot be stored is refused at the call, by its path and with the mend."""

from __future__ import annotations

import enum
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pydantic
import pytest

from backburner.codec.signature import Signature
from backburner.errors import ArgumentNotStorable, ResultNotStorable

if TYPE_CHECKING:
    from nowhere import Lost  # type: ignore[import-not-found]


class Mood(enum.StrEnum):
    GOOD = "good"


class Text(str):
    __slots__ = ()


class Row:
    """Something of an ORM."""


@dataclass
class Item:
    price: int
    note: Any = None


@dataclass
class Gift:
    price: int


class Order(msgspec.Struct):
    items: list[Item]
    meta: dict[str, dict[str, int]] = {}


class User(pydantic.BaseModel):
    name: str
    extra: Any = None


class Admin(User):
    pass


@dataclass
class Broken:
    name: str = "x"

    def __post_init__(self) -> None:
        if self.name == "bad":
            raise KeyError(self.name)


def anything(value):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Take and return a value without an annotation."""
    return value


def typed(
    *items: int,
    order: Order | None = None,
    when: datetime | None = None,
    number: float | None = None,
    factor: float = 1.0,
    amount: str | Decimal = "",
    thing: Item | Gift | None = None,
    lost: Lost | None = None,
    user: User | None = None,
    sizes: list[int] | None = None,
    broken: Broken | None = None,
    **rest: date,
) -> None:
    """Take values with annotations."""


ANYTHING = Signature.of(anything, "anything")
TYPED = Signature.of(typed, "typed")

endless: list[object] = []
endless.append(endless)
bad = Broken()
bad.name = "bad"


@pytest.mark.parametrize(
    ("value", "path", "mend"),
    [
        pytest.param(float("nan"), "value", "NaN", id="nan"),
        pytest.param({"a": [1.0, float("inf")]}, "value.a[1]", "infinity", id="nested infinity"),
        pytest.param("\x00", "value", "NUL", id="nul"),
        pytest.param([{"k": "a\x00b"}], "value[0].k", "NUL", id="nested nul"),
        pytest.param({"k": {"\x00": 1}}, "value.k", "NUL", id="nul in a key"),
        pytest.param(["ok", "\ud800"], "value[1]", "lone surrogate", id="surrogate"),
        pytest.param({"\ud800": 1}, "value", "lone surrogate", id="surrogate in a key"),
        pytest.param(datetime(2024, 1, 1), "value", "annotate it, 'value: datetime'", id="datetime"),  # noqa: DTZ001
        pytest.param([date(2024, 1, 1)], "value[0]", "down to 'date'", id="nested date"),
        pytest.param({1, 2}, "value", "annotate it, 'value: set'", id="set"),
        pytest.param((1, 2), "value", "annotate it, 'value: tuple'", id="tuple"),
        pytest.param({"a b": (1, 2)}, "value['a b']", "tuple", id="odd key"),
        pytest.param(b"x", "value", "annotate it, 'value: bytes'", id="bytes"),
        pytest.param(UUID(int=1), "value", "annotate it, 'value: UUID'", id="uuid"),
        pytest.param(Item(1), "value", "annotate it, 'value: Item'", id="dataclass"),
        pytest.param(User(name="a"), "value", "annotate it, 'value: User'", id="pydantic"),
        pytest.param(Mood.GOOD, "value", "annotate it, 'value: Mood'", id="enum"),
        pytest.param({1: 2}, "value", "keys are not text", id="int keys"),
        pytest.param({(1, 2): 3}, "value", "keys that JSON cannot hold", id="tuple keys"),
        pytest.param(Text("x"), "value", "use a plain str", id="subclass of str"),
        pytest.param(OrderedDict(a=1), "value", "use a plain dict", id="subclass of dict"),
        pytest.param([Row()], "value[0]", "use its id, and load it where it is needed", id="object"),
        pytest.param({"p": Path("x")}, "value.p", "use str(path)", id="path"),
        pytest.param(print, "value", "use its name", id="function"),
        pytest.param([10**5000], "value[0]", "digits", id="endless number"),
        pytest.param(endless, "value", "contains itself", id="endless list"),
    ],
)
def test_what_json_cannot_carry_is_refused(value: object, path: str, mend: str) -> None:
    """A value that would be lost or changed is refused, as an argument and as a result, by its path."""
    with pytest.raises(ArgumentNotStorable) as refused:
        ANYTHING.encode(ANYTHING.bind((value,), {}))
    assert refused.value.path == path
    assert f"anything(): argument {path} " in str(refused.value)
    assert mend in str(refused.value)
    with pytest.raises(ResultNotStorable) as returned:
        ANYTHING.encode_result(value)
    assert returned.value.path == "result" + path.removeprefix("value")
    assert mend.replace("value: ", "-> ") in str(returned.value)


def with_items(*prices: Any) -> Order:  # noqa: ANN401
    """Return an order whose items have these prices."""
    return Order([Item(price) for price in prices])


@pytest.mark.parametrize(
    ("arguments", "path", "mend"),
    [
        ({"order": with_items(1, 2, 3, "4")}, "order.items[3].price", "Expected int, got str"),
        ({"order": Order([Item(price=True)])}, "order.items[0].price", "Expected int, got bool"),
        ({"order": Order([Item(1, {2})])}, "order.items[0].note", "down to 'set'"),
        ({"order": Order([], {"a": {"x": 1}, "b c": {"x": 1, "y": "s"}})}, "order.meta['b c'].y", "got str"),  # type: ignore[dict-item]
        ({"order": {"items": []}}, "order", "(dict) would come back as Order"),
        ({"number": "1"}, "number", "Expected float | null, got str"),
        ({"factor": float("nan")}, "factor", "factor (nan) cannot be stored: JSON has neither NaN nor infinity"),
        ({"number": 2**53 + 1}, "number", "(int) would come back as float"),
        ({"when": date(2024, 1, 1)}, "when", "RFC3339"),
        ({"when": 5}, "when", "got int"),
        (
            {"when": datetime(2024, 1, 1, tzinfo=timezone(timedelta(seconds=1)))},
            "when",
            "(datetime) would not come back equal",
        ),
        ({"amount": Decimal(1)}, "amount", "'str | Decimal' cannot be read from JSON"),
        ({"thing": Gift(1)}, "thing", "'Item | Gift | None' cannot be read from JSON"),
        ({"lost": date(2024, 1, 1)}, "lost", "'Lost | None' cannot be resolved"),
        ({"user": Admin(name="a")}, "user", "(Admin) would come back as User"),
        ({"user": User(name="a", extra=(1, 2))}, "user.extra", "(tuple) would come back as list"),
        ({"user": User(name="a", extra=Mood.GOOD)}, "user.extra", "(Mood) would come back as str"),
        ({"user": User.model_construct(name=1)}, "user", "cannot be stored"),
        ({"user": User(name="\x00")}, "user.name", "NUL"),
        ({"sizes": (1, 2)}, "sizes", "its annotation is 'list[int] | None', use that or change it"),
        ({"broken": bad}, None, "an argument does not fit: KeyError: 'bad'"),
        ({"later": "soon"}, "rest.later", "RFC3339"),
    ],
    ids=str,
)
def test_what_its_annotation_does_not_say_is_refused(arguments: dict[str, object], path: str | None, mend: str) -> None:
    """A value that its annotation does not describe is refused by its path, naming what was expected."""
    with pytest.raises(ArgumentNotStorable) as refused:
        TYPED.encode(TYPED.bind((), arguments))
    assert refused.value.path == path
    assert mend in str(refused.value)


def test_an_item_of_star_args_is_named() -> None:
    """A wrong one among ``*items`` is named by its number."""
    with pytest.raises(ArgumentNotStorable, match="Expected int, got str") as refused:
        TYPED.encode(TYPED.bind((1, "2"), {}))
    assert refused.value.path == "items[1]"


def test_plain_values_pass_where_the_annotation_says_nothing() -> None:
    """An annotation that cannot be used stands for any JSON."""
    text = TYPED.encode(TYPED.bind((), {"amount": "12", "lost": {"id": 1}}))
    _, kwargs = TYPED.decode(text)
    assert (kwargs["amount"], kwargs["lost"]) == ("12", {"id": 1})


def deep(levels: int) -> list[Any]:
    """Return a list in a list in a list."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("levels", [500, 900, 100_000])
def test_what_is_nested_too_deeply_is_refused(levels: int) -> None:
    """However deep a value is, it is refused or stored; nothing overflows."""
    with pytest.raises(ArgumentNotStorable, match="nested too deeply"):
        ANYTHING.encode({"value": deep(levels)})
    with pytest.raises(ResultNotStorable, match="nested too deeply"):
        ANYTHING.encode_result(deep(levels))


def test_a_backslash_is_no_nul() -> None:
    """Only NUL itself is refused, not text that looks like its escape."""
    value = "\\u0000 \\\\u0000"
    assert ANYTHING.decode(ANYTHING.encode({"value": value}))[1] == {"value": value}
