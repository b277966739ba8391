"""`backburner dlq show`."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import click

from backburner.cli.dlq.desk import Desk, desk
from backburner.cli.dlq.meaning import check_meaning, meaning
from backburner.cli.exits import Exit, Failed
from backburner.cli.filters import Filters, filter_options
from backburner.cli.jobs.description import describe
from backburner.cli.render import Mode, json_option, mode
from backburner.cli.store import url_option

if TYPE_CHECKING:
    from backburner.dlq.letters import OneLetter

__all__ = ["command"]

_CAUSE = re.compile(r"@([1-9]\d{0,5})", re.ASCII)


@click.command("show")
@click.argument("job_id", metavar="[ID|@N]", required=False)
@filter_options(limit=None)
@json_option
@url_option
def command(*, job_id: str | None, filters: Filters, as_json: bool, url: str | None) -> None:
    """Show one dead letter: arguments, every attempt with its traceback, children, replays.

    By its id or the beginning of it; by @N, the newest of the Nth cause of `dlq groups`; or by a filter, of which the newest
    is shown.
    """
    check_meaning((job_id,) if job_id else (), filters, everything=False)
    asyncio.run(_show(job_id, filters, mode(as_json=as_json), url))


async def _show(job_id: str | None, filters: Filters, how: Mode, url: str | None) -> None:
    async with desk(url) as opened:
        letter = await opened.letters.get(await _id(opened, job_id, filters))
        await describe(opened.backend, letter.job, letter.now, how, every=True, known=_more(letter))


async def _id(opened: Desk, job_id: str | None, filters: Filters) -> str:
    if job_id and job_id.startswith("@"):
        return await _newest_of_cause(opened, job_id)
    meant = await meaning(opened.backend.reader, (job_id,) if job_id else (), filters)
    if meant.ids:
        return meant.ids[0]
    page = await opened.letters.find(meant.where, limit=1)
    if not page.jobs:
        raise Failed("no dead letter matches", Exit.NOTHING)
    return page.jobs[0].id


async def _newest_of_cause(opened: Desk, given: str) -> str:
    written = _CAUSE.fullmatch(given)
    if written is None:
        raise click.UsageError(f"{given}: write @1 for the newest letter of the first cause of `dlq groups`")
    number = int(written[1])
    groups = (await opened.letters.groups(limit=number)).groups
    if len(groups) < number:
        raise Failed(f"there are {len(groups):,} causes, and no {given}", Exit.NOTHING)
    return groups[-1].sample


def _more(letter: OneLetter) -> dict[str, str]:
    return {"replays": ", ".join(letter.replays)} if letter.replays else {}
