"""`backburner jobs list`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from backburner.cli.filters import Filters, filter_options, pages
from backburner.cli.jobs.record import error_line, gist, job_json, state_of
from backburner.cli.known import none_matches
from backburner.cli.render import Mode, View, json_option, listing, mode, note
from backburner.cli.store import opened, url_option
from backburner.cli.times import ago, iso

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backburner.model.job import JobRecord
    from backburner.model.query import JobFilter
    from backburner.ports.jobs import JobReader

__all__ = ["command"]


@click.command("list")
@filter_options(limit=100, states=True)
@json_option
@url_option
def command(*, filters: Filters, as_json: bool, url: str | None) -> None:
    """List jobs, newest first.

    Piped, a line is: id, kind, state, queue, priority, attempt, created, due, started, ended, node, tags, reason,
    error. --json has everything, arguments and result included. Exits with 3 if nothing matches.
    """
    asyncio.run(_list(filters, mode(as_json=as_json), url))


async def _list(filters: Filters, how: Mode, url: str | None) -> None:
    async with opened(url) as backend:
        found = _Found(backend.reader, await filters.resolve(backend.reader), filters.limit)
        view = View(
            titles=_TITLES, cells=found.cells, fields=found.fields, value=found.value, spare=_SPARE, numbers=(4,)
        )
        count = await listing(how, found.records(), view)
        if not count:
            raise await none_matches(backend, filters, "job")
    if found.more:
        note(f"the newest {count:,}; there are more: --limit")


_TITLES = ("ID", "KIND", "STATE", "QUEUE", "TRY", "CREATED", "NOTE")
#: CREATED, QUEUE and TRY, which `jobs show` tells as well.
_SPARE = (5, 3, 4)


class _Found:
    """The jobs found, written as seen from the store's now."""

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
        now = self._now
        created = ago(job.created_at, now)
        return (job.id, job.kind, state_of(job, now), job.queue, str(job.attempt), created, gist(job, now))

    def fields(self, job: JobRecord) -> tuple[str, ...]:
        times = map(iso, (job.created_at, job.due_at, job.started_at, job.ended_at))
        return (
            *(job.id, job.kind, state_of(job, self._now), job.queue, str(job.priority), str(job.attempt)),
            *times,
            *(job.node or "", ",".join(job.tags), job.reason or "", error_line(job.error, job.message)),
        )

    def value(self, job: JobRecord) -> object:
        return job_json(job, self._now)
