"""Reads, in memory: plain scans, for nothing here is on the hot path."""

from __future__ import annotations

import heapq
from collections import Counter
from typing import TYPE_CHECKING

from backburner.backends.memory.matching import matches, row_shown
from backburner.backends.memory.row import record_of
from backburner.ports.jobs import Page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.backends.memory.connection import Connection
    from backburner.model.job import Attempt
    from backburner.model.query import JobFilter, Shown

__all__ = ["MemoryJobReader"]


class MemoryJobReader:
    """A `JobReader`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, ids: Sequence[str]) -> Page:
        """Return the jobs of these ids that exist."""
        jobs = self._connection.reading().jobs
        found = tuple(record_of(jobs[job_id]) for job_id in dict.fromkeys(ids) if job_id in jobs)
        return Page(self._connection.clock.now(), found, None)

    async def history(self, job_id: str) -> tuple[Attempt, ...]:
        """Return the attempts that did not complete, oldest first."""
        return tuple(self._connection.reading().history.get(job_id, ()))

    async def find(self, where: JobFilter, *, limit: int, after: str | None = None) -> Page:
        """Return the jobs that match, newest id first, below ``after``."""
        now = self._connection.clock.now()
        found = (
            (job_id, row)
            for job_id, row in self._connection.reading().jobs.items()
            if (after is None or job_id < after) and matches(row, where, now)
        )
        # One more than asked for tells whether there is a next page.
        first = heapq.nlargest(limit + 1, found, key=lambda item: item[0])
        page = tuple(record_of(row) for _, row in first[:limit])
        return Page(now, page, page[-1].id if page and len(first) > limit else None)

    async def count(self, where: JobFilter) -> Mapping[Shown, int]:
        """Count the jobs that match, by the state shown."""
        now = self._connection.clock.now()
        jobs = self._connection.reading().jobs
        return dict(Counter(row_shown(row, now) for row in jobs.values() if matches(row, where, now)))
