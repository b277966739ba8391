"""`backburner queues pause`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from backburner.cli import completing
from backburner.cli.controls import controls
from backburner.cli.known import anyway_option, check_queue
from backburner.cli.lasting import ends, lasting_options
from backburner.cli.queues.record import QUEUES, read_queues
from backburner.cli.render import Mode, json_option, listing, mode, page
from backburner.cli.store import url_option
from backburner.cli.who import audit_options

if TYPE_CHECKING:
    from backburner.cli.times import Moment

__all__ = ["command"]


@click.command("pause")
@click.argument("name", shell_complete=completing.queues)
@lasting_options
@audit_options
@anyway_option
@json_option
@url_option
def command(
    *,
    name: str,
    until: Moment | None,
    length: int | None,
    reason: str | None,
    by: str | None,
    anyway: bool,
    as_json: bool,
    url: str | None,
) -> None:
    """Start no more jobs of a queue, on any node; what runs goes on.

    Nodes hear so at once, at worst with their next beat. It ends by `queues resume`, or when it was said to. A line is
    as in `queues list`.
    """
    asyncio.run(_pause(name, (until, length), (reason, by), mode(as_json=as_json), url, anyway=anyway))


async def _pause(
    name: str,
    lasting: tuple[Moment | None, int | None],
    audit: tuple[str | None, str | None],
    how: Mode,
    url: str | None,
    *,
    anyway: bool,
) -> None:
    reason, by = audit
    async with controls(url, write=True) as opened:
        until = ends(*lasting, await opened.now())
        if not anyway:
            await check_queue(opened.backend, name)
        await opened.queues.pause(name, reason=reason, until=until, by=by)
        await listing(how, page(await read_queues(opened, name)), QUEUES)
