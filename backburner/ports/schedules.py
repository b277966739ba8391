"""The roles that hold schedules and the ledger of their ticks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from backburner.model.schedule import ScheduleRecord, TickRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from backburner.model.event import NewEvent
    from backburner.model.schedule import Outcome, ScheduleChange

__all__ = ["ChangeAnswer", "Changed", "Due", "ScheduleReader", "ScheduleStore", "Schedules", "Ticks"]


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `ScheduleStore.due`."""

    now: int
    #: By the moment they are due, then by name.
    schedules: tuple[ScheduleRecord, ...] = ()
    #: The names of those whose last job has not ended.
    unended: frozenset[str] = frozenset()
    #: Microseconds until the next is due: 0 where more are due than were asked for, None where none ever is.
    wait: int | None = None


class ChangeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one change."""

    #: The stored version was another, or there was one where none was to be: nothing was done.
    outrun: bool = False
    #: A key of its jobs is held in somebody's open transaction: nothing was done, and it may be later.
    busy: bool = False
    #: Why the store refused it for its content; then nothing of it was done.
    refused: str | None = None
    #: Ids of its jobs that were not stored, since their unique key is held: each with the id of the job that holds it.
    holders: dict[str, str] = {}


class Changed(msgspec.Struct, frozen=True):
    """The answer to `ScheduleStore.change`: one answer a change, in order."""

    now: int
    changes: tuple[ChangeAnswer, ...]


class ScheduleStore(Protocol):
    """Schedules; in one system with `JobStore`."""

    async def due(self, limit: int) -> Due:
        """Return schedules whose ``due_at`` has come by the store's now, the earliest ``limit``.

        The cost does not depend on how many others there are.
        """
        ...

    async def change(self, changes: Sequence[ScheduleChange]) -> Changed:
        """Write schedules, lines of their ledgers, and jobs, each change whole or not at all; none fails another.

        A change is applied where the stored version is its record's (0: there is no such schedule), which grows by one:
        of any number of nodes that decide about one tick, one is heard. So is its ``created_at``, where it names one: a
        schedule that was removed and made again is another. Its jobs are stored as `JobStore.enqueue` stores
        a group of them, none born, and so are answered: an id stored before is left as it is, and parks as that parks. A job
        whose unique key is held is not stored; each tick that names it is written as skipped for `UNIQUE`, with the
        holder in its place, and so is the record's ``last_job``. A tick id written before is left as it is.

        Its events are stored in that step, as by `EventStore.append`; those that name a job only if that was stored, or,
        with ``held``, only if it was not.

        The second change of one schedule in one call is made from what the first left. ``created_at`` is kept,
        ``changed_at`` becomes the store's now.
        """
        ...

    async def remove(self, name: str, version: int, events: Sequence[NewEvent] = ()) -> bool:
        """Delete a schedule of that version, and store events as a change does; False, and none, when there is no such.

        Its ledger is kept for as long as any.
        """
        ...


class Schedules(msgspec.Struct, frozen=True):
    """A page of schedules, by name, and where the next begins (None: there is none)."""

    now: int
    schedules: tuple[ScheduleRecord, ...]
    after: str | None = None


class Ticks(msgspec.Struct, frozen=True):
    """A page of the ledger, the last decided (greatest id) first, and where the next begins (None: there is none)."""

    now: int
    ticks: tuple[TickRecord, ...]
    after: str | None = None


class ScheduleReader(Protocol):
    """Reads; may lag behind; never locks; works on a store opened for reading only."""

    async def get(self, names: Collection[str]) -> Schedules:
        """Return those of these names that exist, in one page."""
        ...

    async def find(
        self, *, declared: bool | None = None, kind: str | None = None, limit: int, after: str | None = None
    ) -> Schedules:
        """Return schedules whose names come after ``after``, by code point: all, or those that are so declared, or of a kind."""
        ...

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
        """Return lines of the ledger with ids below ``after``: of one schedule, with one of these outcomes (none: any).

        ``since`` and ``until`` choose lines that tell of a tick from the one moment to before the other.
        """
        ...
