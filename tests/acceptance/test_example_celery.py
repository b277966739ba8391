"""A shop on Celery and the same shop on backburner, both for real: the same requests, the same work, the same answers."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.programs import EXAMPLES, PATIENCE, Program, Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUICK = "--without-mingle --without-gossip --loglevel INFO"
WORKER = f"celery -A from_celery.before.tasks worker --beat --concurrency 2 {QUICK}"
BETWEEN = f"celery -A from_celery.between worker --concurrency 1 {QUICK}"
CUSTOMERS = ["ada", "bob", "eve"]


@pytest.fixture
def redis(servers: None) -> Iterator[str]:  # noqa: ARG001 - skips where none are wanted
    """Bring a Redis that is Celery's alone: it knows no namespaces."""
    from tests.servers import redis  # noqa: PLC0415 - loads a driver

    with redis.serve() as server:
        yield server.url


def environ(folder: Path, redis: str = "redis://nowhere.invalid") -> dict[str, str]:
    """Return what all processes of one shop are told."""
    return {"REDIS_URL": redis, "SHOP_DB": f"{folder}/shop.db", "BACKBURNER_URL": f"sqlite:///{folder}/jobs.db"}


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    """Ask the shop's database."""
    with closing(sqlite3.connect(folder / "shop.db")) as db:
        return db.execute(query).fetchall()


def shopping(shop: Site, worker: Program, folder: Path) -> dict[str, object]:
    """Do what customers do; return what they see and what it comes to."""

    def post(path: str, **what: object) -> dict[str, str]:
        answer = shop.browser.post(path, **what)  # type: ignore[arg-type]
        assert answer.is_success, answer.text
        taken: dict[str, str] = answer.json() or {}
        return taken

    def ended(job: str) -> object:
        return shop.browser.get(f"/jobs/{job}", params={"wait": PATIENCE}).json()

    assert shop.browser.get("/jobs/nobody-stored-it").json() == {"state": "PENDING", "result": None}
    jobs = [
        post("/orders", json={"customer": customer, "cents": cents})["job"]
        for customer, cents in (("ada", 1250), ("bob", 300), ("eve", 200_000), ("ada", 50))
    ]
    post("/baskets", params={"seconds": 3600})
    post("/baskets", params={"seconds": 0})
    awaited = ["letter to duty", "letter to ada: paid 1250", "letter to ada: paid 50", "letter to bob", "1 swept"]
    while awaited:
        said = worker.hear("")
        awaited = [words for words in awaited if words not in said]
    return {
        "charges": [ended(job) for job in jobs],
        "month": ended(post("/months", json=CUSTOMERS)["job"]),
        "orders": rows(folder, "SELECT customer, cents, state FROM orders ORDER BY id"),
        "letters": rows(folder, 'SELECT "to", text FROM letters ORDER BY "to", text'),
        "baskets": rows(folder, "SELECT count(*) FROM baskets"),
    }


EXPECTED = {
    "charges": [
        {"state": "SUCCESS", "result": 1},
        {"state": "SUCCESS", "result": 2},
        {"state": "FAILURE", "result": None},
        {"state": "SUCCESS", "result": 4},
    ],
    "month": {"state": "SUCCESS", "result": 1600},
    "orders": [("ada", 1250, "paid"), ("bob", 300, "paid"), ("eve", 200_000, "taken"), ("ada", 50, "paid")],
    "letters": [
        ("ada", "paid 1250"),
        ("ada", "paid 50"),
        ("bob", "paid 300"),
        ("duty", "charge failed: eve has no 2000 euros"),
    ],
    "baskets": [(1,)],
}


def test_before(redis: str, tmp_path: Path) -> None:
    """On Celery: a web process, a worker of two processes with a beat, a Redis."""
    told = environ(tmp_path, redis)
    with Site("uvicorn from_celery.before.web:app", tmp_path, told) as shop, Program(WORKER, tmp_path, told) as worker:
        assert shopping(shop, worker, tmp_path) == EXPECTED


def test_after(tmp_path: Path) -> None:
    """On backburner one web process does the same, and answers the same, with nothing beside it."""
    with Site("uvicorn from_celery.after.web:app", tmp_path, environ(tmp_path)) as shop:
        assert shopping(shop, shop, tmp_path) == EXPECTED


def test_what_waits_in_the_old_queue_is_handed_over(redis: str, tmp_path: Path) -> None:
    """The last worker of the old queue hands what has moved to the new app, and runs what has not."""
    told = environ(tmp_path, redis)
    with Site("uvicorn from_celery.before.web:app", tmp_path, told) as old:
        for customer in ("ada", "bob"):
            assert old.browser.post("/orders", json={"customer": customer, "cents": 100}).status_code == 202
        month = old.browser.post("/months", json=CUSTOMERS).json()["job"]
        with (
            Site("uvicorn from_celery.after.web:app", tmp_path, told) as new,
            Program(BETWEEN, tmp_path, told) as between,
        ):
            awaited = ["letter to ada", "letter to bob"]
            while awaited:
                said = new.hear("")
                awaited = [words for words in awaited if words not in said]
            assert old.browser.get(f"/jobs/{month}", params={"wait": PATIENCE}).json()["state"] == "SUCCESS"
            _, said = between.stop()
            assert "retry" not in said.lower()  # a receipt that its chain had sent would be refused
    assert rows(tmp_path, "SELECT customer, state FROM orders ORDER BY id") == [("ada", "paid"), ("bob", "paid")]
    assert rows(tmp_path, 'SELECT "to" FROM letters ORDER BY "to"') == [("ada",), ("bob",)]


def test_the_page_shows_what_was_run() -> None:
    """The Python of the page is the program that the test above has run."""
    page = EXAMPLES.parent / "docs" / "how-to" / "celery.md"
    (shown,) = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    assert (EXAMPLES / "from_celery" / "between.py").read_text("utf-8").endswith(f"\n\n{shown}")
