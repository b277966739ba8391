"""`backburner status`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from backburner.cli import render
from backburner.cli.controls import controls
from backburner.cli.exits import Exit
from backburner.cli.render import Mode, json_option, mode
from backburner.cli.status.record import overview_json, overview_lines
from backburner.cli.status.screen import screen
from backburner.cli.store import url_option
from backburner.model.clock import SystemClock
from backburner.observability.overlooking import Overseer

if TYPE_CHECKING:
    from backburner.observability.overview import Overview

__all__ = ["command"]


_LINES = """\b
Piped, a line is one fact in four fields: what, name, field, value.
  backburner status | grep ^queue | grep -w waiting | cut -f2,4
  backburner status | grep ^finding | cut -f2-   code, name, sentence
  backburner status | grep ^next | cut -f4       what to type next
Fields of a queue: waiting, running, slots, nodes, retrying, scheduled,
held, dead, oldest, done_last_minute, paused (yes, no), paused_until,
slots_each, rate, by, reason. Unset ones are empty."""


@click.command("status", epilog=_LINES)
@json_option
@url_option
def command(*, as_json: bool, url: str | None) -> None:
    """Say what is wrong now, on one screen: nodes, queues, dead letters, and all that is held back.

    Exits with 1 if there is a finding: a queue that nobody serves, a dead node, letters that died within 24 hours, a
    breaker that is not closed, a dry budget, a pause, an unknown kind, late or missed schedules, a subscription far
    behind, or a part that could not be read. It changes nothing, and a read-only role will do.
    """
    asyncio.run(_status(mode(as_json=as_json), url))


async def _status(how: Mode, url: str | None) -> None:
    async with controls(url) as opened:
        overview = await Overseer(opened.backend, breakers=opened.breakers.list, clock=SystemClock()).look()
    _tell(how, overview)
    if overview.troubles:
        raise click.exceptions.Exit(Exit.PARTLY)


def _tell(how: Mode, overview: Overview) -> None:
    render.screen(how, overview_json(overview), overview_lines(overview), lambda width: screen(overview, width))
