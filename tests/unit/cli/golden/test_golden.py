"""What every command says, to the letter: on terminals, in pipes, as JSON, and in its help."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

import pytest

from tests.stores import SERVED, empty_store
from tests.unit.cli.golden import collecting
from tests.unit.cli.golden.cases import CHANGING, READING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Lines of a difference that are shown.
_SHOWN = 60


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What all cases say now."""
    return collecting.collect(tmp_path_factory.mktemp("golden"))


_KEPT = sorted(path.stem for path in collecting.FOLDER.glob("*.txt"))


@pytest.mark.parametrize("name", _KEPT)
def test_the_output_is_what_was_agreed(collected: Mapping[str, str], name: str) -> None:
    """Each command says what its file keeps; a change of it is seen, and made by a command."""
    kept = (collecting.FOLDER / f"{name}.txt").read_text("utf-8")
    told = collected.get(name, "")
    if told != kept:
        lines = [*difflib.unified_diff(kept.splitlines(), told.splitlines(), "kept", "now", n=1, lineterm="")]
        more = f"\n… and {len(lines) - _SHOWN} more lines" if len(lines) > _SHOWN else ""
        shown = "\n".join(lines[:_SHOWN])
        pytest.fail(f"{name}.txt: {shown}{more}\n\nafter a look: python -m tests.unit.cli.golden", pytrace=False)


def test_every_case_is_kept(collected: Mapping[str, str]) -> None:
    """Each case has its file, and each file its case: every command's help is among them."""
    assert sorted(collected) == _KEPT
    assert {*READING, *CHANGING, "help"} <= set(_KEPT)


#: What a help says of a line in a pipe.
_FORMAT = re.compile(r"[Aa] line is: (.*?)[.;](?: |$)")
#: Names there that stand for several fields, by what they add: four numbers each, less the unit; and two in one.
_MORE: dict[tuple[str, ...], int] = {("jobs", "stats"): 5, ("replays", "list"): 1}


def _documented(text: str, path: tuple[str, ...]) -> int:
    """Count the fields of a line that a help names; what stands in brackets explains one."""
    told = _FORMAT.search(re.sub(r"\([^()]*\)", "", " ".join(text.split())))
    assert told is not None, text
    return len(told[1].split(",")) + _MORE.get(path, 0)


@pytest.mark.parametrize(
    "path",
    [
        *(
            ("jobs", "list"),
            ("jobs", "stats"),
            ("dlq", "list"),
            ("dlq", "groups"),
            ("replays", "list"),
            ("queues", "list"),
        ),
        *(("kinds", "list"), ("breakers", "list"), ("limits", "list"), ("nodes", "list"), ("events", "list")),
        *(("events", "subscriptions"), ("schedules", "list"), ("schedules", "preview"), ("schedules", "ticks")),
        *(("doctor",), ("db", "check")),
    ],
    ids="-".join,
)
def test_a_line_has_the_fields_that_its_help_names(collected: Mapping[str, str], path: tuple[str, ...]) -> None:
    """In a pipe each line has as many fields as the help of its command says, empty ones too."""
    *groups, _ = path
    helps = collected["-".join(("help", *groups))].split("\n\n$ ")
    (text,) = (each for each in helps if f"backburner {' '.join(path)} --help" in each.splitlines()[0])
    (piped,) = re.findall(
        rf"^\$ backburner {' '.join(path)}(?: nightly-report)? \| cat\n(.*?)(?:\n\n|\Z)",
        collected["-".join(path)],
        re.MULTILINE | re.DOTALL,
    )
    lines = [line for line in piped.splitlines() if not line.startswith(("! ", "exit "))]
    assert lines
    if path == ("db", "check"):
        assert {line.count("\t") for line in lines} == {1}
    else:
        assert {line.count("\t") + 1 for line in lines} == {_documented(text, path)}


#: What names the store: where `status` begins, and fields of it.
_OF_THE_STORE = re.compile(r"\A(?:sqlite|postgres|redis).*?\n(?=nodes  )|^store\t[^\n]*\n", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, int], str]:
    """What is told of the store on SQLite."""
    with collecting.opened(tmp_path_factory.mktemp("sqlite")) as stage:
        return _told(stage)


def _told(stage: collecting.Stage) -> dict[tuple[str, int], str]:
    told: dict[tuple[str, int], str] = {}
    for command in ("status", "jobs list", "dlq groups"):
        for columns in (100, 0):
            answer = stage.run(*command.split(), columns=columns)
            told[command, columns] = f"{_OF_THE_STORE.sub('', answer.out)}{answer.err}exit {answer.code}"
    return told


@pytest.mark.parametrize("kind", SERVED)
def test_other_stores_say_the_same(
    on_sqlite: Mapping[tuple[str, int], str], kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Of the same night the same is told, whatever store keeps it."""
    with collecting.opened(tmp_path, empty_store(kind, request, tmp_path)) as stage:
        told = _told(stage)
    for look, text in on_sqlite.items():
        assert told[look].splitlines() == text.splitlines(), look
