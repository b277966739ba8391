"""`backburner dlq replay`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
import msgspec

from backburner.cli.asking import confirm
from backburner.cli.dlq import foreseen
from backburner.cli.dlq.desk import Desk, desk
from backburner.cli.dlq.meaning import Meaning, check_meaning, meaning
from backburner.cli.exits import Exit, Failed
from backburner.cli.filters import Filters, filter_options
from backburner.cli.reading import each, reading
from backburner.cli.render import Mode, json_option, mode, note
from backburner.cli.replays.carrying import carried
from backburner.cli.replays.telling import tell
from backburner.cli.store import url_option
from backburner.cli.who import audit_options
from backburner.dlq.letters import PACE
from backburner.dlq.state import MANY
from backburner.model.duration import about
from backburner.resilience.rates import parse_rate

if TYPE_CHECKING:
    from backburner.dlq.progress import Progress
    from backburner.dlq.survey import Survey
    from backburner.model.lane import Rate

__all__ = ["command"]

#: As fast as it goes.
_FASTEST = "max"


def _change(text: str) -> tuple[str, msgspec.Raw]:
    """Read ``args.url=JSON``; raises `ValueError`."""
    path, equals, value = text.partition("=")
    name = path.strip().removeprefix("args.")
    if not equals or not name or not path.strip().startswith("args."):
        raise ValueError(f"{text!r}: write args.url='\"https://…\"'")
    try:
        return name, msgspec.json.decode(value, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeError):
        raise ValueError(f"{value!r} is no JSON; a text needs its quotes: args.{name}='\"…\"'") from None


def _pace(text: str) -> Rate | None:
    return None if text == _FASTEST else parse_rate(text)


def _share(text: str) -> float:
    """Read ``20%``; raises `ValueError`."""
    number = text.strip().removesuffix("%")
    try:
        share = float(number) / 100
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ValueError(f"{text!r}: write a percentage above 0, at most 100, such as 20%")
    return share


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """How the letters are to go back."""

    rate: Rate | None
    stop_at: float
    attempts: int | None
    changes: dict[str, object]
    unchecked: bool
    reason: str | None
    by: str | None


@click.command("replay")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filter_options(limit=None)
@click.option("--all", "everything", is_flag=True, help="Every dead letter there is.")
@click.option(
    "--rate",
    default=PACE,
    show_default=True,
    callback=reading(_pace),
    help=f"Letters in a time, such as 5/s; {_FASTEST} is as fast as it goes.",
)
@click.option(
    "--stop-at",
    metavar="PERCENT",
    default="20%",
    show_default=True,
    callback=reading(_share),
    help="Stop when this share of first attempts fails again, of at least 20.",
)
@click.option("--attempts", metavar="N", type=click.IntRange(min=1), help="Failures that each may have from now on.")
@click.option(
    "--set",
    "changes",
    metavar="args.PATH=JSON",
    multiple=True,
    callback=each(_change),
    help="Put a value into the arguments; may be repeated. Checked against what living nodes say of the kind.",
)
@click.option("--unchecked", is_flag=True, help="Do not check what --set makes of the arguments.")
@click.option("--watch", is_flag=True, help="Wait for the first attempts, too: exits with 1 if any fails again.")
@audit_options
@click.option("--dry-run", is_flag=True, help="Only look at what would be replayed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@url_option
def command(
    *,
    ids: tuple[str, ...],
    filters: Filters,
    everything: bool,
    rate: Rate | None,
    stop_at: float,
    attempts: int | None,
    changes: tuple[tuple[str, msgspec.Raw], ...],
    unchecked: bool,
    watch: bool,
    reason: str | None,
    by: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    url: str | None,
) -> None:
    """Bring dead letters back: by ids (or the beginnings of ids), by a filter, or --all of them.

    They start over, with their failures at zero. Of more than a hundred ten go first, and their first attempts are
    waited for; too many that fail again stop it. Ctrl-C, or the death of this program, stops nothing: nodes carry it on,
    `replays watch` follows it, `replays stop` stops it. None is replayed twice, whoever else replays. A letter whose unique
    key another job holds stays dead, and is told of.

    A filter asks first, or needs --yes. Exits with 1 if any letter stayed dead, with 3 if none matches.
    """
    check_meaning(ids, filters, everything=everything)
    order = _Order(
        rate=rate,
        stop_at=stop_at,
        attempts=attempts,
        changes=dict(changes),
        unchecked=unchecked,
        reason=reason,
        by=by,
    )
    how = mode(as_json=as_json)
    if dry_run:
        asyncio.run(_foresee(ids, filters, order, how, url))
    else:
        asyncio.run(_replay(ids, filters, order, how, url, watch=watch, ask=not (ids or yes)))


async def _foresee(ids: tuple[str, ...], filters: Filters, order: _Order, how: Mode, url: str | None) -> None:
    async with desk(url) as opened:
        meant = await meaning(opened.backend.reader, ids, filters)
        found = await _survey(opened, meant)
        await opened.letters.check(meant.where, ids=meant.ids, set=order.changes, unchecked=order.unchecked)
    foreseen.tell(found, how)
    foreseen.warn(found)


async def _replay(
    ids: tuple[str, ...], filters: Filters, order: _Order, how: Mode, url: str | None, *, watch: bool, ask: bool
) -> None:
    async with desk(url, write=True) as opened:
        meant = await meaning(opened.backend.reader, ids, filters)
        found = await _survey(opened, meant)
        foreseen.warn(found)
        if ask:
            confirm(foreseen.matched(found), "replay", "replayed", count=found.letters)
        begun = await opened.letters.replay(
            meant.where,
            ids=meant.ids,
            all=not ids and not filters.given,
            limit=meant.limit,
            set=order.changes,
            unchecked=order.unchecked,
            attempts=order.attempts,
            pace=order.rate,
            stop_at=order.stop_at,
            reason=order.reason,
            by=order.by,
        )
        note(_beginning(begun, found))
        ended = await carried(opened.letters.replays, begun, watch=watch)
    tell(ended, how)
    if meant.amiss or not ended.whole or (watch and ended.failed):
        raise click.exceptions.Exit(Exit.PARTLY)


async def _survey(opened: Desk, meant: Meaning) -> Survey:
    found = await opened.letters.survey(meant.where, ids=meant.ids, limit=meant.limit)
    if not found.letters:
        raise Failed("no dead letter matches", Exit.NOTHING)
    return found


def _beginning(begun: Progress, found: Survey) -> str:
    pace = begun.pace
    parts = [f"replay {begun.id}: {begun.found:,} {'letter' if begun.found == 1 else 'letters'}"]
    if pace is not None:
        parts.append(f"about {about(begun.found * pace.period // pace.limit)}")
    if begun.found > MANY:
        parts.append("ten go first and are waited for")
        if found.unknown:
            parts.append(f"which takes a node that knows {', '.join(found.unknown)}")
    return f"{', '.join(parts)}; Ctrl-C leaves it to the nodes, 'backburner replays stop {begun.id}' stops it"
