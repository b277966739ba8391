"""The FastAPI example: a shop whose orders and jobs are one commit, on a file and on PostgreSQL."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import httpx
import pytest
from sqlalchemy import select

from backburner import JobNotFound
from tests.acceptance.programs import EXAMPLES, PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path
    from types import ModuleType

    from tests.servers.postgres import Postgres

ORDER = {"product": "teapot", "quantity": 2}


@pytest.fixture(params=["sqlite", "postgres"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Bring the program, on an empty database."""
    url = f"sqlite+aiosqlite:///{tmp_path}/shop.db"
    if request.param == "postgres":
        database: Postgres = request.getfixturevalue("postgres_database")
        url = database.url.replace("postgresql://", "postgresql+asyncpg://")
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield import_module("fastapi_shop.shop")
    for name in [name for name in sys.modules if name.startswith("fastapi_shop")]:
        del sys.modules[name]


@pytest.fixture
async def client(shop: ModuleType) -> AsyncIterator[httpx.AsyncClient]:
    """Bring a browser, while the app lives."""
    async with (
        shop.app.router.lifespan_context(shop.app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(shop.app, raise_app_exceptions=False),
            base_url="http://shop",
            follow_redirects=True,
        ) as client,
    ):
        yield client


async def test_an_order_is_packed_and_confirmed(shop: ModuleType, client: httpx.AsyncClient) -> None:
    """What a request takes, a job packs; its event becomes one letter; the report of the morning counts it."""
    confirmed = asyncio.Event()
    shop.bb.listen("job.completed")(lambda event: confirmed.set() if event.data["kind"] == "confirm" else None)
    taken = await client.post("/orders", json=ORDER)
    assert (taken.status_code, taken.json()) == (202, {"order": 1, "job": "pack-1"})
    assert (await client.get("/orders/1", params={"wait": PATIENCE})).json() == {**ORDER, "state": "packed"}
    assert await shop.bb.handle("pack-1", shop.pack) == "2 teapot"

    await confirmed.wait()
    async with shop.bb.state() as db:
        assert list(await db.scalars(select(shop.Letter.text))) == ["Thank you for your order/1: teapot"]

    (scheduled,) = [schedule async for schedule in shop.bb.schedules.list()]
    assert (scheduled.name, scheduled.when) == ("report", "0 7 * * * Europe/Berlin")
    assert await shop.bb.handle(await shop.bb.schedules.trigger("report"), shop.report) == {"packed": 1}


async def test_what_fails_before_the_commit_leaves_nothing(shop: ModuleType, client: httpx.AsyncClient) -> None:
    """A request that fails after it has stored its job has stored neither order nor job."""

    async def fail(*_: object, **__: object) -> None:
        raise ConnectionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shop.bb, "publish", fail)
        assert (await client.post("/orders", json=ORDER)).status_code == 500
    assert (await client.get("/orders/1")).status_code == 404
    with pytest.raises(JobNotFound):
        await shop.bb.handle("pack-1", shop.pack).status()


async def test_it_is_ready(client: httpx.AsyncClient) -> None:
    """The probes answer, and an order nobody placed is not found."""
    for probe in ("live", "ready"):
        assert (await client.get(f"/health/{probe}")).json()["ok"]
    assert (await client.get("/orders/7")).status_code == 404
    assert (await client.post("/orders", json={**ORDER, "quantity": 0})).status_code == 422
