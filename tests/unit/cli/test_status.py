"""`backburner status`: for a person, for a pipe, for a program; and what it exits with."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from backburner.backends import urls
from backburner.backends.sqlite.locks import NodeLocks
from backburner.backends.sqlite.reader import SqliteJobReader
from backburner.cli import main, render, store
from backburner.cli.status import command
from backburner.errors import StoreUnavailable
from backburner.model.clock import SECOND
from backburner.model.lane import Limit
from backburner.model.node import NodeRecord
from backburner.model.operation import OperationRecord
from backburner.resilience import breaker
from backburner.resilience.breaker import BreakerState, Phase
from backburner.testing.clock import FakeClock
from tests.stores import SHARED, empty_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from backburner.ports.backend import Backend
    from tests.unit.cli.conftest import Run

_NOW = FakeClock().now()
_HOUR = 3600 * SECOND


def _on(url: str, work: Callable[[Backend], Awaitable[object]], clock: FakeClock) -> None:
    async def do() -> None:
        backend = urls.connect(urls.parse(url, base=Path("/")), clock=clock, write_timeout=5)
        await backend.open(create=True)
        try:
            await backend.schema.upgrade()
            await work(backend)
        finally:
            await backend.close()

    asyncio.run(do())


@pytest.fixture
def trouble(shop: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Open a breaker in the shop's store, and begin a replay."""
    clock = FakeClock()
    clock.move(3600)
    monkeypatch.setattr(command, "SystemClock", lambda: clock)

    async def begin(backend: Backend) -> None:
        opened = BreakerState(phase=Phase.OPEN, since=_NOW, until=_NOW + 2 * _HOUR)
        await backend.cells.swap("breaker:stripe", breaker.encode(opened), 0, Limit(slots=0))
        await backend.operations.put(
            OperationRecord(id="01jdop", action="replay", state="{}", by="ada", reason="INC-7")
        )

    _on(shop, begin, FakeClock())
    return shop


def _lines(out: str) -> list[str]:
    return [line.rstrip() for line in out.splitlines()]


@pytest.mark.usefixtures("trouble")
def test_for_a_person(run: Run, url: str) -> None:
    """One screen: the store, the nodes, the queues, what wants a person, what goes on, and what to type next."""
    answer = run("status", terminal=True, columns=140)
    address = url.removeprefix("sqlite:///")
    assert (answer.code, _lines(answer.out)) == (
        1,
        [
            f"sqlite:///{address} · schema 5 · store time 16:06:40 UTC",
            "nodes  1 dead (web-1)",
            "QUEUE    WAITING  RUNNING  RETRYING  SCHEDULED  HELD  OLDEST  DONE/MIN  STATE",
            "default        1      0/0         1          1     0      1h         0  unserved",
            "queue    default has 1 waiting, and no living node takes any",
            "node     web-1-4711-ab died on web-1; what it ran was not taken over yet",
            (
                "dead     1 in 24 h (1 in all), 1 cause; 1 of 9f3a1c77b0de, last 1h ago: httpx.ReadTimeout: "
                "POST\\t[/v1/charges]\\nno answer"
            ),
            "breaker  stripe is open since 15:06, next probe 17:06",
            "replay   01jdop has done 0 of 0 by ada: INC-7",
            "next:  backburner nodes list",
            "       backburner dlq groups",
        ],
    )


@pytest.mark.usefixtures("trouble")
@pytest.mark.parametrize("columns", [200, 80, 40])
def test_no_line_is_too_long(run: Run, columns: int) -> None:
    """Whatever the width, every line fits, and every finding is told whole."""
    run("queues", "pause", "default", "--by", "ada", "--reason", "INC-7")
    out = run("status", terminal=True, columns=columns).out
    assert max(map(cell_len, _lines(out))) <= columns
    words = " ".join(out.split())
    assert "default is paused by ada: INC-7; 1 wait" in words
    assert "httpx.ReadTimeout" in words


@pytest.mark.usefixtures("trouble")
def test_in_a_pipe(run: Run, url: str) -> None:
    """A line is a fact in four fields, so that it can be searched and cut; nothing in it breaks the line."""
    answer = run("status")
    fields = [line.split("\t") for line in answer.out.splitlines()]
    assert {len(line) for line in fields} == {4}
    told = {(what, name, field): value for what, name, field, value in fields}
    assert told["queue", "default", "waiting"] == "1"
    assert told["queue", "default", "oldest"] == "2025-06-15T15:06:40.000Z"
    assert told["queue", "default", "paused"] == "no"
    assert told["node", "web-1-4711-ab", "state"] == "dead"
    assert told["dead", "", "recent"] == "1"
    assert told["breaker", "stripe", "until"] == "2025-06-15T17:06:40.000Z"
    assert told["replay", "01jdop", "done"] == "0"
    assert told["finding", "unserved", "default"] == "has 1 waiting, and no living node takes any"
    assert told["next", "1", "command"] == "backburner nodes list"
    assert told[next(key for key in told if key[0] == "store" and key[2] == "schema")] == "5"
    assert url.removeprefix("sqlite:///") in answer.out


@pytest.mark.usefixtures("trouble")
def test_for_a_program(run: Run) -> None:
    """One JSON object, with the findings by their codes."""
    told = json.loads(run("status", "--json").out)
    assert [(found["code"], found["name"]) for found in told["findings"]] == [
        ("unserved", "default"),
        ("node-dead", "web-1-4711-ab"),
        ("dead", ""),
        ("breaker", "stripe"),
    ]
    assert told["next"] == ["backburner nodes list", "backburner dlq groups"]
    assert (told["queues"][0]["name"], told["queues"][0]["scheduled"]) == ("default", 1)
    assert told["dead"]["causes"][0]["fingerprint"] == "9f3a1c77b0de"


@pytest.fixture
def calm(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Make a store with one idle node."""
    clock = FakeClock()
    for module in (command, store):
        monkeypatch.setattr(module, "SystemClock", lambda: clock)
    node = NodeRecord(
        id="web-1-1-a", host="web-1", pid=1, started_at=clock.now(), queues={"default": 4}, kinds=("send",)
    )
    _on(url, lambda backend: backend.nodes.publish(node, 30 * SECOND), clock)
    locks = NodeLocks(tmp_path / "shop.db-nodes")
    locks.hold(node.id)
    yield url
    locks.release(node.id)


@pytest.mark.usefixtures("calm")
def test_all_is_well(run: Run) -> None:
    """Without a finding it exits with 0, and says that there is nothing to do."""
    answer = run("status", terminal=True)
    assert answer.code == 0
    assert _lines(answer.out)[1:] == [
        "nodes  1 working (web-1)",
        "QUEUE    WAITING  RUNNING  RETRYING  SCHEDULED  HELD  OLDEST  DONE/MIN  STATE",
        "default        0      0/4         0          0     0                 0  active",
        "next:  nothing to do",
    ]
    assert run("queues", "set", "default", "--slots", "2", "--rate", "5/s").code == 0
    answer = run("status", terminal=True)
    assert answer.code == 0
    assert _lines(answer.out)[3].endswith(
        "0/2         0          0     0                 0  active: 2 a node, 5/second"
    )


@pytest.mark.usefixtures("calm")
def test_what_could_not_be_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """To a program it is null, not zero."""

    async def fail(_: object) -> None:
        raise StoreUnavailable("it took too long")

    monkeypatch.setattr(SqliteJobReader, "backlog", fail)
    answer = run("status", "--json")
    told = json.loads(answer.out)
    assert (answer.code, told["findings"][0]["name"]) == (1, "queues")
    (queue,) = told["queues"]
    assert [queue[name] for name in ("waiting", "running", "dead", "oldest", "slots", "nodes")] == [None] * 4 + [4, 1]


@pytest.mark.usefixtures("shop")
def test_a_file_that_may_only_be_read(run: Run, tmp_path: Path) -> None:
    """Who may not write is told all the same."""
    (tmp_path / "shop.db").chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        answer = run("status")
    finally:
        tmp_path.chmod(0o755)
    assert (answer.code, answer.err) == (1, "")
    assert "queue\tdefault\twaiting\t1\n" in answer.out


def test_no_store(run: Run) -> None:
    """Where there is no store nothing is made, and it exits with 4, as every command does."""
    answer = run("status")
    assert (answer.code, answer.out) == (4, "")


@pytest.mark.usefixtures("trouble")
def test_without_colour(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR is obeyed on a terminal; states are coloured without it."""
    monkeypatch.setattr(render, "is_terminal", lambda: True)
    environ = {"BACKBURNER_URL": url, "TERM": "xterm-256color", "NO_COLOR": ""}
    assert "\x1b[31munserved" in CliRunner().invoke(main, ["status"], env=environ).stdout
    assert "\x1b[31m" not in CliRunner().invoke(main, ["status"], env={**environ, "NO_COLOR": "1"}).stdout


@pytest.mark.parametrize("kind", SHARED)
def test_every_store(kind: str, shop: str, run: Run, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Of a shop on whatever store the same is told, and every part of it can be read."""
    (tmp_path / "there").mkdir()
    there = empty_store(kind, request, tmp_path / "there")
    assert run("move", shop, there, "--all").code == 0
    answer = run("status", "--json", "--url", there)
    told = json.loads(answer.out)
    codes = [found["code"] for found in told["findings"]]
    assert "unread" not in codes, told["findings"]
    assert codes[0] == "unserved"
    (queue,) = told["queues"]
    assert (queue["name"], queue["dead"], queue["running"]) == ("default", 1, 0)
    assert told["dead"]["causes"][0]["fingerprint"] == "9f3a1c77b0de"
