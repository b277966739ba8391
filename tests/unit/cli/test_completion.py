"""`backburner completion`, and what a shell gets from it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.fresh import loaded_by

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Run

_ASK = """
source {script}
COMP_WORDS=({words}) COMP_CWORD={at}
_backburner_completion backburner
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


class _Bash:
    """A bash that has the program on its path, under its own name."""

    def __init__(self, bash: str, folder: Path, script: str) -> None:
        self._bash = bash
        self._script = folder / "completion.bash"
        self._script.write_text(script)
        program = folder / "backburner"
        program.write_text(f"#!{sys.executable}\nfrom backburner.cli import main\nmain()\n")
        program.chmod(0o755)
        self._path = f"{folder}{os.pathsep}{os.environ['PATH']}"

    def complete(self, *words: str, url: str = "") -> tuple[list[str], str]:
        """Return what bash would offer for the last of these words, and what was said at the prompt."""
        script = _ASK.format(
            script=self._script, words=" ".join(f"'{word}'" for word in ("backburner", *words)), at=len(words)
        )
        environment = {**os.environ, "PATH": self._path, "BACKBURNER_URL": url}
        done = subprocess.run([self._bash, "-c", script], env=environment, check=True, capture_output=True, text=True)
        return done.stdout.split(), done.stderr


@pytest.fixture
def bash(tmp_path: Path, run: Run) -> _Bash:
    """Bring a bash with the script that is printed."""
    program = shutil.which("bash")
    if program is None:
        pytest.skip("there is no bash here")
    return _Bash(program, tmp_path, run("completion", "bash").out)


def test_commands_and_options(bash: _Bash) -> None:
    """A real bash, with the script that is printed, completes commands, options and what these may be."""
    assert bash.complete("jo") == (["jobs"], "")
    assert bash.complete("jobs", "ca") == (["cancel"], "")
    assert bash.complete("jobs", "list", "--sta") == (["--state"], "")
    assert bash.complete("jobs", "list", "--state", "de") == (["dead"], "")


def test_names(bash: _Bash, shop: str, run: Run) -> None:
    """Kinds, queues and schedules are completed from the store that BACKBURNER_URL or --url names."""
    assert run("schedules", "add", "daily", "report", "--cron", "0 9 * * *").code == 0
    for words, url, expected in (
        (("jobs", "list", "--kind", ""), shop, ["charge", "mail"]),
        (("queues", "pause", "--url", shop, "def"), "", ["default"]),
        (("schedules", "show", "d"), shop, ["daily"]),
    ):
        # On a busy machine even a file may be too late for a prompt.
        offered = next((names for _ in range(10) if (names := bash.complete(*words, url=url))[0]), None)
        assert offered == (expected, "")


def test_names_that_a_shell_would_not_take_as_they_are(bash: _Bash, shop: str, run: Run) -> None:
    """A name that would be two words, or a command, in a line is not put there; one in any script is."""
    for name in ("$(id)", "`id`", "two words", "it's", "a;b", "*", "~ada", "--yes", "=x", "größe.1"):
        assert run("queues", "pause", "--anyway", "--", name).code == 0
    offered = next((names for _ in range(10) if (names := bash.complete("queues", "pause", "", url=shop))[0]), None)
    assert offered == (["default", "größe.1"], "")


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////nowhere/at/all.db"])
def test_a_store_that_cannot_be_asked(url: str, bash: _Bash) -> None:
    """Where the store cannot be asked nothing is completed, and nothing is said."""
    assert bash.complete("jobs", "list", "--kind", "", url=url) == ([], "")


def test_a_store_that_does_not_answer(bash: _Bash) -> None:
    """A store that takes its time is not waited for."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        # It takes the connection, and says nothing.
        url = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        assert bash.complete("jobs", "list", "--kind", "", url=url) == ([], "")


@pytest.mark.parametrize(
    ("shell", "start"),
    [
        ("bash", "_backburner_completion() {"),
        ("zsh", "#compdef backburner"),
        ("fish", "function _backburner_completion"),
    ],
)
def test_the_script(shell: str, start: str, run: Run) -> None:
    """The script alone is printed, for `eval`; a person at a terminal is told where it goes."""
    answer = run("completion", shell)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(start)
    told = run("completion", shell, terminal=True)
    assert told.err.startswith("to have it in every shell, ")
    assert f"backburner completion {shell}" in told.err


def test_no_other_shell(run: Run) -> None:
    """A shell that is not known is refused with those that are."""
    answer = run("completion", "ksh")
    assert answer.code == 2
    assert "'ksh' is not one of 'bash', 'zsh', 'fish'" in answer.err


def test_completing_commands_loads_none() -> None:
    """Completing a command imports no command and no driver, so that a prompt does not wait for them."""
    loaded = loaded_by(
        "import os\n"
        "os.environ |= {'_X_COMPLETE': 'bash_complete', 'COMP_WORDS': 'backburner jobs ', 'COMP_CWORD': '2'}\n"
        "from backburner.cli import main\n"
        "try:\n    main([], prog_name='x')\nexcept SystemExit:\n    pass"
    )
    assert "backburner.cli.program" in loaded
    assert not [name for name in loaded if name.startswith(("sqlite3", "aiosqlite", "backburner.cli.jobs", "rich"))]
