"""`backburner limits reset`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.controls import controls
from backburner.cli.limits.record import LIMITS, read_limits
from backburner.cli.render import Mode, json_option, listing, mode, page
from backburner.cli.store import url_option

__all__ = ["command"]


@click.command("reset")
@click.argument("name")
@json_option
@url_option
def command(*, name: str, as_json: bool, url: str | None) -> None:
    """Let what the code declares hold again. A line is as in `limits list`."""
    asyncio.run(_reset(name, mode(as_json=as_json), url))


async def _reset(name: str, how: Mode, url: str | None) -> None:
    async with controls(url, write=True) as opened:
        await opened.limits.reset(name)
        await listing(how, page(await read_limits(opened, name)), LIMITS)
