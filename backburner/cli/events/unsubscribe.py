"""`backburner events unsubscribe`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.asking import ask
from backburner.cli.events.subscription import SUBSCRIPTIONS, Standing, standings
from backburner.cli.render import Mode, json_option, listing, mode, note, page
from backburner.cli.store import opened, url_option
from backburner.errors import SubscriptionNotFound
from backburner.jobs.limits import near

__all__ = ["command"]


@click.command("unsubscribe")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@url_option
def command(*, name: str, yes: bool, as_json: bool, url: str | None) -> None:
    """Forget who asks for events, and how far they were handed over.

    What nobody else asks for is not stored any more. A handler that stands in code is entered anew while a node declares
    it, from then on: what it had not been handed is lost to it. A reader that is reading ends. Asks first, or needs
    --yes. A line is as in `events subscriptions`: what was removed. Exits with 3 if there is none of this name.
    """
    asyncio.run(_unsubscribe(name, mode(as_json=as_json), url, yes=yes))


async def _unsubscribe(name: str, how: Mode, url: str | None, *, yes: bool) -> None:
    async with opened(url, write=True) as backend:
        known = await backend.event_reader.subscriptions()
        found = standings(known, name)
        if not found:
            others = [each.name for each in known.subscriptions]
            raise SubscriptionNotFound(f"there is no subscription {name!r}{near(name, others)}")
        (standing,) = found
        if not yes:
            said = _said(standing)
            ask(f"{said}; forget it?", f"{said}; --yes forgets it", "nothing was forgotten")
        if not await backend.events.unsubscribe(name):
            raise SubscriptionNotFound(f"subscription {name!r} was forgotten meanwhile")
    await listing(how, page(found), SUBSCRIPTIONS)
    note(_told(standing))


def _said(standing: Standing) -> str:
    record = standing.record
    handler = "a reader" if record.kind is None else f"handled by {record.kind}"
    behind = f"{standing.behind:,} {'event' if standing.behind == 1 else 'events'} behind"
    return f"{record.name}, {handler}, asks for {', '.join(record.patterns)} and is {behind}"


def _told(standing: Standing) -> str:
    if standing.record.kind is None:
        return f"{standing.record.name} is forgotten; who reads under this name begins anew"
    return f"{standing.record.name} is forgotten; a node that declares its handler enters it anew, from then on"
