"""`backburner schedules trigger`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli import completing
from backburner.cli.exits import Exit
from backburner.cli.render import Mode, json_option, mode, note, one
from backburner.cli.schedules.desk import desk
from backburner.cli.schedules.job import warn
from backburner.cli.schedules.record import read_row
from backburner.cli.store import url_option
from backburner.cli.who import audit_options

__all__ = ["command"]


@click.command("trigger")
@click.argument("name", shell_complete=completing.schedules)
@audit_options
@json_option
@url_option
def command(*, name: str, reason: str | None, by: str | None, as_json: bool, url: str | None) -> None:
    """Store a job of a schedule now, even while that is paused, and print the job's id. Its own ticks come as they would.

    What is not said by the schedule is as its code had it when that was stored, its queue as living nodes have it. Exits with 1 if another job holds its unique key: then that one's id is printed, and no job was stored.
    """
    if not asyncio.run(_trigger(name, (reason, by), mode(as_json=as_json), url)):
        raise click.exceptions.Exit(Exit.PARTLY)


async def _trigger(name: str, audit: tuple[str | None, str | None], how: Mode, url: str | None) -> bool:
    """Return whether a job was stored."""
    reason, by = audit
    async with desk(url, write=True) as opened:
        row = await read_row(opened, name)
        job_id, existed = await opened.schedules.trigger(name, by=by, note=reason)
        _tell(row.record.name, job_id, how, stored=not existed)
        if not existed:
            await warn(opened, row)
    return not existed


def _tell(name: str, job_id: str, how: Mode, *, stored: bool) -> None:
    if how is Mode.JSON:
        one(how, {"schedule": name, "job": job_id, "stored": stored}, ())
    else:
        click.echo(job_id)
    if not stored:
        note(f"no job was stored: {job_id} holds its unique key")
