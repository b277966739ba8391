"""A schema's name tells whether what one version stored is what another one reads."""

from __future__ import annotations

import enum
import os
import subprocess
import sys
from collections.abc import Callable  # noqa: TC003 - pydantic reads it
from dataclasses import dataclass, field, make_dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict

import msgspec
import pydantic
import pytest

from backburner.codec.signature import Signature


class Node(msgspec.Struct):
    kids: list[Node] = []
    size: int = 0


class Renamed(msgspec.Struct):
    """Another name and a docstring."""

    size: int = 7
    kids: list[Renamed] = msgspec.field(default_factory=list)


class Longer(msgspec.Struct):
    kids: list[Longer] = []
    size: int = 0
    more: str = ""


class Handler(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)

    call: Callable[[], int]


class Dog(msgspec.Struct, tag="dog"):
    age: int


class Cat(msgspec.Struct, tag="cat"):
    age: int


class Cow(msgspec.Struct, tag="cow"):
    age: int


class Lined(msgspec.Struct, array_like=True):
    a: int
    b: int


class Swapped(msgspec.Struct, array_like=True):
    b: int
    a: int


class Pair(NamedTuple):
    a: int
    b: str


class Pairs(NamedTuple):
    b: str
    a: int


class Row:
    """A class that no one can describe."""


class Whole(TypedDict):
    a: int


class Partial(TypedDict):
    a: NotRequired[int]


def model(**fields: object) -> type[pydantic.BaseModel]:
    """Make a pydantic model."""
    make: Any = pydantic.create_model
    made: type[pydantic.BaseModel] = make("Model", **fields)
    return made


def named(annotation: object, default: object = ...) -> str:
    """Return the schema name of a job that takes one value so annotated."""

    def job(value: object) -> None: ...

    job.__annotations__ = {"value": annotation}
    if default is not ...:
        job.__defaults__ = (default,)
    return Signature.of(job, "job").schema_name


listed: Any = list

DIFFERENT: list[tuple[Any, Any]] = [
    (int, str),
    (int, float),
    (int, int | None),
    (list[int], list[str]),
    (list[int], set[int]),
    (dict[str, int], dict[int, int]),
    (tuple[int, str], tuple[int, str, str]),
    (date, Decimal),
    (Annotated[int, msgspec.Meta(ge=0)], Annotated[int, msgspec.Meta(ge=1)]),
    (Literal["a", "b"], Literal["a", "c"]),
    (listed[enum.Enum("E", {"A": "a", "B": "b"})], listed[enum.Enum("E", {"A": "a"})]),
    (enum.IntFlag("F", {"A": 1, "B": 2}), enum.IntFlag("F", {"A": 1, "B": 2, "AB": 3, "C": 4})),
    (listed[make_dataclass("D", [("a", int)])], listed[make_dataclass("D", [("a", str)])]),
    (make_dataclass("D", [("a", int)]), make_dataclass("D", [("a", int, field(default=1))])),
    (make_dataclass("D", [("a", int)]), make_dataclass("D", [("b", int)])),
    (dict[str, Node], dict[str, Longer]),
    (Dog | Cat, Dog | Cow),
    (Lined, Swapped),
    (Pair, Pairs),
    (Whole, Partial),
    (listed[model(a=(int, ...))], listed[model(a=(str, ...))]),
    (model(a=(int, ...)), model(a=(int, 1))),
    (model(title=(int, ...)), model(title=(str, ...))),
    (model(a=(model(b=(int, ...)), ...)), model(a=(model(c=(int, ...)), ...))),
    (Row, Handler),
    ("Lost", "Gone"),
    (str | Decimal, str | date),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=range(len(DIFFERENT)))
def test_another_shape_has_another_name(one: object, other: object) -> None:
    """A field, a type, a choice or a default less, however deep inside, is another schema."""
    assert named(one) != named(other)
    assert named(one) == named(one)


@dataclass
class Plain:
    a: int
    b: list[str] = field(default_factory=list)


@dataclass
class Documented:
    """Says the same in other words."""

    b: list[str] = field(default_factory=lambda: ["x"])
    a: int = field(kw_only=True)


class Low(enum.IntEnum):
    ONE = 1


class High(enum.IntEnum):
    """With words."""

    UNO = 1


class Titled(pydantic.BaseModel):
    a: int = 1


titled: Any = type("Titled", (Titled,), {"__doc__": "In words.", "__module__": __name__})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Node, Renamed),
        (Plain, Documented),
        (Low, High),
        (Titled, titled),
        (int | str, str | int),
        (Dog | Cat, Cat | Dog),
        (int, Annotated[int, msgspec.Meta(title="A", description="words")]),
        (Titled, model(a=(int, 5))),
    ],
    ids=str,
)
def test_words_do_not_matter(one: object, other: object) -> None:
    """Names of classes, docstrings, the order of fields and what a default is make no other schema."""
    assert named(one) == named(other)


def test_names_and_defaults_of_parameters_matter() -> None:
    """A parameter that may be left out is another than one that may not; what it falls back to is not stored."""

    def one(a: int, b: str = "x") -> None: ...

    def same(a: int, *, b: str = "y") -> None: ...

    def required(a: int, b: str) -> None: ...

    def renamed(a: int, c: str = "x") -> None: ...

    def less(a: int) -> None: ...

    names = [Signature.of(job, "job").schema_name for job in (one, same, required, renamed, less)]
    assert names[0] == names[1]
    assert len({*names}) == 4


def test_what_the_engine_fills_does_not_matter() -> None:
    """A resource is no argument."""

    def one(a: int, db: object = None) -> None: ...

    def other(a: int) -> None: ...

    assert Signature.of(one, "job", exclude={"db"}).schema_name == Signature.of(other, "job").schema_name


_PROGRAM = """
import enum
from typing import Optional, Union
if {first}:
    list[Union[int, str]], Optional[Union[str, int]]
from backburner.codec.signature import Signature
E = enum.Enum("E", {{"B": "b", "A": "a"}})
def job(a: Union[str, int], b: E, c: Optional[Union[int, str]] = None): ...
print(Signature.of(job, "job").schema_name)
"""


def test_every_process_gives_the_same_name() -> None:
    """Neither the seed of hashes nor what a process did before has a say."""
    names = {
        subprocess.run(
            [sys.executable, "-c", _PROGRAM.format(first=first)],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for first, seed in ((True, "1"), (False, "2"))
    }
    (name,) = names
    assert len(name.strip()) == 8
