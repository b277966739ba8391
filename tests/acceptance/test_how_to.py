"""The Python of docs/how-to, run; that of some pages, which need more around them, beside the tests of what they are about."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiosqlite
import psycopg
import pytest
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from backburner import Backburner, JobDead
from tests.acceptance.eventful import Told, reading

if TYPE_CHECKING:
    from tests.servers.postgres import Postgres

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
ORDERS = "CREATE TABLE orders (id INTEGER, shipped BOOLEAN)"


def blocks(page: str) -> list[str]:
    """Return the Python of a page."""
    return re.findall(r"```python\n(.*?)```", (PAGES / page).read_text("utf-8"), re.DOTALL)


HANDLING, JOINING, FOLLOWING, CATCHING_UP, LISTENING = blocks("events.md")
(GROWING,) = blocks("grow.md")
(LETTERS,) = blocks("dead-letters.md")
(LIMITS,) = blocks("limits.md")
(LOCKS,) = blocks("locks.md")
BREAKING, TUNING, RETRYING = blocks("outages.md")
SCHEDULING, COMBINING, OPERATING = blocks("schedules.md")
SETTING_UP, ASYNCPG, PSYCOPG, ALCHEMY, AIOSQLITE, COMPLETING = blocks("transactions.md")


def execute(block: str, **names: object) -> dict[str, Any]:
    """Run a block as a module would be, and return its names."""
    namespace: dict[str, Any] = {"__name__": "how_to", **names}
    exec(compile(block, "how-to", "exec"), namespace)  # noqa: S102 - the page's own code
    return namespace


async def test_it_grows_by_its_url_alone(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same app stores and runs its job on every store."""
    monkeypatch.setenv("BACKBURNER_URL", url)
    names = execute(GROWING)
    bb = names["bb"]
    async with bb:
        job = await names["sign_up"]("ada@example.org")
        assert await bb.handle(job, names["welcome"]) == "welcome, ada@example.org"


async def test_limits(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every job of the page is declared, runs, and is limited as the page says."""
    monkeypatch.setenv("BACKBURNER_URL", url)
    names = execute(LIMITS)
    async with names["bb"] as bb:
        calls = [names["render"](1), names["export"]("acme", "May"), names["geocode"]("Rome"), names["push"](1)]
        calls += [names["invoice"](1), names["letter"](1), names["crawl"]("https://example.org")]
        for handle in await bb.create_tasks(calls):
            await handle
        limits = {record.name: record.limit for record in await bb.limits.list()}
    assert {name: limit.slots for name, limit in limits.items() if limit.slots is not None} == {
        "bulkhead:pdf": 3,
        "concurrency:crawl": 10,
        "concurrency:export": 2,
        "concurrency:render": 4,
    }
    assert {name: limit.rate.limit for name, limit in limits.items() if limit.rate is not None} == {
        "rate:geocode": 100,
        "rate:push": 1000,
    }


async def test_outages(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's jobs are declared and run, and their breaker and budget are there for an operator."""
    monkeypatch.setenv("BACKBURNER_URL", url)
    breaking = execute(BREAKING)
    tuning = execute(TUNING, bb=Backburner())
    retrying = execute(RETRYING, bb=tuning["bb"])
    async with breaking["bb"] as bb:
        for handle in await bb.create_tasks([breaking["charge"](1), breaking["refund"](1)]):
            await handle
        (breaker,) = await bb.breakers.list()
        assert (breaker.name, breaker.phase) == ("payments", "closed")
        await bb.breakers.open("payments", reason="maintenance at the provider until noon")
        await bb.breakers.auto("payments")
    async with tuning["bb"] as bb:
        for handle in await bb.create_tasks([tuning["settle"](1), retrying["transfer"](1)]):
            await handle
        (budget,) = [record for record in await bb.limits.list() if record.name == "budget:payments"]
        assert budget.limit.rate is not None
        assert budget.limit.rate.limit == 10


async def test_locks(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers share, a refresh is alone, and who does not wait is told."""
    monkeypatch.setenv("BACKBURNER_URL", url)
    names = execute(LOCKS)
    async with names["bb"] as bb:
        assert (await names["refresh_prices"]()).startswith("token ")
        assert await names["read_prices"]() == "read"
        assert await names["only_if_free"]() == "had it"
        async with bb.lock("prices"):
            assert await names["only_if_free"]() == "somebody is at it"


async def test_dead_letters(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters of one cause come back with mended arguments."""
    monkeypatch.setenv("BACKBURNER_URL", url)
    names = execute(LETTERS)
    bb: Backburner = names["bb"]

    @bb.job(retry="none")
    async def fetch(url: str) -> str:
        if "new" not in url:
            raise ConnectionError(url)
        return url

    async with bb:
        handle = await bb.create_task(fetch("https://old.example"))
        with pytest.raises(JobDead):
            await handle
        assert await names["mend"]() == 1
        assert await bb.handle(handle.id, fetch) == "https://new.example"


async def test_schedules(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page declares is due when it says; what it does at run time is done, and told of."""
    monkeypatch.setenv("BACKBURNER_URL", url)
    names = execute(SCHEDULING)
    names = execute(COMBINING, **names)
    names = execute(OPERATING, **names)
    async with names["bb"] as bb:
        assert {schedule.name: schedule.when async for schedule in bb.schedules.list()} == {
            "beware": "(0 0 13 * * and 0 0 * * fri) or 0 12 31 10 *",
            "daily-report": "0 6 * * *",
            "greet": "0 9 * * mon-fri Europe/Berlin",
            "new_prices": "at 2027-01-01T00:00Z",
            "open_market": "30 8 * * mon-fri America/New_York",
            "tidy": "every 5m",
            "weekly-report": "0 7 * * mon",
        }
        jobs = await names["customers"]("acme", date(2026, 3, 4))
        mornings = [datetime(2026, 3, day, 21, tzinfo=UTC) for day in (1, 2, 3)]
        assert [await bb.handle(job, names["report"]) for job in jobs] == [f"acme of {each}" for each in mornings]


async def test_events(url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What is published is handled, followed, caught up with, and listened to."""
    monkeypatch.setenv("BACKBURNER_URL", url)
    names: dict[str, Any] = {}
    for block in (HANDLING, FOLLOWING, CATCHING_UP, LISTENING):
        names = execute(block, **names)
    bb: Backburner = names["bb"]

    @bb.job(retry="none")
    async def fail() -> None:
        raise ValueError

    told = Told()
    bb.listen("job.completed", "job.dead")(told.add)
    async with bb:
        async with reading(bb, "order.*", subscription="billing") as read:
            await names["pay"](7, 12.5)
            cursor = (await read.count(1))[0].cursor
            await bb.publish("order.refunded", {"total": 1}, subject="order/7")
            last = (await read.count(2))[1].cursor
        assert await names["catch_up"](cursor) == last
        await bb.publish("order.shipped", subject="order/7")
        assert await names["follow"](1) == ["order.shipped order/7"]
        job = await bb.create_task(fail())
        invoices = [each for each in await told.count(4) if each.data["kind"] == "write_invoice"]
        results = [await bb.handle(each.subject, names["write_invoice"]) for each in invoices]
        assert results == ["order/7: 12.5", "order/7: 1"]
    shown = capsys.readouterr().out
    assert f"job.dead {job.id}" in shown
    assert f"fail {job.id}: exhausted" in shown


async def test_events_in_a_transaction(sqlite: Database) -> None:
    """An event is published with the row that it tells of."""
    names = execute(JOINING, **execute(HANDLING.replace("Backburner()", f"Backburner({sqlite.url!r})")))
    bb = names["bb"]
    async with bb, reading(bb, "order.*") as read, aiosqlite.connect(sqlite.path) as connection:
        await names["settle"](connection, 7)
        assert (await read.count(1))[0].subject == "order/7"
    assert sqlite.run("SELECT id FROM orders") == [(7,)]


class Database:
    """A database with a table of orders, and an engine of the page's on it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.run(ORDERS)
        setting_up, count = re.subn('"postgresql://.*?"', repr(url), SETTING_UP)
        assert count == 1
        if url.startswith("sqlite"):  # which needs no pool
            setting_up = re.sub(r", lifespan=.*?\)\)", ")", setting_up)
        self.names = execute(setting_up)

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement on a connection of its own."""
        if self.url.startswith("sqlite"):
            with closing(sqlite3.connect(self.path)) as file:
                return file.execute(sql).fetchall()
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    @property
    def path(self) -> str:
        """The file of a database in one."""
        return self.url.removeprefix("sqlite:///")


@pytest.fixture
def postgres(postgres_database: Postgres) -> Database:
    """Bring one in PostgreSQL."""
    return Database(postgres_database.url)


@pytest.fixture
def sqlite(tmp_path: Path) -> Database:
    """Bring one in SQLite."""
    return Database(f"sqlite:///{tmp_path}/jobs.db")


async def placed(database: Database, block: str, by: Any = None) -> None:  # noqa: ANN401 - as the block has it
    """Place an order as a block does; see that it is there, and confirmed."""
    names = execute(block, **database.names)
    bb = names["bb"]
    async with bb:
        handle = await names["place"](bb.state if by is None else by, 7)
        assert await handle == "order 7 is confirmed"
    assert database.run("SELECT id FROM orders") == [(7,)]


async def test_asyncpg(postgres: Database) -> None:
    """A job is stored through a connection of an asyncpg pool."""
    await placed(postgres, ASYNCPG)


async def test_psycopg(postgres: Database) -> None:
    """A job is stored through a connection of psycopg's."""
    await placed(postgres, PSYCOPG, partial(psycopg.AsyncConnection.connect, postgres.url))


async def test_sqlalchemy_on_postgresql(postgres: Database) -> None:
    """A job is stored through a session."""
    engine = create_async_engine(postgres.url.replace("://", "+asyncpg://"))
    await placed(postgres, ALCHEMY, async_sessionmaker(engine))
    await engine.dispose()


async def test_sqlalchemy_on_sqlite(sqlite: Database) -> None:
    """The same session's code serves on SQLite."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{sqlite.path}")
    await placed(sqlite, ALCHEMY, async_sessionmaker(engine))
    await engine.dispose()


async def test_aiosqlite(sqlite: Database) -> None:
    """A job is stored through a connection of aiosqlite's."""
    await placed(sqlite, AIOSQLITE, sqlite.path)


async def test_completing(postgres: Database) -> None:
    """A job completes itself together with what it has done."""
    postgres.run("INSERT INTO orders VALUES (7, false)")
    names = execute(COMPLETING, **postgres.names)
    bb = names["bb"]
    async with bb:
        assert await (await bb.create_task(names["ship"](7))) == "order 7 is shipped"
    assert postgres.run("SELECT * FROM orders") == [(7, True)]
