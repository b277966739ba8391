"""`backburner jobs show`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from backburner.cli.jobs import lookup

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
