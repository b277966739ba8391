"""The tutorial, followed: what it shows is typed, and what it says is what comes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.reader import Reader

if TYPE_CHECKING:
    from tests.servers.postgres import Postgres

#: Where the last page has its database.
URL = "postgresql+asyncpg://shop:secret@db.internal/shop"
#: … and how that is shown.
SHOWN = "postgresql://db.internal/shop"
PAGES = sorted((Path(__file__).parents[2] / "docs" / "tutorial").glob("[0-9]*.md"))


@pytest.mark.limit(180)
async def test_the_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_database: Postgres) -> None:
    """Read from the first page to the last, each page's files and commands do what it says."""
    url = postgres_database.url
    urls = {URL: url.replace("://", "+asyncpg://"), SHOWN: re.sub("://.*@", "://", url)}
    async with Reader(tmp_path, monkeypatch, urls) as reader:
        for page in PAGES:
            await reader.read(page)
