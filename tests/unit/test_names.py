"""Names."""

from __future__ import annotations

import pytest

from backburner.errors import InvalidOption
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
