"""Reads, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.matching import hopeless
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.filtering import Filtered, parameters
from backburner.backends.sqlite.finding import asks_for_letters, find
from backburner.backends.sqlite.statements import load
from backburner.backends.timing import begin, page_of, read_end
from backburner.model.job import Attempt, JobImage, JobRecord
from backburner.model.query import JobFilter, Shown
from backburner.ports.jobs import Backlog, FailureGroup, Groups, Images, Page, QueueBacklog, Timing, Timings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.backends.sqlite.session import Session
    from backburner.model.job import JobState

__all__ = ["SqliteJobReader"]

_GET = load("get")
_HISTORY = load("history")
_BACKLOG = load("backlog")


class _Standing(msgspec.Struct, array_like=True):
    """What stands in the line and at the gates of a queue: the column order of its statement."""

    waiting: int = 0
    oldest: int | None = None
    scheduled: int = 0
    retrying: int = 0
    held: int = 0


#: Where only others run or are dead.
_NOBODY = _Standing()

_decode_records = msgspec.json.Decoder(tuple[JobRecord, ...]).decode
_decode_attempts = msgspec.json.Decoder(tuple[Attempt, ...]).decode
_decode_images = msgspec.json.Decoder(tuple[JobImage, ...]).decode
_decode_counts = msgspec.json.Decoder(dict[Shown, int]).decode
_decode_standing = msgspec.json.Decoder(dict[str, _Standing]).decode
_decode_numbers = msgspec.json.Decoder(dict[str, int]).decode
_decode_groups = msgspec.json.Decoder(tuple[FailureGroup, ...]).decode

_decode_timings = msgspec.json.Decoder(tuple[Timing, ...]).decode

_COUNT = Filtered("count")
_COUNT_LETTERS = Filtered("count_letters")
_GROUPS = Filtered("groups")
_EXPORT = Filtered("export")
_TIMINGS = Filtered("timings")


class SqliteJobReader:
    """A `JobReader`: reads are statements that answer one row each, on a connection that cannot write; all but `find` are one."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, ids: Sequence[str]) -> Page:
        """Return the jobs of these ids that exist."""
        now = self._session.clock.now()
        return Page(now, _decode_records(await self._session.reads.one(_GET, {"ids": to_json(ids)})), None)

    async def history(self, job_id: str) -> tuple[Attempt, ...]:
        """Return the attempts that did not complete, oldest first."""
        return _decode_attempts(await self._session.reads.one(_HISTORY, {"id": job_id}))

    async def find(self, where: JobFilter, *, limit: int, after: str | None = None) -> Page:
        """Return the jobs that match, newest id first, below ``after``."""
        now = self._session.clock.now()
        if hopeless(where):
            return Page(now, (), None)
        # One more than asked for tells whether there is a next page.
        found = await find(self._session.reads, where, now, limit=limit + 1, after=after)
        page = found[:limit]
        return Page(now, page, page[-1].id if page and len(found) > limit else None)

    async def export(self, *, limit: int, after: str | None = None, where: JobFilter | None = None) -> Images:
        """Return whole jobs that match, smallest id first, above ``after``."""
        now = self._session.clock.now()
        where = where or JobFilter()
        if hopeless(where):
            return Images(now, (), None)
        given = parameters(where, now, after=after) | {"limit": limit + 1}
        found = _decode_images(await self._session.reads.one(_EXPORT.text(given), given))
        page = found[:limit]
        return Images(now, page, page[-1].record.id if page and len(found) > limit else None)

    async def count(self, where: JobFilter) -> Mapping[Shown, int]:
        """Count the jobs that match, by the state shown."""
        if hopeless(where):
            return {}
        given = parameters(where, self._session.clock.now())
        statement = _COUNT
        if asks_for_letters(where):
            given["states"] = None
            statement = _COUNT_LETTERS
        counts = _decode_counts(await self._session.reads.one(statement.text(given), given))
        return {state: number for state, number in counts.items() if number}

    async def groups(self, where: JobFilter, *, limit: int) -> Groups:
        """Return the dead letters that match by the fingerprint of their last failure."""
        now = self._session.clock.now()
        if hopeless(where):
            return Groups(now, ())
        given = parameters(where, now) | {"states": None, "running": None, "limit": limit}
        return Groups(now, _decode_groups(await self._session.reads.one(_GROUPS.text(given), given)))

    async def timings(
        self, state: JobState, where: JobFilter, *, within: int, limit: int, after: str | None = None
    ) -> Timings:
        """Return how jobs went that ended of late, the last to end first."""
        now = self._session.clock.now()
        if hopeless(where):
            return Timings(now, (), None)
        moment, before = read_end(after)
        window = {"state": state, "from": begin(now, within), "moment": moment, "before": before, "limit": limit + 1}
        given = parameters(where, now) | {"states": None, "running": None} | window
        return page_of(_decode_timings(await self._session.reads.one(_TIMINGS.text(given), given)), limit, now)

    async def backlog(self) -> Backlog:
        """Count what each queue holds."""
        now = self._session.clock.now()
        ((found, *numbers),) = await self._session.reads.all(_BACKLOG, {"now": now})
        standing = _decode_standing(found)
        running, dead, unknown = map(_decode_numbers, numbers)
        queues = tuple(
            QueueBacklog(
                queue=queue,
                running=running.get(queue, 0),
                dead=dead.get(queue, 0),
                **msgspec.structs.asdict(standing.get(queue, _NOBODY)),
            )
            for queue in sorted({*standing, *running, *dead})
        )
        return Backlog(now=now, queues=queues, unknown=unknown)
