"""A census of the standard library, taken by durable jobs whose worker is killed half-way with `kill -9`.

    backburner demo [DIRECTORY]

Two processes share one SQLite file in a fresh temporary directory. This one stores a job for every .py file of the
running Python's library (or of DIRECTORY) and watches; the other, the worker, runs them. The exit code is 0 only if
nothing was lost: every job ended, and what they counted is what a plain loop over the same files counts.

Read it from the top: first the jobs, as an app would declare them, then the worker, then the program around them.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import contextlib
import hashlib
import io
import json
import logging
import sys
import sysconfig
import tempfile
import threading
import time
import tokenize
import warnings
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from backburner import Backburner, JobHandle, JobStatus, RetryPolicy, exponential

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

# ---- the jobs ------------------------------------------------------------------------------------------------------

#: The default store, in the working directory. `run=False`: a process that imports this only stores, until it says
#: `bb.worker()`. Four slots, for the four threads that `def` jobs run in.
bb = Backburner("sqlite:///backburner.db", run=False, queues={"default": 4}, threads=4)

#: The fourth failure is the last; before it three retries, up to a second apart. What is not named is not retried.
PARSING = RetryPolicy(
    name="parsing",
    attempts=4,
    backoff=exponential(0.25, factor=2, cap=1),
    retry=(SyntaxError, ValueError, SystemError),
)

#: Until Python 3.13, `ast.parse` in two threads at once may raise a SystemError: ours take turns, and should anybody
#: else parse meanwhile (a traceback does, to place its carets), the job is tried again.
PARSER = threading.Lock()


@dataclass(frozen=True, slots=True)
class Function:
    """The longest function, and where it stands."""

    lines: int
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Measures:
    """What is in a file, or in many."""

    files: int
    sha256: str
    lines: int
    tokens: int
    functions: int
    classes: int
    longest: Function | None


@bb.job(retry=PARSING)
def measure(path: str) -> Measures:
    """Measure one file. A `def` job runs in a thread, so the loop stays free."""
    source = Path(path).read_bytes()
    with PARSER:
        tree = ast.parse(source, path)
    nodes = list(ast.walk(tree))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = [((node.end_lineno or 0) - node.lineno + 1, node.name) for node in functions]
    return Measures(
        files=1,
        sha256=hashlib.sha256(source).hexdigest(),
        lines=len(source.splitlines()),
        tokens=sum(1 for _ in tokenize.tokenize(io.BytesIO(source).readline)),
        functions=len(functions),
        classes=sum(isinstance(node, ast.ClassDef) for node in nodes),
        longest=Function(*max(lengths), path) if lengths else None,
    )


@bb.job
async def total(job_ids: list[str]) -> Measures:
    """Add up what jobs returned. Their handles can be had by id, in any process, also inside a job."""
    handles = (bb.handle(job_id, measure) for job_id in job_ids)
    results = await asyncio.gather(*handles, return_exceptions=True)
    return add(result for result in results if isinstance(result, Measures))  # the others are JobDead


@bb.job
async def moment() -> float:
    """Tell when it started, on this process's own clock."""
    return time.perf_counter()


def add(measured: Iterable[Measures]) -> Measures:
    """Add up measures."""
    parts = list(measured)
    longest = [part.longest for part in parts if part.longest]
    return Measures(
        files=len(parts),
        sha256=hashlib.sha256("".join(sorted(part.sha256 for part in parts)).encode()).hexdigest(),
        lines=sum(part.lines for part in parts),
        tokens=sum(part.tokens for part in parts),
        functions=sum(part.functions for part in parts),
        classes=sum(part.classes for part in parts),
        longest=max(longest, key=lambda function: function.lines, default=None),
    )


# ---- the worker ----------------------------------------------------------------------------------------------------


async def work() -> None:
    """Run jobs until stdin ends, so that no worker outlives the census. A service would wait for SIGTERM."""
    async with bb.worker():
        await asyncio.to_thread(sys.stdin.read)


class JsonLines(logging.Formatter):
    """The engine's log records, by their fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as a line of JSON."""
        return json.dumps(getattr(record, "backburner", {"event": record.getMessage()}), default=str)


@contextlib.asynccontextmanager
async def worker(board: Board) -> AsyncGenerator[Process]:
    """Have a worker beside the block: this program in a process of its own."""
    command = (sys.executable, "-W", "ignore", __file__, "--worker")
    # In a session of its own: Ctrl-C is for this process, which then ends the worker's stdin.
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stderr=PIPE, start_new_session=True)
    assert process.stdin is not None
    assert process.stderr is not None
    board.say(f"worker {process.pid} started")
    following = asyncio.create_task(board.follow(process.stderr))
    try:
        yield process
    finally:
        process.stdin.close()
        await following
        board.say(f"worker {process.pid} ended, exit status {await process.wait()}")


# ---- the census ----------------------------------------------------------------------------------------------------

#: What Python cannot parse, for a library that has nothing of the kind.
BROKEN = {
    "python_2.py": b"print 'hello'\n",
    "never_closed.py": b"numbers = (1,\n",
    "no_such_coding.py": b"# -*- coding: uft-8 -*-\n",
    "not_utf_8.py": b"name = 'caf\xe9'\n",
}


class Board:
    """The live display: a bar, and above it what happens."""

    def __init__(self, progress: Progress, names: dict[str, str]) -> None:
        self._progress = progress
        self._names = names
        self._bar = progress.add_task("jobs ended", total=len(names))
        self._ended = asyncio.Semaphore(0)

    def say(self, text: str) -> None:
        """Print a line."""
        self._progress.console.print(text, highlight=False, markup=False, soft_wrap=True)

    async def follow(self, log: asyncio.StreamReader) -> None:
        """Show what a worker logs of failures, and what it writes beside its log: that would be a traceback."""
        async for line in log:
            try:
                record = json.loads(line)
            except ValueError:
                self.say(line.decode().rstrip())
                continue
            name = self._names.get(record.get("id"))
            if record["event"] == "job.retry":
                self.say(f"{name} failed ({record['failures']}), again in {record['delay']:.2f} s: {record['cause']}")
            elif record["event"] == "job.dead":
                self.say(f"{name} is a dead letter: {record['cause']}")

    def count(self, _: JobHandle[Measures]) -> None:
        """Hear of a job that ended."""
        self._ended.release()
        self._progress.advance(self._bar)

    async def see(self, count: int, process: Process) -> None:
        """Wait until so many more jobs have ended; the worker must not end before them."""
        seen = asyncio.ensure_future(self._see(count))
        died = asyncio.ensure_future(process.wait())
        await asyncio.wait({seen, died}, return_when=asyncio.FIRST_COMPLETED)
        if not seen.done():
            seen.cancel()
            raise RuntimeError(f"the worker ended by itself, with exit status {process.returncode}")
        died.cancel()

    async def _see(self, count: int) -> None:
        for _ in range(count):
            await self._ended.acquire()


async def take(files: Sequence[Path], names: Sequence[str], console: Console) -> tuple[list[str], str]:
    """Store a job for each file, and one that adds up; have them run, kill the worker half-way; return their ids."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    half = len(files) // 2
    async with bb:
        handles = await bb.create_tasks(measure(str(path)) for path in files)
        ids = [handle.id for handle in handles]
        with Progress(*columns, console=console) as progress:
            board = Board(progress, dict(zip(ids, names, strict=True)))
            board.say(f"{len(ids):,} jobs stored")
            for handle in handles:
                handle.add_done_callback(board.count)
            async with worker(board) as process:
                await board.see(half, process)
                board.say(f"{half:,} jobs have ended: kill -9 {process.pid}")
                process.kill()
            async with worker(board) as process:
                await board.see(len(ids) - half, process)
                summary = await bb.create_task(total(ids))
                await summary
    return ids, summary.id


async def take_plainly(files: Sequence[Path]) -> Measures:
    """Do the same in a loop, without a store: awaiting a call runs the function here."""
    measured: list[Measures] = []
    for path in files:
        with contextlib.suppress(SyntaxError, ValueError):
            measured.append(await measure(str(path)))
    return add(measured)


async def census(library: Path, directory: Path) -> int:
    """Take the census both ways, read the store again, report; return the exit code."""
    console = Console(stderr=True, highlight=False)
    files = sources(library)
    console.print(f"{len(files):,} files of {library}, stored in {directory / 'backburner.db'}", soft_wrap=True)
    # The Python project calls what it broke on purpose bad_coding.py, badsyntax_pep3120.py and so on.
    if not any(broken(path) for path in files if path.name.startswith("bad")):
        files += write_broken(directory / "broken")
        console.print(f"Nothing in there is broken on purpose: {len(BROKEN)} files of our own are counted too.")
    names = [str(path.relative_to(library) if path.is_relative_to(library) else path.name) for path in files]
    plainly = asyncio.create_task(take_plainly(files))
    ids, summary_id = await take(files, names, console)
    plain = await plainly

    async with bb.worker():  # the store again, from the beginning
        read = await asyncio.gather(*(bb.handle(job_id, measure).status() for job_id in ids), return_exceptions=True)
        jobs = [job for job in read if isinstance(job, JobStatus)]  # the others are JobNotFound
        summary = await bb.handle(summary_id, total)
        starts = [await start() for _ in range(200)]
    report(jobs, starts, summary, plain, dict(zip(ids, names, strict=True)))
    whole = (
        len(ids) == len({job.id for job in jobs})
        and all(job.state in {"completed", "dead"} for job in jobs)
        and summary == plain
    )
    console.print("nothing was lost" if whole else "SOMETHING WAS LOST", style="bold green" if whole else "bold red")
    console.print(f"to look around: cd {directory} && {sys.executable} -m backburner jobs list", soft_wrap=True)
    return 0 if whole else 1


async def start() -> float:
    """Return the seconds from a call of `create_task` to the first line of its job."""
    called = time.perf_counter()
    return await (await bb.create_task(moment())) - called


def sources(library: Path) -> list[Path]:
    """Return a library's own .py files."""
    installed = {"site-packages", "dist-packages"}
    return sorted(path for path in library.rglob("*.py") if installed.isdisjoint(path.relative_to(library).parts))


def broken(path: Path) -> bool:
    """Tell whether Python cannot parse a file."""
    try:
        ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return True
    return False


def write_broken(directory: Path) -> list[Path]:
    """Write files that Python cannot parse."""
    directory.mkdir()
    for name, source in BROKEN.items():
        (directory / name).write_bytes(source)
    return sources(directory)


# ---- the report ----------------------------------------------------------------------------------------------------


def report(
    jobs: Sequence[JobStatus], starts: Sequence[float], summary: Measures, plain: Measures, names: dict[str, str]
) -> None:
    """Print what the store says."""
    completed = [job for job in jobs if job.state == "completed"]
    dead = [job for job in jobs if job.state == "dead"]
    runs = sum(job.attempt for job in jobs)
    # A job needs a run for each failure and one to complete; the others were begun and cut off.
    duplicates = runs - sum(job.failures for job in jobs) - len(completed)
    # The store shows when the last run started: of those that ran once it is the first, too.
    waits = [(job.started - job.created).total_seconds() for job in jobs if job.started and job.attempt == 1]
    ends = [job.ended for job in jobs if job.ended]
    seconds = (max(ends) - min(job.created for job in jobs)).total_seconds()

    letters = Table("file", "failures", "error", title="dead letters", title_justify="left")
    for job in dead:
        letters.add_row(names[job.id], str(job.failures), Text(job.error or ""))
    table = Table(title="from the store, reopened after the kill", title_justify="left", show_header=False)
    table.add_row("stored", f"{len(jobs):,}")
    table.add_row("completed", f"{len(completed):,}")
    table.add_row("dead", f"{len(dead):,}")
    table.add_row("duplicates run", f"{duplicates:,} of {runs:,} runs: cut off by the kill, so run again")
    table.add_row("jobs per second", f"{len(ends) / seconds:,.0f}, kill and restart included")
    table.add_row("create_task to start", f"{quantiles(starts, 1000)} ms, idle: {len(starts)} more jobs, one by one")
    table.add_row("", f"{quantiles(waits, 1)} s, the census: all stored at once, so most of it in line")
    table.add_row("counted by jobs", spelled(summary))
    table.add_row("counted by a loop", spelled(plain))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(letters, table, sep="\n")


def quantiles(seconds: Sequence[float], factor: int) -> str:
    """Write the median and the 99th percentile."""
    ranked = sorted(seconds)
    return ", ".join(f"p{share} {ranked[len(ranked) * share // 100] * factor:.1f}" for share in (50, 99))


def spelled(measures: Measures) -> str:
    """Write measures in a line."""
    longest = measures.longest
    return (
        f"{measures.files:,} files, {measures.lines:,} lines, {measures.tokens:,} tokens, "
        f"{measures.functions:,} functions, {measures.classes:,} classes, "
        + (f"the longest function {longest.name} with {longest.lines:,} lines, " if longest else "")
        + f"sha256 {measures.sha256[:12]}"
    )


# ---- the program ---------------------------------------------------------------------------------------------------


def main(argv: Sequence[str]) -> int:
    """Run the program; return its exit code."""
    parser = argparse.ArgumentParser(prog="backburner demo", description="Watch real work survive a kill -9.")
    parser.add_argument("directory", nargs="?", type=Path, help="whose .py files to count, instead of Python's own")
    parser.add_argument("--worker", action="store_true", help="be the worker, for the store in the working directory")
    options = parser.parse_args(argv)
    warnings.simplefilter("ignore")  # those that parsing a file may raise
    if options.worker:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonLines())
        logging.basicConfig(level=logging.INFO, handlers=[handler])
        asyncio.run(work())
        return 0
    library = (options.directory or Path(sysconfig.get_path("stdlib"))).resolve()
    if not library.is_dir():
        parser.error(f"{library} is no directory")
    directory = Path(tempfile.mkdtemp(prefix="backburner-demo-"))
    with contextlib.chdir(directory):
        return asyncio.run(census(library, directory))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
