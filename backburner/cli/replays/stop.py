"""`backburner replays stop`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.dlq.desk import desk
from backburner.cli.exits import Exit, Failed
from backburner.cli.render import Mode, json_option, mode
from backburner.cli.replays.choice import by_id
from backburner.cli.replays.telling import tell
from backburner.cli.store import url_option
from backburner.cli.who import by_option

__all__ = ["command"]


@click.command("stop")
@click.argument("operation_id", metavar="ID")
@by_option
@json_option
@url_option
def command(*, operation_id: str, by: str | None, as_json: bool, url: str | None) -> None:
    """Stop a replay or purge for good: what is done stays done, the rest stays dead.

    ID may be the beginning of an id. Exits with 2 if it had ended.
    """
    asyncio.run(_stop(operation_id, by, mode(as_json=as_json), url))


async def _stop(operation_id: str, by: str | None, how: Mode, url: str | None) -> None:
    async with desk(url, write=True) as opened:
        replays = opened.letters.replays
        meant = await by_id(replays, operation_id)
        if not meant.active:
            raise Failed(f"{meant.action} {meant.id} had ended before", Exit.REFUSED)
        stopped = await replays.stop(meant.id, by=by)
    tell(stopped, how)
