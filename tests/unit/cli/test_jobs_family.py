"""`backburner jobs show` of parents and children, of what jobs carry, and of what their runs told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backburner import Backburner, Unique, current_job
from backburner.backends import urls
from backburner.cli.jobs import children
from backburner.model.clock import SECOND
from backburner.model.job import NewJob
from backburner.model.node import NodeRecord
from backburner.ports.jobs import ClaimRequest
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run


@pytest.fixture
def family(url: str) -> str:
    """Run a parent with three children, one of which brings the group down; return its id."""
    bb = Backburner(url, headers=lambda: {"request": "r-7"}, retry="none")

    @bb.job
    async def child(number: int) -> None:
        if number == 2:
            raise ValueError("no")

    @bb.job
    async def parent() -> None:
        await current_job().progress(1, 4)
        await current_job().checkpoint({"page": 3})
        async with bb.TaskGroup() as group:
            await group.create_task(child(1))
            group.create_task(child(2))
            group.create_task(child(3), delay=3600)

    async def live() -> str:
        async with bb:
            await bb.create_tasks([child(number) for number in range(4, 8)])
            handle = await bb.create_task(parent(), unique=Unique())
            await handle.wait()
            return handle.id

    return asyncio.run(live())


def _fields(out: str) -> list[list[str]]:
    return [line.split("\t") for line in out.splitlines()]


def test_a_parent(family: str, run: Run) -> None:
    """A parent names its children with their states, what it carries, and what its last run told."""
    lines = _fields(run("jobs", "show", family).out)
    known = {name: values[0] for name, *values in lines}
    assert known["headers"] == '{"request":"r-7"}'
    assert known["progress"] == "1 of 4"
    assert known["checkpoint"] == '{"page":3}'
    assert known["unique key"].startswith("parent:")
    kin = [(kind, state) for name, *values in lines if name == "child" for _, kind, state in [values]]
    assert sorted(kin) == [("child", "cancelled"), ("child", "completed"), ("child", "dead")]


def test_a_parent_on_a_terminal(family: str, run: Run) -> None:
    """A person is told how many children are in which state before they are named."""
    out = run("jobs", "show", family, terminal=True).out.splitlines()
    at = next(number for number, line in enumerate(out) if line.startswith("children"))
    assert out[at].split(None, 1)[1].startswith("3 jobs (")
    assert [line.split()[::2] for line in out[at + 1 : at + 4]] == [["child", "child"]] * 3


def test_many_children(family: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person is shown the first of many children; a pipe has them all."""
    monkeypatch.setattr(children, "_SHOWN", 2)
    told = run("jobs", "show", family, terminal=True).out
    assert "the first 2:" in told
    assert sum(line.startswith("child ") for line in told.splitlines()) == 2
    assert run("jobs", "show", family).out.count("\nchild\t") == 3


def test_more_children_than_are_read(family: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more children than are read, it is said that some are missing."""
    assert run("jobs", "show", family).err == ""
    monkeypatch.setattr(children, "_READ", 2)
    answer = run("jobs", "show", family)
    assert answer.err.startswith("there may be more children: ")
    assert answer.out.count("\nchild\t") == 2


def test_children_by_ids_of_their_own(shop: str, run: Run) -> None:
    """A child is found by the parent it names, however its id begins; what only has a like id is none."""
    asyncio.run(_named_as_they_like(shop))
    lines = _fields(run("jobs", "show", "01jd4").out)
    assert [values[0] for name, *values in lines if name == "child"] == ["a-child", "z-child"]


async def _named_as_they_like(url: str) -> None:
    """Store two children of a job of the shop, and a job with an id like its own."""
    backend = urls.connect(urls.parse(url, base=Path("/")), clock=FakeClock(), write_timeout=5)
    await backend.open(create=False)
    try:
        children = [NewJob(id=name, kind="k", queue="q", args="{}", parent="01jd4") for name in ("z-child", "a-child")]
        await backend.jobs.enqueue([[*children, NewJob(id="01jd4-other", kind="k", queue="q", args="{}")]])
    finally:
        await backend.close()


def test_a_child(family: str, run: Run) -> None:
    """A child names its parent and has its headers; one that its group took along says so."""
    (cancelled,) = run("jobs", "list", "--state", "cancelled").out.splitlines()
    lines = {name: values for name, *values in _fields(run("jobs", "show", cancelled.split("\t")[0]).out)}
    assert (lines["parent"], lines["headers"]) == ([family], ['{"request":"r-7"}'])
    assert lines["state"] == ["cancelled: with its group"]
    assert lines["ancestor"] == [family, "parent", "dead"]
    assert "child" not in lines
    assert "cancelled with its group" in run("jobs", "list", "--state", "cancelled", terminal=True).out


def test_json(family: str, run: Run) -> None:
    """As JSON all that is there too, as it is stored."""
    job = json.loads(run("jobs", "show", family, "--json").out)
    assert (job["headers"], job["parent"]) == ({"request": "r-7"}, None)
    assert (job["progress"], job["checkpoint"]) == ({"done": 1, "total": 4}, {"page": 3})
    assert job["unique"].startswith("parent:")
    assert {child["state"] for child in job["children"]} == {"completed", "dead", "cancelled"}
    child = json.loads(run("jobs", "show", job["children"][0]["id"], "--json").out)
    assert (child["parent"], child["children"], child["progress"]) == (family, [], None)


def test_the_chain_up(shop: str, run: Run) -> None:
    """A job names the one in whose run it was stored, the one above that, and so on, as far as they are kept."""
    asyncio.run(_store(shop, {"child": "01jd4", "grandchild": "child", "orphan": "gone"}))
    lines = _fields(run("jobs", "show", "grandchild").out)
    assert [values for name, *values in lines if name == "ancestor"] == [
        ["child", "k", "waiting"],
        ["01jd4", "mail", "scheduled"],
    ]
    job = json.loads(run("jobs", "show", "grandchild", "--json").out)
    assert [above["id"] for above in job["ancestors"]] == ["child", "01jd4"]
    assert json.loads(run("jobs", "show", "orphan", "--json").out)["ancestors"] == []


async def _store(url: str, parents: dict[str, str]) -> None:
    """Store jobs by id, each the child of another."""
    backend = urls.connect(urls.parse(url, base=Path("/")), clock=FakeClock(), write_timeout=5)
    await backend.open(create=False)
    try:
        children = [NewJob(id=name, kind="k", queue="q", args="{}", parent=parent) for name, parent in parents.items()]
        await backend.jobs.enqueue([children])
    finally:
        await backend.close()


async def _asked_to_stop(url: str) -> None:
    """Let a node hold a job and a child that were asked to stop."""
    backend = urls.connect(urls.parse(url, base=Path("/")), clock=FakeClock(), write_timeout=5)
    await backend.open(create=True)
    try:
        await backend.schema.upgrade()
        lone = NewJob(id="lone", kind="k", queue="q", args="{}")
        child = NewJob(id="child", kind="k", queue="q", args="{}", parent="gone")
        await backend.jobs.enqueue([[lone, child]])
        node = NodeRecord(id="n", host="h", pid=1, started_at=0, queues={"q": 2}, kinds=("k",))
        await backend.nodes.publish(node, ttl=SECOND)
        await backend.jobs.claim(ClaimRequest(node="n", queues={"q": 2}, limit=2, kinds=frozenset({"k"})))
        await backend.admin.cancel(["lone", "child"])
    finally:
        await backend.close()


def test_who_asked(url: str, run: Run) -> None:
    """A job that runs and was asked to stop says by whom: a child may have been by its group."""
    asyncio.run(_asked_to_stop(url))
    told = [dict(_fields(run("jobs", "show", job_id).out))["stopping"] for job_id in ("lone", "child")]
    assert told == ["a person asked to cancel it", "a person or its group asked to cancel it"]
