"""`backburner schedules resume`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli import completing
from backburner.cli.render import Mode, json_option, listing, mode, page
from backburner.cli.schedules.desk import desk
from backburner.cli.schedules.record import SCHEDULES, read_row
from backburner.cli.store import url_option
from backburner.cli.who import audit_options

__all__ = ["command"]


@click.command("resume")
@click.argument("name", shell_complete=completing.schedules)
@audit_options
@json_option
@url_option
def command(*, name: str, reason: str | None, by: str | None, as_json: bool, url: str | None) -> None:
    """Have a schedule store jobs again, from its next tick on; `schedules backfill` makes good what was skipped.

    A line is as in `schedules list`.
    """
    asyncio.run(_resume(name, (reason, by), mode(as_json=as_json), url))


async def _resume(name: str, audit: tuple[str | None, str | None], how: Mode, url: str | None) -> None:
    reason, by = audit
    async with desk(url, write=True) as opened:
        await opened.schedules.resume(name, reason=reason, by=by)
        await listing(how, page([await read_row(opened, name)]), SCHEDULES)
