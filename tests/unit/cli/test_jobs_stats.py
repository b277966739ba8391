"""`backburner jobs stats`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backburner.backends import urls
from backburner.cli import store
from backburner.cli.jobs import ended
from backburner.model.clock import SECOND
from backburner.model.job import Ending, JobState, NewJob, Settlement
from backburner.model.node import NodeRecord
from backburner.ports.jobs import ClaimRequest
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run

_NODE = "web-1"


@pytest.fixture
def busy(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let 20 mails, one a second, wait as many seconds as came before them, and run twice as long; a charge dies last."""
    clock = FakeClock()
    asyncio.run(_work(url, clock))
    monkeypatch.setattr(store, "SystemClock", lambda: clock)


async def _work(url: str, clock: FakeClock) -> None:
    backend = urls.connect(urls.parse(url, base=Path("/")), clock=clock, write_timeout=5)
    await backend.open(create=True)
    try:
        await backend.schema.upgrade()
        for number in range(21):
            clock.move(60)
            kind = "charge" if number == 20 else "mail"
            node = NodeRecord(id=_NODE, host="web-1", pid=1, started_at=0, queues={"default": 1}, kinds=(kind,))
            await backend.nodes.publish(node, ttl=3600 * SECOND)
            await backend.jobs.enqueue([[NewJob(id=f"j{number:02}", kind=kind, queue="default", args="{}")]])
            clock.move(number)
            request = ClaimRequest(node=_NODE, queues={"default": 1}, limit=1, kinds=frozenset({kind}))
            ((claim,)) = (await backend.jobs.claim(request)).claims
            clock.move(2 * number)
            await backend.jobs.settle(_NODE, [_settled(claim.id, claim.token, dead=number == 20)])
    finally:
        await backend.close()


def _settled(job_id: str, token: int, *, dead: bool) -> Settlement:
    if not dead:
        return Settlement(id=job_id, token=token, state=JobState.COMPLETED, result="null")
    return Settlement(
        id=job_id, token=token, state=JobState.DEAD, reason="exhausted", failed=1, ending=Ending.FAILED, error="E"
    )


@pytest.mark.usefixtures("busy")
def test_json(run: Run) -> None:
    """As JSON a kind is an object: counts, how many completed a minute, and seconds by nearest rank."""
    answer = run("jobs", "stats", "--json")
    mail, charge = map(json.loads, answer.out.splitlines())
    assert (answer.code, answer.err) == (0, "")
    assert (mail["kind"], mail["completed"], mail["dead"], mail["cancelled"], mail["retries"]) == ("mail", 20, 0, 0, 0)
    assert mail["per_minute"] == round(20 / 60, 3)
    assert mail["wait"] == {"p50": 9, "p95": 18, "p99": 19, "max": 19}
    assert mail["run"] == {"p50": 18, "p95": 36, "p99": 38, "max": 38}
    assert (charge["kind"], charge["dead"], charge["per_minute"], charge["retries"]) == ("charge", 1, 0, 0)


@pytest.mark.usefixtures("busy")
def test_piped(run: Run) -> None:
    """Piped, a kind is a line of plain numbers."""
    first, _ = run("jobs", "stats").out.splitlines()
    assert first.split("\t") == [
        "mail",
        "20",
        "0",
        "0",
        "0.333",
        "0",
        *["9.0", "18.0", "19.0", "19.0", "18.0", "36.0", "38.0", "38.0"],
    ]


@pytest.mark.usefixtures("busy")
def test_on_a_terminal(run: Run) -> None:
    """A wide terminal has it all; a narrow one does without what lies between the middle and the end."""
    heading, first, _ = run("jobs", "stats", terminal=True, columns=160).out.splitlines()
    assert heading.split()[-10:] == ["WAIT", "P50", "P95", "P99", "MAX", "RUN", "P50", "P95", "P99", "MAX"]
    assert first.split() == [
        "mail",
        "20",
        "0",
        "0",
        "0.33",
        "0",
        *["9s", "18s", "19s", "19s", "18s", "36s", "38s", "38s"],
    ]
    narrow = run("jobs", "stats", terminal=True, columns=66).out.splitlines()
    assert max(map(len, narrow)) <= 66
    assert narrow[0].split()[-6:] == ["WAIT", "P50", "MAX", "RUN", "P50", "MAX"]


@pytest.mark.usefixtures("busy")
def test_what_is_left_out_for_its_number(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the newest are read, of all states together, page by page; it is said since when they are, and rates count from there."""
    monkeypatch.setattr(ended, "_PAGE", 2)
    answer = run("jobs", "stats", "--limit", "4", "--json")
    mail, charge = map(json.loads, answer.out.splitlines())
    assert (mail["completed"], charge["dead"]) == (3, 1)
    assert mail["wait"]["p50"] == 18
    assert answer.err == f"the newest 4, since {mail['since']}: there are more, --limit\n"
    # The 17th ended 4 jobs' minutes, waits and runs before the end.
    assert mail["per_minute"] == round(3 * 60 / (3 * 60 + 3 * (18 + 19 + 20)), 3)
    assert run("jobs", "stats", "--limit", "21").err == ""


@pytest.mark.usefixtures("busy")
def test_between(run: Run) -> None:
    """A window begins with --since and ends before --until; kind, queue and tag choose what is counted in it."""
    ends = [
        job["ended_at"] for job in map(json.loads, run("jobs", "list", "--kind", "mail", "--json").out.splitlines())
    ]
    newest, *_, fourth = ends[:4]
    answer = run("jobs", "stats", "--since", fourth, "--until", newest, "--json")
    (mail,) = map(json.loads, answer.out.splitlines())
    assert (mail["completed"], mail["since"], mail["until"]) == (3, fourth, newest)
    assert run("jobs", "stats", "--kind", "charge").out.count("\n") == 1
    assert run("jobs", "stats", "--queue", "default").out.count("\n") == 2
    nothing = run("jobs", "stats", "--tag", "vip")
    assert nothing.code == 3
    assert nothing.err.startswith("Error: no job that matches ended between ")
    wrong = run("jobs", "stats", "--since", newest, "--until", fourth)
    assert (wrong.code, wrong.out) == (2, "")
    assert "which is not after --since" in wrong.err
