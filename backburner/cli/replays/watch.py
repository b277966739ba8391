"""`backburner replays watch`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.dlq.desk import desk
from backburner.cli.exits import Exit
from backburner.cli.render import Mode, json_option, mode
from backburner.cli.replays.carrying import carried
from backburner.cli.replays.choice import by_id
from backburner.cli.replays.telling import tell
from backburner.cli.store import url_option

__all__ = ["command"]


@click.command("watch")
@click.argument("operation_id", metavar="ID")
@json_option
@url_option
def command(*, operation_id: str, as_json: bool, url: str | None) -> None:
    """Follow a replay or purge to its end, and carry it on meanwhile, beside the nodes that do.

    ID may be the beginning of an id. It ends when the first attempts of what was replayed are known, or ten minutes after
    the last letter went. Ctrl-C stops only the watching. Exits with 1 if any letter stayed dead, or failed again.
    """
    asyncio.run(_watch(operation_id, mode(as_json=as_json), url))


async def _watch(operation_id: str, how: Mode, url: str | None) -> None:
    async with desk(url, write=True) as opened:
        replays = opened.letters.replays
        ended = await carried(replays, await by_id(replays, operation_id), watch=True)
    tell(ended, how)
    if not ended.whole or ended.failed:
        raise click.exceptions.Exit(Exit.PARTLY)
