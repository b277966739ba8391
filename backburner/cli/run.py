"""`backburner run`: worker processes without a web app."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import sysconfig
import traceback
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

import click

from backburner.app import Backburner
from backburner.cli.crew import SIGNALS, Crew, Line
from backburner.cli.exits import Exit, Failed
from backburner.cli.reading import reading
from backburner.config import queue_slots
from backburner.model.clock import SystemClock
from backburner.observability.logs import LogListener

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from types import ModuleType

__all__ = ["command"]

#: More is a slip of the pen.
_MOST_PROCESSES = 1_000


def _queues(text: str) -> Collection[str] | Mapping[str, int]:
    return queue_slots(text) if "=" in text else tuple(name.strip() for name in text.split(","))


@click.command("run")
@click.argument("target", metavar="MODULE:NAME")
@click.option("--queues", metavar="A,B", callback=reading(_queues), help="Only these; with slots: mail=5,default=10.")
@click.option(
    "--processes",
    type=click.IntRange(1, _MOST_PROCESSES),
    default=1,
    show_default=True,
    help="Worker processes, each a node with slots of its own; one that dies is replaced.",
)
@click.option("--crew", type=int, hidden=True, help="The line to the process that started this one.")
def command(
    *, target: str, queues: Collection[str] | Mapping[str, int] | None, processes: int, crew: int | None
) -> None:
    """Run jobs in worker processes without a web app, until SIGTERM or SIGINT.

    NAME is the Backburner in MODULE, such as app.jobs:bb; the current directory is on the import path. Told to stop,
    it takes no more jobs and gives those that run their grace; told twice, it interrupts them at once.
    """
    if processes > 1:
        _log_to_stderr()
        code = asyncio.run(_watch([target, *_as_option(queues)], processes))
    else:
        line = None if crew is None else Line(crew)
        bb = _find(target)
        _log_to_stderr()
        if line is not None and bb._settings.url.startswith("memory:"):  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - of one package
            raise Failed("a memory store lives inside its own process; several need one they share", Exit.REFUSED)
        code = asyncio.run(_work(bb, queues, line))
    if code:
        raise click.exceptions.Exit(code)


def _as_option(queues: Collection[str] | Mapping[str, int] | None) -> Sequence[str]:
    if queues is None:
        return ()
    if isinstance(queues, Mapping):
        queues = [f"{name}={slots}" for name, slots in cast("Mapping[str, int]", queues).items()]
    return ("--queues", ",".join(queues))


async def _watch(arguments: Sequence[str], processes: int) -> int:
    return await Crew(arguments, processes, clock=SystemClock(), listener=LogListener()).work()


async def _work(bb: Backburner, queues: Collection[str] | Mapping[str, int] | None, line: Line | None) -> int:
    """Run until told to stop; return the exit code.

    In a crew only that says when to hurry: what signals all processes of a service alike must not count twice.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    hurried = False

    def hurry() -> None:
        nonlocal hurried
        hurried = True
        bb.hurry()

    def told() -> None:
        if stop.is_set() and line is None:
            hurry()
        stop.set()

    for number in SIGNALS:
        loop.add_signal_handler(number, told)
    unlisten = line.listen(stop.set, hurry) if line is not None else None
    try:
        async with bb.worker(queues):
            if line is not None:
                line.ready()
            await stop.wait()
    finally:
        if unlisten is not None:
            unlisten()
        for number in SIGNALS:
            loop.remove_signal_handler(number)
    return Exit.INTERRUPTED if hurried else Exit.DONE


def _find(target: str) -> Backburner:
    name, colon, attribute = target.partition(":")
    if not (name and colon and attribute):
        raise click.UsageError(f"{target!r} is no path to a Backburner; write it like app.jobs:bb")
    module = _import(name)
    found = getattr(module, attribute, None)
    if isinstance(found, Backburner):
        return cast("Backburner", found)
    there = [known for known, value in vars(module).items() if isinstance(value, Backburner)]
    mend = f"it has {', '.join(f'{name}:{known}' for known in there)}" if there else "it has no Backburner at all"
    what = "has no such name" if found is None else f"is {type(found).__name__}, not a Backburner"
    raise click.UsageError(f"{target} {what}; {mend}")


def _import(name: str) -> ModuleType:
    if os.getcwd() not in sys.path:  # noqa: PTH109 - sys.path holds texts
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        return import_module(name)
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame.filename)]
        place = f" ({frames[-1].filename}, line {frames[-1].lineno}: {frames[-1].line})" if frames else ""
        message = f"{name} cannot be imported: {type(error).__name__}: {error}{place}"
        raise Failed(message, Exit.REFUSED) from error


def _is_own(filename: str) -> bool:
    """Tell a user's file from the import machinery, from this program and from installed packages."""
    installed = (sysconfig.get_path("stdlib"), "<frozen", __file__)
    return "site-packages" not in filename and not filename.startswith(installed)


def _log_to_stderr() -> None:
    """Show the engine's start, stop and troubles, unless the app has set up logging of its own."""
    logger = logging.getLogger("backburner")
    if logger.hasHandlers():
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
