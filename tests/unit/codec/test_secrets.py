"""Secrets are marked in what is stored, taken out of what is shown, and come back as they were."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, NamedTuple, NewType, NotRequired, Required, TypedDict, TypeVar

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backburner.codec.marks import Marks, escaped, masked, secrets_in, unmarked
from backburner.codec.patching import check, found, patch
from backburner.codec.places import places_of_type
from backburner.codec.scrubber import Scrubber
from backburner.codec.secrecy import hidden
from backburner.codec.secret import Secret
from backburner.codec.signature import Signature
from backburner.errors import ArgumentNotStorable, InvalidArguments, PayloadNotReadable, ResultNotStorable

T = TypeVar("T")
Hidden = Annotated[str, Secret]
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda part: (
        st.lists(part, max_size=4)
        | st.dictionaries(
            st.sampled_from(["$secret", "$$secret", "secret", "password", "a"]) | st.text(), part, max_size=3
        )
    ),
    max_leaves=20,
)


@dataclass
class Card:
    number: Hidden
    holder: str = "Ada"
    spare: Card | None = None


class Login(msgspec.Struct, rename="camel"):
    pass_word: Hidden
    user: str = "ada"


class Row(msgspec.Struct, array_like=True, tag=True):
    number: int
    key: Hidden


class Model(pydantic.BaseModel):
    coin: Annotated[str, Secret] = pydantic.Field(alias="Coin")
    cards: list[Card] = []


class Models(pydantic.RootModel[list[Model]]):
    pass


class Words(TypedDict):
    word: Required[Hidden]
    note: NotRequired[str]


class Pair(NamedTuple):
    name: str
    key: Hidden


class Box(msgspec.Struct, Generic[T]):
    held: T


class Safe(Box[Hidden]):
    pass


Known = NewType("Known", Card)
CARD = {"number": "***", "holder": "Ada", "spare": None}


@pytest.mark.parametrize(
    ("annotation", "value", "shown"),
    [
        (Hidden, "s", "***"),
        (Annotated[int, Secret()], 7, "***"),
        (Annotated[Card, Secret], Card("s"), "***"),
        (Hidden | None, None, "***"),
        (Card, Card("s", "Bob", Card("t")), {"number": "***", "holder": "Bob", "spare": CARD}),
        (Card | None, Card("s"), CARD),
        (list[Card], [Card("s"), Card("t")], [CARD, CARD]),
        (Sequence[Card], [Card("s")], [CARD]),
        (dict[str, Hidden], {"a": "s", "$secret": "t"}, {"a": "***", "$secret": "***"}),
        (dict[Hidden, int], {"s": 1}, "***"),
        (tuple[int, Hidden], (1, "s"), [1, "***"]),
        (tuple[Card, ...], (Card("s"),), [CARD]),
        (Login, Login("s"), {"passWord": "***", "user": "ada"}),
        (Row, Row(1, "s"), ["Row", 1, "***"]),
        (Model, Model(Coin="s", cards=[Card("t")]), {"Coin": "***", "cards": [CARD]}),
        (Models, Models([Model(Coin="s")]), [{"Coin": "***", "cards": []}]),
        (tuple[Models, Models], (Models([]), Models([Model(Coin="s")])), [[], [{"Coin": "***", "cards": []}]]),
        (Words, {"word": "s", "note": "n"}, {"word": "***", "note": "n"}),
        (Pair, Pair("n", "s"), ["n", "***"]),
        (Box[Hidden], Box("s"), {"held": "***"}),
        (Box[list[Card]], Box([Card("s")]), {"held": [CARD]}),
        (Safe, Safe("s"), {"held": "***"}),
        (Known, Known(Card("s")), CARD),
        (dict[str, Any], {"$secret": {"$secret": "mine"}}, {"$secret": {"$secret": "mine"}}),
    ],
)
def test_wherever_it_is_annotated(annotation: object, value: object, shown: object) -> None:
    """It is marked, masked wherever it is shown, and comes back equal; as a result too."""

    def job(value: object) -> object: ...

    job.__annotations__ = {"value": annotation, "return": annotation}
    signature = Signature.of(job, "job")
    stored = signature.encode({"value": value})
    assert signature.decode(stored) == ((), {"value": value})
    assert json.loads(masked(stored)) == {"value": shown}
    result = signature.encode_result(value)
    assert signature.decode_result(result) == value
    if value is not None:
        assert json.loads(masked(result)) == shown


@given(VALUES)
def test_plain_values_come_back(value: object) -> None:
    """Whatever a value looks like, marks are not confused with it, and the names that are hidden are."""
    text = msgspec.json.encode(value).decode()
    for stored in (escaped(text), Marks((), ["password", "a.b"]).mark(text)):
        assert msgspec.json.decode(unmarked(stored)) == value
    assert masked(escaped(text)) == text
    assert secrets_in(escaped(text)) == []


def test_names_and_paths() -> None:
    """A name is hidden wherever it is; a path from the top, through lists."""
    marks = Marks((), ["password", "card.number"])
    value = {"card": [{"number": 1, "name": 2}, {"password": [3]}], "number": 4, "deep": {"card": {"number": 5}}}
    shown = json.loads(masked(marks.mark(json.dumps(value))))
    assert shown == {
        "card": [{"number": "***", "name": 2}, {"password": "***"}],
        "number": 4,
        "deep": {"card": {"number": 5}},
    }


def test_numbers_stay_as_they_are_written() -> None:
    """To the last digit, marked or beside a mark."""
    text = '{"password":0.10000000000000000000001,"n":123456789012345678901234567890,"e":1e400}'
    assert unmarked(Marks((), ["password"]).mark(text)) == text


def test_what_is_broken_is_hidden() -> None:
    """Text that has a mark and cannot be read is not shown."""
    assert masked('{"a":{"$secret":"s"') == '"***"'
    assert secrets_in('{"a":{"$secret":"s"') == []
    assert masked("no JSON") == "no JSON"


def test_deploys_of_an_annotation() -> None:
    """Jobs that were stored before a value was secret are read, and so are they once it no longer is."""

    def before(value: str) -> None: ...
    def after(value: Hidden) -> None: ...

    plain, secret = Signature.of(before, "job"), Signature.of(after, "job")
    bound = {"value": "hunter2"}
    assert secret.decode(plain.encode(bound)) == plain.decode(secret.encode(bound)) == ((), bound)
    assert plain.schema_name == secret.schema_name
    cleaned = secret.secrets(plain.encode(bound))
    assert cleaned is not None
    assert cleaned("it was hunter2") == "it was ***"
    assert plain.secrets(plain.encode(bound)) is None
    assert plain.secrets(secret.encode(bound)) is not None


def test_refusals_say_nothing() -> None:
    """What is wrong is told without the value, in the words of whoever found it."""

    class Strict(pydantic.BaseModel):
        pin: Annotated[str, Secret]

        @pydantic.field_validator("pin")
        @classmethod
        def check(cls, pin: str) -> str:
            if pin != "0000":
                raise ValueError(f"{pin} is no pin")
            return pin

    def job(value: object, name: str = "x") -> object: ...

    job.__annotations__ |= {"value": Strict, "return": Strict}
    signature = Signature.of(job, "job")
    with pytest.raises(PayloadNotReadable, match=r"\*\*\* is no pin") as unread:
        signature.decode('{"value":{"pin":{"$secret":"hunter2"}}}')
    with pytest.raises(ArgumentNotStorable, match=r"value\.pin.*\*\*\* is no pin") as refused:
        signature.encode({"value": Strict.model_construct(pin="hunter2"), "name": "x"})
    with pytest.raises(ResultNotStorable, match=r"result\.pin.*\*\*\* is no pin") as lost:
        signature.encode_result(Strict.model_construct(pin="hunter2"))
    for raised in (unread, refused, lost):
        assert raised.value.__cause__ is None
        assert "hunter2" not in str(raised.value)


def test_what_is_told_of_a_signature() -> None:
    """A default is no part of what is shown."""

    def job(name: str, password: Annotated[str, Secret] = "hunter2") -> None:  # noqa: S107 - that is the test
        ...

    signature = Signature.of(job, "job")
    assert "hunter2" not in signature.describe() + signature.schema
    assert json.loads(signature.schema)["properties"]["password"] == {"type": "string", "writeOnly": True}
    assert signature.shown({"name": "a", "password": "b"}) == {"name": "'a'", "password": "***"}


def test_an_annotation_that_cannot_be_found_fails_closed() -> None:
    """What says that it is secret is, though nothing else is known of it."""

    def job(value: Annotated[Nowhere, Secret]) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert masked(Signature.of(job, "job").encode({"value": "s"})) == '{"value":"***"}'


def test_patches_stay_marked() -> None:
    """A path leads through a mark, and what takes a secret's place is one."""
    args = (
        '{"card":{"number":{"$secret":"1"},"name":"n"},"cards":[{"number":{"$secret":"2"}}],"all":{"$secret":{"a":1}}}'
    )
    for path, value, kept in (
        ("card.number", '"3"', '{"$secret":"3"}'),
        ("card", '{"number":"3","name":"m"}', '{"number":{"$secret":"3"},"name":"m"}'),
        ("cards", '[{"number":"3"},{"number":"4"}]', '[{"number":{"$secret":"3"}},{"number":{"$secret":"4"}}]'),
        ("cards.0.number", '{"$secret":"3"}', '{"$secret":"3"}'),
        ("card.name", '{"$secret":"3"}', '{"$secret":"3"}'),
        ("all.a", "2", '{"$secret":2}'),
    ):
        patched = patch(args, path, value)
        assert found(patched, path) == kept
        assert patch(patched, path, kept) == patched
    with pytest.raises(ArgumentNotStorable) as refused:
        patch(args, "card.number", "hunter2")
    assert "hunter2" not in str(refused.value)


def test_a_check_says_nothing() -> None:
    """The signature is compared with the values, and the refusal does not quote them."""

    def job(pin: Annotated[int, Secret]) -> None: ...

    schema = Signature.of(job, "job").schema
    check('{"pin":{"$secret":1234}}', schema)
    with pytest.raises(
        InvalidArguments, match=r"argument pin does not fit the signature: '\*\*\*' is not of type"
    ) as no:
        check('{"pin":{"$secret":"hunter2"}}', schema)
    assert "hunter2" not in str(no.value)


@pytest.mark.parametrize(
    ("secret", "text", "clean"),
    [
        ("hunter2", "hunter2, hunter22", "***, ***2"),
        ("abc", "abc", "abc"),
        (1234, "1234 12345 x1234", "*** 12345 x***"),
        (12.25, "12.25", "***"),
        (True, "True", "True"),
        (["hunter2", {"a": "hunter3"}], "hunter2 hunter3", "*** ***"),
        ("line one\nline two", "  | line one\n  | line two\n", "  | ***\n  | ***\n"),
        ("a'b\nc\"d", repr("a'b\nc\"d"), "'***'"),
        ('quo"ted', json.dumps('quo"ted'), '"***"'),
        ("p@ss/wörd", "https://a:p%40ss%2Fw%C3%B6rd@b", "https://a:***@b"),
        ("aHVudGVyMg==", "b'hunter2'", "b'***'"),
        ("2026-01-01T00:00:00Z", "2026-01-01 00:00:00+00:00", "***"),
    ],
)
def test_scrubbing(secret: object, text: str, clean: str) -> None:
    """In all the ways in which it is written; numbers as wholes."""
    assert Scrubber([secret])(text) == clean


def test_hidden_for_good() -> None:
    """What is told to others has the stars themselves, by type and by name."""
    text = '{"number":"1","holder":"Ada","note":{"$secret":1}}'
    assert hidden(text) == text
    assert hidden(text, ["holder"], Card) == '{"number":"***","holder":"***","note":{"$secret":1}}'


def test_nothing_is_looked_for_where_there_is_nothing() -> None:
    """Types without secrets have no places."""
    assert places_of_type(dict[str, list[int] | None]) == ()
    assert places_of_type(Box[int]) == ()
