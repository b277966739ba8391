"""Options of commands that read events, and what can be said of names that nobody asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from backburner.cli.moments import past
from backburner.cli.reading import reading
from backburner.cli.times import Moment, moment
from backburner.model.catalogue import EVENTS
from backburner.model.event import matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from backburner.ports.events import Subscriptions

__all__ = ["KEPT", "event_options", "instant", "unasked"]

#: Patterns of what is stored whether or not anybody asks.
KEPT = tuple(dict.fromkeys(f"{event.name.partition('.')[0]}.*" for event in EVENTS if event.kept))


def event_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of all commands that read events: ``names``, ``subject``, ``since`` and ``after``."""
    options = (
        click.option(
            "--name",
            "names",
            metavar="PATTERN",
            multiple=True,
            help="order.paid, 'order.*' for all below, '*' for all; may be repeated.  [default: all]",
        ),
        click.option("--subject", metavar="TEXT", help="What it tells of: order/42, a job's id, a queue's name."),
        click.option("--since", metavar="MOMENT", callback=reading(moment), help="Written since: 6h (ago), 23:00."),
        click.option(
            "--after",
            metavar="CURSOR",
            help="Only what comes after this place of the log; piped lines and --json tell each event's.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def instant(option: str, given: Moment | None, now: int) -> int | None:
    """Return the instant that an option means, said to a person where it was vague; None where it was left out."""
    return None if given is None else past(option, given, now)


def unasked(names: Iterable[str], known: Subscriptions) -> str:
    """Say which of these names and patterns no subscription asks for, so that nothing is stored of them; empty: none."""
    asked = [*KEPT, *(pattern for each in known.subscriptions for pattern in each.patterns)]
    found = [name for name in names if not any(matches(name, one) or matches(one, name) for one in asked)]
    if not found:
        return ""
    return (
        f"no subscription asks for {', '.join(found)}: events are stored while one asks for them, and always those of "
        f"{', '.join(KEPT)}; `events tail` asks for as long as it runs"
    )
