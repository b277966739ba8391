"""`backburner events subscriptions`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.events.log import log
from backburner.cli.events.options import KEPT
from backburner.cli.events.subscription import SUBSCRIPTIONS, standings
from backburner.cli.exits import Exit, Failed
from backburner.cli.render import Mode, json_option, listing, mode, page
from backburner.cli.store import url_option

__all__ = ["command"]


@click.command("subscriptions")
@json_option
@url_option
def command(*, as_json: bool, url: str | None) -> None:
    """List who asks for events: handlers in code, and readers. What nobody asks for is not stored.

    BEHIND counts the events stored since the last one that a subscription is done with, whether or not it asks for them.
    SEEN is when somebody last asked under this name: left for its time, a subscription is forgotten. Piped, a line is:
    name, kind of the jobs that handle its events (empty: a reader), patterns, cursor, behind, seen, forgotten at. Exits
    with 3 if there is none.
    """
    asyncio.run(_list(mode(as_json=as_json), url))


async def _list(how: Mode, url: str | None) -> None:
    async with log(url) as opened:
        found = standings(await opened.subscriptions())
    if not await listing(how, page(found), SUBSCRIPTIONS):
        raise Failed(f"nobody asks for events; only those of {', '.join(KEPT)} are stored", Exit.NOTHING)
