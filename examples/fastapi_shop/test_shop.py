"""How the shop tests itself: its own app and jobs, on a clock that stands still, with nothing to start.

cd examples
python -m pytest fastapi_shop
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from sqlalchemy import select

from fastapi_shop import shop
from fastapi_shop.shop import Letter, app, bb, confirm, pack, report

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from backburner.testing import Testing

pytestmark = pytest.mark.anyio
ORDER = {"product": "teapot", "quantity": 2}


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio."""
    return "asyncio"


@pytest.fixture
async def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Testing]:
    """Put the app under test, on a database of the test's own."""
    monkeypatch.setattr(shop, "DATABASE", f"sqlite+aiosqlite:///{tmp_path}/shop.db")
    async with bb.testing() as jobs:
        yield jobs


@pytest.fixture
async def client(jobs: Testing) -> AsyncIterator[httpx.AsyncClient]:  # noqa: ARG001 - it is running
    """Bring a browser."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        yield client


async def test_an_order_is_to_be_packed(jobs: Testing, client: httpx.AsyncClient) -> None:
    """A request stores its job, and does not wait for it."""
    assert (await client.post("/orders", json=ORDER)).json() == {"order": 1, "job": "pack-1"}
    jobs.assert_enqueued(pack(1), id="pack-1")
    assert (await client.get("/orders/1")).json()["state"] == "taken"


async def test_an_order_is_packed_and_confirmed(jobs: Testing, client: httpx.AsyncClient) -> None:
    """Run, the job packs the order; the event of the order becomes a letter."""
    await client.post("/orders", json=ORDER)
    done = await jobs.drain()
    assert not done.errors
    assert (await client.get("/orders/1")).json()["state"] == "packed"
    jobs.assert_enqueued(confirm, count=1)
    async with bb.state() as db:
        assert (await db.scalars(select(Letter.text))).all() == ["Thank you for your order/1: teapot"]


async def test_an_order_of_nothing_is_refused(jobs: Testing, client: httpx.AsyncClient) -> None:
    """What is refused stores no job."""
    assert (await client.post("/orders", json={**ORDER, "quantity": 0})).status_code == 422
    jobs.refute_enqueued(pack)


async def test_the_report_comes_each_morning(jobs: Testing) -> None:
    """A day later there was a report, without anybody having waited."""
    jobs.refute_enqueued(report)
    await jobs.advance(days=1, drain=True)
    assert [each.state for each in jobs.all(report)] == ["completed"]
