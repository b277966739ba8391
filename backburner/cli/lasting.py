"""Until when something is to hold: options, and the moment that they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from backburner.cli.exits import Exit, Failed
from backburner.cli.reading import reading
from backburner.cli.times import Moment, iso, moment
from backburner.model.clock import from_micros
from backburner.model.duration import parse

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

__all__ = ["ends", "lasting_options"]


def lasting_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--until`` and ``--for`` to a command, which takes them as ``until`` and ``length``."""
    until = click.option(
        "--until",
        metavar="MOMENT",
        callback=reading(_ahead),
        help="When it ends by itself: 04:30 (the next), 2026-11-21T03:04Z.",
    )
    length = click.option(
        "--for", "length", metavar="DURATION", callback=reading(parse), help="After how long it ends by itself: 2h."
    )
    return until(length(command))


def ends(until: Moment | None, length: int | None, now: int) -> datetime | None:
    """Return the moment that the options mean, seen from the store's now; None where they were left out.

    The command ends, and says why, where both were given or the moment has passed.
    """
    if until is not None and length is not None:
        raise click.UsageError("--until says when it ends, --for after how long: one of the two")
    if until is None:
        return None if length is None else from_micros(now + length)
    end = until.next(now)
    if end <= now:
        raise Failed(f"--until {until.text} is {iso(end)}, which has passed", Exit.REFUSED)
    return from_micros(end)


def _ahead(text: str) -> Moment:
    found = moment(text)
    if isinstance(found.means, int):
        raise ValueError(f"{text!r} is a duration: --for {text}")  # noqa: TRY004 - what click is told by
    return found
