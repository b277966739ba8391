"""Rows below what is said of one thing, for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from backburner.cli.render import safe

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["block"]


def block(title: str, rows: Sequence[Sequence[str]]) -> list[Text]:
    """Return rows under a title, in columns; nothing where there are none."""
    if not rows:
        return []
    safely = [[safe(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*safely, strict=True)]
    text = Text(f"\n{title}", style="bold")
    for row in safely:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width)
        text.append(f"\n  {line.rstrip()}", style="not bold")
    return [text]
