"""Runs the commands of every case on the store of the incident, and writes what came out as it is kept."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import pytest
from click.testing import CliRunner

from backburner.backends.sqlite.backend import SqliteBackend
from backburner.backends.sqlite.locks import NodeLocks
from backburner.cli import main, render, store
from backburner.cli.dlq import desk as dlq_desk
from backburner.cli.lazy import LazyGroup
from backburner.cli.nodes import drain
from backburner.cli.schedules import desk, preview
from backburner.cli.status import command as status
from backburner.testing.clock import FakeClock
from tests.unit.cli.golden import incident
from tests.unit.cli.golden.cases import CHANGING, READING, Shot

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

__all__ = ["FOLDER", "Answer", "Stage", "collect", "opened"]

#: Where the texts are kept.
FOLDER = Path(__file__).parent
#: All that read a clock.
_CLOCKS = (store, dlq_desk, drain, desk, preview, status)
#: Ids that were drawn, and not derived; the name of an event log; and what a machine measures.
_DRAWN = re.compile(r"\b01(?!\w*0000)[0-9a-hjkmnp-tv-z]{24}\b")
_LOG = re.compile(r"\b[0-9a-f]{8}(?=-\d+\b)(?!-\d\d-\d\d)")
_MEASURED = (
    (re.compile(r"SQLite 3\.\d+\.\d+"), "SQLite 3.x.y"),
    (re.compile(r"\d[\d.,]* (ms|MB)\b"), r"… \1"),
    (re.compile(r"(The file is on) \w+"), r"\1 a file system"),
)


class Answer(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str


class Stage:
    """A store of that night, and commands that are run on it by its clock."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = FakeClock()

    @contextmanager
    def entered(self) -> Generator[None]:
        """Have commands take this clock, and Greenwich for their home."""
        zone = os.environ.get("TZ")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TZ", "UTC")
            time.tzset()
            patch.setattr(SqliteBackend, "address", property(lambda _: "sqlite:////srv/shop.db"))
            for module in _CLOCKS:
                patch.setattr(module, "SystemClock", lambda: self.clock)
            try:
                yield
            finally:
                if zone is None:
                    patch.delenv("TZ")
                else:
                    patch.setenv("TZ", zone)
                time.tzset()

    def run(self, *arguments: str, columns: int = 0, colour: bool = False) -> Answer:
        """Run a command in a pipe, or on a terminal so wide."""
        environ = {
            "BACKBURNER_URL": self.url,
            "COLUMNS": str(columns or 80),
            "TERM": "xterm-256color",
            "NO_COLOR": None,
        }
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(render, "is_terminal", lambda: columns > 0)
            patch.setattr(render, "is_interactive", lambda: False)
            result = CliRunner().invoke(main, arguments, env=environ, catch_exceptions=False)
        out = result.stdout if colour else click.unstyle(result.stdout)
        return Answer(result.exit_code, out, result.stderr)

    def operate(self, *arguments: str) -> None:
        """Run a command of the story, which does what it is told."""
        answer = self.run(*arguments)
        assert answer.code == 0, (arguments, answer)


@contextmanager
def _living(path: Path) -> Generator[None]:
    """Have the nodes live whose processes do."""
    locks = NodeLocks(path.with_name(f"{path.name}-nodes"))
    for node in incident.LIVING:
        locks.hold(node)
    try:
        yield
    finally:
        locks.release_all()


@contextmanager
def opened(folder: Path, url: str | None = None) -> Generator[Stage]:
    """Build the store, in a folder or where a URL says, and stand at the end of that night."""
    path = folder / "shop.db"
    stage = Stage(url or f"sqlite:///{path}")
    with stage.entered():
        (folder / "shop.db-nodes").mkdir()
        incident.build(stage.url, stage.clock, stage.operate)
        with _living(path):
            incident.arrive(stage.clock, stage.operate)
            yield stage


def collect(folder: Path) -> Mapping[str, str]:
    """Return the text of each case, by the name of its file."""
    return dict(_texts(folder))


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Bring each case's text."""
    with opened(folder) as stage:
        for name, shots in READING.items():
            text = _text([(shot, _look(stage, shot)) for shot in shots], folder)
            yield name, _measured(text) if name == "doctor" else text
        for name, shots in CHANGING.items():
            yield name, _text([(shot, _apart(folder, stage, shot)) for shot in shots], folder)
        for name, shots in _helps(main, ()):
            yield name, _text([(shot, _look(stage, shot)) for shot in shots], folder)


def _look(stage: Stage, shot: Shot) -> Answer:
    return stage.run(*shot.arguments, columns=shot.columns, colour=shot.colour)


def _apart(folder: Path, stage: Stage, shot: Shot) -> Answer:
    """Run a command on a copy of the store, so that no other sees what it changes."""
    place = folder / "copy"
    place.mkdir()
    shutil.copy(folder / "shop.db", place)
    (place / "shop.db-nodes").mkdir()
    copy = Stage(f"sqlite:///{place / 'shop.db'}")
    copy.clock.move((stage.clock.now() - copy.clock.now()) / 1_000_000)
    try:
        with copy.entered(), _living(place / "shop.db"):
            return _look(copy, shot)
    finally:
        shutil.rmtree(place)


def _helps(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[str, Sequence[Shot]]]:
    """Bring the helps of the program, and of each command, a file for each group."""
    context = click.Context(group)
    commands = {name: group.get_command(context, name) for name in group.list_commands(context)}
    plain = [name for name, command in commands.items() if not isinstance(command, LazyGroup)]
    yield "-".join(("help", *path)), [Shot((*path, *name, "--help"), 80) for name in ((), *((each,) for each in plain))]
    for name, command in commands.items():
        if isinstance(command, LazyGroup):
            yield from _helps(command, (*path, name))


def _text(answers: Sequence[tuple[Shot, Answer]], folder: Path) -> str:
    """Write what came out: each command as it was typed, what it said, what it said on stderr, and its exit code."""
    blocks: list[str] = []
    for shot, answer in answers:
        out = answer.out
        if shot.columns:
            out = "\n".join(line.rstrip() for line in out.splitlines())
        elif out.count("\n") == 1 and out.startswith("{"):
            out = json.dumps(json.loads(out), indent=2, ensure_ascii=False)
        lines = out.splitlines()
        lines += [f"! {line}" for line in answer.err.splitlines()]
        if answer.code:
            lines.append(f"exit {answer.code}")
        blocks.append("\n".join((_typed(shot), *lines)))
    text = "\n\n".join(blocks).replace(str(folder / "copy"), "/srv").replace(str(folder), "/srv").replace("\x1b", "␛")
    return _LOG.sub("feed1234", _DRAWN.sub(f"01drawn{'0' * 19}", text)) + "\n"


def _typed(shot: Shot) -> str:
    command = " ".join(("backburner", *(f"'{each}'" if re.search(r"[ *]", each) else each for each in shot.arguments)))
    if not shot.columns:
        return f"$ {command}" if "--json" in shot.arguments else f"$ {command} | cat"
    return f"$ {command}   # {shot.columns} columns{', in colour' if shot.colour else ''}"


def _measured(text: str) -> str:
    """Return a text without what a machine measures."""
    for pattern, instead in _MEASURED:
        text = pattern.sub(instead, text)
    return text
