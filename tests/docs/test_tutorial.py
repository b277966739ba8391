"""The tutorial, followed: what it shows is typed, and what it says is what comes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.docs.reader import Reader

if TYPE_CHECKING:
    import pytest

PAGES = sorted((Path(__file__).parents[2] / "docs" / "tutorial").glob("[0-9]*.md"))


async def test_the_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read from the first page to the last, each page's files and commands do what it says."""
    async with Reader(tmp_path, monkeypatch) as reader:
        for page in PAGES:
            await reader.read(page)
