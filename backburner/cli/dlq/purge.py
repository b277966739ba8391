"""`backburner dlq purge`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.asking import confirm
from backburner.cli.dlq import foreseen
from backburner.cli.dlq.desk import desk
from backburner.cli.dlq.meaning import check_meaning, meaning
from backburner.cli.exits import Exit, Failed
from backburner.cli.filters import Filters, filter_options
from backburner.cli.render import Mode, json_option, mode
from backburner.cli.replays.carrying import carried
from backburner.cli.replays.telling import tell
from backburner.cli.store import url_option
from backburner.cli.who import audit_options

__all__ = ["command"]


@click.command("purge")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filter_options(limit=None)
@click.option("--all", "everything", is_flag=True, help="Every dead letter there is.")
@audit_options
@click.option("--dry-run", is_flag=True, help="Only look at what would be deleted.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@url_option
def command(
    *,
    ids: tuple[str, ...],
    filters: Filters,
    everything: bool,
    reason: str | None,
    by: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    url: str | None,
) -> None:
    """Delete dead letters and their history for good: by ids, by a filter, or --all of them.

    `dlq export` keeps them in a file first. A letter that is the child of a job which has not ended is kept. What was
    purged, by whom and why stays in `replays list`. A filter asks first, or needs --yes. Ctrl-C leaves the rest to the
    nodes, `replays stop` stops it. Exits with 1 if any letter was kept, with 3 if none matches.
    """
    check_meaning(ids, filters, everything=everything)
    how = mode(as_json=as_json)
    if not asyncio.run(_purge(ids, filters, (reason, by), how, url, dry_run=dry_run, ask=not (ids or yes))):
        raise click.exceptions.Exit(Exit.PARTLY)


async def _purge(
    ids: tuple[str, ...],
    filters: Filters,
    audit: tuple[str | None, str | None],
    how: Mode,
    url: str | None,
    *,
    dry_run: bool,
    ask: bool,
) -> bool:
    """Return whether all that was meant is done."""
    reason, by = audit
    async with desk(url, write=not dry_run) as opened:
        meant = await meaning(opened.backend.reader, ids, filters)
        found = await opened.letters.survey(meant.where, ids=meant.ids, limit=meant.limit)
        if not found.letters:
            raise Failed("no dead letter matches", Exit.NOTHING)
        if dry_run:
            foreseen.tell(found, how)
            return True
        if ask:
            confirm(foreseen.matched(found), "purge", "purged", count=found.letters)
        begun = await opened.letters.purge(
            meant.where, ids=meant.ids, all=not ids and not filters.given, limit=meant.limit, reason=reason, by=by
        )
        ended = await carried(opened.letters.replays, begun, watch=False)
    tell(ended, how)
    return ended.whole and not meant.amiss
