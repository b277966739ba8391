"""Conditions on arguments as people write them."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backburner.errors import InvalidOption
from backburner.model.condition_text import condition_text, parse_condition
from backburner.model.query import Condition, Operator

_NAMES = st.text(
    st.characters(exclude_characters=".=!<>~", exclude_categories=("Cs", "Zs", "Zl", "Zp", "Cc")), min_size=1
)


@given(
    path=st.lists(_NAMES, min_size=1),
    operator=st.sampled_from(get_args(Operator)),
    value=st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(st.characters(codec="utf-8")),
)
def test_round_trip(path: list[str], operator: Operator, value: str | int | None) -> None:
    """The text of a condition is read as the same."""
    condition = Condition(tuple(path), operator, value)
    assert parse_condition(condition_text(condition)) == condition


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("args.user.id=7", Condition(("user", "id"), "=", 7)),
        ("args.user.id >= 7 ", Condition(("user", "id"), ">=", 7)),
        ("args.email~ada@", Condition(("email",), "~", "ada@")),
        ('args.email~"=ada"', Condition(("email",), "~", "=ada")),
        ("args.a-b.ö c!=null", Condition(("a-b", "ö c"), "!=", None)),
        ("args.0=2.50", Condition(("0",), "=", 2.5)),
    ],
)
def test_what_can_be_read(text: str, condition: Condition) -> None:
    """A path, a comparison, JSON; what is contained needs no quotes."""
    assert parse_condition(text) == condition


@pytest.mark.parametrize(
    ("text", "position", "why"),
    [
        ("arg.user=1", 0, "a condition begins with args.: did you mean args.user?"),
        ("arguments.user=1", 0, "did you mean args.user?"),
        ("user.id=1", 0, "did you mean args.user.id?"),
        ("user=1", 0, "did you mean args.user?"),
        ("kind=mail", 0, "'kind' is no argument's path: it is chosen by kind itself, not by where"),
        ("", 0, "a condition begins with args."),
        ("=1", 0, "a condition begins with args."),
        ("args=1", 4, "a path into the arguments is missing"),
        ("args..x=1", 5, "a name is missing in the path"),
        ("args.=1", 5, "a name is missing in the path"),
        ("args.a.b.=1", 9, "a name is missing in the path"),
        ("args.user.id", 12, "a comparison is missing"),
        ("args.user.id==7", 12, "== is no comparison: did you mean =?"),
        ("args.user.id<>7", 12, "<> is no comparison: did you mean !=?"),
        ("args.user.id=>7", 12, "=> is no comparison: did you mean >=?"),
        ("args.user.id!7", 12, "! is no comparison: did you mean !=?"),
        ("args.user.id<<7", 12, "<< is no comparison"),
        ("args.name=", 10, "what to compare with is missing; no text is '\"\"', nothing is null"),
        ("args.name= ada", 11, "'ada' is no JSON: a text needs its quotes, args.name= '\"ada\"'"),
        ("args.name='ada'", 10, "a text needs its quotes, args.name='\"ada\"'"),
        ('args.name="ada', 10, "a text needs its quotes, args.name='\"ada\"'"),
        ("args.name=\ud800", 10, "a text needs its quotes, args.name='\"…\"'"),
        ("args.name=O'Hara", 10, "a text needs its quotes, args.name='\"O'\"'\"'Hara\"'"),
        ("args.ok=True", 8, "True is no JSON: did you mean true?"),
        ("args.ok=None", 8, "None is no JSON: did you mean null?"),
        ("args.a=[1]", 7, "compare with a text, a number, true, false or null"),
        ("args.a~{}", 7, "compare with a text, a number, true, false or null"),
        ("args.a\n=\t7 8", 9, "is no JSON"),
    ],
)
def test_what_cannot_be_read(text: str, position: int, why: str) -> None:
    """What is amiss is said with the place it is at, what was meant, and how to write one."""
    with pytest.raises(InvalidOption, match=re.escape(why)) as caught:
        parse_condition(text)
    first, shown, caret, grammar = str(caught.value).split("\n")
    assert first.startswith(f"the condition cannot be read at position {position}: ")
    assert shown == "  " + "".join(each if each.isprintable() else " " for each in text)
    assert caret == "  " + " " * position + "^"
    assert grammar.startswith("write args.PATH, one of = != < <= > >= ~ (contains), and JSON: args.user.id=7")
    assert caught.value.option == "where"
