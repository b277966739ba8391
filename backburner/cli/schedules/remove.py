"""`backburner schedules remove`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli import completing
from backburner.cli.render import Mode, json_option, listing, mode, note, page
from backburner.cli.schedules.desk import desk
from backburner.cli.schedules.record import SCHEDULES, read_row
from backburner.cli.store import url_option
from backburner.cli.who import audit_options

__all__ = ["command"]


@click.command("remove")
@click.argument("name", shell_complete=completing.schedules)
@audit_options
@json_option
@url_option
def command(*, name: str, reason: str | None, by: str | None, as_json: bool, url: str | None) -> None:
    """Remove a schedule. Its jobs stay, and `schedules ticks NAME` shows what it did.

    One that stands in code would be back with the next start: remove it there, or pause it. A line is as in `schedules
    list`: what was removed.
    """
    asyncio.run(_remove(name, (reason, by), mode(as_json=as_json), url))


async def _remove(name: str, audit: tuple[str | None, str | None], how: Mode, url: str | None) -> None:
    reason, by = audit
    async with desk(url, write=True) as opened:
        row = await read_row(opened, name)
        await opened.schedules.remove(name, reason=reason, by=by)
    await listing(how, page([row]), SCHEDULES)
    note(f"{name} was removed; its jobs stay")
