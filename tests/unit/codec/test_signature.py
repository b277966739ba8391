"""Binding arguments, reading stored ones, describing signatures."""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import msgspec
import pydantic
import pytest

from backburner.codec.signature import Signature
from backburner.errors import InvalidArguments, NotAJob, PayloadNotReadable

if TYPE_CHECKING:
    from collections.abc import Callable


class Item(msgspec.Struct):
    price: int


class Options(TypedDict, total=False):
    since: date


def shown(value: object) -> str:
    """Name an example the same way in every process, so that they agree on what there is to run."""
    return value.describe() if isinstance(value, Signature) else str(getattr(value, "__name__", value))


async def plain(to: str, subject: str = "hi", *, copies: int = 1) -> str:
    """Take parameters of the plain kinds."""
    return f"{to} {subject} {copies}"


def every_kind(a: int, /, b: int, *args: int, c: int = 3, **kwargs: date) -> object:
    """Take parameters of every kind."""
    return a, b, args, c, kwargs


def unpacked(*args: *tuple[int, str], **options: Unpack[Options]) -> object:
    """Take unpacked parameters."""
    return args, options


def stored(value: dict[str, list[Item]], extra: date | None = None, count: int = None) -> None:  # type: ignore[assignment]  # noqa: RUF013
    """Take what another version stored."""


def later(item: Later) -> Later:
    """Name a class that stands below."""
    return item


LATER = Signature.of(later, "later")


class Later(msgspec.Struct):
    size: int


PLAIN = Signature.of(plain, "plain")
EVERY = Signature.of(every_kind, "every_kind")
STORED = Signature.of(stored, "stored")


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("a",), {}),
        (("a", "b"), {}),
        (("a",), {"copies": 2}),
        ((), {"subject": "x", "to": "a"}),
        ((), {"copies": 2, "to": "a", "subject": "x"}),
    ],
    ids=str,
)
def test_arguments_are_bound_in_the_parameters_order_with_defaults(
    args: tuple[object, ...], kwargs: dict[str, object]
) -> None:
    """However they are passed, arguments are bound by name, complete and in one order."""
    bound = PLAIN.bind(args, kwargs)
    assert list(bound) == ["to", "subject", "copies"]
    passed, named = PLAIN.spread(bound)
    assert passed == ()
    assert named == {"subject": "hi", "copies": 1} | dict(zip(("to", "subject"), args, strict=False)) | kwargs


@pytest.mark.parametrize(
    ("signature", "args", "kwargs", "why"),
    [
        (PLAIN, (), {}, "plain() missing a required argument: 'to'"),
        (PLAIN, ("a", "b", 3), {}, "plain() too many positional arguments"),
        (PLAIN, ("a",), {"to": "b"}, "plain() multiple values for argument 'to'"),
        (PLAIN, ("a",), {"sub": "b"}, "plain() got an unexpected keyword argument 'sub'"),
        (EVERY, (1,), {}, "every_kind() missing a required argument: 'b'"),
    ],
    ids=shown,
)
def test_arguments_that_do_not_fit_are_refused_as_python_would(
    signature: Signature,
    args: tuple[object, ...],
    kwargs: dict[str, object],
    why: str,
) -> None:
    """Missing, extra and doubled arguments are refused in Python's words, with the signature."""
    with pytest.raises(InvalidArguments) as refused:
        signature.bind(args, kwargs)
    assert str(refused.value) == f"{why}; its signature is {signature.describe()}"


@pytest.mark.parametrize(
    ("fn", "args", "kwargs"),
    [
        (every_kind, (1, 2), {}),
        (every_kind, (1, 2, 3, 4), {"c": 5, "d": date(2024, 1, 1)}),
        (every_kind, (1,), {"b": 2, "a": date(2024, 1, 1), "args": date(2024, 1, 2)}),
        (unpacked, (1, "x"), {"since": date(2024, 1, 1)}),
    ],
    ids=shown,
)
def test_every_kind_of_parameter_is_stored_and_called_as_it_was_passed(
    fn: Callable[..., object],
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> None:
    """Positional-only, ``*args`` and ``**kwargs`` reach the function as a direct call would pass them."""
    signature = Signature.of(fn, "job")
    bound = signature.bind(args, kwargs)
    for passed, named in (signature.spread(bound), signature.decode(signature.encode(bound))):
        assert fn(*passed, **named) == fn(*args, **kwargs)


def test_changing_what_was_called_does_not_change_what_is_bound_next() -> None:
    """Two calls share no dict that the function could see."""
    bound = PLAIN.bind(("a",), {})
    _, named = PLAIN.spread(bound)
    named["to"] = "b"
    assert bound["to"] == "a"
    assert PLAIN.bind(("c",), {})["subject"] == "hi"


def test_parameters_of_any_name_are_stored() -> None:
    """A parameter may have a name that means something elsewhere."""

    def odd(self: int, cls: int, __struct_fields__: int, p0: int, _x: int) -> None: ...

    signature = Signature.of(odd, "odd")
    bound = signature.bind((1, 2, 3, 4, 5), {})
    assert signature.decode(signature.encode(bound)) == ((), bound)


def test_parameters_of_the_engine_are_not_the_callers() -> None:
    """An excluded parameter is neither bound nor stored, and cannot be passed."""

    def job(a: int, db: object = None, b: int = 2) -> None: ...

    signature = Signature.of(job, "job", exclude={"db"})
    assert signature.bind((1, 3), {}) == {"a": 1, "b": 3}
    assert signature.decode('{"a": 1}') == ((), {"a": 1, "b": 2})
    with pytest.raises(InvalidArguments, match="'db'"):
        signature.bind((1,), {"db": 1})


def test_a_parameter_of_the_engine_must_go_by_name() -> None:
    """One that could only be passed by position is refused where the job is declared."""

    def behind(db: object = None, *args: int) -> None: ...

    def first(db: object = None, /) -> None: ...

    for job in (behind, first):
        with pytest.raises(NotAJob, match="after a \\*"):
            Signature.of(job, "job", exclude={"db"})


def test_an_added_parameter_takes_its_default() -> None:
    """A payload of an older signature fits a newer one whose additions have defaults."""
    assert STORED.decode('{"value": {}}') == ((), {"value": {}, "extra": None, "count": None})
    assert EVERY.decode('{"a": 1, "b": 2}') == ((1, 2), {"c": 3})


@pytest.mark.parametrize(
    ("text", "path", "why"),
    [
        ("{}", "value", "is missing"),
        ('{"value": {}, "gone": 1}', "gone", "is not declared"),
        ('{"value": {"a": [{"price": 1}], "b c": [{"price": 1}, {"price": "1"}]}}', "value['b c'][1].price", "got str"),
        ('{"value": {"a": [{}]}}', "value.a[0].price", "is missing"),
        ('{"value": {}, "extra": "soon"}', "extra", "RFC3339"),
        ("[]", None, "expected `object`"),
        ('{"value"', None, "truncated"),
        ('{"value": {"a": ' + "[" * 100_000, None, "got `array`"),
    ],
    ids=["missing", "unknown", "type", "nested missing", "date", "not an object", "malformed", "broken behind"],
)
def test_a_payload_that_does_not_fit_says_where(text: str, path: str | None, why: str) -> None:
    """What another version stored and this one cannot read is named by its path, with the signature of here."""
    with pytest.raises(PayloadNotReadable) as refused:
        STORED.decode(text)
    assert refused.value.path == path
    assert why.lower() in str(refused.value).lower()
    assert str(refused.value).endswith(STORED.describe())


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Thing:
    price: int
    colour: Colour = Colour.RED


class Cat(msgspec.Struct, tag="cat"):
    lives: int


class Dog(msgspec.Struct, tag="dog"):
    age: int


class Address(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    zip: int


class User(pydantic.BaseModel):
    homes: dict[str, list[Address]]


def changed(
    things: list[Thing] = [],  # noqa: B006
    users: list[User] = [],  # noqa: B006
    number: int | str | None = None,
    pet: Cat | Dog | None = None,
) -> None:
    """Take what has changed since it was stored."""


CHANGED = Signature.of(changed, "changed")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"things": [{"price": 1}, {"price": "x"}]}', "things[1].price does not fit: Expected int, got str"),
        ('{"things": [{"price": 1, "colour": "mauve"}]}', "things[0].colour does not fit: Invalid enum value 'mauve'"),
        ('{"things": [{}]}', "things[0].price is missing"),
        ('{"gone": 1}', "gone is not declared"),
        ('{"number": [1]}', "number does not fit: Expected int | str | null, got array"),
        ('{"pet": {"type": "cow"}}', "pet.type does not fit: Invalid value 'cow'"),
        ('{"pet": {"lives": 9}}', "pet.type is missing"),
        (
            '{"users": [{"homes": {"a": [{"zip": "x"}]}}]}',
            "users[0].homes.a[0].zip does not fit: Input should be a valid integer, unable to parse string as an integer",
        ),
        ('{"users": [{"homes": {"b": [{"zip": 1, "po": 2}]}}]}', "users[0].homes.b[0].po is not declared"),
        ('{"users": [{}]}', "users[0].homes is missing"),
        ('{"users": [3]}', "users[0] does not fit: Input should be an object"),
    ],
    ids=range(11),
)
def test_what_changed_since_is_said_in_one_sentence(text: str, why: str) -> None:
    """Who reads why an older job cannot run here learns what to put back, and where, pydantic's models included."""
    with pytest.raises(PayloadNotReadable) as refused:
        CHANGED.decode(text)
    assert str(refused.value) == f"changed(): stored argument {why}; the signature here is {CHANGED.describe()}"
    assert refused.value.path == why.partition(" ")[0]


def test_an_endless_payload_is_refused() -> None:
    """Nesting that no parser survives is a payload that cannot be read, not a crash."""
    with pytest.raises(PayloadNotReadable, match="recursion"):
        Signature.of(lambda value: value, "job").decode('{"value": ' + "[" * 100_000)


def test_a_result_that_does_not_fit_says_where() -> None:
    """A stored result that the return annotation does not describe is named by its path."""
    with pytest.raises(PayloadNotReadable, match="Expected int, got str") as refused:
        LATER.decode_result('{"size": "big"}')
    assert refused.value.path == "result.size"


def test_a_class_below_the_job_is_found() -> None:
    """Annotations are read when first needed: by then the whole module is there."""
    assert LATER.decode(LATER.encode({"item": Later(2)})) == ((), {"item": Later(2)})


def test_a_wrapped_function_is_read_through() -> None:
    """A decorator that uses `functools.wraps` keeps the signature."""

    @functools.wraps(plain)
    async def wrapper(*args: Any, **kwargs: Any) -> str:  # noqa: ANN401
        return await plain(*args, **kwargs)

    assert Signature.of(wrapper, "plain").describe() == PLAIN.describe()


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        (PLAIN, "plain(to: str, subject: str = 'hi', *, copies: int = 1) -> str"),
        (EVERY, "every_kind(a: int, /, b: int, *args: int, c: int = 3, **kwargs: date) -> object"),
        (Signature.of(lambda x, y=1: (x, y), "bare"), "bare(x, y=1)"),
    ],
    ids=["plain", "every kind", "bare"],
)
def test_a_signature_reads_as_it_is_written(signature: Signature, text: str) -> None:
    """The description is the signature as its author wrote it."""
    assert signature.describe() == text
