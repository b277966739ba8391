"""Reads, in memory: plain scans, for nothing here is on the hot path."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from backburner.backends.matching import hopeless, matches, record_shown
from backburner.backends.memory.backlog import count_backlog
from backburner.backends.memory.restoring import image_of
from backburner.backends.memory.row import record_of, timing_of
from backburner.backends.timing import begin, page_of, read_end
from backburner.model.job import JobState
from backburner.model.query import Shown
from backburner.ports.jobs import FailureGroup, Groups, Images, Page, Timings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from backburner.backends.memory.connection import Connection
    from backburner.backends.memory.database import MemoryDatabase
    from backburner.backends.memory.row import Row
    from backburner.model.job import Attempt, JobRecord
    from backburner.model.query import JobFilter
    from backburner.ports.jobs import Backlog

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
        if hopeless(where):
            return Page(now, (), None)
        rows = _rows(self._connection.reading(), where)
        records = (record_of(row) for row in rows if after is None or row.job.id < after)
        # One more than asked for tells whether there is a next page.
        found = heapq.nlargest(limit + 1, (job for job in records if matches(job, where, now)), key=lambda job: job.id)
        page = tuple(found[:limit])
        return Page(now, page, page[-1].id if page and len(found) > limit else None)

    async def backlog(self) -> Backlog:
        """Count what each queue holds."""
        return count_backlog(self._connection.reading(), self._connection.clock.now())

    async def timings(
        self, state: JobState, where: JobFilter, *, within: int, limit: int, after: str | None = None
    ) -> Timings:
        """Return how jobs went that ended of late, the last to end first."""
        now = self._connection.clock.now()
        line = self._connection.reading().ended.get(state)
        if line is None or hopeless(where):
            return Timings(now, (), None)
        end = read_end(after)
        where = msgspec.structs.replace(where, states=())
        entries = (entry for entry in line.since(begin(now, within)) if entry[:2] < end)
        matching = (entry for entry in entries if matches(record_of(entry[3]), where, now))
        found = heapq.nlargest(limit + 1, matching, key=lambda entry: entry[:2])
        return page_of([timing_of(entry[3], entry[0]) for entry in found], limit, now)

    async def groups(self, where: JobFilter, *, limit: int) -> Groups:
        """Return the dead letters that match by their fingerprint, the largest groups."""
        now = self._connection.clock.now()
        if hopeless(where):
            return Groups(now, ())
        letters: defaultdict[str, list[JobRecord]] = defaultdict(list)
        dead = msgspec.structs.replace(where, states=(Shown.DEAD,))
        for row in self._connection.reading().jobs.values():
            if row.state is JobState.DEAD and matches(record := record_of(row), dead, now):
                letters[row.fingerprint].append(record)
        groups = sorted(map(_group, letters.values()), key=lambda group: (-group.count, group.fingerprint))
        return Groups(now, tuple(groups[:limit]))

    async def export(self, *, limit: int, after: str | None = None, where: JobFilter | None = None) -> Images:
        """Return whole jobs that match, smallest id first, above ``after``."""
        database = self._connection.reading()
        now = self._connection.clock.now()
        if where is not None and hopeless(where):
            return Images(now, (), None)
        ids = (
            job_id
            for job_id, row in database.jobs.items()
            if (after is None or job_id > after) and (where is None or matches(record_of(row), where, now))
        )
        found = heapq.nsmallest(limit + 1, ids)
        page = tuple(image_of(database, database.jobs[job_id]) for job_id in found[:limit])
        return Images(now, page, found[limit - 1] if len(found) > limit else None)

    async def count(self, where: JobFilter) -> Mapping[Shown, int]:
        """Count the jobs that match, by the state shown."""
        if hopeless(where):
            return {}
        now = self._connection.clock.now()
        records = map(record_of, _rows(self._connection.reading(), where))
        return dict(Counter(record_shown(job, now) for job in records if matches(job, where, now)))


def _rows(database: MemoryDatabase, where: JobFilter) -> Iterable[Row]:
    """Return the jobs among which all are that match."""
    if not where.parents:
        return database.jobs.values()
    return chain.from_iterable(database.children.get(parent, {}).values() for parent in {*where.parents})


def _group(letters: list[JobRecord]) -> FailureGroup:
    newest = max(letters, key=lambda letter: (letter.ended_at or 0, letter.id))
    ends = [letter.ended_at or 0 for letter in letters]
    return FailureGroup(
        fingerprint=newest.fingerprint,
        error=newest.error,
        message=newest.message,
        reason=newest.reason,
        count=len(letters),
        first=min(ends),
        last=max(ends),
        kinds=dict(Counter(letter.kind for letter in letters)),
        sample=newest.id,
    )
