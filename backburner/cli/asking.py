"""Asking a person before something is done that cannot be undone."""

from __future__ import annotations

import signal

import click

from backburner.cli import render
from backburner.cli.exits import Exit, Failed

__all__ = ["ask", "confirm"]


def confirm(matched: str, verb: str, done: str, *, count: int) -> None:
    """Ask whether to ``verb`` the so many that were matched; the command ends unless the answer is yes, or nobody can be asked.

    Says ``verb``s of what --yes does, and ``done`` of what was not.
    """
    those = "it" if count == 1 else "them"
    ask(
        f"{matched}; {verb} {those}?", f"{matched}; --yes {verb}s {those}, --dry-run only counts", f"nothing was {done}"
    )


def ask(question: str, unasked: str, refused: str) -> None:
    """Ask; the command ends, and says ``refused``, unless the answer is yes; ``unasked`` where nobody can be asked."""
    if not render.is_interactive():
        raise Failed(unasked, Exit.REFUSED)
    # The loop's own handler would cancel this task, which hears nothing while it reads a person's answer.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sure = click.confirm(question, err=True)
    finally:
        signal.signal(signal.SIGINT, before)
    if not sure:
        raise Failed(refused, Exit.REFUSED)
