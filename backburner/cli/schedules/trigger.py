"""`backburner schedules trigger`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.exits import Exit
from backburner.cli.render import Mode, json_option, mode, note, one
from backburner.cli.schedules.desk import Desk, desk
from backburner.cli.schedules.job import warn
from backburner.cli.schedules.record import read_row
from backburner.cli.store import url_option
from backburner.cli.who import audit_options
from backburner.model.schedule import UNIQUE, Outcome

__all__ = ["command"]


@click.command("trigger")
@click.argument("name")
@audit_options
@json_option
@url_option
def command(*, name: str, reason: str | None, by: str | None, as_json: bool, url: str | None) -> None:
    """Store a job of a schedule now, even while that is paused, and print the job's id. Its own ticks come as they would.

    Its queue and priority are those that were stored with the schedule: what code says of them by now is not known
    here. Exits with 1 if another job holds its unique key: then that one's id is printed, and no job was stored.
    """
    if not asyncio.run(_trigger(name, (reason, by), mode(as_json=as_json), url)):
        raise click.exceptions.Exit(Exit.PARTLY)


async def _trigger(name: str, audit: tuple[str | None, str | None], how: Mode, url: str | None) -> bool:
    """Return whether a job was stored."""
    reason, by = audit
    async with desk(url, write=True) as opened:
        row = await read_row(opened, name)
        job_id = await opened.schedules.trigger(name, by=by, note=reason)
        stored = not await _held(opened, name, job_id)
        _tell(row.record.name, job_id, how, stored=stored)
        if stored:
            await warn(opened.backend, row)
    return stored


async def _held(opened: Desk, name: str, job_id: str) -> bool:
    """Tell whether that job stood in the way: one that has just been stored never did."""
    page = await opened.schedules.ticks(name=name, outcomes=(Outcome.SKIPPED,), limit=1)
    return any(tick.reason == UNIQUE and tick.job == job_id for tick in page.ticks)


def _tell(name: str, job_id: str, how: Mode, *, stored: bool) -> None:
    if how is Mode.JSON:
        one(how, {"schedule": name, "job": job_id, "stored": stored}, ())
    else:
        click.echo(job_id)
    if not stored:
        note(f"no job was stored: {job_id} holds its unique key")
