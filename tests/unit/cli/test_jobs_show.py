"""`backburner jobs show`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backburner.backends import urls
from backburner.cli.jobs import lookup
from backburner.model.clock import SECOND
from backburner.model.job import Ending, JobState, NewJob, Settlement
from backburner.model.node import NodeRecord
from backburner.ports.jobs import ClaimRequest
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run

pytestmark = pytest.mark.usefixtures("shop")

_TEXT = r"""id           01jd1
kind         charge
state        dead: exhausted
arguments    {"user":{"id":1},"note":"a\tb"}
queue        default, priority 5
tried        1 (1 failed)
node         web-1-4711-ab
created      2025-06-15T15:06:40.000Z (1h ago)
due          2025-06-15T15:06:40.000Z (1h ago)
started      2025-06-15T15:06:40.000Z (1h ago)
ended        2025-06-15T15:06:40.000Z (1h ago)
fingerprint  9f3a1c77b0de

attempt 1 failed 2025-06-15T15:06:40.000Z after 0s on web-1-4711-ab
  httpx.ReadTimeout: POST\t[/v1/charges]\nno answer
  Traceback (most recent call last):
    File "shop.py", line 7, in charge
  httpx.ReadTimeout: POST /v1/charges
"""


def test_text(run: Run) -> None:
    """On a terminal a job reads like an incident: what, in which state, every attempt, the last one's traceback."""
    answer = run("jobs", "show", "01jd1", terminal=True)
    assert answer.out == _TEXT
    assert answer.code == 0


def test_piped(run: Run) -> None:
    """Piped, a name and its values are a line, and so is an attempt."""
    lines = [line.split("\t") for line in run("jobs", "show", "01jd1").out.splitlines()]
    assert lines[:3] == [["id", "01jd1"], ["kind", "charge"], ["state", "dead: exhausted"]]
    then = "2025-06-15T15:06:40.000Z"
    error = r"httpx.ReadTimeout: POST\t[/v1/charges]\nno answer"
    assert lines[-1] == ["attempt", "1", "failed", then, then, "web-1-4711-ab", error]


def test_json(run: Run) -> None:
    """As JSON a job is one object, with its attempts and what it waits for."""
    job = json.loads(run("jobs", "show", "01jd2", "--json").out)
    assert (job["id"], job["state"], job["args"]["user"]) == ("01jd2", "retrying", {"id": 2})
    assert [(reason["code"], reason["until"]) for reason in job["waits_for"]] == [
        ("queue-unserved", None),
        ("not-due", "2025-06-15T17:06:40.000Z"),
    ]
    assert [(attempt["ending"], attempt["error"]) for attempt in job["attempts"]] == [("failed", "ValueError")]


def test_what_it_waits_for(run: Run) -> None:
    """A pending job says what has to happen before it runs."""
    answer = run("jobs", "show", "01jd4", terminal=True)
    assert "waits for  no node is alive; it is not due until 2025-06-15T17:06:40.000Z (in 1h)\n" in answer.out


def test_several_attempts(shop: str, run: Run) -> None:
    """On a terminal several attempts are a table, one a line, and the last one is told in full."""
    asyncio.run(_fail(shop, times=3))
    answer = run("jobs", "show", "flaky", terminal=True)
    *_, heading, first, second, third, _, last, error, traceback = answer.out.splitlines()
    assert heading.split() == ["TRY", "ENDING", "ENDED", "TOOK", "NODE", "ERROR"]
    assert [line.split()[:2] for line in (first, second, third)] == [[str(number), "failed"] for number in (1, 2, 3)]
    assert [line.split("worker")[1].strip() for line in (first, second, third)] == [f"E: no {at}" for at in range(3)]
    assert last.startswith("attempt 3 failed ")
    assert (error, traceback) == ("  E: no 2", "    line 2")
    whole = run("dlq", "show", "flaky", terminal=True).out
    assert [f"    line {number}\n" in whole for number in range(3)] == [True] * 3


async def _fail(url: str, times: int) -> None:
    """Have a job die at its last of so many attempts."""
    backend = urls.connect(urls.parse(url, base=Path("/")), clock=FakeClock(), write_timeout=5)
    await backend.open(create=False)
    try:
        await backend.jobs.enqueue([[NewJob(id="flaky", kind="k", queue="q", args="{}")]])
        node = NodeRecord(id="worker", host="h", pid=1, started_at=0, queues={"q": 1}, kinds=("k",))
        await backend.nodes.publish(node, ttl=3600 * SECOND)
        for number in range(times):
            request = ClaimRequest(node="worker", queues={"q": 1}, limit=1, kinds=frozenset({"k"}))
            (claim,) = (await backend.jobs.claim(request)).claims
            dead = number == times - 1
            settlement = Settlement(
                id="flaky",
                token=claim.token,
                state=JobState.DEAD if dead else JobState.PENDING,
                reason="exhausted" if dead else None,
                failed=1,
                ending=Ending.FAILED,
                error="E",
                message=f"no {number}",
                traceback=f"  line {number}",
                fingerprint="f",
            )
            await backend.jobs.settle("worker", [settlement])
    finally:
        await backend.close()


def test_of_a_schedule(run: Run) -> None:
    """A job that a schedule stored names it, and the tick."""
    assert run("schedules", "add", "daily", "report", "--cron", "0 9 * * *").code == 0
    job_id = run("schedules", "trigger", "daily").out.strip()
    lines = {
        name: values for name, *values in (line.split("\t") for line in run("jobs", "show", job_id).out.splitlines())
    }
    ((told,),) = (lines["schedule"],)
    assert told.startswith("daily, for its tick of 2025-06-15T16:06:40")
    schedule = json.loads(run("jobs", "show", job_id, "--json").out)["schedule"]
    assert told == f"{schedule['name']}, for its tick of {schedule['tick']}"
    assert json.loads(run("jobs", "show", "01jd1", "--json").out)["schedule"] is None


def test_unknown(run: Run) -> None:
    """An id that is not there ends with 3."""
    answer = run("jobs", "show", "zz")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err == "Error: there is no job zz; its retention may have passed\n"


def test_ambiguous(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The beginning of several ids is refused; the jobs it may mean are told apart by kind, state and age."""
    monkeypatch.setattr(lookup, "_NAMED", 3)
    answer = run("jobs", "show", "01jd")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.splitlines() == [
        "Error: several ids begin with 01jd: write more of the one you mean",
        "  01jd4  mail  scheduled  created 1h ago",
        "  01jd3  charge  waiting  created 1h ago",
        "  01jd2  mail  retrying  created 1h ago",
        "  …",
    ]


@pytest.mark.parametrize("command", ["show", "why", "cancel", "run-now"])
def test_an_empty_id(command: str, run: Run) -> None:
    """An empty text, such as of a variable that was not set, is no beginning of every id there is."""
    answer = run("jobs", command, "")
    assert (answer.code, answer.err) == (2, "Error: an empty text is no id: every id begins so\n")
