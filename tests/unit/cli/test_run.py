"""`backburner run`: a worker process."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backburner import Backburner
from tests.unit.cli.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.cli.conftest import Run

_APP = """
import asyncio, sys
from backburner import Backburner, current_job

bb = Backburner("sqlite:///jobs.db", run=False, grace=600, queues={"default": 10, "mail": 5})

@bb.job
async def wait_for_ever():
    print("job.runs", file=sys.stderr, flush=True)
    await asyncio.Event().wait()
"""
_BROKEN = {
    "broken_app": """
def setting(name):
    raise LookupError(f"{name} is not set")

setting("KEY")
""",
    "misspelt_app": "\ndef send(:\n    pass\n",
    "needy_app": "import no_such_package\n",
    "quitting_app": "import sys\nsys.exit(3)\n",
    "first_app": "from second_app import send\nbb = send\n",
    "second_app": "from first_app import bb\nsend = bb\n",
}


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand in a directory with an app and broken ones."""
    (tmp_path / "shop_app.py").write_text(_APP)
    for name, text in _BROKEN.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in ("shop_app", *_BROKEN):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_cleanly(app: Path, number: signal.Signals) -> None:
    """A worker runs, whatever `run=` says, logs its start and stop to stderr, and ends with 0 when told to."""
    with Worker(app, "--queues", "mail") as worker:
        started = worker.hear("engine.started")
        assert str(app / "jobs.db") in started
        assert "queues=mail:5" in started
        worker.process.send_signal(number)
        code, out, err = worker.end()
    assert (code, out) == (0, "")
    assert "engine.stopped" in err


async def test_told_twice(app: Path) -> None:
    """Told twice, it does not wait out its grace: what runs is interrupted, given back, and the exit code is 130."""
    bb = Backburner(f"sqlite:///{app}/jobs.db", run=False)

    @bb.job
    async def wait_for_ever() -> None: ...

    async with bb:
        handle = await bb.create_task(wait_for_ever())
    with Worker(app) as worker:
        worker.hear("job.runs")
        worker.process.send_signal(signal.SIGTERM)
        worker.process.send_signal(signal.SIGINT)
        code, out, err = worker.end()
    async with bb:
        status = await bb.handle(handle.id, wait_for_ever).status()
    assert (code, out) == (130, "")
    assert "engine.stopped" in err
    assert (status.state, status.failures, status.crashes, status.interruptions) == ("waiting", 0, 0, 1)


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("shop_app", "'shop_app' is no path to a Backburner; write it like app.jobs:bb"),
        ("shop_app:queue", "shop_app:queue has no such name; it has shop_app:bb"),
        ("shop_app:asyncio", "shop_app:asyncio is module, not a Backburner; it has shop_app:bb"),
        ("no_such_app:bb", "no_such_app cannot be imported: there is no module no_such_app in "),
        ("broken_app:bb", "broken_app.py, line 3: raise LookupError"),
        ("shop_app.no:bb", "there is no module shop_app.no in {app}, nor is one installed"),
        ("shop_app.py:bb", "shop_app.py is no module's name: it is imported, so write shop_app:bb"),
        ("./jobs/app.py:bb", "so write jobs.app:bb"),
        ("misspelt_app:bb", "SyntaxError: invalid syntax ({app}/misspelt_app.py, line 2: def send(:)"),
        ("needy_app:bb", "No module named 'no_such_package' ({app}/needy_app.py, line 1: import no_such_package)"),
        ("quitting_app:bb", "it ends the program, with 3 ({app}/quitting_app.py, line 2: sys.exit(3))"),
        (
            "first_app:bb",
            "its modules import each other, {app}/first_app.py → {app}/second_app.py, so that one is not whole",
        ),
    ],
)
def test_bad_targets(target: str, why: str, app: Path, run: Run) -> None:
    """A path that leads to no Backburner is wrong usage; a module that fails shows its own last frame."""
    answer = run("run", target)
    assert (answer.code, answer.out) == (2, "")
    assert why.format(app=app) in answer.err
    assert "Traceback" not in answer.err


def test_a_target_that_is_not_here(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is not there has no last frame of a user's to show, wherever one stands."""
    monkeypatch.chdir("/")
    expected = (
        f"Error: no_such_app cannot be imported: there is no module no_such_app in {Path.cwd()}, nor is one installed\n"
    )
    assert run("run", "no_such_app:bb").err == expected


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("queues", ["nope", "mail=0", "mail=5,default"])
def test_bad_queues(queues: str, run: Run) -> None:
    """Queues that are not declared, or have no slots, are refused."""
    assert run("run", "shop_app:bb", "--queues", queues).code == 2
