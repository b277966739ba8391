"""`backburner nodes` against engines that live, in processes of their own and in this one."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from backburner import Backburner
from backburner.jobs.identity import Identity
from tests.unit.cli.worker import Worker
from tests.unit.jobs.engines import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Run

_APP = """
import asyncio, sys
from pathlib import Path
from backburner import Backburner

bb = Backburner("sqlite:///shop.db", grace=0, queues={"default": 10, "mail": 5})

@bb.job
async def wait_for_ever():
    print("job.runs", file=sys.stderr, flush=True)
    await asyncio.Event().wait()
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """Return a directory with an app, whose store is where the commands look."""
    (tmp_path / "shop_app.py").write_text(_APP)
    return tmp_path


async def _cli(url: str, *arguments: str) -> tuple[int, str]:
    """Run a command in a process of its own; return exit code and stdout."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "backburner", *arguments, "--url", url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await child.communicate()
    assert child.returncode is not None
    return child.returncode, out.decode()


async def test_an_engine_drains(url: str) -> None:
    """An engine is listed; drained, it is ready no more, ends what it runs, and leaves what is stored since waiting."""
    bb = Backburner(url)
    started, release = asyncio.Event(), asyncio.Event()

    @bb.job
    async def work() -> str:
        started.set()
        await release.wait()
        return "done"

    async with bb:
        code, out = await _cli(url, "nodes", "list")
        node, state, host, pid, queues, kinds, _ = out.rstrip("\n").split("\t")
        assert (code, state, host, pid) == (0, "alive", Identity().host, str(os.getpid()))
        assert (queues, kinds) == ("default=10", "1")
        first = await bb.create_task(work())
        await started.wait()
        assert bb.ready

        assert await _cli(url, "nodes", "drain", node, "--wait", "--timeout", "1s") == (1, f"{node}\tbusy\n")
        await until(lambda: not bb.ready)
        second = await bb.create_task(work())
        release.set()
        assert await first == "done"
        assert await _cli(url, "nodes", "drain", node[:-1], "--wait") == (0, f"{node}\tidle\n")
        assert (await second.status()).state == "waiting"
        assert (await _cli(url, "nodes", "list"))[1].startswith(f"{node}\tdraining\t")


async def _store(url: str) -> None:
    bb = Backburner(url, run=False)

    @bb.job
    async def wait_for_ever() -> None: ...

    async with bb:
        await bb.create_task(wait_for_ever())


def test_a_stop_hook(app: Path, url: str, run: Run) -> None:
    """`--here` drains the worker of this host, which hears so at once; killed, it is dead and says so."""
    with Worker(app) as worker:
        worker.hear("engine.started")
        asyncio.run(_store(url))
        worker.hear("job.runs")
        answer = run("nodes", "drain", "--here")
        node, said = answer.out.rstrip("\n").split("\t")
        assert (answer.code, said) == (0, "draining")
        assert node in worker.hear("node.draining")

        busy = run("nodes", "drain", "--here", "--wait", "--timeout", "0")
        assert (busy.code, busy.out) == (1, f"{node}\tbusy\n")
        assert busy.err.startswith(f"{node} still runs 1: ")

        worker.process.send_signal(signal.SIGKILL)
        worker.end()
        assert run("nodes", "list").out.startswith(f"{node}\tdead\t")
        refused = run("nodes", "drain", node)
        assert (refused.code, refused.out) == (2, "")
        assert refused.err.startswith(f"Error: {node} is dead: ")
