"""Reads, in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.matching import hopeless
from backburner.backends.postgres.filtering import conditions, is_by_error, state_shown
from backburner.backends.postgres.statements import fill
from backburner.backends.timing import NEVER, page_of, read_end
from backburner.errors import StoreRefused
from backburner.model.job import Attempt, JobImage, JobRecord
from backburner.model.query import JobFilter, Shown
from backburner.ports.jobs import Backlog, Groups, Images, Page, Timing, Timings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.backends.postgres.session import Session
    from backburner.model.job import JobState

__all__ = ["PostgresJobReader"]

_decode_records = msgspec.json.Decoder(tuple[int, tuple[JobRecord, ...]]).decode
_decode_attempts = msgspec.json.Decoder(tuple[Attempt, ...]).decode
_decode_images = msgspec.json.Decoder(tuple[int, tuple[JobImage, ...]]).decode
_decode_timings = msgspec.json.Decoder(tuple[int, tuple[Timing, ...]]).decode
_decode_groups = msgspec.json.Decoder(Groups).decode
_decode_backlog = msgspec.json.Decoder(Backlog).decode
_decode_counts = msgspec.json.Decoder(dict[Shown, int]).decode
_encode = msgspec.json.Encoder().encode


class PostgresJobReader:
    """A `JobReader`: each read is one statement that answers one JSON text."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, ids: Sequence[str]) -> Page:
        """Return the jobs of these ids that exist."""
        session = self._session
        now, jobs = _decode_records(await session.reads.value(session.statement("get"), session.now, [*ids]))
        return Page(now, jobs, None)

    async def history(self, job_id: str) -> tuple[Attempt, ...]:
        """Return the attempts that did not complete, oldest first."""
        return _decode_attempts(await self._session.reads.value(self._session.statement("history"), job_id))

    async def find(self, where: JobFilter, *, limit: int, after: str | None = None) -> Page:
        """Return the jobs that match, newest id first, below ``after``."""
        if hopeless(where):
            return await self.get(())
        # One more than asked for tells whether there is a next page.
        now, found = _decode_records(
            await self._filtered("find_letters" if is_by_error(where) else "find", where, limit + 1, after=after)
        )
        page = found[:limit]
        return Page(now, page, page[-1].id if page and len(found) > limit else None)

    async def count(self, where: JobFilter) -> Mapping[Shown, int]:
        """Count the jobs that match, by the state shown."""
        if hopeless(where):
            return {}
        return _decode_counts(await self._filtered("count", where))

    async def groups(self, where: JobFilter, *, limit: int) -> Groups:
        """Return the dead letters that match by their fingerprint, the largest groups first."""
        if hopeless(where):
            return Groups((await self.get(())).now, ())
        letters = msgspec.structs.replace(where, states=(Shown.DEAD,))
        return _decode_groups(await self._filtered("groups", letters, limit))

    async def timings(
        self, state: JobState, where: JobFilter, *, within: int, limit: int, after: str | None = None
    ) -> Timings:
        """Return how jobs went that ended of late, the last to end first."""
        if hopeless(where):
            return Timings((await self.get(())).now, (), None)
        moment, before = read_end(after)
        given = (state, min(within, NEVER), moment, before, limit + 1)
        now, found = _decode_timings(await self._filtered("timings", msgspec.structs.replace(where, states=()), *given))
        return page_of(found, limit, now)

    async def backlog(self) -> Backlog:
        """Count what each queue holds, by indexes."""
        session = self._session
        return _decode_backlog(await session.call(session.reads, "backlog", _encode({"now": session.now})))

    async def export(self, *, limit: int, after: str | None = None, where: JobFilter | None = None) -> Images:
        """Return whole jobs that match, smallest id first, above ``after``."""
        where = where or JobFilter()
        if hopeless(where):
            return Images((await self.get(())).now, (), None)
        now, found = _decode_images(await self._filtered("export", where, limit + 1, after or ""))
        page = found[:limit]
        return Images(now, page, page[-1].record.id if page and len(found) > limit else None)

    async def _filtered(self, name: str, where: JobFilter, *parameters: object, after: str | None = None) -> str:
        """Read by a statement for a filter, whose parameters come after now and these."""
        try:
            return await self._asked(name, where, *parameters, after=after, careful=False)
        except StoreRefused:
            if not where.where:
                raise
            # There are arguments that cannot be read: they fit no condition, and harm no other.
            return await self._asked(name, where, *parameters, after=after, careful=True)

    async def _asked(self, name: str, where: JobFilter, *parameters: object, after: str | None, careful: bool) -> str:
        session = self._session
        shown = session.statement("shown")
        text, given = conditions(where, shown=shown, first=len(parameters) + 2, after=after, careful=careful)
        statement = session.statement(name)
        for mark, meaning in (
            ("{jobs}", session.statement("letters" if is_by_error(where) else "jobs")),
            ("{shown}", state_shown(where, shown)),
            ("{where}", text),
        ):
            statement = statement.replace(mark, meaning)
        answer: str = await session.reads.value(fill(statement, session.place.schema), session.now, *parameters, *given)
        return answer
