"""`backburner breakers auto`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.breakers.record import BREAKERS, read_breakers
from backburner.cli.controls import controls
from backburner.cli.render import Mode, json_option, listing, mode, page
from backburner.cli.store import url_option
from backburner.cli.who import audit_options

__all__ = ["command"]


@click.command("auto")
@click.argument("name")
@audit_options
@json_option
@url_option
def command(*, name: str, reason: str | None, by: str | None, as_json: bool, url: str | None) -> None:
    """Let a breaker go by how runs end again, as it did before it was opened. A line is as in `breakers list`."""
    asyncio.run(_auto(name, (reason, by), mode(as_json=as_json), url))


async def _auto(name: str, audit: tuple[str | None, str | None], how: Mode, url: str | None) -> None:
    reason, by = audit
    async with controls(url, write=True) as opened:
        await opened.breakers.auto(name, reason=reason, by=by)
        await listing(how, page(await read_breakers(opened, name)), BREAKERS)
