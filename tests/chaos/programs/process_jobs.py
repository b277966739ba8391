"""Jobs for processes of their own: what they do there is what goes wrong in processes of one's own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from backburner import Cancel, Provide, Registry, Reject, Retry, Snooze, current_job
from backburner.jobs.context import current_run

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from backburner.jobs.child_run import ChildRun

jobs = Registry()
NEVER = threading.Event()


class Trouble(OSError):
    """An error of the job's own module."""


@jobs.job(executor="process")
def double(number: int) -> int:
    """Do what jobs do."""
    return 2 * number


@jobs.job(executor="process")
def where() -> list[int]:
    """Tell its process, its group, its session, and what its standard input is."""
    return [os.getpid(), os.getpgrp(), os.getsid(0), len(sys.stdin.read())]


@jobs.job(executor="process")
def fail(how: str) -> None:
    """Raise one of many."""
    busy = Trouble("come back later")
    busy.__dict__["retry_after"] = 90
    raise {
        "busy": busy,
        "own": Trouble("no luck"),
        "unknown": type("Stranger", (Trouble,), {})("who"),
        "retry": Retry("later", delay=90),
        "snooze": Snooze(5, "not yet"),
        "reject": Reject("never"),
        "cancel": Cancel("enough"),
        "exit": SystemExit(3),
        "interrupt": KeyboardInterrupt(),
        "stop": StopIteration(),
        "surrogate": ValueError("\udc80\x00"),
    }[how]


@jobs.job(executor="process")
def ungiven() -> object:
    """Return what cannot be stored."""
    return object()


@jobs.job(executor="process")
def big(size: int) -> str:
    """Return much."""
    return "x" * size


@jobs.job(executor="process")
def die(how: str) -> None:
    """End its process, by a status or a signal."""
    if how == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.SIGKILL)


@jobs.job(executor="process")
def hang(folder: str) -> None:
    """Start a program, fork, say so, and never return; ignores every signal that can be ignored."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    program = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
    fork = os.fork()
    if fork == 0:
        NEVER.wait()
    Path(folder, "pids").write_text(f"{os.getpid()} {program.pid} {fork}")
    os.write(1, b"ready\n")
    current_job().progress(1)
    while True:
        pass


@jobs.job(executor="process")
def fork_and_die(folder: str) -> None:
    """Leave a fork behind that holds everything this process held, in a session of its own."""
    fork = os.fork()
    if fork == 0:
        os.setsid()
        NEVER.wait()
    Path(folder, "fork").write_text(str(fork))
    os._exit(7)


@jobs.job(executor="process")
def fork_and_return() -> int:
    """Return twice: once in a copy of the process."""
    fork = os.fork()
    if fork:
        os.waitpid(fork, 0)
    return os.getpid()


@jobs.job(executor="process")
def shout(text: str) -> None:
    """Print to both streams, in Python and below it, in words that look like the protocol's."""
    print(text)  # noqa: T201 - what is tested
    os.write(1, b"\x00\x00\x00\x05below\n")
    print(text, file=sys.stderr)  # noqa: T201


@jobs.job(executor="process")
def wait_for_stop() -> str:
    """Return when it is asked to."""
    job = current_job()
    job.progress(0)
    while not job.stopping:
        pass
    return "stopped"


@jobs.job(executor="process")
def tell() -> list[object]:
    """Use everything that a run has."""
    job = current_job()
    job.progress(1, 4)
    before = job.last_checkpoint
    job.checkpoint({"page": 2})
    name = job.then(double(21), delay=5)
    return [job.id, job.kind, job.attempt, job.token, job.queue, dict(job.headers), before, job.last_checkpoint, name]


@jobs.job(executor="process")
def checkpoint(text: str) -> str:
    """Save a text; tell what came of it."""
    try:
        current_job().checkpoint(text)
    except Exception as error:  # noqa: BLE001 - told
        return f"{type(error).__name__}: {error}"
    return "saved"


@jobs.job(executor="process")
def ask(what: str) -> str:
    """Ask for what a process job cannot have; tell what came of it."""
    try:
        if what == "state":
            current_job().state  # noqa: B018
        elif what == "progress":
            current_job().progress(-1)
        elif what == "then":
            current_job().then("no call")  # type: ignore[arg-type]
        else:
            asyncio.run(current_job().complete(None, tx=None))
    except Exception as error:  # noqa: BLE001 - told
        return f"{type(error).__name__}: {error}"
    return "nothing"


@jobs.job(executor="process")
def log() -> None:
    """Log what loggers can take, and an exception."""
    log = cast("ChildRun", current_run.get()).logger().bind(id=current_job().id)
    log.info("resized", size=3, odd={1, 2}, huge=2**70, torn="\udc80", what=NEVER is None)
    try:
        raise Trouble("seen")
    except Trouble:
        log.exception("caught")


_kept: list[bytearray] = []


@jobs.job(executor="process")
def leak(megabytes: int) -> int:
    """Keep memory for ever, and tell the process."""
    _kept.append(bytearray(os.urandom(1) * (megabytes << 20)))
    return os.getpid()


class Closed(Exception):
    """What a job raised, with what its dependencies saw of that."""


@asynccontextmanager
async def outer() -> AsyncGenerator[list[str]]:
    """Open on the loop of the process; note what the job raised."""
    seen = ["outer"]
    try:
        yield seen
    except LookupError as error:
        raise Closed([*seen, repr(error)]) from error


def inner(seen: list[str] = Provide(outer)) -> Generator[list[str]]:
    """Open in the job's own thread."""
    seen.append("inner")
    yield seen
    seen.append("closed")


@jobs.job(executor="process")
def provided(word: str, *, seen: list[str] = Provide(inner)) -> list[str]:
    """Use what was opened, and a loop of its own."""
    if word == "fail":
        raise LookupError(word)
    return [*seen, asyncio.run(asyncio.to_thread(str, word))]


@jobs.job(executor="process")
def resume(how: str) -> list[object]:
    """Save a page, tell of it, and die in the first attempt; go on from there in the next."""
    job = current_job()
    if job.attempt == 1:
        job.progress(3, 9)
        job.checkpoint(3)
        die.fn(how)
    return [job.attempt, job.last_checkpoint]


@jobs.job(executor="process")
def follow(fails: bool) -> None:  # noqa: FBT001 - a job's arguments are by name
    """Say what is to follow, and whether it comes to that."""
    current_job().then(double(4), id="followed")
    if fails:
        raise Reject("no")
