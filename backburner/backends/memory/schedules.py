"""Schedules, and the ledger of their ticks, in memory."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from backburner.backends.content import change_flaw, events_flaw, refuse_events
from backburner.backends.memory.inserting import insert
from backburner.model.schedule import UNIQUE, Outcome
from backburner.ports.backend import Hint
from backburner.ports.schedules import ChangeAnswer, Changed, Due, Schedules, Ticks

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from backburner.backends.memory.connection import Connection
    from backburner.backends.memory.database import MemoryDatabase
    from backburner.model.event import NewEvent
    from backburner.model.schedule import ScheduleChange, TickRecord

__all__ = ["MemoryScheduleReader", "MemoryScheduleStore"]


class MemoryScheduleStore:
    """A `ScheduleStore`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def due(self, limit: int) -> Due:
        """Return the schedules that are due, the earliest ``limit``."""
        database = self._connection.reading()
        now = self._connection.clock.now()
        first = database.schedules.first(limit + 1, now)
        due = tuple(schedule for schedule in first[:limit] if schedule.due_at is not None and schedule.due_at <= now)
        following = next((schedule.due_at for schedule in first[len(due) :]), None)
        return Due(
            now=now,
            schedules=due,
            unended=frozenset(schedule.name for schedule in due if _runs(database, schedule.last_job)),
            wait=None if following is None else max(0, following - now),
        )

    async def change(self, changes: Sequence[ScheduleChange]) -> Changed:
        """Write schedules, ticks and jobs, each change whole or not at all."""
        database = self._connection.writing()
        now = self._connection.clock.now()
        answers = tuple([_change(database, change, now) for change in changes])
        database.changed(self._connection, Hint.CONTROL)
        if any(change.jobs for change in changes):
            database.changed(self._connection, Hint.JOBS)
        return Changed(now, answers)

    async def remove(self, name: str, version: int, events: Sequence[NewEvent] = ()) -> bool:
        """Delete a schedule of that version."""
        database = self._connection.writing()
        refuse_events(events)
        known = database.schedules.get(name)
        if known is None or known.version != version:
            return False
        database.schedules.delete(name)
        database.log.append(events, self._connection.clock.now())
        database.changed(self._connection, Hint.CONTROL)
        return True


class MemoryScheduleReader:
    """A `ScheduleReader`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, names: Collection[str]) -> Schedules:
        """Return those of these names that exist, by name."""
        book = self._connection.reading().schedules
        found = [book.get(name) for name in sorted({*names})]
        return Schedules(self._connection.clock.now(), tuple(one for one in found if one is not None))

    async def find(
        self, *, declared: bool | None = None, kind: str | None = None, limit: int, after: str | None = None
    ) -> Schedules:
        """Return schedules by name, above ``after``."""
        matching = (
            schedule
            for schedule in self._connection.reading().schedules.above(after)
            if (declared is None or schedule.declared is declared) and (kind is None or schedule.kind == kind)
        )
        found = list(islice(matching, limit + 1))
        page = tuple(found[:limit])
        return Schedules(self._connection.clock.now(), page, page[-1].name if page and len(found) > limit else None)

    async def ticks(
        self,
        *,
        schedule: str | None = None,
        outcomes: Collection[Outcome] = (),
        since: int | None = None,
        until: int | None = None,
        limit: int,
        after: str | None = None,
    ) -> Ticks:
        """Return lines of the ledger, greatest id first, below ``after``."""
        lines = (
            line
            for line in self._connection.reading().ledger
            if (after is None or line.id < after)
            and (schedule is None or line.schedule == schedule)
            and (not outcomes or line.outcome in outcomes)
            and (since is None or line.last >= since)
            and (until is None or line.tick < until)
        )
        # One more than asked for tells whether there is a next page.
        found = heapq.nlargest(limit + 1, lines, key=lambda line: line.id)
        page = tuple(found[:limit])
        return Ticks(self._connection.clock.now(), page, page[-1].id if page and len(found) > limit else None)


def _runs(database: MemoryDatabase, job_id: str | None) -> bool:
    """Tell whether there is a job of that id that has not ended."""
    row = None if job_id is None else database.jobs.get(job_id)
    return row is not None and row.ended_at is None


def _change(database: MemoryDatabase, change: ScheduleChange, now: int) -> ChangeAnswer:
    flaw = change_flaw(change, now) or events_flaw(change.events)
    if flaw is not None:
        return ChangeAnswer(refused=flaw)
    schedule = change.schedule
    known = database.schedules.get(schedule.name)
    if schedule.version != (0 if known is None else known.version):
        return ChangeAnswer(outrun=True)
    if known is not None and schedule.created_at not in {0, known.created_at}:
        return ChangeAnswer(outrun=True)
    holders = insert(database, change.jobs, None, now).holders
    for tick in change.ticks:
        database.ledger.write(_written(tick, holders, now))
    last_job = schedule.last_job
    database.schedules.write(
        msgspec.structs.replace(
            schedule,
            version=schedule.version + 1,
            last_job=None if last_job is None else holders.get(last_job, last_job),
            created_at=now if known is None else known.created_at,
            changed_at=now,
        )
    )
    told = [event for event in change.events if event.job is None or (event.job in holders) is event.held]
    database.log.append(told, now)
    return ChangeAnswer(holders=holders)


def _written(tick: TickRecord, holders: dict[str, str], now: int) -> TickRecord:
    """Return a line as it is written: skipped, where another holds the unique key of its job."""
    at = tick.at or now
    if tick.job is None or tick.job not in holders:
        return msgspec.structs.replace(tick, at=at)
    return msgspec.structs.replace(tick, at=at, outcome=Outcome.SKIPPED, reason=UNIQUE, job=holders[tick.job])
