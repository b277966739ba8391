"""A schema says what the object of stored arguments looks like; that it fits all that is stored, test_round_trips."""

from __future__ import annotations

import enum
import types
from collections.abc import Callable  # noqa: TC003 - pydantic reads it
from dataclasses import dataclass
from datetime import date, datetime  # noqa: TC003 - read at run time
from typing import Annotated, Any, Literal, TypedDict, Unpack

import msgspec
import pydantic
import pytest

from backburner.codec.patching import check
from backburner.codec.signature import Signature
from backburner.errors import InvalidArguments


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Guessed(enum.Enum):
    A = 1

    @classmethod
    def _missing_(cls, value: object) -> Guessed | None:
        return cls.A if value == 2 else None


class Mixed(enum.Enum):
    A = 1
    B = "b"


class Place(msgspec.Struct):
    """Where somebody lives."""

    city: str
    flags: list[Access] = []
    within: Place | None = None


class Person(pydantic.BaseModel):
    name: str
    born: date = pydantic.Field(alias="birthday")
    boss: Person | None = None


class Handler(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)

    call: Callable[[], int]


class Extra(TypedDict, total=False):
    size: int


@dataclass
class Pair:
    one: int
    two: tuple[Person, Handler]


def schema_text(fn: Callable[..., object], *, exclude: tuple[str, ...] = ()) -> str:
    """Return how a function's stored arguments are described."""
    return Signature.of(fn, "job", exclude=exclude).schema


def schema(fn: Callable[..., object], *, exclude: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 - JSON
    """Return the same, read."""
    return msgspec.json.decode(schema_text(fn, exclude=exclude))


def property_of(annotation: object) -> Any:  # noqa: ANN401 - JSON
    """Return how an argument so annotated is described."""

    def job(value: object) -> None: ...

    job.__annotations__ = {"value": annotation}
    return schema(job)["properties"]["value"]


def test_the_whole() -> None:
    """One object: names in order, what must be there, defaults, and nothing beside it."""

    def job(to: str, /, subject: str = "hi", *, cc: list[str] | None = None, when: datetime) -> None: ...

    assert schema(job) == {
        "type": "object",
        "properties": {
            "to": {"type": "string"},
            "subject": {"type": "string", "default": "hi"},
            "cc": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}], "default": None},
            "when": {"type": "string"},
        },
        "required": ["to", "when"],
        "additionalProperties": False,
    }
    assert list(schema(job)["properties"]) == ["to", "subject", "cc", "when"]


def test_without_parameters() -> None:
    """A job that takes nothing has nothing stored."""
    assert schema(lambda: None) == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }


def test_what_the_engine_fills_is_not_stored() -> None:
    """Parameters that are not the caller's are not described."""
    assert list(schema(lambda a, *, ctx: None, exclude=("ctx",))["properties"]) == ["a"]  # noqa: ARG005


def test_variadic_arguments_stand_under_their_names() -> None:
    """``*args`` are a list and ``**kwargs`` an object, each under its name, as they are stored."""

    def job(*paths: int, **options: bool) -> None: ...

    signature = Signature.of(job, "job")
    assert msgspec.json.decode(signature.schema) == {
        "type": "object",
        "properties": {
            "paths": {"type": "array", "items": {"type": "integer"}},
            "options": {"type": "object", "additionalProperties": {"type": "boolean"}},
        },
        "required": [],
        "additionalProperties": False,
    }
    check(signature.encode(signature.bind((1, 2), {"deep": True})), signature.schema)
    check("{}", signature.schema)

    def typed(**options: Unpack[Extra]) -> None: ...

    assert "#/properties/options/$defs/Extra" in schema(typed)["properties"]["options"]["$ref"]
    check('{"options":{"size":1}}', schema_text(typed))


def test_classes_are_found_where_they_are_named() -> None:
    """Structs and models that contain themselves and each other are described once, and every reference leads there."""

    def job(place: Place, person: Person, pair: Pair | None = None) -> None: ...

    text = schema_text(job)
    place = '{"city":"Rome","flags":[3],"within":{"city":"Italy"}}'
    person = '{"name":"Ada","birthday":"1815-12-10","boss":{"name":"B","birthday":"1800-01-01"}}'
    check(f'{{"place":{place},"person":{person},"pair":{{"one":1,"two":[{person},{{"call":1}}]}}}}', text)
    wrong = {
        "place.within.city": f'{{"place":{{"city":"Rome","within":{{"city":1}}}},"person":{person}}}',
        "person.boss.birthday": f'{{"place":{place},"person":{person.replace("1800-01-01", "early")}}}',
        "pair.two[0].name": f'{{"place":{place},"person":{person},"pair":{{"one":1,"two":[{{"name":1}},0]}}}}',
    }
    for path, args in wrong.items():
        with pytest.raises(InvalidArguments) as caught:
            check(args, text)
        assert path.startswith(str(caught.value.path))


def test_words_of_the_code() -> None:
    """What code says of its types to people is there too."""
    described = property_of(Annotated[Place, msgspec.Meta(description="to whom")])
    assert described["description"] == "to whom"
    assert described["$defs"]["Place"]["description"] == "Where somebody lives."


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Any, {}),
        (Mixed, {"description": "Mixed"}),
        ("Nowhere", {"description": "Nowhere"}),
        (complex | types.ModuleType, {"description": "complex"}),
        (Literal["a\0"], {"description": "Literal"}),
        (Handler, {"description": "Handler"}),
    ],
    ids=repr,
)
def test_what_cannot_be_described(annotation: object, expected: dict[str, str]) -> None:
    """It may be anything, and has the words of its annotation where there are any."""
    described = property_of(annotation)
    assert described.keys() == expected.keys() or "$ref" in described
    assert expected.get("description", "") in str(described)


@pytest.mark.parametrize("kind", [Access, Guessed])
def test_an_enumeration_with_more_values_than_members(kind: type) -> None:
    """Combinations of flags, and what a class makes of other values itself, are stored too: no value is ruled out."""
    described = property_of(list[kind])  # type: ignore[valid-type]
    assert described["type"] == "array"
    assert described["$defs"][kind.__name__] == {"title": kind.__name__}


def test_nothing_is_said_of_what_is_not_annotated() -> None:
    """Without annotations anything fits, under the names there are."""
    assert schema(lambda a, b=1: None)["properties"] == {"a": {}, "b": {"default": 1}}  # noqa: ARG005


@pytest.mark.parametrize("default", [object(), "\0", float, {1, "a"}], ids=lambda default: type(default).__name__)
def test_a_default_that_cannot_be_written(default: object) -> None:
    """The parameter may be left out all the same."""

    def job(value: object = default) -> None: ...

    found = schema(job)
    assert found["required"] == []
    assert found["properties"]["value"].keys() <= {"default", "description"}


def test_two_classes_of_one_name() -> None:
    """Classes of one name do not get into each other's way, in one parameter or in two."""

    def make(kind: type) -> type:
        return msgspec.defstruct("Same", [("value", kind)], module="somewhere")

    first, second = make(int), make(str)

    def job(a: object, b: object, c: object) -> None: ...

    job.__annotations__ = {"a": first, "b": second, "c": tuple[first, second]}  # type: ignore[valid-type]
    text = schema_text(job)
    check('{"a":{"value":1},"b":{"value":"x"},"c":[{"value":1},{"value":"x"}]}', text)
    with pytest.raises(InvalidArguments, match=r"a\.value"):
        check('{"a":{"value":"x"},"b":{"value":"x"},"c":[]}', text)
