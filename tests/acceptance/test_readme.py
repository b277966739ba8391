"""The README's Python, run; and what the documents name, found."""

from __future__ import annotations

import asyncio
import re
import runpy
import sys
import types
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from backburner import Backburner, current_job
from backburner.model.condition_text import parse_condition
from backburner.model.query import Condition
from backburner.testing import contracts

if TYPE_CHECKING:
    from fastapi import FastAPI

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PROMISES = ROOT / "docs" / "promises.md"
IDEMPOTENT, APP, LIFESPAN, MORE, FAMILY, SCHEDULED, WRONG, SEEN, TESTING = re.findall(
    r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL
)


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work where the README's stores and files may be made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BACKBURNER_URL", raising=False)
    return tmp_path


def execute(block: str, **names: object) -> dict[str, Any]:
    """Run a block as a module would be, and return its names."""
    namespace: dict[str, Any] = {"__name__": "readme", **names}
    exec(compile(block, "README.md", "exec"), namespace)  # noqa: S102 - the README's own code
    return namespace


def test_the_app_has_fifteen_lines() -> None:
    """The FastAPI app takes fifteen lines."""
    assert len(APP.splitlines()) == 15


async def test_the_app_stores_a_job_for_a_request_and_runs_it(directory: Path) -> None:
    """A request to the README's app is answered with the id of a job, and the job runs beside the requests."""
    names = execute(APP)
    app: FastAPI = names["app"]
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://app") as client,
    ):
        answer = await client.post("/signup", params={"email": "ada@example.org"})
        assert answer.status_code == 200
        assert await names["bb"].handle(answer.json()["job"], names["welcome"]) == "welcome, ada@example.org"
    assert (directory / "jobs.db").is_file()


async def test_the_app_grows_by_one_line(url: str) -> None:
    """With the README's one line changed, the app answers a request and runs its job on every store."""
    (before,), (after,) = (re.findall(rf"^\{sign}(bb = .*)$", README.read_text("utf-8"), re.MULTILINE) for sign in "-+")
    grown = re.sub('"postgresql://.*?"', repr(url), after)
    assert APP.count(before) == 1
    assert grown != after
    names = execute(APP.replace(before, grown))
    app: FastAPI = names["app"]
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://app") as client,
    ):
        answer = await client.post("/signup", params={"email": "ada@example.org"})
        assert await names["bb"].handle(answer.json()["job"], names["welcome"]) == "welcome, ada@example.org"


async def test_the_engines_lifespan_is_the_apps() -> None:
    """With `lifespan=bb.lifespan` the engine runs as long as the app."""
    names = execute(APP)
    app: FastAPI = execute(LIFESPAN, **names)["app"]
    async with app.router.lifespan_context(app):
        assert names["bb"].running
    assert not names["bb"].running


async def test_the_id_of_a_job_is_its_idempotency_key() -> None:
    """The README's `charge` hands on the id that its handle has."""
    keys: list[str] = []

    class Payments:
        async def charge(self, invoice: int, cents: int, *, idempotency_key: str) -> None:
            assert (invoice, cents) == (7, 1250)
            keys.append(idempotency_key)

    bb = Backburner("memory://")
    charge = execute(IDEMPOTENT, bb=bb, payments=Payments(), current_job=current_job)["charge"]
    async with bb:
        handle = await bb.create_task(charge(7, 1250))
        await handle
    assert keys == [handle.id]


def test_the_longer_example_prints_what_it_says(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The README's longer example runs as a script: a result, a cancelled and a scheduled job, a dead letter."""
    script = directory / "reports.py"
    script.write_text(MORE)
    runpy.run_path(str(script), run_name="__main__")
    result, states, death = capsys.readouterr().out.splitlines()
    assert result == "3"
    assert states == "cancelled scheduled"
    assert "dead letter (rejected: there are no negative reports)" in death
    assert (directory / "weekly.txt").read_text() == "0\n1\n2\n"


async def test_the_family_of_jobs_does_what_it_says(directory: Path) -> None:
    """The README's parent, children, follow-up, dependency, resources and process job, as the program they are."""
    script = directory / "family.py"
    script.write_text(FAMILY)
    process = await asyncio.create_subprocess_exec(sys.executable, str(script), stdout=PIPE, stderr=PIPE, cwd=directory)
    out, err = await process.communicate()
    assert (process.returncode, out.decode().split()) == (0, ["8", "Progress(done=2,", "total=2)", "counted.txt"]), err


async def test_what_is_on_a_schedule_is_there() -> None:
    """The README's schedules are stored as soon as the engine runs, and one that is put has its months made good."""
    names = execute(SCHEDULED)
    async with names["bb"] as bb:
        assert await names["subscribe"]("acme") == ["acme, March", "acme, April", "acme, May"]
        assert {schedule.name: (schedule.when, schedule.overlap) async for schedule in bb.schedules.list()} == {
            "greet": ("0 9 * * mon-fri Europe/Berlin", "skip"),
            "monthly": ("0 6 1 * *", "skip"),
            "report-acme": ("0 6 1 * * Asia/Tokyo", "skip"),
            "tidy": ("every 5m", "queue"),
        }


async def test_what_holds_jobs_back_is_there() -> None:
    """The README's limits, breaker and lock hold as soon as the engine runs."""
    names = execute(WRONG)
    async with names["bb"] as bb:
        for handle in await bb.create_tasks([names["transfer"](1), names["statement"]("acme", "May")]):
            await handle
        await names["refresh"]()
        assert [breaker.name for breaker in await bb.breakers.list()] == ["bank"]
        assert {record.name for record in await bb.limits.list()} == {
            "breaker:bank",
            "budget:bank",
            "bulkhead:pdf",
            "concurrency:statement",
            "rate:statement",
        }


async def test_an_engine_can_be_seen_into(monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's app handles its own events, and answers with metrics and whether it is ready."""
    monkeypatch.setenv("PAGER_SECRET", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
    names = execute(SEEN)
    app: FastAPI = names["app"]
    transport = httpx.ASGITransport(app)
    done = asyncio.Event()
    names["bb"].listen("job.completed")(lambda event: done.set() if event.data["kind"] == "receipt" else None)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://app", follow_redirects=True) as client,
    ):
        assert (await client.get("/health/ready")).json()["ok"]
        assert (await client.get("/health/live")).json()["ok"]
        assert (await client.post("/orders/42/paid")).status_code == 200
        await done.wait()
        assert 'backburner_jobs_stored_total{kind="receipt"' in (await client.get("/metrics")).text


@pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette.testclient.")
def test_the_test_of_the_app_passes(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's test, of the README's app, needs neither a store nor a server."""
    app = types.ModuleType("app")
    vars(app).update(execute(APP))
    monkeypatch.setitem(sys.modules, "app", app)
    execute(TESTING)["test_a_signup_is_welcomed"]()
    assert not [*directory.iterdir()]


def test_the_condition_on_the_command_line_is_one() -> None:
    """What the README gives to `--where` is a condition."""
    (text,) = re.findall(r"--where '(.*)'", README.read_text("utf-8"))
    assert parse_condition(text) == Condition(("email",), "~", "ada")


def test_every_promise_names_tests_that_exist() -> None:
    """What docs/promises.md names as proof is a test, by its file and its name."""
    named = re.findall(r"`(tests/\S+\.py)::(?:Test(\w+)::)?(test_\w+)`", PROMISES.read_text("utf-8"))
    assert named
    for path, contract, name in named:
        places = [ROOT / path]
        if contract:
            assert f"class Test{contract}(" in places[0].read_text("utf-8")
            places = [*Path(contracts.__file__).parent.glob("*.py")]
        assert any(f"def {name}(" in place.read_text("utf-8") for place in places), f"{path} has no {name}"
