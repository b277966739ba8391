"""Schedules and their ticks, as they are stored."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from backburner.model.event import NewEvent
from backburner.model.job import NewJob

__all__ = ["SCHEDULE_HEADER", "TICK_HEADER", "UNIQUE", "Outcome", "ScheduleChange", "ScheduleRecord", "TickRecord"]

#: The headers by which a job, and what is stored in its runs, know the schedule and the tick that they are for.
SCHEDULE_HEADER = "backburner.schedule"
TICK_HEADER = "backburner.tick"

#: Why a tick was skipped whose job was not stored, since another holds its unique key.
UNIQUE = "unique"


class Outcome(StrEnum):
    """What became of a tick."""

    #: A job was stored for it.
    FIRED = "fired"
    #: None was, and the record says why.
    SKIPPED = "skipped"
    #: A person had a job stored now; the tick is that moment.
    TRIGGERED = "triggered"
    #: A person had a job stored for a moment that had passed.
    BACKFILLED = "backfilled"


class ScheduleRecord(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A rule that creates jobs, and how far it has come. The field order is the column order of a store's reads.

    Moments are microseconds since 1970 UTC.
    """

    name: str
    #: Grows by one with every change, from 1. In a `ScheduleChange` the version it was made from: 0 is none.
    version: int
    #: The kind of its jobs.
    kind: str
    #: JSON text: when it is due and what then holds; the engine's own.
    rule: str
    #: JSON text: the job it stores; the engine's own.
    job: str
    #: It stands in code; else a person made it.
    declared: bool = False
    #: No living node declares it any more: it does not fire until one does.
    retired: bool = False
    #: The next tick not decided upon; None: there will be none.
    next_tick: int | None = None
    #: When a node is to look at it next: the next tick, later by its jitter, or the end of a pause. None: never.
    due_at: int | None = None
    #: The last tick that was decided upon; none at or before it ever is again.
    last_tick: int | None = None
    #: When a job was last stored for it, and which: if that had no room for its unique key, the one that holds it.
    fired_at: int | None = None
    last_job: str | None = None
    paused: bool = False
    #: The pause ends by itself then.
    paused_until: int | None = None
    #: Why it is paused, and by whom.
    reason: str | None = None
    by: str | None = None
    #: Answered by the store, never written. In a `ScheduleChange` 0 is whichever.
    created_at: int = 0
    changed_at: int = 0


class TickRecord(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A line of the ledger: what was decided of one tick, or of several in a row that were skipped for one reason.

    The field order is the column order of a store's reads.
    """

    #: The engine's; it sorts by when it was decided.
    id: str
    schedule: str
    #: The tick, or the first of them, and the last.
    tick: int
    last: int
    #: How many they are.
    count: int = 1
    outcome: Outcome
    #: Why it was skipped, in a word: `overlap`, `missed`, `paused`, `changed`, `unique`.
    reason: str | None = None
    #: The job that was stored, or that stood in the way.
    job: str | None = None
    #: When the (last) tick was to fire: itself, later by its jitter.
    due_at: int
    #: When it was decided; 0 on its way to a store, which then writes its own now.
    at: int = 0
    #: Who asked for it, and what for.
    by: str | None = None
    note: str | None = None


class ScheduleChange(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a schedule in one step: its record, lines of its ledger, jobs, which those lines name, and events."""

    schedule: ScheduleRecord
    ticks: tuple[TickRecord, ...] = ()
    jobs: tuple[NewJob, ...] = ()
    #: Stored in that step if they are asked for, or kept.
    events: tuple[NewEvent, ...] = ()
