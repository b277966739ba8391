"""Fires what is due: asks the store, plans, and has the store decide whose plan it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from backburner.errors import StoreBusy
from backburner.model.clock import SECOND, from_micros
from backburner.model.duration import about
from backburner.model.schedule import UNIQUE, Outcome
from backburner.model.telling import tell
from backburner.ports.telemetry import Signal
from backburner.scheduler.agenda import agenda
from backburner.scheduler.planner import MERGED, MISSED, OVERLAP, plan
from backburner.scheduler.records import change_of, lane_of
from backburner.scheduler.telling import told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from backburner.model.clock import Clock
    from backburner.model.event import NewEvent
    from backburner.model.ids import Ids
    from backburner.model.job import NewJob
    from backburner.model.schedule import ScheduleChange, ScheduleRecord
    from backburner.ports.schedules import ChangeAnswer, Due, ScheduleReader, ScheduleStore
    from backburner.ports.telemetry import Listener
    from backburner.scheduler.agenda import Agenda
    from backburner.scheduler.declaring import Declarer
    from backburner.scheduler.planner import Plan
    from backburner.scheduler.records import Builder
    from backburner.scheduler.zone_watch import ZoneWatch

__all__ = ["REPLACED", "Scheduler"]

#: The reason of a job that its schedule's next tick took the place of.
REPLACED = "replaced"

#: Schedules, and jobs, in one step, and the seconds of the loop that it plans for: there is more where that came from.
_BATCH = 500
_PLANNING = 0.02
#: Seconds between two looks at what no code declares any more.
_UPKEEP = 20.0
#: Seconds until a tick is tried again for which somebody's open transaction, or a job that is being cancelled, is in the way.
_BUSY = 0.2
#: Seconds until one is tried again that could not be made out: what was wrong may have been of that moment.
_FAILED = 60.0
_NEVER = (0, 0.0)
#: Seconds that a node stays behind which another was faster than: else all would plan, and send, whatever is due.
_OUTRUN = 0.02
#: Lines of a schedule's ledger in which its jobs are looked for that may not have ended.
_BACK = 20


class _Firing(NamedTuple):
    record: ScheduleRecord
    agenda: Agenda
    plan: Plan
    change: ScheduleChange


class Scheduler:
    """One node's scheduler. Nobody leads: each node plans what is due, and of those who did, the store hears one.

    ``step`` is for a loop to call: it does a bounded piece of work and answers the seconds until there is more. ``fired``
    hears of jobs that were stored, ``replace`` cancels those that others took the place of.
    """

    def __init__(
        self,
        store: ScheduleStore,
        reader: ScheduleReader,
        declarer: Declarer,
        zones: ZoneWatch,
        *,
        build: Builder,
        fired: Callable[[Sequence[NewJob], int], None],
        replace: Callable[[Sequence[str], str], Awaitable[object]],
        ids: Ids,
        clock: Clock,
        listener: Listener,
    ) -> None:
        self._store = store
        self._reader = reader
        self._declarer = declarer
        self._zones = zones
        self._build = build
        self._fired = fired
        self._replace = replace
        self._ids = ids
        self._clock = clock
        self._listener = listener
        #: What this node could not make out, by name: at which version, and until when it is left alone.
        self._failed: dict[str, tuple[int, float]] = {}
        #: Kinds that it does not know and has told of.
        self._unknown: set[str] = set()
        #: Whose tick could not be decided upon, and may be soon: when, on the monotonic clock.
        self._waiting: dict[str, float] = {}
        self._looked: float | None = None

    async def start(self) -> None:
        """Store what code declares; raises `CallRefused` for what is wrong with it."""
        await self._declarer.start()

    async def step(self) -> float | None:
        """Fire what is due; return the seconds until the next is, None where nothing ever is."""
        if self._declarer.behind:
            await self._declarer.declare()
        due = await self._store.due(_BATCH + len(self._failed) + len(self._waiting))
        now = self._clock.monotonic()
        versions = {record.name: record.version for record in due.schedules}
        self._failed = {
            name: (version, until) for name, (version, until) in self._failed.items() if versions.get(name) == version
        }
        self._waiting = {name: until for name, until in self._waiting.items() if until > now}
        firings = self._firings(due)
        if firings:
            # What is due next, the store knows. Where another node is ahead with all of it, that may go on undisturbed.
            return 0.0 if await self._fire(firings) else _OUTRUN
        if due.wait == 0 or await self._keep_up():
            return 0.0
        waits = [until - now for until in self._waiting.values()]
        return min(waits if due.wait is None else [*waits, due.wait / SECOND], default=None)

    # ---- firing ----------------------------------------------------------------------------------------------------

    def _firings(self, due: Due) -> list[_Firing]:
        began = self._clock.monotonic()
        firings: list[_Firing] = []
        jobs = 0
        for record in due.schedules:
            if record.name in self._waiting or self._failed.get(record.name, _NEVER)[1] > began:
                continue
            try:
                firing = self._firing(record, due.now, unended=record.name in due.unended)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are due
                # Another node may have the code, or the zones, to make it out.
                self._fail(record, str(error) or type(error).__name__)
                continue
            firings.append(firing)
            jobs += len(firing.change.jobs)
            if jobs >= _BATCH or self._clock.monotonic() - began >= _PLANNING:
                break
        return firings

    def _firing(self, record: ScheduleRecord, now: int, *, unended: bool) -> _Firing:
        days = agenda(record.name, record.rule)
        planned = plan(record, days, now=now, unended=unended)
        lane = lane_of(record.name, days.rule)
        jobs: list[NewJob] = []
        for tick in planned.fires:
            built = self._build(record.job, job_id=self._ids.new(), schedule=record.name, tick=tick, lane=lane)
            if built.stale is not None and record.kind not in self._unknown:
                self._unknown.add(record.kind)
                self._listener(Signal.SCHEDULE_UNKNOWN, schedule=record.name, kind=record.kind, why=built.stale)
            jobs.append(built.job)
        change = change_of(record, planned, tuple(jobs), days=days, ids=self._ids, now=now)
        missed = _missed(record, days, planned, now)
        return _Firing(record, days, planned, told(change, now, *(() if missed is None else (missed,))))

    async def _fire(self, firings: Sequence[_Firing]) -> bool:
        """Have the store decide; return False where another node had come before with all of them."""
        firings = await self._replaced(firings)
        if not firings:
            return True
        changed = await self._store.change([firing.change for firing in firings])
        stored: list[NewJob] = []
        for firing, answer in zip(firings, changed.changes, strict=True):
            if answer.outrun:
                continue
            if answer.busy:
                self._wait(firing)
            elif answer.refused is not None:
                self._fail(firing.record, answer.refused)
            else:
                stored += [job for job in firing.change.jobs if job.id not in answer.holders]
                self._tell(firing, answer, changed.now)
        if stored:
            self._fired(stored, changed.now)
        return not all(answer.outrun for answer in changed.changes)

    async def _replaced(self, firings: Sequence[_Firing]) -> Sequence[_Firing]:
        """Cancel the jobs that others are to take the place of; return whose place is free, or will be.

        Before those are stored: whoever plans the tick next, should this node end here, finds it due.
        """
        replacing = [firing for firing in firings if firing.plan.replaces]
        replaced: list[str] = []
        waiting: list[_Firing] = []
        for firing in replacing:
            own = await self._own(firing.record)
            replaced += own
            if firing.record.last_job in own and any(job.unique is not None for job in firing.change.jobs):
                # Until it has ended it may hold the key of its successor, which could not be stored.
                waiting.append(firing)
        try:
            if replaced:
                await self._replace(replaced, REPLACED)
        except StoreBusy:
            # Somebody's open transaction has one locked, which may be about to complete it.
            waiting = replacing
        for firing in waiting:
            self._wait(firing)
        return [firing for firing in firings if firing.record.name not in self._waiting]

    async def _own(self, record: ScheduleRecord) -> list[str]:
        """Return the last jobs that were stored for a schedule, ended or not.

        Its ``last_job`` may stand behind another, as that of a trigger does, or be somebody else's that holds its unique key.
        """
        page = await self._reader.ticks(
            schedule=record.name, outcomes=(Outcome.FIRED, Outcome.TRIGGERED, Outcome.SKIPPED), limit=_BACK
        )
        own = [line.job for line in page.ticks if line.job is not None and line.outcome is not Outcome.SKIPPED]
        strange = {line.job for line in page.ticks if line.reason == UNIQUE}
        if record.last_job is not None and record.last_job not in strange.union(own):
            # It runs for longer than its line is kept.
            own.append(record.last_job)
        return own

    def _wait(self, firing: _Firing) -> None:
        self._waiting[firing.record.name] = self._clock.monotonic() + _BUSY

    def _tell(self, firing: _Firing, answer: ChangeAnswer, now: int) -> None:
        record, days, planned = firing.record, firing.agenda, firing.plan
        first, count = _overdue(days, planned, now)
        if first is not None:
            self._listener(
                Signal.SCHEDULE_MISSED,
                schedule=record.name,
                tick=from_micros(first).isoformat(),
                late=about(now - days.due(first)),
                ticks="very many" if count is None else count,
                fired=len(planned.fires),
            )
        held = [skip for skip in planned.skips if skip.reason == OVERLAP]
        if held or answer.holders:
            self._listener(
                Signal.SCHEDULE_SKIPPED,
                schedule=record.name,
                why="overlap" if held else "unique",
                job=record.last_job if held else next(iter(answer.holders.values())),
            )

    def _fail(self, record: ScheduleRecord, why: str) -> None:
        told = record.name in self._failed
        self._failed[record.name] = (record.version, self._clock.monotonic() + _FAILED)
        if not told:
            self._listener(Signal.SCHEDULE_FAILED, schedule=record.name, why=why)

    # ---- in between ------------------------------------------------------------------------------------------------

    async def _keep_up(self) -> bool:
        """Do a piece of what can wait; return whether there is more of it to do at once."""
        now = self._clock.monotonic()
        if self._looked is None or now - self._looked >= _UPKEEP:
            self._looked = now
            await self._declarer.retire()
        return await self._zones.step()


def _overdue(days: Agenda, planned: Plan, now: int) -> tuple[int | None, int | None]:
    """Return the first of the ticks that are decided upon long after their time, and how many they are, if counted."""
    missed = [skip for skip in planned.skips if skip.reason in {MISSED, MERGED, OVERLAP}]
    first = min([skip.first for skip in missed] + [*planned.fires], default=None)
    if first is None or now - days.due(first) <= days.rule.tolerance:
        return None, None
    counted = all(skip.count for skip in missed)
    return first, sum(skip.count for skip in missed) + len(planned.fires) if counted else None


def _missed(record: ScheduleRecord, days: Agenda, planned: Plan, now: int) -> NewEvent | None:
    first, count = _overdue(days, planned, now)
    if first is None:
        return None
    late = round((now - days.due(first)) / SECOND, 3)
    reason = next((skip.reason for skip in planned.skips), None)
    return tell("schedule.missed", record.name, tick=from_micros(first), count=count, reason=reason, late=late)
