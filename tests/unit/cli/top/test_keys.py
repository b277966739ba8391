"""From what a terminal sends to keys."""

from __future__ import annotations

import pytest

from backburner.cli.top.keys import Keys


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        (b"qj ", ["q", "j", " "]),
        (b"\x1b[A\x1b[B\x1bOA\x1bOB", ["up", "down", "up", "down"]),
        (b"\t\r\n\x7f\x08\x1b", ["tab", "enter", "enter", "backspace", "backspace", "escape"]),
        ("né🙂".encode(), ["n", "é", "🙂"]),
        (b"\x1b[5~\x1b[1;5C\x01x", ["x"]),
        (b"\x1bq", ["escape", "q"]),
        (b"\xffx", ["\ufffd", "x"]),
    ],
    ids=["letters", "arrows", "named", "beyond ASCII", "no keys of ours", "escape and a letter", "no UTF-8"],
)
def test_keys(sent: bytes, keys: list[str]) -> None:
    """Letters are themselves, other keys have names, and what is none of ours is nothing."""
    assert Keys().feed(sent) == keys


def test_half_a_character() -> None:
    """A character that comes in two chunks is one."""
    keys = Keys()
    assert keys.feed("é".encode()[:1]) == []
    assert keys.feed("é".encode()[1:]) == ["é"]
