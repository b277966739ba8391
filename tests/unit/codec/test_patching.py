"""Arguments that are changed by hand: one part is, and it is seen before anything is stored whether they still fit."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backburner.codec.patching import check, patch
from backburner.codec.signature import Signature
from backburner.errors import ArgumentNotStorable, CallRefused, InvalidArguments, UnknownPath

#: Numbers that a float or 64 bits would change.
NUMBERS = '"big":123456789012345678901234567890,"cent":1.10,"huge":1e400,"long":' + "9" * 5000
ARGS = f'{{"url":"a","user":{{"name":"Ada","address":{{"city":"Rome"}}}},"items":[{{"id":1}},{{"id":2}}],{NUMBERS}}}'

names = st.text(st.characters(exclude_characters=".\x00", exclude_categories=["Cs"]), min_size=1, max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def schema(annotation: object) -> str:
    """Return the schema of a job that takes a value so annotated."""

    def job(value: object) -> None: ...

    job.__annotations__ = {"value": annotation}
    return Signature.of(job, "job").schema


def refused(args: str, annotation: object) -> InvalidArguments:
    """Check arguments that do not fit."""
    with pytest.raises(InvalidArguments) as caught:
        check(args, schema(annotation))
    return caught.value


# ---- patch -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        ("url", '"b"', '"url":"a"', '"url":"b"'),
        ("url", " null ", '"url":"a"', '"url":null'),
        ("user.address.city", '{"zip": 1.50}', '"city":"Rome"', '"city":{"zip": 1.50}'),
        ("items.0.id", "12345678901234567890123", '"id":1', '"id":12345678901234567890123'),
        ("items.1", "1e400", '{"id":2}', "1e400"),
        ("items", "[]", '[{"id":1},{"id":2}]', "[]"),
    ],
)
def test_one_part_is_replaced(path: str, value: str, old: str, new: str) -> None:
    """The part at the path is the new one, as it is written; all else stays as it was, to the last digit."""
    assert ARGS.count(old) == 1
    assert patch(ARGS, path, value) == ARGS.replace(old, new)


@given(args=st.dictionaries(names, values, min_size=1, max_size=3), new=values, data=st.data())
def test_it_does_what_python_does(args: dict[str, Any], new: object, data: st.DataObject) -> None:
    """A patch is the assignment to that part, wherever it is."""
    part: Any = args
    path: list[str] = []
    while True:
        step = data.draw(st.sampled_from([*part] if isinstance(part, dict) else [*range(len(part))]))
        path.append(str(step))
        if not isinstance(part[step], dict | list) or not part[step] or data.draw(st.booleans()):
            break
        part = part[step]
    before = json.dumps(args)
    part[step] = new
    assert json.loads(patch(before, ".".join(path), json.dumps(new))) == args


@pytest.mark.parametrize(
    ("path", "missing", "there"),
    [
        ("uri", "uri", "they hold url, user, items"),
        ("user.adress.city", "user.adress", "'user' holds name, address"),
        ("user.address.city.name", "user.address.city.name", "'user.address.city' holds no parts"),
        ("items.2", "items.2", "'items' holds 0, 1"),
        ("items.-1", "items.-1", "'items' holds 0, 1"),
        ("items.01", "items.01", "'items' holds 0, 1"),
        ("", "", "url"),
        ("user.", "user.", "'user' holds name, address"),
    ],
)
def test_a_path_that_is_not_there(path: str, missing: str, there: str) -> None:
    """The refusal says how far the path leads, and what there is."""
    with pytest.raises(UnknownPath) as caught:
        patch(ARGS, path, "1")
    assert caught.value.path == missing
    assert there in str(caught.value)
    assert isinstance(caught.value, CallRefused)


def test_many_names_are_counted() -> None:
    """Of a long list the first are named."""
    with pytest.raises(UnknownPath, match=r"holds 0, 1, .*, 19 and 980 more$"):
        patch(f'{{"a":{[*range(1000)]}}}', "a.b", "1")


@pytest.mark.parametrize(
    "value", ["hello", "", "[1,", "NaN", '"\\ud800"', '"\ud800"', '"a\\u0000b"', "[" * 99_999], ids=repr
)
def test_a_value_that_cannot_be_stored(value: str) -> None:
    """What is no JSON, or what some stores refuse, is refused with the path."""
    with pytest.raises(ArgumentNotStorable) as caught:
        patch(ARGS, "user.name", value)
    assert caught.value.path == "user.name"


@pytest.mark.parametrize("args", ["", "{", '{"a":1', "\ud800"], ids=repr)
def test_arguments_that_are_no_json(args: str) -> None:
    """They cannot be patched."""
    with pytest.raises(InvalidArguments):
        patch(args, "a", "1")


# ---- check -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "args", "path", "words"),
    [
        (int, '{"value":"x"}', "value", "not of type 'integer'"),
        (int, '{"value":1.0}', "value", "1.0 is not of type 'integer'"),
        (int | None, '{"value":"x"}', "value", "'x'"),
        (str, "{}", None, "'value' is a required property"),
        (str, '{"value":"x","more":1}', None, "'more' was unexpected"),
        (str, "[]", None, "not of type 'object'"),
        (list[dict[str, int]], '{"value":[{"a b":1},{"a b":null}]}', "value[1]['a b']", "not of type 'integer'"),
        (Annotated[int, msgspec.Meta(le=2**53)], '{"value":9007199254740993}', "value", "greater than the maximum"),
        (Annotated[float, msgspec.Meta(lt=1)], '{"value":1.00000000000000000000000000}', "value", "1.0000"),
        (Annotated[float, msgspec.Meta(ge=1)], f'{{"value":0.{"9" * 40}}}', "value", "less than the minimum"),
    ],
    ids=repr,
)
def test_what_does_not_fit(annotation: object, args: str, path: str | None, words: str) -> None:
    """It is refused with the path, as Python would write it, and why."""
    error = refused(args, annotation)
    assert error.path == path
    assert words in str(error)
    assert path is None or f"argument {path} " in str(error)


@pytest.mark.parametrize("kind", [date, Decimal, timedelta, UUID, Annotated[datetime, msgspec.Meta(tz=True)]], ids=repr)
def test_texts_of_a_format(kind: object) -> None:
    """A date is a date before it is stored: what the job's node could not read is refused."""
    assert refused('{"value":"tomorrow"}', kind).path == "value"


@given(st.dates() | st.times() | st.datetimes() | st.timedeltas() | st.uuids() | st.decimals(allow_nan=False))
def test_texts_that_are_read(value: date | time | datetime | timedelta | UUID | Decimal) -> None:
    """Whatever is stored of such a type fits."""
    check(msgspec.json.encode({"value": value}).decode(), schema(type(value)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"type":5}',
        '{"pattern":"("}',
        '{"properties":{"value":{"$ref":"#/nowhere"}}}',
        '{"$ref":"#"}',
        '{"$ref":"http://127.0.0.1:9/schema.json"}',
    ],
)
def test_a_schema_that_cannot_be_used(text: str) -> None:
    """It proves nothing: that is told, and nothing is fetched that it refers to."""
    with pytest.raises(InvalidArguments, match="cannot be compared") as caught:
        check('{"value":1}', text)
    assert caught.value.path is None


@pytest.mark.parametrize("args", ["", "{", f'{{"value":{"9" * 5000}}}'], ids=lambda args: args[:10])
def test_arguments_that_cannot_be_read(args: str) -> None:
    """Neither do arguments that are no JSON, or have numbers of thousands of digits."""
    assert refused(args, int).path is None


def test_a_long_value_is_cut() -> None:
    """A refusal quotes the beginning of what it refuses."""
    assert len(str(refused(f'{{"value":"{"x" * 10_000}"}}', int))) < 1000
