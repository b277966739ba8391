"""`backburner limits reset`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.controls import controls
from backburner.cli.limits.record import LIMITS, read_limits
from backburner.cli.render import Mode, json_option, listing, mode, page
from backburner.cli.store import url_option
from backburner.cli.who import audit_options

__all__ = ["command"]


@click.command("reset")
@click.argument("name")
@audit_options
@json_option
@url_option
def command(*, name: str, reason: str | None, by: str | None, as_json: bool, url: str | None) -> None:
    """Let what the code declares hold again. A line is as in `limits list`."""
    asyncio.run(_reset(name, (reason, by), mode(as_json=as_json), url))


async def _reset(name: str, audit: tuple[str | None, str | None], how: Mode, url: str | None) -> None:
    reason, by = audit
    async with controls(url, write=True) as opened:
        await opened.limits.reset(name, reason=reason, by=by)
        await listing(how, page(await read_limits(opened, name)), LIMITS)
