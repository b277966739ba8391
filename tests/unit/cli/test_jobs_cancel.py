"""`backburner jobs cancel`."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from backburner.backends.sqlite.admin import SqliteJobAdmin
from backburner.backends.sqlite.notifier import SqliteNotifier
from backburner.cli.jobs import many
from backburner.errors import StoreUnavailable
from backburner.ports.backend import Hint
from backburner.ports.jobs import CancelAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.event import NewEvent
    from tests.unit.cli.conftest import Run

pytestmark = pytest.mark.usefixtures("shop")


def _states(run: Run) -> dict[str, str]:
    lines = (line.split("\t") for line in run("jobs", "list").out.splitlines())
    return {line[0]: line[2] for line in lines}


def test_by_id(run: Run) -> None:
    """Jobs named by id are cancelled without a question; the summary goes to stderr."""
    answer = run("jobs", "cancel", "01jd3", "01jd4")
    assert (answer.code, answer.out) == (0, "01jd3\tcancelled\n01jd4\tcancelled\n")
    assert answer.err == "2 jobs (2 cancelled)\n"
    assert _states(run)["01jd3"] == "cancelled"


def test_in_part(run: Run) -> None:
    """What had ended or is not there is said, and the exit code is 1."""
    answer = run("jobs", "cancel", "01jd3", "01jd0", "zz", "--json")
    assert answer.code == 1
    assert [json.loads(line) for line in answer.out.splitlines()] == [
        {"id": "01jd3", "outcome": "cancelled"},
        {"id": "01jd0", "outcome": "ended"},
    ]
    assert answer.err == "there is no job zz\n2 jobs (1 cancelled, 1 ended)\n"


@pytest.mark.parametrize(
    ("said", "hints"),
    [
        (CancelAnswer(now=0, asked=("01jd3",)), [Hint.CONTROL]),
        (CancelAnswer(now=0, cancelled=("01jd3",)), [Hint.JOBS]),
        (CancelAnswer(now=0, ended=("01jd3",)), []),
    ],
)
def test_the_nodes_are_told(
    said: CancelAnswer, hints: Sequence[Hint], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node that runs a job hears at once that it is to stop, not with its next beat."""
    told: list[Hint] = []

    async def cancel(_: object, __: object, **___: object) -> CancelAnswer:
        return said

    async def notify(_: object, hint: Hint) -> None:
        told.append(hint)

    monkeypatch.setattr(SqliteJobAdmin, "cancel", cancel)
    monkeypatch.setattr(SqliteNotifier, "notify", notify)
    run("jobs", "cancel", "01jd3")
    assert told == hints


def test_one_that_somebody_has_locked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an open transaction has locked is said to be busy, and the exit code is 1: it may be tried again."""

    async def cancel(_: object, ids: Sequence[str], **__: object) -> CancelAnswer:
        return CancelAnswer(now=0, cancelled=tuple(ids[:1]), busy=tuple(ids[1:]))

    monkeypatch.setattr(SqliteJobAdmin, "cancel", cancel)
    answer = run("jobs", "cancel", "01jd3", "01jd4")
    assert (answer.code, answer.out) == (1, "01jd3\tcancelled\n01jd4\tbusy\n")
    assert answer.err == "2 jobs (1 cancelled, 1 busy)\n"


def test_none_there(run: Run) -> None:
    """Ids that are all unknown end with 3."""
    assert run("jobs", "cancel", "zz").code == 3
    assert run("jobs", "cancel", "--kind", "nope", "--yes").code == 3


def test_by_filter_without_a_person(run: Run) -> None:
    """Without a terminal a filter is refused with the count of what it matches, unless --yes is there."""
    answer = run("jobs", "cancel", "--kind", "mail")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == ("Error: 2 jobs (1 scheduled, 1 retrying) match; --yes cancels them, --dry-run only counts\n")
    assert _states(run)["01jd2"] == "retrying"
    assert run("jobs", "cancel", "--kind", "mail", "--yes").code == 0
    assert _states(run) == {
        "01jd4": "cancelled",
        "01jd3": "waiting",
        "01jd2": "cancelled",
        "01jd1": "dead",
        "01jd0": "completed",
    }


def test_by_filter_with_a_person(run: Run) -> None:
    """On a terminal a filter asks; anything but yes changes nothing and ends with 2."""
    question = "2 jobs (1 scheduled, 1 retrying) match; cancel them? [y/N]: "
    refused = run("jobs", "cancel", "--kind", "mail", terminal=True, typed="n\n")
    assert (refused.code, refused.err) == (2, f"{question}n\nError: nothing was cancelled\n")
    assert _states(run)["01jd2"] == "retrying"
    assert run("jobs", "cancel", "--kind", "mail", terminal=True, typed="y\n").code == 0
    assert _states(run)["01jd2"] == "cancelled"


def test_interrupted_question(run: Run) -> None:
    """Ctrl-C at the question ends with 130, and nothing is cancelled."""
    answer = run("jobs", "cancel", "--kind", "mail", terminal=True, typed="")
    assert (answer.code, answer.err.splitlines()[-1]) == (130, "interrupted")
    assert _states(run)["01jd2"] == "retrying"


def test_signalled_question(shop: str, run: Run) -> None:
    """At a real terminal Ctrl-C ends the question at once, and nothing is cancelled."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "backburner", "jobs", "cancel", "--kind", "mail", "--url", shop]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs) as asking:
        asked = b""
        while not asked.endswith(b"[y/N]: "):
            asked += os.read(ours, 1024)
        try:
            # A signal that comes just before the question is read is lost on the read; one that comes while the program is
            # ending ends it otherwise.
            for _ in range(10):
                asking.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    asking.wait(5)
                    break
            assert asking.poll() == 130
        finally:
            asking.kill()
    os.close(theirs)
    os.close(ours)
    assert _states(run)["01jd2"] == "retrying"


def test_dry_run(run: Run) -> None:
    """A dry run counts by state and changes nothing, whatever else is said."""
    answer = run("jobs", "cancel", "--since", "2h", "--dry-run", "--yes")
    assert (answer.code, answer.out) == (0, "scheduled\t1\nwaiting\t1\nretrying\t1\n")
    assert _states(run)["01jd3"] == "waiting"


def test_on_a_terminal(run: Run) -> None:
    """On a terminal what was cancelled is only counted; what was not is named."""
    answer = run("jobs", "cancel", "01jd0", "01jd3", "01jd4", terminal=True)
    assert [line.split() for line in answer.out.splitlines()] == [["ID", "OUTCOME"], ["01jd0", "ended"]]
    assert answer.err == "3 jobs (2 cancelled, 1 ended)\n"


def test_the_event(run: Run) -> None:
    """Who cancelled, why and how many, is kept, also where nobody asks for events; of one job its id is the subject.

    Those that had ended before are none of them.
    """
    run("jobs", "cancel", "01jd3", "01jd0", "01jd1", "--by", "ada", "--reason", "INC-7")
    run("jobs", "cancel", "--kind", "mail", "--yes", "--by", "bob")
    assert run("jobs", "cancel", "01jd0", "--by", "eve").code == 1
    events = [json.loads(line) for line in run("events", "list", "--name", "operator.job.*", "--json").out.splitlines()]
    assert [(event["name"], event["subject"], event["data"]) for event in events] == [
        ("operator.job.cancelled", "", {"by": "bob", "jobs": 2}),
        ("operator.job.cancelled", "01jd3", {"by": "ada", "reason": "INC-7", "jobs": 1}),
    ]


def test_interrupted_half_way(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C half-way ends with 130 once the write under way is done, and says how far it came; the nodes are told."""
    monkeypatch.setattr(many, "_BATCH", 1)
    told: list[Hint] = []
    cancel = SqliteJobAdmin.cancel

    async def interrupted(self: SqliteJobAdmin, ids: Sequence[str], **given: Sequence[NewEvent]) -> CancelAnswer:
        signal.raise_signal(signal.SIGINT)
        return await cancel(self, ids, events=given["events"])

    async def notify(_: object, hint: Hint) -> None:
        told.append(hint)

    monkeypatch.setattr(SqliteJobAdmin, "cancel", interrupted)
    monkeypatch.setattr(SqliteNotifier, "notify", notify)
    answer = run("jobs", "cancel", "--since", "2h", "--yes")
    assert (answer.code, answer.out) == (130, "")
    assert answer.err == "1 job (1 cancelled); 2 left as they were\n\ninterrupted\n"
    assert told == [Hint.JOBS]
    assert [*_states(run).values()].count("cancelled") == 1


def test_an_answer_that_never_came(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a write that the store may have done nobody says that nothing came of it; of one that it has not, they do."""
    monkeypatch.setattr(many, "_BATCH", 1)
    cancel = SqliteJobAdmin.cancel
    unanswered = StoreUnavailable("nobody answers", stored="unknown")

    async def broken(self: SqliteJobAdmin, ids: Sequence[str], **given: Sequence[NewEvent]) -> CancelAnswer:
        answer = await cancel(self, ids, events=given["events"])
        if broken_off in ids:
            raise unanswered
        return answer

    monkeypatch.setattr(SqliteJobAdmin, "cancel", broken)
    broken_off = "01jd3"
    answer = run("jobs", "cancel", "01jd4", "01jd3", "01jd2")
    told = "1 job (1 cancelled); 1 may be cancelled, the store has not said; 1 left as they were"
    assert (answer.code, answer.err) == (4, f"{told}\nError: nobody answers\n")
    unanswered.stored, broken_off = "no", "01jd2"
    assert run("jobs", "cancel", "01jd2").err == "nothing was cancelled\nError: nobody answers\n"


def test_nodes_that_cannot_be_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done stays done, and is said, though no node could be told of it: they look by themselves."""

    async def fail(_: object, __: object) -> None:
        raise StoreUnavailable("nobody answers")

    monkeypatch.setattr(SqliteNotifier, "notify", fail)
    for command in ("jobs cancel 01jd3", "queues pause default"):
        answer = run(*command.split())
        assert (answer.code, "nobody answers" in answer.err) == (0, False)


def test_limit(run: Run) -> None:
    """A limit means the newest."""
    answer = run("jobs", "cancel", "--since", "2h", "--limit", "1", "--yes")
    assert answer.out == "01jd4\tcancelled\n"


@pytest.mark.parametrize(
    "arguments", ["", "01jd3 --kind mail", "01jd3 --limit 1", "--limit 3 --yes", "--state dead --yes"]
)
def test_wrong_usage(arguments: str, run: Run) -> None:
    """Ids or a filter, one of the two, and only what has not ended: everything else is refused."""
    answer = run("jobs", "cancel", *arguments.split())
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("Usage: ")
