"""`backburner queues resume`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli import completing
from backburner.cli.controls import controls
from backburner.cli.known import check_queue
from backburner.cli.queues.record import QUEUES, read_queues
from backburner.cli.render import Mode, json_option, listing, mode, page
from backburner.cli.store import url_option
from backburner.cli.who import audit_options

__all__ = ["command"]


@click.command("resume")
@click.argument("name", shell_complete=completing.queues)
@audit_options
@json_option
@url_option
def command(*, name: str, reason: str | None, by: str | None, as_json: bool, url: str | None) -> None:
    """Start jobs of a queue again. What `queues set` has set stays. A line is as in `queues list`."""
    asyncio.run(_resume(name, (reason, by), mode(as_json=as_json), url))


async def _resume(name: str, audit: tuple[str | None, str | None], how: Mode, url: str | None) -> None:
    reason, by = audit
    async with controls(url, write=True) as opened:
        await check_queue(opened.backend, name)
        await opened.queues.resume(name, reason=reason, by=by)
        await listing(how, page(await read_queues(opened, name)), QUEUES)
