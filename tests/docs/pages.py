"""The pages that readers have, and what is in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ROOT", "Block", "all_blocks", "pages", "prose"]

ROOT = Path(__file__).parents[2]
#: A fence, what is between it and its end, and how deep all of it stands in a list.
_FENCED = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Return the paths of all pages, those beside docs too."""
    return sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")))


def all_blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages, of these languages or any."""
    found = [block for page in pages() for block in _blocks(page)]
    return [block for block in found if not languages or block.language in languages]


def prose(page: str) -> str:
    """Return a page without its blocks."""
    return _FENCED.sub("", (ROOT / page).read_text("utf-8"))


def _blocks(page: str) -> Iterator[Block]:
    text = (ROOT / page).read_text("utf-8")
    for found in _FENCED.finditer(text):
        indent = re.compile(f"^{found['indent']}", re.MULTILINE)
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, line, found["language"].strip(), indent.sub("", found["text"]))
