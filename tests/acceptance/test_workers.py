"""`backburner run --processes N`: worker processes under one that watches over them, with real processes on SQLite."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from backburner import Backburner
from tests.unit.cli.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backburner.jobs.job import Job

_APP = """
import asyncio, os, sys
from pathlib import Path
from backburner import Backburner

bb = Backburner(
    "sqlite:///jobs.db", run=False, grace=600, queues={"default": 1, "mail": 5, "media": 2}, retry="none"
)

@bb.job
async def wait_for_ever():
    print(f"job.runs {os.getpid()}", file=sys.stderr, flush=True)
    await asyncio.Event().wait()

@bb.job(queue="mail")
async def send():
    return os.getpid()
"""
_MEMORY = """
from backburner import Backburner

bb = Backburner("memory://")
"""
_CRASHING = """
import os
from pathlib import Path

if Path("started").exists():
    os._exit(7)
from shop_app_ import *
Path("started").touch()
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """Return a directory with an app."""
    (tmp_path / "shop_app.py").write_text(_APP)
    return tmp_path


@pytest.fixture
def crew(app: Path) -> Iterator[Worker]:
    """Bring two workers that are ready."""
    with Worker(app, "--processes", "2", "--queues", "default=1,mail=3") as made:
        yield made


def pids(crew: Worker, count: int) -> list[int]:
    """Wait until so many have started; return their process ids."""
    found: list[int] = []
    while len(found) < count:
        line = crew.hear("engine.started")
        assert "queues=default:1,mail:3" in line
        match = re.search(r"node=\S*-(\d+)-[0-9a-f]{8}", line)
        assert match is not None
        found.append(int(match[1]))
    return found


async def stored(app: Path, count: int = 1) -> tuple[Backburner[None], Job[[], None], list[str]]:
    """Store jobs that never end; return an engine that may look at them, the job, and their ids."""
    bb = Backburner(f"sqlite:///{app}/jobs.db", run=False)

    @bb.job
    async def wait_for_ever() -> None: ...

    async with bb:
        handles = await bb.create_tasks([wait_for_ever() for _ in range(count)])
    return bb, wait_for_ever, [handle.id for handle in handles]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_crew_works_and_stops(crew: Worker, number: signal.Signals) -> None:
    """Each worker is a process and a node of its own, under its crew's queues; told once, all stop and it ends with 0."""
    first, second = pids(crew, 2)
    assert len({first, second, crew.process.pid}) == 3
    crew.process.send_signal(number)
    code, out, err = crew.end()
    assert (code, out) == (0, "")
    assert err.count("engine.stopped") == 2
    assert "worker.died" not in err


async def test_told_twice_it_hurries(app: Path) -> None:
    """Told twice, no worker waits out its grace: what runs is interrupted and given back, and the exit code is 130."""
    bb, job, ids = await stored(app, 2)
    with Worker(app, "--processes", "2") as crew:
        for _ in ids:
            crew.hear("job.runs")
        crew.process.send_signal(signal.SIGTERM)
        crew.process.send_signal(signal.SIGINT)
        code, _, err = crew.end()
    assert code == 130
    assert err.count("engine.stopped") == 2
    async with bb:
        states = [await bb.handle(job_id, job).status() for job_id in ids]
    assert [(each.state, each.crashes, each.interruptions) for each in states] == [("waiting", 0, 1)] * 2


def test_a_worker_that_has_not_begun_is_ended(app: Path) -> None:
    """Told to stop while a worker still imports the app, or hangs in that, a crew waits for it no longer than for others."""
    (app / "shop_app.py").write_text(
        "import sys, time\nprint('imports', file=sys.stderr, flush=True)\ntime.sleep(3600)\n"
    )
    with Worker(app, "--processes", "2") as crew:
        crew.hear("imports")
        crew.process.terminate()
        code, _, err = crew.end()
    assert code == 0
    assert "Traceback" not in err


async def test_what_signals_all_of_them_counts_once(app: Path) -> None:
    """A service manager signals crew and workers alike: that is told once, so what runs has its grace."""
    await stored(app)
    with Worker(app, "--processes", "2") as crew:
        started = [re.search(r"node=\S*-(\d+)-", crew.hear("engine.started")) for _ in range(2)]
        workers = [int(match[1]) for match in started if match is not None]
        os.kill(crew.process.pid, signal.SIGTERM)
        for pid in workers:
            os.kill(pid, signal.SIGTERM)
        crew.hear("engine.stopped")
        # The other one runs the job, and waits for it; the second telling ends it.
        assert crew.process.poll() is None
        crew.process.send_signal(signal.SIGTERM)
        code, _, err = crew.end()
    assert code == 130
    assert err.count("job.interrupted") == 1


def test_a_worker_that_dies_is_replaced(crew: Worker) -> None:
    """A worker killed, or told to stop by itself, is followed by another; the crew says so and goes on."""
    first, second = pids(crew, 2)
    os.kill(first, signal.SIGKILL)
    died = crew.hear("worker.died")
    assert f"pid={first}" in died
    assert "killed by signal 9" in died
    (third,) = pids(crew, 1)
    os.kill(second, signal.SIGTERM)
    assert "exited with status 0" in crew.hear("worker.died")
    (fourth,) = pids(crew, 1)
    assert len({first, second, third, fourth}) == 4
    crew.process.terminate()
    assert crew.end()[0] == 0


def test_a_worker_that_cannot_start_any_more_is_no_storm(app: Path) -> None:
    """One that dies at each start is started ever more seldom, and the crew can be stopped in between."""
    (app / "shop_app.py").rename(app / "shop_app_.py")
    (app / "shop_app.py").write_text(_CRASHING)
    with Worker(app, "--processes", "2") as crew:
        pauses = [
            float(match[1])
            for match in (re.search(r"status 7.*again_in=([\d.]+)", crew.hear("worker.died")) for _ in range(4))
            if match is not None
        ]
        crew.process.terminate()
        code, _, _ = crew.end()
    assert (len(pauses), code) == (4, 0)
    assert pauses[-1] > 3 * pauses[0]


def test_workers_end_with_their_crew(crew: Worker) -> None:
    """Killed, it can tell them nothing: they notice, and stop as if told, giving what runs its grace."""
    pids(crew, 2)
    crew.process.kill()
    code, _, err = crew.end()  # once the last of them has closed what it writes to
    assert code == -signal.SIGKILL
    assert err.count("engine.stopped") == 2


@pytest.mark.parametrize(
    ("options", "code", "why"),
    [
        (("--processes", "0"), 2, "0 is not in the range"),
        (("--processes", "-1"), 2, "-1 is not in the range"),
        (("--processes", "many"), 2, "'many' is not a valid integer range"),
        (("--processes", "2", "--queues", "nope"), 2, "'nope' is not declared"),
        (("--processes", "2", "--queues", "mail=0"), 2, "queues['mail'] is a whole number from 1"),
    ],
)
def test_nonsense_is_refused_once(app: Path, options: tuple[str, ...], code: int, why: str) -> None:
    """What one worker refuses, all would: it is said once, with the exit code that one has."""
    with Worker(app, *options) as crew:
        ended, out, err = crew.end()
    assert (ended, out) == (code, "")
    assert err.count(why) == 1
    assert "Traceback" not in err


def test_several_processes_share_no_memory(app: Path) -> None:
    """A store in memory is refused."""
    (app / "shop_app.py").write_text(_MEMORY)
    with Worker(app, "--processes", "2") as crew:
        code, _, err = crew.end()
    assert code == 2
    assert err.count("a memory store lives inside its own process") == 1


def test_a_store_that_cannot_be_opened_ends_the_crew(app: Path) -> None:
    """At the start a store that is not there, or is no store, is told once, by its own exit code."""
    (app / "jobs.db").write_bytes(b"no database at all" * 100)
    with Worker(app, "--processes", "3") as crew:
        code, _, err = crew.end()
    assert code == 4
    assert err.count("Error: ") == 1


def test_one_process_is_this_one(app: Path) -> None:
    """`--processes 1` starts no other."""
    with Worker(app, "--processes", "1") as worker:
        assert f"-{worker.process.pid}-" in worker.hear("engine.started")
        worker.process.terminate()
        assert worker.end()[0] == 0
