"""Fires what is due: asks the store, plans, and has the store decide whose plan it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from backburner.errors import BackburnerError
from backburner.model.clock import SECOND, from_micros
from backburner.model.duration import about
from backburner.ports.telemetry import Signal
from backburner.scheduler.agenda import agenda
from backburner.scheduler.planner import MERGED, MISSED, OVERLAP, plan
from backburner.scheduler.records import change_of, lane_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from backburner.model.clock import Clock
    from backburner.model.ids import Ids
    from backburner.model.job import NewJob
    from backburner.model.schedule import ScheduleChange, ScheduleRecord
    from backburner.ports.schedules import ChangeAnswer, Due, ScheduleStore
    from backburner.ports.telemetry import Listener
    from backburner.scheduler.agenda import Agenda
    from backburner.scheduler.declaring import Declarer
    from backburner.scheduler.planner import Plan
    from backburner.scheduler.records import Builder
    from backburner.scheduler.zone_watch import ZoneWatch

__all__ = ["REPLACED", "Scheduler"]

#: The reason of a job that its schedule's next tick took the place of.
REPLACED = "replaced"

#: Schedules in one step.
_BATCH = 500
#: Seconds between two looks at what no code declares any more.
_UPKEEP = 20.0
#: Seconds until a tick is tried again whose unique key somebody's open transaction holds.
_BUSY = 0.2


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
        self._declarer = declarer
        self._zones = zones
        self._build = build
        self._fired = fired
        self._replace = replace
        self._ids = ids
        self._clock = clock
        self._listener = listener
        #: What this node could not make out, by name: at which version.
        self._failed: dict[str, int] = {}
        #: Kinds that it does not know and has told of.
        self._unknown: set[str] = set()
        #: Some ticks could not be decided upon, and may be soon.
        self._busy = False
        self._looked: float | None = None

    async def start(self) -> None:
        """Store what code declares; raises `CallRefused` for what is wrong with it."""
        await self._declarer.start()

    async def step(self) -> float | None:
        """Fire what is due; return the seconds until the next is, None where nothing ever is."""
        if self._declarer.behind:
            await self._declarer.declare()
        due = await self._store.due(_BATCH + len(self._failed))
        self._failed = {
            record.name: record.version for record in due.schedules if self._failed.get(record.name) == record.version
        }
        firings = self._firings(due)
        if firings:
            await self._fire(firings)
            # What is due next, the store knows; what was not heard, another node has decided.
            return _BUSY if self._busy else 0.0
        if due.wait == 0 or await self._keep_up():
            return 0.0
        return None if due.wait is None else due.wait / SECOND

    # ---- firing ----------------------------------------------------------------------------------------------------

    def _firings(self, due: Due) -> list[_Firing]:
        firings: list[_Firing] = []
        for record in due.schedules:
            if record.name in self._failed:
                continue
            try:
                firings.append(self._firing(record, due.now, unended=record.name in due.unended))
            except BackburnerError as error:
                # Another node may have the code, or the zones, to make it out.
                self._fail(record, str(error))
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
        return _Firing(record, days, planned, change)

    async def _fire(self, firings: Sequence[_Firing]) -> None:
        """Have the store decide."""
        changed = await self._store.change([firing.change for firing in firings])
        self._busy = False
        stored: list[NewJob] = []
        replaced: list[str] = []
        for firing, answer in zip(firings, changed.changes, strict=True):
            if answer.outrun:
                continue
            if answer.busy:
                self._busy = True
            elif answer.refused is not None:
                self._fail(firing.record, answer.refused)
            else:
                stored += [job for job in firing.change.jobs if job.id not in answer.holders]
                if firing.plan.replaces and firing.record.last_job is not None:
                    replaced.append(firing.record.last_job)
                self._tell(firing, answer, changed.now)
        if stored:
            self._fired(stored, changed.now)
        if replaced:
            # Should this node end here, they run on, and their successors wait for them at the schedule's lane.
            await self._replace(replaced, REPLACED)

    def _tell(self, firing: _Firing, answer: ChangeAnswer, now: int) -> None:
        record, days, planned = firing.record, firing.agenda, firing.plan
        missed = [skip for skip in planned.skips if skip.reason in {MISSED, MERGED}]
        first = min([skip.first for skip in missed] + [*planned.fires], default=None)
        if first is not None and now - days.due(first) > days.rule.tolerance:
            counted = all(skip.count for skip in missed)
            self._listener(
                Signal.SCHEDULE_MISSED,
                schedule=record.name,
                tick=from_micros(first).isoformat(),
                late=about(now - days.due(first)),
                ticks=sum(skip.count for skip in missed) + len(planned.fires) if counted else "very many",
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
        self._failed[record.name] = record.version
        self._listener(Signal.SCHEDULE_FAILED, schedule=record.name, why=why)

    # ---- in between ------------------------------------------------------------------------------------------------

    async def _keep_up(self) -> bool:
        """Do a piece of what can wait; return whether there is more of it to do at once."""
        now = self._clock.monotonic()
        if self._looked is None or now - self._looked >= _UPKEEP:
            self._looked = now
            await self._declarer.retire()
        return await self._zones.step()
