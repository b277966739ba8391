"""`backburner limits set`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from backburner.cli.controls import controls
from backburner.cli.limits.record import LIMITS, read_limits
from backburner.cli.reading import reading
from backburner.cli.render import Mode, json_option, listing, mode, page
from backburner.cli.store import url_option
from backburner.cli.who import audit_options
from backburner.resilience.rates import parse_rate

if TYPE_CHECKING:
    from backburner.model.lane import Rate

__all__ = ["command"]


@click.command("set")
@click.argument("name")
@click.option("--slots", metavar="N", type=click.IntRange(min=0), help="How many run at once, over all nodes.")
@click.option("--rate", metavar="RATE", callback=reading(parse_rate), help="How many start in how long: 100/minute.")
@audit_options
@json_option
@url_option
def command(
    *,
    name: str,
    slots: int | None,
    rate: Rate | None,
    reason: str | None,
    by: str | None,
    as_json: bool,
    url: str | None,
) -> None:
    """Set what a lane allows, in place of what the code declares: `limits set concurrency:thumb --slots 2`.

    What is left out stays. It holds from the next claim on, over all nodes, until `limits reset`; what runs goes on. Of a
    limit with a key it is what each key has. Of a retry budget --rate is the reserve. Breakers have verbs of their own. A line is as in `limits list`.
    """
    if slots is None and rate is None:
        raise click.UsageError("set what? --slots N (how many at once), --rate 100/minute")
    asyncio.run(_set(name, (slots, rate), (reason, by), mode(as_json=as_json), url))


async def _set(
    name: str,
    given: tuple[int | None, Rate | None],
    audit: tuple[str | None, str | None],
    how: Mode,
    url: str | None,
) -> None:
    (slots, rate), (reason, by) = given, audit
    async with controls(url, write=True) as opened:
        await opened.limits.set(name, slots=slots, rate=rate, reason=reason, by=by)
        await listing(how, page(await read_limits(opened, name)), LIMITS)
