"""`backburner breakers open`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.breakers.record import BREAKERS, read_breakers
from backburner.cli.controls import controls
from backburner.cli.render import Mode, json_option, listing, mode, page
from backburner.cli.store import url_option
from backburner.cli.who import audit_options

__all__ = ["command"]


@click.command("open")
@click.argument("name")
@audit_options
@json_option
@url_option
def command(*, name: str, reason: str | None, by: str | None, as_json: bool, url: str | None) -> None:
    """Open a breaker: its jobs wait, whatever becomes of the dependency, until `breakers auto`.

    What runs goes on, and no job spends an attempt. A line is as in `breakers list`.
    """
    asyncio.run(_open(name, reason, by, mode(as_json=as_json), url))


async def _open(name: str, reason: str | None, by: str | None, how: Mode, url: str | None) -> None:
    async with controls(url, write=True) as opened:
        await opened.breakers.open(name, reason=reason, by=by)
        await listing(how, page(await read_breakers(opened, name)), BREAKERS)
