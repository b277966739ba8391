"""`backburner schedules backfill`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from backburner.cli import completing
from backburner.cli.asking import confirm
from backburner.cli.exits import Exit, Failed
from backburner.cli.moments import past
from backburner.cli.reading import reading
from backburner.cli.render import Mode, json_option, mode, note, one
from backburner.cli.schedules.desk import desk
from backburner.cli.schedules.job import warn
from backburner.cli.schedules.record import read_row
from backburner.cli.store import url_option
from backburner.cli.times import Moment, moment
from backburner.cli.who import audit_options
from backburner.scheduler.schedules import BACKFILL_LIMIT

if TYPE_CHECKING:
    from backburner.scheduler.schedules import Backfill

__all__ = ["command"]


@click.command("backfill")
@click.argument("name", shell_complete=completing.schedules)
@click.option(
    "--since",
    metavar="MOMENT",
    required=True,
    callback=reading(moment),
    help="Ticks at or after: 6h (ago), 2026-11-21.",
)
@click.option("--until", metavar="MOMENT", callback=reading(moment), help="Ticks before.  [default: now]")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=1),
    default=BACKFILL_LIMIT,
    show_default=True,
    help="How many there may be; of more, none is stored.",
)
@audit_options
@click.option("--dry-run", is_flag=True, help="Only count them.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@url_option
def command(
    *,
    name: str,
    since: Moment,
    until: Moment | None,
    limit: int,
    reason: str | None,
    by: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    url: str | None,
) -> None:
    """Store a job for each tick of the past that had none, as far back as the ledger tells.

    They are due at once, and run one after another unless the schedule's overlap is allow. Interrupted, run it again:
    what has its job by then is left out. Asks first, or needs --yes. Piped, a line is a name and a value: ticks, known
    (those that had a job), stored, and each job's id. Exits with 1 if other jobs hold the unique keys of any, with 3 if
    no tick lacks a job.
    """
    how = mode(as_json=as_json)
    whole = asyncio.run(
        _backfill(name, (since, until), limit, (reason, by), how, url=url, dry_run=dry_run, ask=not yes)
    )
    if not whole:
        raise click.exceptions.Exit(Exit.PARTLY)


async def _backfill(
    name: str,
    between: tuple[Moment, Moment | None],
    limit: int,
    audit: tuple[str | None, str | None],
    how: Mode,
    *,
    url: str | None,
    dry_run: bool,
    ask: bool,
) -> bool:
    """Return whether each of the ticks has its job."""
    reason, by = audit
    async with desk(url, write=not dry_run) as opened:
        row = await read_row(opened, name)
        first, last = between
        since = past("since", first, row.now)
        until = row.now if last is None else past("until", last, row.now)
        schedules = opened.schedules
        foreseen = await schedules.backfill(name, since=since, until=until, limit=limit, dry_run=True)
        if not foreseen.ticks:
            had = f": all {foreseen.known:,} there were have one" if foreseen.known else ": there was none"
            raise Failed(f"no tick of {name} in that time lacks a job{had}", Exit.NOTHING)
        await warn(opened, row)
        if dry_run:
            _tell(name, foreseen, how, dry_run=True)
            return True
        if ask:
            confirm(f"{_ticks(foreseen.ticks)} of {name} had no job", "backfill", "backfilled", count=foreseen.ticks)
        done = await schedules.backfill(name, since=since, until=until, limit=limit, by=by, note=reason)
    _tell(name, done, how, dry_run=False)
    return len(done.jobs) == done.ticks


def _tell(name: str, done: Backfill, how: Mode, *, dry_run: bool) -> None:
    value = {
        "schedule": name,
        "dry_run": dry_run,
        "ticks": done.ticks,
        "known": done.known,
        "stored": len(done.jobs),
        "jobs": done.jobs,
    }
    fields: list[tuple[str, ...]] = [
        ("ticks", str(done.ticks)),
        ("known", str(done.known)),
        *([] if dry_run else [("stored", str(len(done.jobs)))]),
        *(("job", job_id) for job_id in done.jobs),
    ]
    one(how, value, fields)
    held = done.ticks - len(done.jobs)
    if held and not dry_run:
        note(f"{_ticks(held)} {'has' if held == 1 else 'have'} none, since other jobs hold the unique key")


def _ticks(count: int) -> str:
    return f"{count:,} {'tick' if count == 1 else 'ticks'}"
