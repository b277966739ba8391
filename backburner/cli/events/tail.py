"""`backburner events tail`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from backburner.cli.events.follower import Follower
from backburner.cli.events.log import log
from backburner.cli.events.options import event_options, instant
from backburner.cli.events.record import EVENTS
from backburner.cli.render import Mode, following, json_option, mode
from backburner.cli.store import url_option
from backburner.events.naming import check_patterns
from backburner.model.clock import SystemClock

if TYPE_CHECKING:
    from backburner.cli.times import Moment

__all__ = ["command"]


@click.command("tail")
@event_options
@json_option
@url_option
def command(
    *,
    names: tuple[str, ...],
    subject: str | None,
    since: Moment | None,
    after: str | None,
    as_json: bool,
    url: str | None,
) -> None:
    """Show events as they come, the oldest first, until Ctrl-C.

    It asks for them meanwhile, under a subscription of its own, so that they are stored; --since and --after begin with
    what was stored before, since somebody else asked for it. Without --name that is all, every step of every job too,
    and a busy store writes it all down: name what you look for. Where the store may not be written to, only what others
    ask for is shown. Piped, a line is as in `events list`. Exits with 2 if events were deleted before they were shown,
    with 1 if its subscription was removed.
    """
    asyncio.run(_tail(check_patterns(names), subject, (since, after), mode(as_json=as_json), url))


async def _tail(
    patterns: tuple[str, ...],
    subject: str | None,
    start: tuple[Moment | None, str | None],
    how: Mode,
    url: str | None,
) -> None:
    since, after = start
    async with log(url) as opened:
        earliest = instant("since", since, (await opened.subscriptions()).now)
        follower = Follower(opened, patterns, subject=subject, since=earliest, clock=SystemClock())
        async with follower.asking(after):
            await following(how, follower.pages(), EVENTS)
