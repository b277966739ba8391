"""`backburner jobs show`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.exits import Exit, Failed
from backburner.cli.jobs.description import describe
from backburner.cli.jobs.lookup import look_up
from backburner.cli.render import Mode, json_option, mode
from backburner.cli.store import opened, url_option

__all__ = ["command"]


@click.command("show")
@click.argument("job_id", metavar="ID")
@json_option
@url_option
def command(*, job_id: str, as_json: bool, url: str | None) -> None:
    """Show one job: arguments, state, where it comes from, what it waits for, children, every attempt and its error.

    ID may be the beginning of an id, as long as no other begins so. Piped, a line is a name and what is known by it: moments
    say how long ago they were; of an ancestor or a child id, kind and state, of an attempt its number, ending, beginning,
    end, node and error.
    """
    asyncio.run(_show(job_id, mode(as_json=as_json), url))


async def _show(job_id: str, how: Mode, url: str | None) -> None:
    async with opened(url) as backend:
        page = await look_up(backend.reader, job_id)
        if not page.jobs:
            raise Failed(f"there is no job {job_id}; its retention may have passed", Exit.NOTHING)
        await describe(backend, page.jobs[0], page.now, how)
