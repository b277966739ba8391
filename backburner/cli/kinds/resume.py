"""`backburner kinds resume`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli import completing
from backburner.cli.controls import controls
from backburner.cli.kinds.record import KINDS, read_kinds
from backburner.cli.known import check_kind
from backburner.cli.render import Mode, json_option, listing, mode, page
from backburner.cli.store import url_option
from backburner.cli.who import audit_options

__all__ = ["command"]


@click.command("resume")
@click.argument("name", shell_complete=completing.kinds)
@audit_options
@json_option
@url_option
def command(*, name: str, reason: str | None, by: str | None, as_json: bool, url: str | None) -> None:
    """Start jobs of a kind again. A line is as in `kinds list`."""
    asyncio.run(_resume(name, (reason, by), mode(as_json=as_json), url))


async def _resume(name: str, audit: tuple[str | None, str | None], how: Mode, url: str | None) -> None:
    reason, by = audit
    async with controls(url, write=True) as opened:
        await check_kind(opened.backend, name)
        await opened.kinds.resume(name, reason=reason, by=by)
        await listing(how, page(await read_kinds(opened, name)), KINDS)
