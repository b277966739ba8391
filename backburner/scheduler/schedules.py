"""What may be done with schedules, for the app and for whoever operates it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from msgspec import structs

from backburner.errors import InvalidOption, InvalidSchedule, ScheduleNotFound, StoreBusy, StoreRefused
from backburner.model.clock import from_micros
from backburner.model.names import check_name
from backburner.model.schedule import Outcome, ScheduleChange, ScheduleRecord, TickRecord
from backburner.model.telling import tell
from backburner.ports.backend import Hint
from backburner.scheduler.agenda import agenda
from backburner.scheduler.planner import PAUSED
from backburner.scheduler.records import LIMIT, ONE_AT_A_TIME, lane_of, passed, rearmed, recast, ticks_of
from backburner.scheduler.rule import encode
from backburner.scheduler.telling import told

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backburner.model.ids import Ids
    from backburner.model.job import NewJob
    from backburner.ports.limits import LimitStore
    from backburner.ports.schedules import ScheduleReader, ScheduleStore, Ticks
    from backburner.ports.schedules import Schedules as Page
    from backburner.scheduler.records import Builder
    from backburner.scheduler.rule import Rule
    from backburner.scheduler.timetable import Occurrence

__all__ = ["BACKFILL_LIMIT", "Backfill", "Found", "Schedules", "Triggered", "check_schedule_name"]

#: Ticks that a backfill stores jobs for unless more are asked for.
BACKFILL_LIMIT = 1_000
#: How often a change is tried whose schedule another changes at the same time.
_TRIES = 20
#: Jobs in one write, and lines of a ledger in one read.
_MANY = 200
#: Characters of a name: it stands in the name of a lane.
_LONGEST = 100


class Found(NamedTuple):
    """A schedule, and the store's time."""

    record: ScheduleRecord
    now: int


class Triggered(NamedTuple):
    """The job of a trigger."""

    job_id: str
    #: Nothing was stored: that one holds its unique key.
    existed: bool


class Backfill(NamedTuple):
    """What a backfill stored, or would store."""

    ticks: int
    known: int
    jobs: tuple[str, ...]


def check_schedule_name(name: object) -> str:
    """Return the name of a schedule, of at most 100 characters; raises `InvalidOption`."""
    checked = check_name(name, "name")
    if len(checked) > _LONGEST:
        raise InvalidOption(f"a schedule's name has at most {_LONGEST} characters: {checked[:32]!r}…", option="name")
    return checked


class Schedules:
    """Puts, changes and reads schedules. Each change is tried again when another comes before it.

    ``build`` makes jobs, ``fired`` hears of those that were stored, ``tell`` lets the nodes know. All methods raise
    `StoreError`; those that name a schedule raise `ScheduleNotFound`.
    """

    def __init__(
        self,
        store: ScheduleStore,
        reader: ScheduleReader,
        limits: LimitStore,
        *,
        build: Builder,
        fired: Callable[[Sequence[NewJob], int], None],
        tell: Callable[[Hint], None],
        ids: Ids,
    ) -> None:
        self._store = store
        self._reader = reader
        self._limits = limits
        self._build = build
        self._fired = fired
        self._tell = tell
        self._ids = ids

    # ---- reading ---------------------------------------------------------------------------------------------------

    async def get(self, name: str) -> Found:
        """Return a schedule."""
        page = await self._reader.get([name])
        if not page.schedules:
            raise ScheduleNotFound(f"there is no schedule {name!r}: `backburner schedules list` shows those there are")
        return Found(page.schedules[0], page.now)

    async def find(
        self, *, declared: bool | None = None, kind: str | None = None, limit: int, after: str | None = None
    ) -> Page:
        """Return a page of schedules, by name."""
        return await self._reader.find(declared=declared, kind=kind, limit=limit, after=after)

    async def ticks(
        self,
        *,
        name: str | None = None,
        outcomes: Sequence[Outcome] = (),
        since: int | None = None,
        until: int | None = None,
        limit: int,
        after: str | None = None,
    ) -> Ticks:
        """Return a page of the ledger, the last decided first."""
        return await self._reader.ticks(
            schedule=name, outcomes=outcomes, since=since, until=until, limit=limit, after=after
        )

    async def preview(self, name: str, *, count: int, since: int | None = None) -> list[Occurrence]:
        """Return the next ``count`` moments of a schedule, from the store's now or from ``since``, with what will not run."""
        found = await self.get(name)
        start = found.now if since is None else since - 1
        return list(islice(agenda(name, found.record.rule).upcoming(start), count))

    # ---- changing --------------------------------------------------------------------------------------------------

    async def put(
        self, name: str, rule: Rule, kind: str, job: str, *, by: str | None = None, reason: str | None = None
    ) -> bool:
        """Write a schedule, in place of the one a person has put under this name before; return whether that was none.

        It counts from now on: of a rule that changed, the first tick is the next after now. Raises `InvalidSchedule` for
        one that never fires, and for a name that stands in code.
        """
        check_schedule_name(name)
        text = encode(rule)
        days = agenda(name, text)
        if lane_of(name, rule) is not None:
            await self._limits.declare({LIMIT: ONE_AT_A_TIME})
        for _ in range(_TRIES):
            page = await self._reader.get([name])
            known = page.schedules[0] if page.schedules else None
            if known is not None and known.declared:
                raise InvalidSchedule(
                    f"schedule {name!r} stands in code: change it there, or put this one under another name; it may be "
                    "paused, or removed once no node declares it any more"
                )
            if days.after(page.now) is None:
                raise InvalidSchedule(
                    f"schedule {name!r} would never fire: {rule.trigger.describe()} has no tick after now, give it another trigger"
                )
            fresh = ScheduleRecord(name=name, version=0, kind=kind, rule=text, job=job)
            if known is None:
                change: ScheduleChange | None = ScheduleChange(schedule=rearmed(fresh, days, page.now))
            else:
                change = recast(known, fresh, days, self._ids, page.now)
            if change is not None:
                change = told(change, page.now, tell("operator.schedule.put", name, by=by, reason=reason, kind=kind))
            if change is None or await self._write(change) is not None:
                return known is None
        raise _contended(name)

    async def remove(self, name: str, *, by: str | None = None, reason: str | None = None) -> None:
        """Remove a schedule; its jobs and its ledger stay. Raises `InvalidSchedule` for one that nodes declare."""
        for _ in range(_TRIES):
            record = (await self.get(name)).record
            if record.declared and not record.retired:
                raise InvalidSchedule(
                    f"schedule {name!r} stands in code and would be back with the next start: remove it there (it is "
                    "retired then), or pause it"
                )
            event = tell("operator.schedule.removed", name, by=by, reason=reason)
            if await self._store.remove(name, record.version, (event,)):
                self._tell(Hint.CONTROL)
                return
        raise _contended(name)

    async def pause(
        self, name: str, *, until: int | None = None, reason: str | None = None, by: str | None = None
    ) -> ScheduleRecord:
        """Have it not fire, for good or until a moment; ticks that come meanwhile are skipped, and the ledger says so."""

        def change(found: Found) -> ScheduleChange:
            if until is not None and until <= found.now:
                raise InvalidOption("until has passed: a pause ends in the future", option="until")
            due_at = None if found.record.retired else until
            ends = None if until is None else from_micros(until)
            return ScheduleChange(
                schedule=structs.replace(
                    found.record, paused=True, paused_until=until, reason=reason, by=by, due_at=due_at
                ),
                events=(tell("operator.schedule.paused", name, by=by, reason=reason, until=ends),),
            )

        record, _ = await self._change(name, change)
        return record

    async def resume(self, name: str, *, by: str | None = None, reason: str | None = None) -> ScheduleRecord:
        """Have it fire again, from the next tick on.

        Also one that waits for a far day, since the store's clock was ahead for a while: it goes by the time that it is.
        """

        def change(found: Found) -> ScheduleChange | None:
            if not found.record.paused and not _ahead(found):
                return None
            return told(self._resumed(found), found.now, tell("operator.schedule.resumed", name, by=by, reason=reason))

        record, _ = await self._change(name, change)
        return record

    def _resumed(self, found: Found) -> ScheduleChange:
        record, now = found
        days = agenda(record.name, record.rule)
        after = structs.replace(record, paused=False, paused_until=None, reason=None, by=None)
        if _ahead(found):
            after = structs.replace(after, last_tick=None)
        first = record.next_tick
        if first is None or first > now:
            return ScheduleChange(schedule=rearmed(after, days, now))
        skipped = passed(record, first, PAUSED, self._ids, now)
        after = structs.replace(after, last_tick=skipped.last, next_tick=None)
        return ScheduleChange(schedule=rearmed(after, days, now), ticks=(skipped,))

    async def trigger(self, name: str, *, by: str | None = None, note: str | None = None) -> Triggered:
        """Store a job of a schedule now, whatever else it does; its own ticks are not touched."""
        job_id = self._ids.new()

        def change(found: Found) -> ScheduleChange:
            job = self._built(found.record, job_id, found.now)
            tick = self._line(found.record, found.now, job_id, Outcome.TRIGGERED, by=by, note=note)
            after = structs.replace(found.record, last_job=job_id, fired_at=found.now)
            event = tell("operator.schedule.triggered", name, by=by, reason=note, job=job_id)
            return ScheduleChange(schedule=after, ticks=(tick,), jobs=(job,), events=(event,))

        _, holders = await self._change(name, change)
        return Triggered(holders.get(job_id, job_id), job_id in holders)

    async def backfill(
        self,
        name: str,
        *,
        since: int,
        until: int,
        limit: int = BACKFILL_LIMIT,
        dry_run: bool = False,
        by: str | None = None,
        note: str | None = None,
    ) -> Backfill:
        """Store jobs for the ticks from ``since`` to before ``until`` that had none; they run by the overlap policy.

        Raises `InvalidOption` for a range that has not passed, or of which nothing is decided yet, and for more ticks than
        the limit, saying how many.
        """
        if limit < 1:
            raise InvalidOption(f"limit is at least one tick, not {limit}", option="limit")
        record, now = await self.get(name)
        if since >= until or until > now:
            raise InvalidOption(
                "a backfill is of the past: since comes before until, and until has passed", option="until"
            )
        if record.next_tick is not None and record.next_tick < until:
            # What is overdue is still to be decided: it fires, or is skipped and can be backfilled then.
            until = record.next_tick
            if until <= since:
                raise InvalidOption(_undecided(record), option="since")
        days = agenda(name, record.rule)
        fired = await self._fired_between(name, since, until)
        # Beside those that have a job, some more than are allowed are counted.
        most = len(fired) + limit + _MANY + 1
        every = list(islice(ticks_of(days, days.after(since - 1), until - 1), most))
        wanted = [tick for tick in every if tick not in fired]
        if len(wanted) > limit:
            count = f"{len(wanted):,}" if len(wanted) <= limit + _MANY else f"more than {limit + _MANY:,}"
            raise InvalidOption(
                f"{count} ticks of {name!r} lie in that range without a job, {limit:,} are allowed: choose a shorter one, "
                "or raise the limit",
                option="limit",
            )
        known = len(every) - len(wanted)
        if dry_run:
            return Backfill(len(wanted), known, ())
        stored: list[str] = []
        for start in range(0, len(wanted), _MANY):
            stored += await self._backfill(name, wanted[start : start + _MANY], by=by, note=note)
        return Backfill(len(wanted), known, tuple(stored))

    async def _backfill(self, name: str, ticks: Sequence[int], *, by: str | None, note: str | None) -> list[str]:
        """Store jobs for those of these ticks that have none; return their ids."""
        for _ in range(_TRIES):
            record = (await self.get(name)).record
            # Read after the version that the write compares: whoever backfills the same at the same time is seen.
            known = await self._fired_between(name, ticks[0], ticks[-1] + 1)
            left = [tick for tick in ticks if tick not in known]
            jobs = tuple(self._built(record, self._ids.new(), tick) for tick in left)
            lines = [
                self._line(record, tick, job.id, Outcome.BACKFILLED, by=by, note=note)
                for tick, job in zip(left, jobs, strict=True)
            ]
            if not left:
                return []
            event = tell("operator.schedule.backfilled", name, by=by, reason=note, count=len(left))
            holders = await self._write(ScheduleChange(schedule=record, ticks=tuple(lines), jobs=jobs, events=(event,)))
            if holders is not None:
                return [job.id for job in jobs if job.id not in holders]
        raise _contended(name)

    async def _fired_between(self, name: str, since: int, until: int) -> set[int]:
        fired: set[int] = set()
        after: str | None = None
        while True:
            page = await self._reader.ticks(
                schedule=name,
                outcomes=(Outcome.FIRED, Outcome.BACKFILLED),
                since=since,
                until=until,
                limit=_MANY,
                after=after,
            )
            fired.update(tick.tick for tick in page.ticks)
            after = page.after
            if after is None:
                return fired

    # ---- one change ------------------------------------------------------------------------------------------------

    async def _change(
        self, name: str, change: Callable[[Found], ScheduleChange | None]
    ) -> tuple[ScheduleRecord, Mapping[str, str]]:
        """Make a change of what is stored; return what was written, and who holds the keys of jobs that were not stored."""
        for _ in range(_TRIES):
            found = await self.get(name)
            made = change(found)
            if made is None:
                return found.record, {}
            holders = await self._write(made)
            if holders is not None:
                return made.schedule, holders
        raise _contended(name)

    async def _write(self, change: ScheduleChange) -> Mapping[str, str] | None:
        """Return the holders of keys; None where another change came first."""
        changed = await self._store.change([change])
        (answer,) = changed.changes
        if answer.refused is not None:
            raise StoreRefused(answer.refused, stored="no")
        if answer.busy:
            raise StoreBusy(
                f"a unique key of schedule {change.schedule.name!r} is held in somebody's open transaction: try again",
                stored="no",
            )
        if answer.outrun:
            return None
        stored = [job for job in change.jobs if job.id not in answer.holders]
        if stored:
            self._fired(stored, changed.now)
        self._tell(Hint.CONTROL)
        return answer.holders

    def _built(self, record: ScheduleRecord, job_id: str, tick: int) -> NewJob:
        lane = lane_of(record.name, agenda(record.name, record.rule).rule)
        return self._build(record.job, job_id=job_id, schedule=record.name, tick=tick, lane=lane).job

    def _line(
        self, record: ScheduleRecord, tick: int, job: str, outcome: Outcome, *, by: str | None, note: str | None
    ) -> TickRecord:
        return TickRecord(
            id=self._ids.new(),
            schedule=record.name,
            tick=tick,
            last=tick,
            outcome=outcome,
            job=job,
            due_at=tick,
            by=by,
            note=note,
        )


def _undecided(record: ScheduleRecord) -> str:
    """Return why ticks whose time has passed cannot be backfilled yet."""
    if record.retired:
        why = "no living node declares it: they are once one does"
    elif record.paused:
        why = "it is paused: resume it first, they are skipped then"
    else:
        why = "they are with the next look of a node, which fires them or skips them"
    return f"the ticks of {record.name!r} in that range are not decided upon yet, since {why}"


def _ahead(found: Found) -> bool:
    """Tell whether ticks have been decided upon that are still to come."""
    last = found.record.last_tick
    return last is not None and last > found.now


def _contended(name: str) -> StoreBusy:
    return StoreBusy(f"schedule {name!r} is changed by others all the time: try again", stored="no")
