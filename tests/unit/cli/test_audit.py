"""Who changed what, and why: `backburner events list --name 'operator.*'`, after commands that change something."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backburner.backends import urls
from backburner.backends.sqlite.locks import NodeLocks
from backburner.model.clock import SystemClock
from backburner.model.lane import Limit
from backburner.model.node import NodeRecord
from backburner.resilience import breaker
from backburner.resilience.breaker import BreakerState
from backburner.testing.clock import FakeClock
from tests.stores import SHARED, empty_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backburner.model.clock import Clock
    from backburner.ports.backend import Backend
    from tests.unit.cli.conftest import Run

#: Commands without ``--by`` and ``--reason``, and what each comes to: an event's name, its subject, what else it tells.
_CHANGES: tuple[tuple[str, str, str, dict[str, object]], ...] = (
    ("queues pause mail --anyway", "operator.queue.paused", "mail", {}),
    ("queues resume mail", "operator.queue.resumed", "mail", {}),
    ("queues set mail --slots 2 --rate 5/s", "operator.queue.set", "mail", {"slots": 2, "rate": "5/second"}),
    ("kinds pause charge --anyway", "operator.kind.paused", "charge", {}),
    ("kinds resume charge", "operator.kind.resumed", "charge", {}),
    ("limits set concurrency:charge --slots 1", "operator.limit.set", "concurrency:charge", {"slots": 1}),
    ("limits reset concurrency:charge", "operator.limit.reset", "concurrency:charge", {}),
    ("breakers open smtp", "operator.breaker.opened", "smtp", {}),
    ("breakers auto smtp", "operator.breaker.auto", "smtp", {}),
    ("schedules add daily report --every 1h", "operator.schedule.put", "daily", {"kind": "report"}),
    ("schedules pause daily", "operator.schedule.paused", "daily", {}),
    ("schedules resume daily", "operator.schedule.resumed", "daily", {}),
    ("schedules trigger daily", "operator.schedule.triggered", "daily", {}),
    ("schedules remove daily", "operator.schedule.removed", "daily", {}),
)


def _in(url: str, work: Callable[[Backend], Awaitable[object]], clock: Clock) -> None:
    async def do() -> None:
        backend = urls.connect(urls.parse(url, base=Path("/")), clock=clock, write_timeout=5)
        await backend.open(create=True)
        try:
            await backend.schema.upgrade()
            await work(backend)
        finally:
            await backend.close()

    asyncio.run(do())


async def _declare(backend: Backend) -> None:
    """Name a limit and a breaker, as nodes do."""
    await backend.limits.declare({"concurrency:charge": Limit(slots=4)})
    await backend.cells.swap("breaker:smtp", breaker.encode(BreakerState()), 0, Limit())


@pytest.mark.parametrize("kind", SHARED)
def test_the_audit(kind: str, run: Run, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Each change is there, in order, with who and why: on every store, whether or not a node lives or anybody asked."""
    place = empty_store(kind, request, tmp_path)
    _in(place, _declare, SystemClock())
    for number, (command, *_) in enumerate(_CHANGES):
        audit = ("--by", f"user {number}", "--reason", f"INC-{number}")
        done = run(*command.split(), *audit, "--url", place)
        assert done.code == 0, (command, done.err)
    listed = run("events", "list", "--name", "operator.*", "--json", "--url", place)
    found = [json.loads(line) for line in reversed(listed.out.splitlines())]
    for event in found:
        event["data"].pop("job", None)
    assert [(event["name"], event["subject"], event["data"]) for event in found] == [
        (name, subject, {"by": f"user {number}", "reason": f"INC-{number}", **data})
        for number, (_, name, subject, data) in enumerate(_CHANGES)
    ]


def test_letters_and_nodes(shop: str, run: Run) -> None:
    """Also what becomes of dead letters, and of a node."""
    living = NodeRecord(id="web-2-99-cd", host="web-2", pid=99, started_at=0, queues={}, kinds=("charge",))
    _in(shop, lambda backend: backend.nodes.publish(living, ttl=0), FakeClock())
    locks = NodeLocks(Path(f"{shop.removeprefix('sqlite:///')}-nodes"))
    locks.hold(living.id)
    audit = ("--by", "ada", "--reason", "INC-7")
    try:
        assert run("nodes", "drain", living.id, *audit).code == 0
    finally:
        locks.release_all()
    assert run("dlq", "replay", "01jd1", *audit).code in {0, 1}
    _, drained = (json.loads(line) for line in run("events", "list", "--json").out.splitlines())
    assert (drained["name"], drained["subject"]) == ("operator.node.drained", living.id)
    assert drained["data"] == {"by": "ada", "reason": "INC-7"}
    begun = json.loads(run("events", "list", "--name", "operator.operation.*", "--json").out)
    assert begun["name"] == "operator.operation.begun"
    assert begun["data"] == {"by": "ada", "reason": "INC-7", "action": "replay"}


@pytest.mark.usefixtures("shop")
def test_who_is_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not say so is the user of the machine; why may be left out."""
    monkeypatch.setattr("getpass.getuser", lambda: "grace")
    assert run("queues", "resume", "default").code == 0
    told = json.loads(run("events", "list", "--subject", "default", "--json").out)
    assert (told["name"], told["data"]) == ("operator.queue.resumed", {"by": "grace"})
