"""`backburner dlq list`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from backburner.cli.dlq.desk import desk
from backburner.cli.filters import Filters, filter_options, pages
from backburner.cli.jobs.record import error_line, gist, job_json
from backburner.cli.known import none_matches
from backburner.cli.render import Mode, View, json_option, listing, mode, note
from backburner.cli.store import url_option
from backburner.cli.times import ago, iso
from backburner.dlq.ordering import among_dead

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backburner.model.job import JobRecord
    from backburner.model.query import JobFilter
    from backburner.ports.jobs import JobReader

__all__ = ["command"]

_TITLES = ("ID", "KIND", "TRY", "DIED", "CAUSE", "REASON")
#: TRY, CAUSE and DIED.
_SPARE = (2, 4, 3)


@click.command("list")
@filter_options(limit=100)
@json_option
@url_option
def command(*, filters: Filters, as_json: bool, url: str | None) -> None:
    """List dead letters, newest first.

    Piped, a line is: id, kind, queue, attempt, failures, crashes, created, died, fingerprint, tags, reason, error.
    --json has everything, arguments included. Exits with 3 if nothing matches.
    """
    asyncio.run(_list(filters, mode(as_json=as_json), url))


async def _list(filters: Filters, how: Mode, url: str | None) -> None:
    async with desk(url) as opened:
        reader = opened.backend.reader
        found = _Found(reader, among_dead(await filters.resolve(reader)), filters.limit)
        view = View(titles=_TITLES, cells=found.cells, fields=_fields, value=found.value, spare=_SPARE, numbers=(2,))
        count = await listing(how, found.records(), view)
        if not count:
            raise await none_matches(opened.backend, filters, "dead letter")
    if found.more:
        note(f"the newest {count:,}; there are more: --limit")


class _Found:
    """The letters found, written as seen from the store's now."""

    def __init__(self, reader: JobReader, where: JobFilter, limit: int | None) -> None:
        self._pages = pages(reader, where, limit)
        self._now = 0
        #: There are more than were asked for.
        self.more = False

    async def records(self) -> AsyncIterator[tuple[JobRecord, ...]]:
        async for page in self._pages:
            self._now = page.now
            self.more = page.after is not None
            yield page.jobs

    def cells(self, job: JobRecord) -> tuple[str, ...]:
        died = ago(job.ended_at or 0, self._now)
        return (job.id, job.kind, str(job.attempt), died, job.fingerprint, gist(job, self._now))

    def value(self, job: JobRecord) -> object:
        return job_json(job, self._now)


def _fields(job: JobRecord) -> tuple[str, ...]:
    return (
        *(job.id, job.kind, job.queue, str(job.attempt), str(job.failures), str(job.crashes)),
        *(iso(job.created_at), iso(job.ended_at), job.fingerprint, ",".join(job.tags), job.reason or ""),
        error_line(job.error, job.message),
    )
