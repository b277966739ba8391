"""`backburner kinds resume`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.controls import controls
from backburner.cli.kinds.record import KINDS, read_kinds
from backburner.cli.known import check_kind
from backburner.cli.render import Mode, json_option, listing, mode, page
from backburner.cli.store import url_option

__all__ = ["command"]


@click.command("resume")
@click.argument("name")
@json_option
@url_option
def command(*, name: str, as_json: bool, url: str | None) -> None:
    """Start jobs of a kind again. A line is as in `kinds list`."""
    asyncio.run(_resume(name, mode(as_json=as_json), url))


async def _resume(name: str, how: Mode, url: str | None) -> None:
    async with controls(url, write=True) as opened:
        await check_kind(opened.backend, name)
        await opened.kinds.resume(name)
        await listing(how, page(await read_kinds(opened, name)), KINDS)
