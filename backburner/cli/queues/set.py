"""`backburner queues set`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import click
from msgspec import UNSET, UnsetType

from backburner.cli import completing
from backburner.cli.controls import controls
from backburner.cli.known import anyway_option, check_queue
from backburner.cli.queues.record import QUEUES, read_queues
from backburner.cli.reading import reading
from backburner.cli.render import Mode, json_option, listing, mode, page
from backburner.cli.store import url_option
from backburner.cli.who import audit_options
from backburner.resilience.rates import parse_rate

if TYPE_CHECKING:
    from backburner.model.lane import Rate

__all__ = ["command"]

T = TypeVar("T")

#: What the options say where nothing is to be set.
_DEFAULT, _NONE = "default", "none"


def _slots(text: str) -> int | str:
    if text != _DEFAULT and not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is no number of slots; write 4, or default for what the code declares")
    return text if text == _DEFAULT else int(text)


def _rate(text: str) -> Rate | str:
    return text if text == _NONE else parse_rate(text)


@click.command("set")
@click.argument("name", shell_complete=completing.queues)
@click.option(
    "--slots", metavar="N|default", callback=reading(_slots), help="How many of its jobs each node runs at once."
)
@click.option(
    "--rate",
    metavar="RATE|none",
    callback=reading(_rate),
    help="How many of its jobs start in how long, over all nodes: 100/minute.",
)
@audit_options
@anyway_option
@json_option
@url_option
def command(
    *,
    name: str,
    slots: int | str | None,
    rate: Rate | str | None,
    reason: str | None,
    by: str | None,
    anyway: bool,
    as_json: bool,
    url: str | None,
) -> None:
    """Set how many jobs of a queue run on each node, and how many start in how long on all of them.

    What is left out stays. Nodes hear so at once, at worst with their next beat; what runs goes on. A line is as in
    `queues list`.
    """
    if slots is None and rate is None:
        raise click.UsageError("set what? --slots N, --rate 100/minute; queues pause stops a queue")
    asyncio.run(_set(name, (_given(slots), _given(rate)), (reason, by), mode(as_json=as_json), url, anyway=anyway))


def _given(value: T | str | None) -> T | UnsetType | None:
    """Return what the option means: None for what is not to be limited, unset where it was left out."""
    if value is None:
        return UNSET
    return None if isinstance(value, str) else value


async def _set(
    name: str,
    given: tuple[int | UnsetType | None, Rate | UnsetType | None],
    audit: tuple[str | None, str | None],
    how: Mode,
    url: str | None,
    *,
    anyway: bool,
) -> None:
    (slots, rate), (reason, by) = given, audit
    async with controls(url, write=True) as opened:
        if not anyway:
            await check_queue(opened.backend, name)
        await opened.queues.set(name, slots=slots, rate=rate, reason=reason, by=by)
        await listing(how, page(await read_queues(opened, name)), QUEUES)
