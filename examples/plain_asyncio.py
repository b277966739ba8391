"""A service without any framework: it thumbs through texts, tells how far it has come, and stops when it is told to.

    pip install backburner
    python examples/plain_asyncio.py some/*.txt         # counts the words of each file, then waits for SIGTERM or Ctrl-C
    python examples/plain_asyncio.py --once some/*.txt  # counts, and ends

Jobs are kept in words.db in the working directory. Kill it with -9 while it counts, start it again: it goes on with what
was left. Stopped by a signal, it lets what runs end for as long as `grace` says; what takes longer is given back.

Read it from the top: the jobs, the service around them, the program.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from pathlib import Path

from backburner import Backburner, JobDead, RetryPolicy, Unique, current_job, exponential

bb = Backburner("sqlite:///words.db", grace=10)

# ---- the jobs ------------------------------------------------------------------------------------------------------

#: A file may be on its way; one that is no text never will be.
READING = RetryPolicy(name="reading", attempts=3, backoff=exponential(0.1), reject=UnicodeDecodeError)


@bb.job(retry=READING)
def count(path: str) -> int:
    """Count the words of a file. A `def` job runs in a thread, so the loop stays free."""
    return len(Path(path).read_text("utf-8").split())


@bb.job(retry="none")  # what may pass is tried again by the children; run again, this would find the dead ones dead
async def census(paths: list[str]) -> int:
    """Count the words of many files: a child for each, which runs wherever there is room, here or in another process.

    Should this process die half-way, the job runs again, and finds the children that have ended.
    """
    job = current_job()
    total = 0
    async with bb.TaskGroup() as group:
        counts = [group.create_task(count(path)) for path in paths]
        for done, each in enumerate(counts, 1):
            total += await each
            await job.progress(done, len(paths))
    return total


# ---- the service ---------------------------------------------------------------------------------------------------


async def take(paths: list[str]) -> None:
    """Have files counted; say how far that has come, and what came of it."""
    # Asked for twice, of the same files, it is one job: also when this program was killed and started again.
    handle = await bb.create_task(census(paths), unique=Unique(by=["paths"]))
    print("counting again" if handle.existed else "counting", len(paths), "files", flush=True)
    while not await handle.wait(timeout=0.5):
        progress = (await handle.status()).progress
        print(f"{progress.done} of {progress.total}" if progress else "not begun", flush=True)
    try:
        print(await handle, "words", flush=True)
    except JobDead as death:
        print(f"no census: {death.reason}", flush=True)


async def serve(paths: list[str], *, once: bool) -> None:
    """Take work until told to stop. Leaving the engine's block is the clean stop: it waits for what runs."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with bb, asyncio.TaskGroup() as tasks:
        work = tasks.create_task(take(paths))
        if once:
            work.add_done_callback(lambda _: stop.set())
        await stop.wait()
        work.cancel()  # who waits for a job may go: the job stays
    print("stopped", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Count the words of files, durably.")
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--once", action="store_true", help="end when the files are counted")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(serve(options.paths, once=options.once))
