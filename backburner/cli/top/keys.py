"""From what a terminal sends to keys. Pure."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BACKSPACE", "DOWN", "ENTER", "ESCAPE", "TAB", "UP", "Keys"]

UP, DOWN, TAB, ENTER, ESCAPE, BACKSPACE = "up", "down", "tab", "enter", "escape", "backspace"

#: A sequence that begins with an escape (of a key or of nothing that is known), or one character.
_KEY = re.compile(r"\x1b(?:\[[0-9;]*[@-~]|O[@-~])|.", re.DOTALL)
_NAMED = {
    "\x1b[A": UP,
    "\x1bOA": UP,
    "\x1b[B": DOWN,
    "\x1bOB": DOWN,
    "\t": TAB,
    "\r": ENTER,
    "\n": ENTER,
    "\x1b": ESCAPE,
    "\x7f": BACKSPACE,
    "\x08": BACKSPACE,
}


class Keys:
    """Takes bytes as they come, and answers names of keys, and characters that can be printed."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, data: bytes) -> Sequence[str]:
        """Return the keys of a chunk; half a character waits for the next one, and what is no key is left out."""
        found = [match.group() for match in _KEY.finditer(self._decoder.decode(data))]
        return [_NAMED.get(key, key) for key in found if key in _NAMED or (len(key) == 1 and key.isprintable())]
