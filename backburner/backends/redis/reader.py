"""Reads, in Redis."""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec

from backburner.backends.matching import hopeless, matches, record_shown
from backburner.backends.redis import packing
from backburner.backends.redis.backlog import backlog
from backburner.backends.redis.grouping import Grouping
from backburner.backends.redis.timing import walk_ended
from backburner.backends.redis.walking import (
    STEP,
    asks_for_standing,
    below,
    children,
    runs_of_a_node,
    standing,
    walk,
    walk_whole,
)
from backburner.backends.timing import page_of
from backburner.model.query import Shown
from backburner.ports.jobs import Groups, Images, Page, Timing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from backburner.backends.redis.session import Session
    from backburner.model.job import Attempt, JobImage, JobRecord, JobState
    from backburner.model.query import JobFilter
    from backburner.ports.jobs import Backlog, Timings

__all__ = ["RedisJobReader"]

#: Ids of one read in one script.
_IDS = 1000


class RedisJobReader:
    """A `JobReader`. Where no index has the answer, jobs are walked in steps and looked at here: others go in between."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, ids: Sequence[str]) -> Page:
        """Return the jobs of these ids that exist."""
        keys, wanted = self._session.keys, [*dict.fromkeys(ids)]
        found: list[JobRecord] = []
        now = 0
        for start in range(0, len(wanted) or 1, _IDS):
            some = wanted[start : start + _IDS]
            now, *answer = await self._session.scripts.read("read_get", (keys.jobs, keys.runs), some)
            found += (
                packing.record(job_id, job, run)
                for job_id, job, run in zip(some, answer[::2], answer[1::2], strict=True)
                if job is not None
            )
        return Page(now, tuple(found), None)

    async def history(self, job_id: str) -> tuple[Attempt, ...]:
        """Return the attempts that did not complete, oldest first."""
        found = await self._session.client.call("ZRANGEBYLEX", self._session.keys.history, *below(job_id))
        return packing.attempts(found)

    async def find(self, where: JobFilter, *, limit: int, after: str | None = None) -> Page:
        """Return the jobs that match, newest id first, below ``after``."""
        if hopeless(where):
            return await self.get(())
        found: list[JobRecord] = []
        now: int | None = None
        # One more than asked for tells whether there is a next page.
        async with aclosing(self._walk(where, after, limit + 1)) as steps:
            async for at, jobs in steps:
                now = at if now is None else now
                found += (job for job in jobs if matches(job, where, now))
                if len(found) > limit:
                    break
        page = tuple(found[:limit])
        return Page(now or 0, page, page[-1].id if page and len(found) > limit else None)

    async def count(self, where: JobFilter) -> Mapping[Shown, int]:
        """Count the jobs that match, by the state shown."""
        if hopeless(where):
            return {}
        counted: Counter[Shown] = Counter()
        now: int | None = None
        async for at, jobs in self._walk(where, None, STEP):
            now = at if now is None else now
            counted.update(record_shown(job, now) for job in jobs if matches(job, where, now))
        return dict(counted)

    async def groups(self, where: JobFilter, *, limit: int) -> Groups:
        """Return the dead letters that match by their fingerprint, the largest groups."""
        if hopeless(where):
            return Groups((await self.get(())).now, ())
        dead = msgspec.structs.replace(where, states=(Shown.DEAD,))
        grouping = Grouping()
        now: int | None = None
        async for at, jobs in self._walk(dead, None, STEP):
            now = at if now is None else now
            for job in jobs:
                if matches(job, dead, now):
                    grouping.add(job)
        return Groups(now or 0, grouping.largest(limit))

    async def timings(
        self, state: JobState, where: JobFilter, *, within: int, limit: int, after: str | None = None
    ) -> Timings:
        """Return how jobs went that ended of late, the last to end first."""
        if hopeless(where):
            return page_of((), limit, (await self.get(())).now)
        where = msgspec.structs.replace(where, states=())
        found: list[Timing] = []
        now: int | None = None
        walk = walk_ended(self._session, state, where, within=within, after=after, few=limit + 1)
        async with aclosing(walk) as steps:
            async for at, jobs in steps:
                now = at if now is None else now
                found += (_timing(job) for job in jobs if matches(job, where, now))
                if len(found) > limit:
                    break
        return page_of(found, limit, now or 0)

    async def backlog(self) -> Backlog:
        """Count what each queue holds."""
        return await backlog(self._session)

    async def export(self, *, limit: int, after: str | None = None, where: JobFilter | None = None) -> Images:
        """Return whole jobs that match, whatever their state, by id ascending, those above ``after``."""
        if where is not None and hopeless(where):
            return Images((await self.get(())).now, (), None)
        found: list[JobImage] = []
        now: int | None = None
        # One more than asked for tells whether there is a next page.
        async with aclosing(walk_whole(self._session, where, after=after, few=limit + 1)) as steps:
            async for at, images in steps:
                now = at if now is None else now
                found += (image for image in images if where is None or matches(image.record, where, now))
                if len(found) > limit:
                    break
        page = tuple(found[:limit])
        return Images(now or 0, page, page[-1].record.id if page and len(found) > limit else None)

    async def _walk(self, where: JobFilter, after: str | None, few: int) -> AsyncGenerator[tuple[int, list[JobRecord]]]:
        node = runs_of_a_node(where)
        if node is not None:
            # A node runs no more than it has slots.
            held: list[bytes] = await self._session.client.call("ZRANGEBYLEX", self._session.keys.held, *below(node))
            ids = sorted((member.rpartition(b"\0")[2].decode() for member in held), reverse=True)
            page = await self.get([job_id for job_id in ids if after is None or job_id < after])
            yield page.now, [*page.jobs]
        elif asks_for_standing(where) and (those := await standing(self._session, where, after)) is not None:
            async for step in self._by_ids(those):
                yield step
        elif len(where.parents) > 1:
            async for step in self._by_ids(await children(self._session, where, after)):
                yield step
        else:
            async for step in walk(self._session, where, after=after, few=few):
                yield step

    async def _by_ids(self, ids: Sequence[str]) -> AsyncGenerator[tuple[int, list[JobRecord]]]:
        for start in range(0, len(ids) or 1, STEP):
            page = await self.get(ids[start : start + STEP])
            yield page.now, [*page.jobs]


def _timing(job: JobRecord) -> Timing:
    """Return how a job went that has ended."""
    return Timing(
        id=job.id,
        kind=job.kind,
        queue=job.queue,
        attempt=job.attempt,
        failures=job.failures,
        created_at=job.created_at,
        due_at=job.due_at,
        started_at=job.started_at,
        ended_at=job.ended_at or 0,
    )
