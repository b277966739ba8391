"""`backburner dlq` and `backburner replays`."""

from __future__ import annotations

import asyncio
import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backburner.backends import urls
from backburner.model.job import Ending, JobState
from backburner.testing.clock import FakeClock
from backburner.testing.contracts.making import add_each, claim, new, publish, to_settle

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run

pytestmark = pytest.mark.usefixtures("shop")


def _die(url: str, count: int, **fields: Any) -> list[str]:  # noqa: ANN401 - any field of a job
    """Have more jobs of the shop die, of another cause; nobody knows their kind afterwards."""

    async def die() -> list[str]:
        backend = urls.connect(urls.parse(url, base=Path("/")), clock=FakeClock(), write_timeout=5)
        await backend.open(create=False)
        jobs = [new(queue="dying", kind="mail", **fields) for _ in range(count)]
        await publish(backend, "other")
        await add_each(backend, jobs)
        claims = await claim(backend, "other", limit=count, queues=("dying",), kinds=("mail",))
        told: dict[str, Any] = {"error": "Smtp", "message": "no", "fingerprint": "77b0de", "reason": "rejected: no"}
        deaths = [to_settle(one, JobState.DEAD, failed=1, ending=Ending.REJECTED, **told) for one in claims]
        await backend.jobs.settle("other", deaths)
        await backend.nodes.withdraw("other")
        await backend.close()
        return [job.id for job in jobs]

    return asyncio.run(die())


def _dead(run: Run) -> list[str]:
    return [line.split("\t")[0] for line in run("dlq", "list", "--limit", "1000").out.splitlines()]


def test_list(run: Run) -> None:
    """Dead letters are listed, for a person with what matters, for a pipe with everything a line can hold."""
    assert run("dlq", "list").out == (
        "01jd1\tcharge\tdefault\t1\t1\t0\t2025-06-15T15:06:40.000Z\t2025-06-15T15:06:40.000Z\t9f3a1c77b0de\t\texhausted\t"
        "httpx.ReadTimeout: POST\\t[/v1/charges]\\nno answer\n"
    )
    shown = run("dlq", "list", terminal=True).out
    assert shown.splitlines()[0].split() == ["ID", "KIND", "TRY", "DIED", "CAUSE", "REASON"]
    assert "1h ago" in shown
    assert json.loads(run("dlq", "list", "--json").out)["state"] == "dead"
    assert run("dlq", "list", "--kind", "mail").code == 3
    refused = run("dlq", "list", "--state", "running")
    assert refused.code == 2
    assert "No such option '--state'" in refused.err


def test_groups(run: Run, url: str) -> None:
    """One cause is one line: how many, first, last, kinds."""
    _die(url, 3)
    answer = run("dlq", "groups", terminal=True)
    head, first, second = answer.out.splitlines()
    assert head.split() == ["CAUSE", "LETTERS", "FIRST", "LAST", "KINDS", "ERROR"]
    assert first.split() == ["77b0de", "3", "1h", "ago", "1h", "ago", "mail", "Smtp:", "no"]
    assert second.split()[:7] == ["9f3a1c77b0de", "1", "1h", "ago", "1h", "ago", "charge"]
    assert answer.err == "2 causes, 4 letters\n"
    line = run("dlq", "groups", "--kind", "mail").out.split("\t")
    assert (line[0], line[1], line[4], line[6]) == ("77b0de", "3", "mail=3", "rejected: no")
    assert json.loads(run("dlq", "groups", "--kind", "mail", "--json").out)["kinds"] == {"mail": 3}
    assert run("dlq", "groups", "--kind", "nope").code == 3


def test_groups_without_a_fingerprint(run: Run, url: str) -> None:
    """Where nothing was raised, the cause is a dash and can be asked for as empty."""
    _die(url, 1)
    assert run("dlq", "list", "--fingerprint", "").code == 3


@pytest.mark.parametrize("by", [["01jd1"], ["01jd1", "--json"], ["@1"], ["--kind", "charge"]])
def test_show(run: Run, by: list[str]) -> None:
    """A letter is shown whole: arguments, each attempt, its traceback."""
    answer = run("dlq", "show", *by, terminal=True)
    assert answer.code == 0
    assert "POST /v1/charges" in answer.out


def test_show_what_is_none(run: Run) -> None:
    """What is no dead letter is said to be none."""
    assert run("dlq", "show").code == 2
    assert run("dlq", "show", "--kind", "nope").code == 3
    answer = run("dlq", "show", "01jd0")
    assert (answer.code, answer.err) == (3, "01jd0 is completed, and no dead letter\nError: no dead letter matches\n")
    assert run("dlq", "show", "zz").err.startswith("there is no job zz\n")
    assert run("dlq", "show", "@2").code == 3
    assert run("dlq", "show", "@x").code == 2


def test_replay_by_id(run: Run) -> None:
    """A letter named by its id goes back without a question; who asked, and why, is kept."""
    answer = run("dlq", "replay", "01jd1", "--reason", "INC-1")
    assert answer.code == 0
    told = dict(line.split("\t", 1) for line in answer.out.splitlines())
    assert (told["action"], told["letters"], told["replayed"]) == ("replay", "1", "1")
    assert (told["by"], told["reason"]) == (getpass.getuser(), "INC-1")
    assert f"replay {told['id']}: 1 letter, about" in answer.err
    assert "Ctrl-C leaves it to the nodes" in answer.err
    assert _dead(run) == []
    line = run("replays", "list").out.split("\t")
    assert (line[0], line[1], line[3], line[4]) == (told["id"], "replay", "1", "1")
    assert run("dlq", "replay", "01jd1").code == 3


def test_replay_by_filter(run: Run, url: str) -> None:
    """A filter asks: without a terminal it needs --yes, and the count is said."""
    ids = _die(url, 3)
    answer = run("dlq", "replay", "--kind", "mail")
    assert (answer.code, answer.out) == (2, "")
    assert "no living node knows mail: those letters wait until one does\n" in answer.err
    assert answer.err.endswith("3 letters (3 rejected; 3 mail) match; --yes replays them, --dry-run only counts\n")
    question = "match; replay them? [y/N]: "
    assert question in run("dlq", "replay", "--kind", "mail", terminal=True, typed="n\n").err
    assert len(_dead(run)) == 4
    answer = run("dlq", "replay", "--kind", "mail", "--limit", "2", "--yes", "--json", "--by", "ada", "--rate", "max")
    told = json.loads(answer.out)
    assert (answer.code, told["done"], told["by"], told["pace"]) == (0, 2, "ada", None)
    assert told["filter"]["kinds"] == ["mail"]
    assert _dead(run) == ["01jd1", ids[0]]


def test_replay_of_everything_has_to_be_said(run: Run) -> None:
    """Nothing said is refused; --all is everything."""
    assert run("dlq", "replay", "--yes").code == 2
    assert run("dlq", "replay", "--all", "--kind", "mail", "--yes").code == 2
    assert run("dlq", "replay", "01jd1", "--limit", "3").code == 2
    assert run("dlq", "replay", "--all", "--yes").code == 0
    assert run("dlq", "replay", "--all", "--yes").code == 3
    assert run("dlq", "replay", "--kind", "nope", "--yes").code == 3


def test_dry_run(run: Run, url: str) -> None:
    """A dry run counts how letters ended, says which kinds nobody knows, shows some, and changes nothing."""
    _die(url, 2)
    answer = run("dlq", "replay", "--all", "--dry-run")
    assert answer.code == 0
    lines = [line.split("\t") for line in answer.out.splitlines()]
    assert lines[:6] == [
        ["letters", "3"],
        ["rejected", "2"],
        ["failed", "1"],
        ["kind", "mail", "2"],
        ["kind", "charge", "1"],
        ["unknown kind", "charge"],
    ]
    assert [line[0] for line in lines].count("letter") == 3
    told = json.loads(run("dlq", "replay", "--all", "--dry-run", "--json").out)
    assert (told["letters"], told["ends"]) == (3, {"rejected": 2, "failed": 1})
    assert "out of attempts" in run("dlq", "purge", "--all", "--dry-run", terminal=True).out
    assert len(_dead(run)) == 3
    assert run("replays", "list").code == 3


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--rate", "often"], "is not a rate"),
        (["--stop-at", "0"], "write a percentage above 0"),
        (["--stop-at", "many"], "write a percentage above 0"),
        (["--attempts", "0"], "x>=1"),
        (["--set", "url=1"], "write args.url="),
        (["--set", "args.url=http"], "a text needs its quotes"),
        (["--set", "args.user=1"], "no living node knows charge"),
        (["--set", "args.uri=1", "--unchecked"], "there is no 'uri'"),
        (["--set", "args.uri=1", "--unchecked", "--dry-run"], "there is no 'uri'"),
    ],
)
def test_bad_orders(run: Run, option: list[str], said: str) -> None:
    """What cannot be read, or does not fit, is refused before anything is stored."""
    answer = run("dlq", "replay", "01jd1", *option)
    assert answer.code == 2
    assert said in answer.err
    assert run("replays", "list").code == 3


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((*["dlq", "show"], f"@{10**30}"), 2),
        ((*["dlq", "show"], "@" + "9" * 5000), 2),
        ((*["dlq", "groups", "--limit"], str(10**30)), 0),
        ((*["replays", "list", "--limit"], str(10**30)), 3),
    ],
)
def test_numbers_that_no_store_holds(run: Run, arguments: tuple[str, ...], code: int) -> None:
    """However large the number, it is refused or means all there are."""
    assert run(*arguments).code == code


def test_values_are_set(run: Run) -> None:
    """A value takes the place of another in the arguments, also unchecked where nobody knows the kind."""
    assert run("dlq", "replay", "01jd1", "--set", "args.user.id=7", "--unchecked", "--attempts", "1").code == 0
    told = json.loads(run("jobs", "show", "01jd1", "--json").out)
    assert told["args"] == {"user": {"id": 7}, "note": "a\tb"}


def test_ids_amiss(run: Run) -> None:
    """Ids that are none of a dead letter are named, and the exit code is 1."""
    answer = run("dlq", "replay", "01jd1", "01jd0", "zz")
    assert answer.code == 1
    assert answer.err.startswith("01jd0 is completed, and no dead letter\nthere is no job zz\n")


def test_purge(run: Run, url: str) -> None:
    """Purged letters are gone; the record of it stays."""
    _die(url, 2)
    assert run("dlq", "purge", "--kind", "mail").code == 2
    answer = run("dlq", "purge", "--kind", "mail", "--yes", "--reason", "exported")
    assert answer.code == 0
    assert "purged\t2\n" in answer.out
    assert _dead(run) == ["01jd1"]
    (line,) = run("replays", "list").out.splitlines()
    assert line.split("\t")[1:3] == ["purge", "ended"]
    assert line.endswith("exported")
    assert run("dlq", "purge", "--yes").code == 2
    assert run("dlq", "purge", "01jd0").code == 3


def test_export_and_import(run: Run, tmp_path: Path) -> None:
    """What was exported and purged comes back by an import, as often as it is tried."""
    file = tmp_path / "letters.jsonl"
    answer = run("dlq", "export", "--all", "--output", str(file))
    assert (answer.code, answer.out, answer.err) == (0, "", "1 letter written\n")
    assert [path.name for path in tmp_path.glob("*letters*")] == ["letters.jsonl"]
    assert run("dlq", "export", "01jd1").out == file.read_text()
    before = run("dlq", "show", "01jd1", "--json").out
    run("dlq", "purge", "01jd1")
    assert run("dlq", "import", str(file)).out == "found\t1\nstored\t1\nknown\t0\n"
    assert run("dlq", "show", "01jd1", "--json").out == before
    assert json.loads(run("dlq", "import", "-", "--json", typed=file.read_text()).out)["known"] == 1
    assert run("dlq", "export", "--kind", "nope", "--output", str(file)).code == 3
    assert run("dlq", "export").code == 2


def test_import_of_a_broken_file(run: Run, tmp_path: Path) -> None:
    """The file, the line and the reason are named; nothing of it is stored."""
    file = tmp_path / "letters.jsonl"
    run("dlq", "export", "--all", "--output", str(file))
    run("dlq", "purge", "--all", "--yes")
    with file.open("a") as more:
        more.write("{\n")
    answer = run("dlq", "import", str(file))
    assert answer.code == 2
    assert answer.err.startswith(f"Error: {file}, line 3: this is not JSON: ")
    assert answer.err.endswith("; nothing was imported\n")
    assert _dead(run) == []


def test_replays(run: Run) -> None:
    """A replay is listed, followed to its end and stopped by its id or the beginning of it."""
    begun = run("dlq", "replay", "01jd1", "--json")
    operation = json.loads(begun.out)["id"]
    assert json.loads(run("replays", "list", "--active", "--json").out)["phase"] == "watching"
    assert operation in run("replays", "list", terminal=True).out
    stopped = run("replays", "stop", operation[:20], "--by", "ada")
    assert stopped.code == 0
    assert "state\tstopped: by ada\n" in stopped.out
    assert run("replays", "stop", operation).code == 2
    assert run("replays", "watch", operation).code == 1
    assert run("replays", "list", "--active").code == 3
    assert run("replays", "watch", "zz").code == 3
    assert run("replays", "stop", "zz").code == 3
