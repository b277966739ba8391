"""`bb.blocking`: for threads, `def` endpoints, scripts and forked children, on real stores."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from backburner import Backburner, JobCancelled, JobDead, NotRunning, Reject, current_job
from backburner.errors import CallRefused, OnTheLoop

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
PATIENCE = 30

#: What every script below begins with.
DECLARED = """
import atexit, os, sys, threading
from backburner import Backburner, NotRunning
bb = Backburner(sys.argv[1])

@bb.job
async def work(name: str) -> str:
    return name
"""


def script(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program without a loop, as a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", DECLARED + text, *arguments],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


async def names(url: str, *ids: str) -> set[str]:
    """Run what a script stored, and return the results."""
    bb = Backburner(url)

    @bb.job
    async def work(name: str) -> str:
        return name

    async with bb, asyncio.timeout(PATIENCE):
        return {await bb.handle(job_id, work) for job_id in ids}


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Return the address of a store that processes can share."""
    return f"sqlite:///{tmp_path}/jobs.db"


# ---- beside a running engine ---------------------------------------------------------------------------------------


async def test_threads_store_on_the_running_engine(bb: Backburner) -> None:
    """Fifty threads of the app store a job each while the engine runs, and wait for the results."""

    @bb.job
    async def double(n: int) -> int:
        return 2 * n

    def use(n: int) -> int:
        return bb.blocking.result(bb.blocking.create_task(double(n)), timeout=PATIENCE)

    async with bb:
        with ThreadPoolExecutor(50) as pool:
            loop = asyncio.get_running_loop()
            results = await asyncio.gather(*(loop.run_in_executor(pool, use, n) for n in range(50)))
    assert results == [2 * n for n in range(50)]


async def test_on_the_loop_it_is_refused(bb: Backburner) -> None:
    """In an async function the call would block everything: it is refused, and says what to write instead."""

    @bb.job
    async def work() -> None:
        """Never run."""

    async with bb:
        with pytest.raises(OnTheLoop, match=r"await bb\.create_task"):
            bb.blocking.create_task(work())


async def test_refusals_and_failures_are_those_of_create_task(bb: Backburner) -> None:
    """What is wrong with a call is raised in the thread, and so is how a job failed."""

    @bb.job
    async def work(n: int) -> None:
        raise Reject(f"no {n}")

    async with bb:
        with pytest.raises(CallRefused, match="priority"):
            await asyncio.to_thread(bb.blocking.create_task, work(1), priority=11)
        handle = await asyncio.to_thread(bb.blocking.create_task, work(1))
        with pytest.raises(JobDead, match="no 1"):
            await asyncio.to_thread(bb.blocking.result, handle, PATIENCE)


async def test_a_def_endpoint_stores_a_job(bb: Backburner) -> None:
    """FastAPI runs `def` endpoints in threads: they store by ``bb.blocking`` what the app's own engine runs."""
    app = FastAPI(lifespan=bb.lifespan)

    @bb.job
    async def shout(text: str) -> str:
        return text.upper()

    @app.post("/shout/{text}")
    def post(text: str) -> dict[str, str]:
        handle = bb.blocking.create_task(shout(text))
        return {"id": handle.id, "said": bb.blocking.result(handle, timeout=PATIENCE)}

    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://app") as client,
    ):
        assert (await client.post("/shout/hello")).json()["said"] == "HELLO"


async def test_a_def_job_waits_for_its_child_in_the_only_slot(make: Callable[..., Backburner]) -> None:
    """A `def` job that waits for a job it stored lends its slot and thread, so that the child can run in it."""
    bb = make(queues={"default": 1}, threads=1)

    @bb.job
    def child(n: int) -> int:
        return n + 1

    @bb.job
    def parent(n: int) -> int:
        return bb.blocking.result(bb.blocking.create_task(child(n), name="step"), timeout=PATIENCE)

    async with bb, asyncio.timeout(PATIENCE):
        assert await (await bb.create_task(parent(1))) == 2


@pytest.mark.parametrize("why", ["timeout", "cancel", "stop"])
async def test_a_def_job_that_waits_for_itself_is_ended(make_sqlite: Callable[..., Backburner], why: str) -> None:
    """A wait ends with the job that waits: out of time, cancelled, or stopped, also where nobody would ever answer."""
    bb = make_sqlite(grace=0)
    waits, ended = asyncio.Event(), threading.Event()

    @bb.job(timeout=0.05 if why == "timeout" else None)
    def work() -> None:
        bb_loop.call_soon_threadsafe(waits.set)
        try:
            bb.blocking.result(bb.handle(current_job().id, work))
        finally:
            ended.set()

    bb_loop = asyncio.get_running_loop()
    async with bb:
        handle = await bb.create_task(work(), retry="none")
        await waits.wait()
        if why == "cancel":
            await handle.cancel()
        if why != "stop":
            with pytest.raises(JobDead if why == "timeout" else JobCancelled):
                await handle
            assert ended.is_set()
    async with make_sqlite(run=False) as later:
        state = (await later.handle(handle.id, work).status()).state
    assert (state, ended.is_set()) == ({"timeout": "dead", "cancel": "cancelled", "stop": "waiting"}[why], True)


async def test_a_parent_that_runs_again_finds_its_child(bb: Backburner) -> None:
    """What a `def` job stores is its child: run again, the job gets the child's result, not another run of it."""
    runs: list[str] = []

    @bb.job
    def child() -> int:
        runs.append("child")
        return len(runs)

    @bb.job
    def parent() -> int:
        result = bb.blocking.result(bb.blocking.create_task(child()), timeout=PATIENCE)
        runs.append("parent")
        if runs.count("parent") == 1:
            raise OSError("the first run fails")
        return result

    async with bb, asyncio.timeout(PATIENCE):
        assert await (await bb.create_task(parent())) == 1
    assert runs == ["child", "parent", "parent"]


# ---- processes without a loop --------------------------------------------------------------------------------------


async def test_a_script_stores_and_ends(file: str) -> None:
    """Fifty threads of a script store a job each; it ends by itself and at once, and every job is there."""
    done = script(
        """
ids = []
threads = [threading.Thread(target=lambda n=n: ids.append(bb.blocking.create_task(work(str(n))).id)) for n in range(50)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(*ids)
print(*(t.name for t in threading.enumerate() if t.name == "backburner-blocking"))
""",
        file,
    )
    assert done.returncode == 0, done.stderr
    ids, thread = done.stdout.splitlines()
    assert thread == "backburner-blocking"
    assert await names(file, *ids.split()) == {str(n) for n in range(50)}


async def test_a_script_can_store_at_its_exit(file: str) -> None:
    """What a program does at its own exit may store yet, and what it stored is durable."""
    done = script(
        """
atexit.register(lambda: print(bb.blocking.create_task(work("bye")).id))
bb.blocking.create_task(work("hello"))
""",
        file,
    )
    assert done.returncode == 0, done.stderr
    assert await names(file, done.stdout.strip()) == {"bye"}


def test_too_late_is_told_not_waited_for(file: str) -> None:
    """Once the interpreter takes itself apart nothing can be stored: that is an error, not a hang."""
    done = script(
        """
class Late:
    def __init__(self):
        self.bb, self.call, self.refused, self.write = bb, work("late"), NotRunning, os.write
    def __del__(self):
        try: self.bb.blocking.create_task(self.call)
        except self.refused as error: self.write(1, str(error).encode())
bb.blocking.create_task(work("hello"))
late = Late()
""",
        file,
    )
    assert done.returncode == 0, done.stderr
    assert "the interpreter is exiting" in done.stdout


async def test_a_forked_child_stores_by_itself(file: str) -> None:
    """A child forked after its parent stored, as prefork servers do, opens a store of its own; the parent goes on."""
    done = script(
        """
mine = bb.blocking.create_task(work("before")).id
child = os.fork()
who = "child" if child == 0 else "parent"
print(who, bb.blocking.create_task(work(who)).id, flush=True)
if child == 0: sys.exit()
_, status = os.waitpid(child, 0)
print("again", bb.blocking.create_task(work("again")).id)
print("before", mine)
sys.exit(os.waitstatus_to_exitcode(status))
""",
        file,
    )
    assert done.returncode == 0, done.stderr
    ids = dict(line.split() for line in done.stdout.splitlines())
    assert ids.keys() == {"child", "parent", "again", "before"}
    assert await names(file, *ids.values()) == ids.keys()


def test_a_child_forked_from_a_running_engine_is_refused(file: str) -> None:
    """SQLite does not survive a fork while it is open: such a child is told so, and neither hangs nor harms the file."""
    done = script(
        """
import asyncio
def fork():
    child = os.fork()
    if child == 0:
        try: bb.blocking.create_task(work("child"))
        except NotRunning as error: os.write(1, str(error).encode())
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
async def main():
    async with bb:
        return await asyncio.to_thread(fork)
sys.exit(asyncio.run(main()))
""",
        file,
    )
    assert done.returncode == 0, done.stderr
    assert "forked while the store was open, and neither SQLite's locks nor a connection survive that" in done.stdout


def test_a_fork_waits_for_no_thread_pool(file: str) -> None:
    """A store that needs a thread pool while it is closed for a fork gets one: nothing is waited for in a circle."""
    done = script(
        """
from concurrent.futures import ThreadPoolExecutor
from backburner.jobs.blocking import Blocking
before_fork = Blocking.before_fork
def help_is_needed(self):
    helper = threading.Thread(target=lambda: ThreadPoolExecutor(1).submit(int).result(), daemon=True)
    helper.start()
    helper.join(5)
    print("helped" if not helper.is_alive() else "waits for ever", flush=True)
    before_fork(self)
Blocking.before_fork = help_is_needed
bb.blocking.create_task(work("job"))
child = os.fork()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
bb.blocking.close()
""",
        file,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "helped\n", done.stderr


def test_forks_do_not_disturb_who_stores_or_waits(file: str) -> None:
    """While one thread forks again and again, others store and wait as if it did not: no call fails, no job is lost."""
    done = script(
        """
stored = []
over = threading.Event()
def store():
    while not over.is_set(): stored.append(bb.blocking.create_task(work("job")))
def wait():
    try: bb.blocking.result(first, timeout=3)
    except TimeoutError: stored.append(first)
first = bb.blocking.create_task(work("first"))
threads = [threading.Thread(target=store) for _ in range(4)]
waiter = threading.Thread(target=wait)
for thread in (*threads, waiter): thread.start()
statuses = []
for _ in range(10):
    child = os.fork()
    if child == 0:
        bb.blocking.create_task(work("child"))
        bb.blocking.close()
        os._exit(0)
    statuses.append(os.waitpid(child, 0)[1])
over.set()
for thread in (*threads, waiter): thread.join()
bb.blocking.close()
import sqlite3
count, = sqlite3.connect(sys.argv[1].removeprefix("sqlite:///")).execute("SELECT count(*) FROM backburner_jobs").fetchone()
print(count - 10 == len(stored) == len({handle.id for handle in stored}), set(statuses), first in stored)
""",
        file,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True {0} True\n", done.stderr


def test_memory_is_refused_without_an_engine() -> None:
    """A store in memory is seen by nobody else: a process without an engine is told to use a file."""
    bb = Backburner("memory://")

    @bb.job
    async def work() -> None:
        """Never run."""

    with pytest.raises(NotRunning, match="file"):
        bb.blocking.create_task(work())
    bb.blocking.close()
