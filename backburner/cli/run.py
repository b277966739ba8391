"""`backburner run`: worker processes without a web app."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import click

from backburner.cli.crew import SIGNALS, Crew, Line
from backburner.cli.exits import Exit, Failed
from backburner.cli.finding import find
from backburner.cli.reading import reading
from backburner.config import queue_slots
from backburner.model.clock import SystemClock
from backburner.observability.logs import LogListener

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from backburner.app import Backburner

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
        bb = find(target)
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
