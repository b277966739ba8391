"""`backburner demo`, on a library small enough for a test: Python's own `json`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

LIBRARY = Path(json.__file__).parent
FILES = len(list(LIBRARY.glob("*.py")))
PROGRAM = Path(__file__).parents[2] / "examples" / "stdlib_census.py"
#: Nothing in the library is broken, so the demo adds files of its own.
BROKEN = 4


def run(*arguments: str | Path, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program and take what it writes."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def rows(table: str) -> dict[str, str]:
    """Read the two columns of the demo's last table."""
    return dict(re.findall(r"^│ (\S.*?) *│ (.*?) *│$", table, re.MULTILINE))


@pytest.mark.parametrize("program", [("-m", "backburner", "demo"), (PROGRAM,)], ids=["backburner demo", "the file"])
def test_nothing_is_lost_when_the_worker_is_killed(program: tuple[str | Path, ...], tmp_path: Path) -> None:
    """Killed half-way and restarted, the worker loses nothing, and what cannot be parsed becomes a dead letter."""
    done = run(*program, LIBRARY, cwd=tmp_path, TMPDIR=str(tmp_path))

    assert done.returncode == 0, done.stderr
    assert "nothing was lost" in done.stderr
    assert f"{BROKEN} files of our own" in done.stderr
    # What the worker had logged is still shown between its kill and its end; what it had no time to log is not.
    said_in_order = r"worker (\d+) started\n(?:.*\n)*.*kill -9 \1\n(?:.*\n)*worker \1 ended, exit status -9\n"
    assert re.search(said_in_order, done.stderr)
    assert re.search(r"failed \([123]\), again in", done.stderr)
    said = rows(done.stdout)
    assert said["stored"] == str(FILES + BROKEN)
    assert said["completed"] == str(FILES)
    assert said["dead"] == str(BROKEN)
    assert said["counted by jobs"] == said["counted by a loop"]

    (store,) = tmp_path.glob("backburner-demo-*/backburner.db")
    dead = run("-m", "backburner", "jobs", "list", "--state", "dead", "--json", cwd=store.parent)
    jobs = [json.loads(line) for line in dead.stdout.splitlines()]
    assert [(job["kind"], job["failures"]) for job in jobs] == [("measure", 4)] * BROKEN


@pytest.fixture
def census() -> ModuleType:
    """Return the example as a module."""
    spec = spec_from_file_location("stdlib_census", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["stdlib_census"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_other_totals_than_a_loops_are_a_loss(
    census: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The demo exits with 1 when the jobs counted something else than a plain loop does."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(census, "BROKEN", {})
    plainly = census.take_plainly

    async def take_plainly(files: list[Path]) -> object:
        return await plainly(files[1:])

    monkeypatch.setattr(census, "take_plainly", take_plainly)
    assert census.main([str(LIBRARY)]) == 1
    assert "SOMETHING WAS LOST" in capsys.readouterr().err


def test_a_directory_that_is_none_is_refused(census: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that is no directory ends the demo with its name and exit code 2."""
    with pytest.raises(SystemExit) as ended:
        census.main(["no/such/directory"])
    assert ended.value.code == 2
    assert "no/such/directory is no directory" in capsys.readouterr().err
