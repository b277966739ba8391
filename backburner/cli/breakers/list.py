"""`backburner breakers list`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.breakers.record import BREAKERS, read_breakers
from backburner.cli.controls import controls
from backburner.cli.exits import Exit, Failed
from backburner.cli.render import Mode, json_option, listing, mode, page
from backburner.cli.store import url_option

__all__ = ["command"]


@click.command("list")
@json_option
@url_option
def command(*, as_json: bool, url: str | None) -> None:
    """List the circuit breakers that nodes have named.

    Piped, a line is: name, state (closed, open, half-open: a few jobs probe, closing: let go in a ramp, opened: by an
    operator), since when it goes so by how runs end, when time alone changes that (the next probe), how many of its jobs
    may run at once (empty: no limit), who opened it, why. Exits with 3 if there is none.
    """
    asyncio.run(_list(mode(as_json=as_json), url))


async def _list(how: Mode, url: str | None) -> None:
    async with controls(url) as opened:
        found = await read_breakers(opened)
    if not await listing(how, page(found), BREAKERS):
        raise Failed("no node has declared a breaker yet", Exit.NOTHING)
