"""`backburner top`."""

from __future__ import annotations

import asyncio
import os
import sys

import click

from backburner.cli import render
from backburner.cli.exits import Exit, Failed
from backburner.cli.reading import reading
from backburner.cli.store import given, url_option
from backburner.cli.who import by_option
from backburner.model.clock import SECOND
from backburner.model.duration import parse

__all__ = ["command"]

#: Microseconds between two reads, and the fewest.
_EVERY, _LEAST = 2 * SECOND, SECOND // 2
#: What a shell makes of a signal: its number, and this.
_SIGNALLED = 128

_KEYS = """\b
Keys: q quits, tab changes the panel, arrows or j and k select a row, p pauses
or resumes the selected queue, c cancels the selected running job (both ask,
and take a reason), space freezes what is shown, ? helps."""


def _pace(text: str) -> int:
    every = parse(text)
    if every < _LEAST:
        raise ValueError(f"{text!r} is too often for the store; 500ms is the least")
    return every


@click.command("top", epilog=_KEYS)
@click.option(
    "--every", metavar="DURATION", callback=reading(_pace), help="How often the store is read.  [default: 2s]"
)
@by_option
@url_option
def command(*, every: int | None, by: str | None, url: str | None) -> None:
    """Watch the store live: queues and their rates, running jobs and their progress, failures as they come.

    It takes a terminal; `status` tells of the moment elsewhere. Reading takes no more than a tenth of the time, so that
    it may be left open: what takes long is read less often. A store that goes away is waited for. What is done from here
    is kept in the audit, under --by.
    """
    if not (sys.stdin.isatty() and render.is_terminal()) or os.environ.get("TERM", "dumb") == "dumb":
        raise Failed("top needs a terminal; `backburner status` tells the same of this moment", Exit.REFUSED)
    # What it takes to draw is loaded where it is drawn: termios is not everywhere.
    from backburner.cli.top.session import Session  # noqa: PLC0415

    store = given(url)

    async def watch() -> int:
        return await Session(store, by=by, every=(_EVERY if every is None else every) / SECOND).run()

    if signalled := asyncio.run(watch()):
        raise click.exceptions.Exit(_SIGNALLED + signalled)
