"""What a live view reads, and what it does for a person, on the small shop's store."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

from backburner.backends import urls
from backburner.cli.controls import Controls
from backburner.cli.top import glance
from backburner.cli.top.acting import carry_out
from backburner.cli.top.glance import Glance
from backburner.cli.top.state import Act, Seen, Verb
from backburner.model.clock import SECOND
from backburner.model.node import NodeRecord
from backburner.ports.jobs import ClaimRequest
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    import pytest

    from tests.unit.cli.conftest import Run

_NODE = "web-2-1-a"


def _told(run: Run, name: str) -> tuple[str, dict[str, object]]:
    event = json.loads(run("events", "list", "--name", name, "--json").out)
    return event["subject"], event["data"]


def _do(shop: str, verb: Verb, target: str, reason: str = "") -> str:
    return asyncio.run(carry_out(Act(verb, target, reason), shop, "ada"))


def test_queues(shop: str, run: Run) -> None:
    """A queue is paused and resumed as by the commands, with who and why."""
    assert _do(shop, Verb.PAUSE, "default", "INC-7") == "queue default is paused"
    assert _told(run, "operator.queue.paused") == ("default", {"by": "ada", "reason": "INC-7"})
    assert _do(shop, Verb.RESUME, "default") == "queue default goes on"
    assert _told(run, "operator.queue.resumed") == ("default", {"by": "ada"})


def test_jobs(shop: str, run: Run) -> None:
    """A job is cancelled as by the command: who and why are kept in the audit alone; of one that had ended nothing is."""
    assert _do(shop, Verb.CANCEL, "01jd1") == "job 01jd1 had ended"
    assert run("events", "list", "--name", "operator.job.cancelled").code == 3
    # What a group asks for is taken back by the run that stores the child anew: no person's reason is taken for that.
    assert _do(shop, Verb.CANCEL, "01jd4", "group") == "job 01jd4 is cancelled"
    assert json.loads(run("jobs", "show", "01jd4", "--json").out)["reason"] == "cancelled"
    assert _told(run, "operator.job.cancelled") == ("01jd4", {"by": "ada", "reason": "group", "jobs": 1})


def test_what_cannot_be_done(tmp_path: Path) -> None:
    """A store that cannot be written to is no end of the view: it says so."""
    told = _do(f"sqlite:///{tmp_path}/none.db", Verb.PAUSE, "default")
    assert told.startswith("could not pause default: ")


async def _look(shop: str) -> Seen:
    clock = FakeClock()
    backend = urls.connect(urls.parse(shop, base=Path("/")), clock=clock, write_timeout=5)
    await backend.open(create=False)
    try:
        node = NodeRecord(id=_NODE, host="web-2", pid=1, started_at=0, queues={"default": 4}, kinds=("charge",))
        await backend.nodes.publish(node, ttl=30 * SECOND)
        asked = ClaimRequest(node=_NODE, queues={"default": 4}, limit=1, kinds=frozenset({"charge"}))
        assert [claim.id for claim in (await backend.jobs.claim(asked)).claims] == ["01jd3"]
        return await Glance(Controls(backend), every=2, clock=clock).take()
    finally:
        await backend.close()


def test_what_is_read(shop: str) -> None:
    """Jobs that run, whichever node runs them, and those that failed, dead or retried."""
    seen = asyncio.run(_look(shop))
    assert ([job.id for job in seen.running], seen.running_total) == (["01jd3"], 1)
    assert [job.id for job in seen.failures] == ["01jd1", "01jd2"]
    assert (seen.unread, seen.overview.unread) == ("", {})


def test_more_failures_than_are_read(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many there are is known all the same."""
    monkeypatch.setattr(glance, "_FAILURES", 0)
    seen = asyncio.run(_look(shop))
    assert (len(seen.failures), seen.failures_total) == (0, 2)
