"""`backburner replays list`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from backburner.cli.dlq.desk import desk
from backburner.cli.exits import Exit, Failed
from backburner.cli.reading import MOST
from backburner.cli.render import Mode, View, json_option, listing, mode, note
from backburner.cli.replays.telling import progress_json, standing
from backburner.cli.store import url_option
from backburner.cli.times import ago, iso

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backburner.dlq.progress import Progress

__all__ = ["command"]


@click.command("list")
@click.option("--active", is_flag=True, help="Only those with something left to do.")
@click.option("--limit", metavar="N", type=click.IntRange(min=1), default=100, show_default=True, help="The newest N.")
@json_option
@url_option
def command(*, active: bool, limit: int, as_json: bool, url: str | None) -> None:
    """List replays, purges and imports, newest first: the audit of who did what to dead letters, and why.

    Ended ones are kept as long as dead letters are. Piped, a line is: id, action, state, letters, done, kept, missed,
    refused, first attempts that went well and that failed, began, changed, by, reason. Exits with 3 if there are none.
    """
    asyncio.run(_list(mode(as_json=as_json), url, active=active, limit=min(limit, MOST)))


async def _list(how: Mode, url: str | None, *, active: bool, limit: int) -> None:
    async with desk(url) as opened:
        found = await opened.letters.replays.list(active=True if active else None, limit=limit)

    async def page() -> AsyncIterator[tuple[Progress, ...]]:
        yield found

    await listing(how, page(), _VIEW)
    if not found:
        raise Failed("nothing is left to do" if active else "no replay, purge or import is on record", Exit.NOTHING)
    if len(found) == limit:
        note(f"the newest {limit:,}; there may be more: --limit")


def _cells(progress: Progress) -> tuple[str, ...]:
    return (
        # Why it stopped is long, and `replays watch` says it.
        *(progress.id, progress.action, "stopped" if progress.stopped else standing(progress)),
        *(f"{progress.done:,}", f"{progress.found:,}"),
        *(ago(progress.created_at, progress.now), progress.by or "", progress.reason or ""),
    )


def _fields(progress: Progress) -> tuple[str, ...]:
    counts = (progress.found, progress.done, progress.kept, progress.missed, progress.refused)
    return (
        *(progress.id, progress.action, standing(progress), *map(str, counts)),
        *(str(progress.ok), str(progress.failed), iso(progress.created_at), iso(progress.changed_at)),
        *(progress.by or "", progress.reason or ""),
    )


_VIEW: View[Progress] = View(
    titles=("ID", "ACTION", "STATE", "DONE", "OF", "BEGAN", "BY", "REASON"),
    cells=_cells,
    fields=_fields,
    value=progress_json,
    spare=(5, 6),
    numbers=(3, 4),
)
