"""Commands over every kind of store that can be seen from outside."""

from __future__ import annotations

import asyncio
import json
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from backburner.backends import urls
from backburner.testing.clock import FakeClock
from tests.stores import SHARED, empty_store

if TYPE_CHECKING:
    from backburner.model.job import JobImage
    from tests.unit.cli.conftest import Run


@pytest.fixture(params=SHARED)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Bring a store of each kind, without a schema."""
    return empty_store(request.param, request, tmp_path)


def _images(url: str) -> dict[str, JobImage]:
    async def export() -> dict[str, JobImage]:
        backend = urls.connect(urls.parse(url, base=Path("/")), clock=FakeClock(), write_timeout=5)
        await backend.open(create=False, write=False)
        try:
            return {image.record.id: _ordered(image) for image in (await backend.reader.export(limit=1000)).jobs}
        finally:
            await backend.close()

    return asyncio.run(export())


def _ordered(image: JobImage) -> JobImage:
    return msgspec.structs.replace(image, unique_states=tuple(sorted(image.unique_states)))


@pytest.mark.parametrize("kinds", [*permutations(SHARED, 2)], ids="-".join)
def test_from_store_to_store(
    kinds: tuple[str, str], shop: str, run: Run, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A shop that moves twice, into a store of any kind and from there to one of another, has all that it had."""
    here, there = (empty_store(kind, request, tmp_path) for kind in kinds)
    for source, target in ((shop, here), (here, there)):
        told = run("move", source, target, "--all", "--json")
        assert told.code == 0, told.err
        answer = json.loads(told.out)
        assert (answer["stored"], answer["missing"], answer["conflicts"]) == (5, [], {})
        again = json.loads(run("move", source, target, "--all", "--json").out)
        assert (again["stored"], again["known"]) == (0, 5)
    assert _images(there) == _images(shop)
    listed = [run("jobs", "list", "--json", "--url", url) for url in (shop, there)]
    assert listed[0].out == listed[1].out


@pytest.mark.usefixtures("shop")
def test_a_job_is_cancelled_and_shown(shop: str, empty: str, run: Run) -> None:
    """What the shop's commands do on SQLite they do on every store."""
    assert run("move", shop, empty).code == 0
    assert run("jobs", "cancel", "01jd3", "--url", empty).code == 0
    shown = json.loads(run("jobs", "show", "01jd3", "--json", "--url", empty).out)
    assert shown["state"] == "cancelled"
    assert run("nodes", "list", "--url", empty).code == 3
    assert (
        run("jobs", "run-now", "01jd4", "01jd3", "--by", "ada", "--url", empty).out
        == "01jd4\texpedited\n01jd3\tended\n"
    )
    assert json.loads(run("jobs", "show", "01jd4", "--json", "--url", empty).out)["state"] == "waiting"
    told = run("events", "list", "--json", "--url", empty).out.splitlines()
    assert [json.loads(line)["name"] for line in told] == ["operator.job.expedited", "operator.job.cancelled"]
    kinds = [
        json.loads(line)
        for line in run("jobs", "stats", "--since", "2025-01-01", "--json", "--url", empty).out.splitlines()
    ]
    assert {kind["kind"]: (kind["completed"], kind["dead"], kind["cancelled"]) for kind in kinds} == {
        # The mail that completed was not moved.
        "charge": (0, 1, 1),
    }


@pytest.mark.usefixtures("shop")
def test_schedules(empty: str, run: Run, tmp_path: Path) -> None:
    """Schedules are put, paused, triggered, backfilled, moved and removed on every store alike."""
    place = ("--url", empty)
    assert run("db", "upgrade", *place).code == 0
    assert run("schedules", "list", *place).code == 3
    given = ("schedules", "add", "daily", "report", "--cron", "0 9 * * *", "--tz", "Europe/Berlin", *place)
    assert [run(*given).out.split("\t")[0] for _ in range(2)] == ["added", "unchanged"]
    assert run("schedules", "pause", "daily", "--by", "ada", *place).out.split("\t")[3] == "paused"
    job = run("schedules", "trigger", "daily", "--reason", "INC-7", *place).out.strip()
    assert run("jobs", "show", job, *place).code == 0
    filled = run("schedules", "backfill", "daily", "--since", "7d", "--yes", "--json", *place)
    assert (filled.code, json.loads(filled.out)["stored"]) == (0, 7)
    there = f"sqlite:///{tmp_path}/there.db"
    told = json.loads(run("move", empty, there, "--json").out)
    assert (told["schedules"]["stored"], told["ticks"]) == (1, {"stored": 8, "missing": 0})
    ticks = [run("schedules", "ticks", "daily", "--url", url).out for url in (empty, there)]
    assert ticks[0] == ticks[1]
    shown = json.loads(run("schedules", "show", "daily", "--json", "--url", there).out)
    assert (shown["state"], shown["by"], shown["last_job"]) == ("paused", "ada", job)
    assert run("schedules", "resume", "daily", *place).out.split("\t")[3] == "active"
    assert run("schedules", "remove", "daily", *place).code == 0
    back = json.loads(run("move", there, empty, "--json").out)
    assert (back["schedules"]["stored"], back["ticks"]) == (1, {"stored": 0, "missing": 0})
    assert run("schedules", "ticks", *place).out == ticks[0]


def test_without_a_schema(empty: str, run: Run) -> None:
    """A store that is not there, or has no schema, is refused with 4 or 5; `upgrade` makes it, and `doctor` says so."""
    before = run("doctor", "--url", empty)
    assert before.code in {4, 5}, before.out
    assert run("jobs", "list", "--url", empty).code == before.code
    assert run("db", "plan", "--url", empty).code == 0
    assert run("db", "upgrade", "--url", empty).code == 0
    assert run("db", "check", "--url", empty).code == 0
    assert run("jobs", "list", "--url", empty).code == 3
    findings = [json.loads(line) for line in run("doctor", "--json", "--url", empty).out.splitlines()]
    assert [finding for finding in findings if finding["level"] == "problem"] == []
    assert "durability" in {finding["check"] for finding in findings}
