"""`backburner schedules pause`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from backburner.cli import completing
from backburner.cli.lasting import ends, lasting_options
from backburner.cli.render import Mode, json_option, listing, mode, page
from backburner.cli.schedules.desk import desk
from backburner.cli.schedules.record import SCHEDULES, read_row
from backburner.cli.store import url_option
from backburner.cli.who import audit_options
from backburner.model.clock import instant

if TYPE_CHECKING:
    from backburner.cli.times import Moment

__all__ = ["command"]


@click.command("pause")
@click.argument("name", shell_complete=completing.schedules)
@lasting_options
@audit_options
@json_option
@url_option
def command(
    *,
    name: str,
    until: Moment | None,
    length: int | None,
    reason: str | None,
    by: str | None,
    as_json: bool,
    url: str | None,
) -> None:
    """Have a schedule store no more jobs; what it stored runs.

    Ticks that come meanwhile are skipped for good, and the ledger says so. It ends by `schedules resume`, or when it was
    said to. A line is as in `schedules list`.
    """
    asyncio.run(_pause(name, (until, length), (reason, by), mode(as_json=as_json), url))


async def _pause(
    name: str,
    lasting: tuple[Moment | None, int | None],
    audit: tuple[str | None, str | None],
    how: Mode,
    url: str | None,
) -> None:
    reason, by = audit
    async with desk(url, write=True) as opened:
        until = ends(*lasting, await opened.now())
        end = None if until is None else instant(until)
        await opened.schedules.pause(name, until=end, reason=reason, by=by)
        await listing(how, page([await read_row(opened, name)]), SCHEDULES)
