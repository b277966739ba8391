"""Whoever reads the output, and may go before it ends, as `head` does when it has seen enough."""

from __future__ import annotations

import errno
import os
import select
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from backburner.cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["check_reader", "readers_may_go"]


@contextmanager
def readers_may_go() -> Generator[None]:
    """End the program quietly where what it writes is read no more."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EPIPE:
            raise
        _hush()
        raise click.exceptions.Exit(Exit.CLOSED) from error


def check_reader() -> None:
    """Raise `BrokenPipeError` where nobody reads the output any more: for what writes only now and then."""
    gone = False
    with suppress(OSError, ValueError, AttributeError):  # no descriptor, or a system without poll
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        gone = any(what & select.POLLERR for _, what in poll.poll(0))
    if gone:
        raise BrokenPipeError(errno.EPIPE, "nobody reads the output")


def _hush() -> None:
    """Let what is still to be written go nowhere: the end of the program flushes it, and must not fail on that."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # one that has no descriptor, or is closed
            stream.flush()
        with suppress(OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
