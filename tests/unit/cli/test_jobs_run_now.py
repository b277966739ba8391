"""`backburner jobs run-now`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from backburner.backends.sqlite.admin import SqliteJobAdmin
from backburner.backends.sqlite.notifier import SqliteNotifier
from backburner.ports.backend import Hint
from backburner.ports.jobs import ExpediteAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.cli.conftest import Run

pytestmark = pytest.mark.usefixtures("shop")


def _states(run: Run) -> dict[str, str]:
    lines = (line.split("\t") for line in run("jobs", "list").out.splitlines())
    return {line[0]: line[2] for line in lines}


def test_by_id(run: Run) -> None:
    """What was due later is due now; what is due already is as it should be, what has ended is not."""
    answer = run("jobs", "run-now", "01jd4", "01jd3")
    assert (answer.code, answer.out) == (0, "01jd4\texpedited\n01jd3\tdue\n")
    assert answer.err == "2 jobs (1 expedited, 1 due)\n"
    assert _states(run)["01jd4"] == "waiting"
    again = run("jobs", "run-now", "01jd4", "01jd0", "zz")
    assert (again.code, again.out) == (1, "01jd4\tdue\n01jd0\tended\n")
    assert again.err == "there is no job zz\n2 jobs (1 due, 1 ended)\n"


def test_by_filter(run: Run) -> None:
    """A filter means what is scheduled or retrying, and asks first; what is waiting is none of it."""
    asked = run("jobs", "run-now", "--kind", "mail")
    assert (asked.code, asked.out) == (2, "")
    assert asked.err == "Error: 2 jobs (1 scheduled, 1 retrying) match; --yes expedites them, --dry-run only counts\n"
    assert run("jobs", "run-now", "--since", "2h", "--dry-run").out == "scheduled\t1\nretrying\t1\n"
    assert _states(run)["01jd4"] == "scheduled"
    answer = run("jobs", "run-now", "--since", "2h", "--yes")
    assert (answer.code, answer.out) == (0, "01jd4\texpedited\n01jd2\texpedited\n")
    refused = run("jobs", "run-now", "--state", "waiting", "--yes")
    assert (refused.code, refused.err.splitlines()[-1]) == (2, "Error: only scheduled and retrying jobs are due later")


def test_at_a_gate(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job at a gate stays there, and it is said how to see what it waits for; the nodes hear of nothing."""
    told: list[Hint] = []

    async def expedite(_: object, ids: Sequence[str], __: object) -> ExpediteAnswer:
        return ExpediteAnswer(now=0, gated=tuple(ids))

    async def notify(_: object, hint: Hint) -> None:
        told.append(hint)

    monkeypatch.setattr(SqliteJobAdmin, "expedite", expedite)
    monkeypatch.setattr(SqliteNotifier, "notify", notify)
    answer = run("jobs", "run-now", "01jd4", terminal=True)
    assert answer.code == 1
    assert [line.split() for line in answer.out.splitlines()] == [["ID", "OUTCOME"], ["01jd4", "gated"]]
    assert answer.err.splitlines() == [
        "1 job (1 gated)",
        "a job at a gate waits for something other than its time: `backburner jobs why 01jd4` says what",
    ]
    assert told == []


def test_who_and_why(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nodes hear of it, and an event that is always kept tells who did it, why, and to how many."""
    told: list[Hint] = []

    async def notify(_: object, hint: Hint) -> None:
        told.append(hint)

    monkeypatch.setattr(SqliteNotifier, "notify", notify)
    assert run("jobs", "run-now", "01jd4", "--by", "ada", "--reason", "INC-7").code == 0
    assert told == [Hint.JOBS]
    (event,) = run("events", "list", "--name", "operator.job.*", "--json").out.splitlines()
    told_of = json.loads(event)
    assert (told_of["name"], told_of["subject"]) == ("operator.job.expedited", "01jd4")
    assert told_of["data"] == {"by": "ada", "reason": "INC-7", "jobs": 1}
