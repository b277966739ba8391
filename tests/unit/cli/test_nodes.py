"""`backburner nodes list` and `backburner nodes drain`, over a store with a dead node and what living ones are there."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backburner.backends import urls
from backburner.backends.sqlite.locks import NodeLocks
from backburner.jobs.identity import Identity
from backburner.model.node import NodeRecord
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.unit.cli.conftest import Run

_THEN = "2025-06-15T15:06:40.000Z"
_LIVING = ("web-2-99-cd", "web-2-99-ef")


@contextmanager
def _alive(url: str, *nodes: NodeRecord) -> Generator[None]:
    """Enter nodes, and hold the locks that prove their lives."""

    async def enter() -> None:
        backend = urls.connect(urls.parse(url, base=Path("/")), clock=FakeClock(), write_timeout=5)
        await backend.open(create=False)
        try:
            for node in nodes:
                await backend.nodes.publish(node, ttl=0)
        finally:
            await backend.close()

    locks = NodeLocks(Path(f"{url.removeprefix('sqlite:///')}-nodes"))
    asyncio.run(enter())
    for node in nodes:
        locks.hold(node.id)
    try:
        yield
    finally:
        locks.release_all()


def _node(node_id: str, host: str = "web-2") -> NodeRecord:
    queues = {"default": 10, "mail": 5}
    started = FakeClock().now()
    return NodeRecord(id=node_id, host=host, pid=99, started_at=started, queues=queues, kinds=("charge", "mail"))


@pytest.fixture
def living(shop: str) -> Generator[None]:
    """Give the shop two living nodes beside its dead one."""
    with _alive(shop, *map(_node, _LIVING)):
        yield


def _states(run: Run) -> dict[str, str]:
    lines = (line.split("\t") for line in run("nodes", "list").out.splitlines())
    return {line[0]: line[1] for line in lines}


@pytest.mark.usefixtures("living")
def test_table(run: Run) -> None:
    """On a terminal nodes are a table, one line a node."""
    run("nodes", "drain", "web-2-99-e")
    answer = run("nodes", "list", terminal=True)
    assert [line.rstrip() for line in answer.out.splitlines()] == [
        "ID             STATE     HOST   PID   KINDS  SINCE   QUEUES",
        "web-1-4711-ab  dead      web-1  4711      1  1h ago  default=10",
        "web-2-99-cd    alive     web-2  99        2  1h ago  default=10,mail=5",
        "web-2-99-ef    draining  web-2  99        2  1h ago  default=10,mail=5",
    ]
    assert (answer.code, answer.err) == (0, "")


@pytest.mark.usefixtures("living")
def test_piped(run: Run) -> None:
    """Piped, a line is id, state, host, pid, queues, number of kinds, since."""
    lines = [line.split("\t") for line in run("nodes", "list").out.splitlines()]
    assert lines[1] == ["web-2-99-cd", "alive", "web-2", "99", "default=10,mail=5", "2", _THEN]


@pytest.mark.usefixtures("living")
def test_json(run: Run) -> None:
    """As JSON a node is a line, with its kinds."""
    lines = [json.loads(line) for line in run("nodes", "list", "--json").out.splitlines()]
    assert lines[1] == {
        "id": "web-2-99-cd",
        "state": "alive",
        "host": "web-2",
        "pid": 99,
        "queues": {"default": 10, "mail": 5},
        "kinds": ["charge", "mail"],
        "started_at": _THEN,
    }


def test_no_node(run: Run) -> None:
    """A store without nodes ends with 3, and one that is not there with 4."""
    for command in (["list"], ["drain", "web-1"]):
        missing = run("nodes", *command)
        assert (missing.code, missing.out) == (4, "")
    assert run("db", "upgrade").code == 0
    answer = run("nodes", "list")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err == "Error: no node is listed; each engine that runs jobs is one\n"


@pytest.mark.usefixtures("living")
def test_drain(run: Run) -> None:
    """A node is drained by its id or the beginning of it, the others are not; twice is once."""
    for given in ("web-2-99-cd", "web-2-99-c"):
        answer = run("nodes", "drain", given)
        assert (answer.code, answer.out) == (0, "web-2-99-cd\tdraining\n")
        assert answer.err == "no new work is taken there, and what runs is ended; --wait waits for that\n"
    assert _states(run) == {"web-1-4711-ab": "dead", "web-2-99-cd": "draining", "web-2-99-ef": "alive"}


@pytest.mark.usefixtures("living")
def test_drain_and_wait(run: Run) -> None:
    """A node that holds nothing is idle."""
    answer = run("nodes", "drain", "web-2-99-cd", "--wait", "--timeout", "30s", "--json")
    assert (answer.code, json.loads(answer.out)) == (0, {"id": "web-2-99-cd", "outcome": "idle"})


@pytest.mark.usefixtures("living")
@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ("nope", 3, "there is no node 'nope': `backburner nodes list` shows those there are"),
        ("web-1", 2, "web-1-4711-ab is dead: it takes no work, and what it ran is taken over by the living"),
        ("web-2", 2, "web-2 begins several ids: web-2-99-cd, web-2-99-ef"),
        ("--here", 3, "no living node of this host (elsewhere) is listed"),
    ],
)
def test_not_to_be_drained(given: str, code: int, words: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be drained is said in words, and nothing changes."""
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    answer = run("nodes", "drain", given)
    assert (answer.code, answer.out, answer.err) == (code, "", f"Error: {words}\n")
    assert [_states(run)[node] for node in _LIVING] == ["alive", "alive"]


def test_drain_here(shop: str, run: Run) -> None:
    """`--here` drains every living node of this host and no other."""
    here = Identity().host
    with _alive(shop, _node("one", here), _node("two", here), _node("other")):
        answer = run("nodes", "drain", "--here")
        assert (answer.code, answer.out) == (0, "one\tdraining\ntwo\tdraining\n")
        assert _states(run)["other"] == "alive"


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    "arguments",
    ["", "web-2 --here", "web-2 --timeout 5s", "--here --wait --timeout soon", "--here --wait --timeout -1"],
)
def test_wrong_usage(arguments: str, run: Run) -> None:
    """An id or this host, one of the two; a timeout is of a wait."""
    answer = run("nodes", "drain", *arguments.split())
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("Usage: ")
