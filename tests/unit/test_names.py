"""Names."""

from __future__ import annotations

import pytest

from backburner.errors import InvalidOption
from backburner.model.lane import limit_name, name_of
from backburner.model.names import check_name


@pytest.mark.parametrize("name", ["a", "send mail", "tenant:7", "größe", "🎈", "x" * 128])
def test_welcome(name: str) -> None:
    """A name may be anything printable, in any script."""
    assert check_name(name, "queue") == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "queue must not be empty"),
        ("x" * 129, "queue has 129 characters, 128 are allowed"),
        ("a\0b", r"queue contains '\x00' at position 1"),
        ("a\n", r"queue contains '\n' at position 1"),
        ("\x7f", r"queue contains '\x7f' at position 0"),
        ("\x85", r"queue contains '\x85' at position 0"),
        ("ab\ud800", r"queue contains '\ud800' at position 2"),
        (7, "queue is a text, not int: 7"),
    ],
)
def test_refused(name: object, why: str) -> None:
    """What a store or a terminal would break on is refused, and the error shows where."""
    with pytest.raises(InvalidOption) as caught:
        check_name(name, "queue")
    assert str(caught.value).startswith(why)
    assert caught.value.option == "queue"


@pytest.mark.parametrize("name", ["stripe", "team/stripe", "100%", "%2F", "%25", "a:b", "ü"])
def test_the_name_of_a_limit_is_read_back(name: str) -> None:
    """A limit's name holds no slash, and gives back the name it was made of."""
    assert "/" not in limit_name("breaker", name)
    assert name_of(limit_name("breaker", name)) == name
