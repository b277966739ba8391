"""docs/how-to/sessions.md, run on SQLite and on PostgreSQL."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.docs.reader import blocks

if TYPE_CHECKING:
    from tests.servers.postgres import Postgres

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "sessions.md"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return SQLAlchemy's URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/app.db"
    postgres: Postgres = request.getfixturevalue("postgres_database")
    return postgres.url.replace("://", "+asyncpg://")


async def test_sessions(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attempt has a session, committed with its job; a test brings its own, or has another opened in its place."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "sessions"}
    for _, block in blocks(PAGE, "python"):
        exec(compile(re.sub(r'"postgresql\+.*?"', repr(url), block), "sessions.md", "exec"), names)  # noqa: S102 - the page's
    bb = names["bb"]
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE orders (id INTEGER, shipped BOOLEAN, charged INTEGER)"))
        await connection.execute(text("INSERT INTO orders VALUES (7, false, 0)"))

    async def row() -> tuple[bool, int]:
        async with engine.connect() as connection:
            shipped, charged = (await connection.execute(text("SELECT shipped, charged FROM orders"))).one()
            return bool(shipped), charged

    async with bb:
        await names["test_place"]()
        assert await row() == (False, 0)
        assert await names["place"](7) == "order 7 is shipped"
        assert await (await bb.create_task(names["charge"](7))) == "order 7 is charged once"
        assert await row() == (True, 1)
        assert await (await bb.create_task(names["count"]())) == 0
        async with bb.state.begin() as db:
            await names["test_ship"](db)
    await engine.dispose()
