"""The program as a whole."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import click
import pytest

from backburner import errors
from backburner.cli import store
from backburner.cli.exits import Exit, exit_of
from backburner.cli.lazy import LazyGroup
from backburner.cli.program import main
from backburner.cli.render import counted, safe
from tests.fresh import loaded_by
from tests.unit.cli.top.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.cli.conftest import Run


def test_version(run: Run) -> None:
    """`--version` says which."""
    answer = run("--version")
    assert (answer.code, answer.out) == (0, f"backburner {version('backburner')}\n")


def test_help_is_light() -> None:
    """Help loads no driver and no command."""
    loaded = loaded_by("from backburner.cli import main\nmain(['--help'], standalone_mode=False)")
    assert "backburner.cli.program" in loaded
    assert not [name for name in loaded if name.startswith(("sqlite3", "aiosqlite", "backburner.cli.jobs"))]


def _commands(group: LazyGroup) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, LazyGroup):
            yield from _commands(command)


def test_every_command_loads() -> None:
    """Every command in the table is there, under its name, with a help text."""
    found = list(_commands(main))
    jobs, nodes = ("jobs", "list", "show", "why", "cancel", "stats", "run-now"), ("nodes", "list", "drain")
    queues, kinds = ("queues", "list", "pause", "resume", "set"), ("kinds", "list", "pause", "resume")
    guards = ("breakers", "list", "open", "auto", "limits", "list", "set", "reset")
    dlq = ("dlq", "list", "groups", "show", "replay", "purge", "export", "import", "replays", "list", "watch", "stop")
    db = ("db", "upgrade", "plan", "sql", "check")
    schedules = (
        "schedules",
        "list",
        "show",
        "add",
        "remove",
        "pause",
        "resume",
        "trigger",
        "preview",
        "ticks",
        "backfill",
    )
    events = ("events", "list", "tail", "subscriptions", "unsubscribe")
    work = (*jobs, *dlq, *queues, *kinds, *guards, *schedules, *events, *nodes)
    assert [name for name, _ in found] == [
        "demo",
        "run",
        "status",
        "top",
        *work,
        *db,
        "move",
        "backoff",
        "doctor",
        "completion",
    ]
    assert all(command.name == name and command.help for name, command in found)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("jobs lst", "there is no command 'lst': did you mean `backburner jobs list`?"),
        ("job list", "there is no command 'job': did you mean `backburner jobs`?"),
        ("cancel x", "there is no command 'cancel': did you mean `backburner jobs cancel`?"),
        ("preview", "there is no command 'preview': did you mean `backburner schedules preview`?"),
        ("zzz", "there is no command 'zzz'"),
        ("jobs list --stat dead", "Did you mean"),
        ("--url sqlite:///x.db jobs list", "backburner has no option --url: what belongs to a command goes behind it"),
        ("--vershion", "--version"),
    ],
)
def test_unknown_commands_and_options(arguments: str, why: str, run: Run) -> None:
    """A command or an option that is not there is wrong usage; what comes near is named."""
    answer = run(*arguments.split())
    assert (answer.code, answer.out) == (2, "")
    assert why in answer.err.splitlines()[-1]


def test_interrupted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with 130 and no traceback."""

    def interrupted(_: str | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "unopened", interrupted)
    answer = run("jobs", "list")
    assert (answer.code, answer.out, answer.err) == (130, "", "\ninterrupted\n")


def test_a_full_disk_is_no_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system refuses, such as a write to a full disk, is one line and exit code 1."""

    def full(_: str | None) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "unopened", full)
    answer = run("jobs", "list")
    assert (answer.code, answer.out, answer.err) == (1, "", "Error: [Errno 28] No space left on device\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidUrl(), Exit.REFUSED),
        (errors.InvalidSetting(), Exit.REFUSED),
        (errors.InvalidSchedule(), Exit.REFUSED),
        (errors.ScheduleNotFound(), Exit.NOTHING),
        (errors.SubscriptionNotFound(), Exit.NOTHING),
        (errors.UnknownEvent("no", option="names"), Exit.REFUSED),
        (errors.InvalidCursor(), Exit.REFUSED),
        (errors.EventsGone(after="k3v9-7"), Exit.REFUSED),
        (errors.StoreUnavailable(), Exit.STORE),
        (errors.StoreBusy(), Exit.STORE),
        (errors.StoreReadOnly(), Exit.STORE),
        (errors.StoreMissing(), Exit.STORE),
        (errors.StoreFull(), Exit.STORE),
        (errors.StoreUnsupported(), Exit.STORE),
        (errors.StoreRefused(), Exit.STORE),
        (errors.SchemaTooNew(), Exit.SCHEMA),
        (errors.SchemaTooOld(), Exit.SCHEMA),
    ],
)
def test_exit_codes(error: errors.BackburnerError, code: Exit) -> None:
    """Every typed error has its exit code."""
    assert exit_of(error) is code


@pytest.mark.parametrize("arguments", ["jobs list", "jobs show 01jd1", "events tail --since 2025-01-01", "--help"])
def test_a_closed_pipe_is_quiet(arguments: str, shop: str, run: Run) -> None:
    """A reader that goes away, as `head` does, is no traceback; the exit code is the one of programs that end by the signal."""
    assert run("queues", "pause", "default").code == 0
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "backburner", *arguments.split()]
    environment = {**os.environ, "BACKBURNER_URL": shop}
    try:
        child = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False, text=True, env=environment)
    finally:
        os.close(write)
    said = [line for line in child.stderr.splitlines() if not line.startswith(("asking for ", "--since "))]
    assert (child.returncode, said) == (141, [])


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_every_script(encoding: str, shop: str, run: Run) -> None:
    """What a terminal or a pipe has no character for is shown otherwise, and is no traceback."""
    assert run("queues", "pause", "größe ▶ 漢字", "--anyway").code == 0
    environ = {"PYTHONIOENCODING": encoding, "BACKBURNER_URL": shop}
    for command in ("status", "queues list", "queues list --json"):
        arguments = ("-m", "backburner", *command.split())
        with Screen(*arguments, PYTHONIOENCODING=encoding, BACKBURNER_URL=shop) as screen:
            code, shown = screen.end()
        assert (code, b"Traceback" in shown) == (command == "status", False), shown
        piped = subprocess.run([sys.executable, *arguments], env=os.environ | environ, check=False, capture_output=True)
        assert (piped.returncode, piped.stderr) == (code, b"")


@pytest.mark.parametrize(
    "arguments", ["jobs show \udcff", "jobs cancel 01jd3 --reason gr\udcf6\udcdfe", "dlq show \udcff"]
)
@pytest.mark.usefixtures("shop")
def test_arguments_that_are_no_text(arguments: str, run: Run) -> None:
    """Bytes that are no UTF-8, as a terminal of another encoding sends, are refused, and nothing is changed."""
    before = run("jobs", "list", "--json")
    answer = run(*arguments.split(" "))
    assert (answer.code, answer.out) == (2, "")
    assert "is no UTF-8: have the terminal and the locale (LANG) agree" in answer.err
    assert run("jobs", "list", "--json") == before


def test_safe() -> None:
    """What would break a line or command a terminal is escaped; the rest of the world's letters are not."""
    assert safe("grüße\t\x1b[31m\ud800\n") == r"grüße\t\x1b[31m\ud800\n"


def test_counted() -> None:
    """Counts are written for people."""
    assert counted({"waiting": 1200, "running": 0, "dead": 1}) == "1,201 jobs (1,200 waiting, 1 dead)"
    assert counted({"dead": 1}) == "1 job (1 dead)"
