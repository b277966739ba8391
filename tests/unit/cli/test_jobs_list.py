"""`backburner jobs list`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run

pytestmark = pytest.mark.usefixtures("shop")

_TABLE = """\
ID     KIND    STATE      QUEUE    TRY  CREATED  NOTE
01jd4  mail    scheduled  default    0  1h ago   due in 1h
01jd3  charge  waiting    default    0  1h ago   due 1h ago
01jd2  mail    retrying   default    1  1h ago   due in 1h; ValueError: no
01jd1  charge  dead       default    1  1h ago   exhausted; httpx.ReadTimeout: POST\\t[/v1/charges]\\nno answer
01jd0  mail    completed  default    1  1h ago   took 0s
"""

_THEN = "2025-06-15T15:06:40.000Z"
_LINES = [
    ["01jd4", "mail", "scheduled", "default", "5", "0", _THEN, "2025-06-15T17:06:40.000Z", "", "", "", "", "", ""],
    ["01jd3", "charge", "waiting", "default", "5", "0", _THEN, _THEN, "", "", "", "vip", "", ""],
    [
        *("01jd2", "mail", "retrying", "default", "5", "1", _THEN, "2025-06-15T17:06:40.000Z", _THEN, ""),
        *("web-1-4711-ab", "", "", "ValueError: no"),
    ],
    [
        *("01jd1", "charge", "dead", "default", "5", "1", _THEN, _THEN, _THEN, _THEN),
        *("web-1-4711-ab", "", "exhausted", r"httpx.ReadTimeout: POST\t[/v1/charges]\nno answer"),
    ],
    [
        *("01jd0", "mail", "completed", "default", "5", "1", _THEN, _THEN, _THEN, _THEN),
        *("web-1-4711-ab", "", "", ""),
    ],
]


def test_table(run: Run) -> None:
    """On a terminal jobs are a table, newest first, one line a job."""
    answer = run("jobs", "list", terminal=True)
    assert [line.rstrip() for line in answer.out.splitlines()] == _TABLE.splitlines()
    assert (answer.code, answer.err) == (0, "")


def test_narrow_table(run: Run) -> None:
    """A narrow terminal does without some columns before what the last one says cannot be read any more."""
    answer = run("jobs", "list", "--kind", "charge", terminal=True, columns=60)
    assert [line.rstrip() for line in answer.out.splitlines()] == [
        "ID     KIND    STATE    TRY  NOTE",
        "01jd3  charge  waiting    0  due 1h ago",
        "01jd1  charge  dead       1  exhausted; httpx.ReadTimeout: …",
    ]


def test_piped(run: Run) -> None:
    """Piped, a job is a line of tab-separated fields: whole, uncoloured, with what would break a line escaped."""
    answer = run("jobs", "list")
    assert [line.split("\t") for line in answer.out.splitlines()] == _LINES


def test_json(run: Run) -> None:
    """As JSON, a job is a line with everything known of it."""
    answer = run("jobs", "list", "--json", "--state", "dead", terminal=True)
    assert json.loads(answer.out) == {
        "id": "01jd1",
        "kind": "charge",
        "queue": "default",
        "state": "dead",
        "reason": "exhausted",
        "priority": 5,
        "tags": [],
        "args": {"user": {"id": 1}, "note": "a\tb"},
        "headers": None,
        "result": None,
        "progress": None,
        "checkpoint": None,
        "parent": None,
        "unique": None,
        "attempt": 1,
        "failures": 1,
        "crashes": 0,
        "interruptions": 0,
        "node": "web-1-4711-ab",
        "cancel_asked": False,
        "gate": None,
        "timeout": None,
        "created_at": _THEN,
        "due_at": _THEN,
        "expires_at": None,
        "started_at": _THEN,
        "ended_at": _THEN,
        "error": "httpx.ReadTimeout",
        "message": "POST\t[/v1/charges]\nno answer",
        "fingerprint": "9f3a1c77b0de",
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--kind charge", "31"),
        ("--kind charge --kind mail --queue default", "43210"),
        ("--state retrying --state dead", "21"),
        ("--error ReadTimeout", "1"),
        ("--fingerprint 77b0de9f3a1c", "2"),
        ("--tag vip", "3"),
        ("--since 2h", "43210"),
        ("--until 2025-06-16T00:00Z --limit 2", "43"),
        ("--where args.user.id>=3", "43"),
        ("--where args.user.id>1 --where args.user.id!=3", "42"),
        ('--where args.note~"a" --where args.user.id=0', "0"),
        ("--where args.note~a --where args.user.id=1", "1"),
    ],
)
def test_filters(options: str, expected: str, run: Run) -> None:
    """Filters narrow down; one given twice means any of its values, conditions mean all."""
    answer = run("jobs", "list", *options.split())
    assert [line.split("\t")[0] for line in answer.out.splitlines()] == [f"01jd{number}" for number in expected]


@pytest.mark.parametrize("options", ["--kind mail --state dead", "--since 10m", "--until 2025-01-01T00:00Z"])
def test_nothing_matched(options: str, run: Run) -> None:
    """Where nothing matches, stdout stays empty and the exit code is 3."""
    answer = run("jobs", "list", *options.split())
    assert (answer.code, answer.out, answer.err) == (3, "", "Error: no job matches\n")


def test_a_name_that_is_not_there_is_no_good_news(run: Run) -> None:
    """A kind or a queue that nothing knows is told of, with the name that was meant, or those there are."""
    answer = run("jobs", "list", "--kind", "chrage", "--queue", "mail")
    assert (answer.code, answer.err) == (
        3,
        "Error: no job matches; no kind 'chrage' is known: did you mean 'charge'?; no queue 'mail' is known; there is default\n",
    )


def test_more_than_shown(run: Run) -> None:
    """A list that was cut says so, on stderr."""
    answer = run("jobs", "list", "--limit", "2")
    assert (answer.code, answer.err) == (0, "the newest 2; there are more: --limit\n")


def test_vague_moments_are_spoken(run: Run) -> None:
    """A moment without a zone is local time; what was understood is said in UTC."""
    answer = run("jobs", "list", "--since", "2025-06-15")
    assert answer.err.startswith("--since 2025-06-15 is 2025-06-1")
    assert answer.err.endswith("Z\n")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("--state lost", "'lost' is not one of 'waiting', 'scheduled'"),
        ("--since soon", "'soon' is no moment; write 6h (ago)"),
        ("--where user.id=1", "begins with args.: did you mean args.user.id?\n  user.id=1\n  ^\nwrite args.PATH"),
        ("--where args.note=ada", "a text needs its quotes, args.note='\"ada\"'\n  args.note=ada\n            ^\n"),
        ("--where args.note=[1]", "compare with a text, a number, true, false or null"),
        ("--since 5minutes", "'5minutes' is no moment (did you mean 5m?); write 6h (ago)"),
        ("--limit 0", "0 is not in the range x>=1"),
        ("--url ftp://ada:hunter2@host", "ftp"),
    ],
)
def test_wrong_usage(options: str, why: str, run: Run) -> None:
    """Wrong usage ends with 2 and says what to write; a password is never shown."""
    answer = run("jobs", "list", *options.split())
    assert (answer.code, answer.out) == (2, "")
    assert why in answer.err
    assert "hunter2" not in answer.err


def test_a_url_that_is_empty(run: Run) -> None:
    """An empty URL, as of a variable that was not set, is not taken for the default; neither is an empty stdin."""
    answer = run("jobs", "list", "--url", "")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("Error: --url is empty: name the store, or leave it out for BACKBURNER_URL")
    assert (
        run("jobs", "list", "--url", "-", typed="").err == "Error: --url - reads the URL from stdin, which has none\n"
    )


def test_url_from_stdin(shop: str, run: Run) -> None:
    """`--url -` reads the URL from stdin, so that no process list shows its password."""
    assert run("jobs", "list", "--url", "-", typed=f"{shop}\n").code == 0
    assert run("jobs", "list", "--url", "-", typed="ftp://host\n").code == 2
