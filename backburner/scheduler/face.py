"""What an app has of schedules: ``bb.schedules``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from backburner.errors import InvalidOption
from backburner.model.clock import from_micros
from backburner.model.schedule import Outcome
from backburner.model.times import moment
from backburner.scheduler.agenda import agenda
from backburner.scheduler.rule import SAID, ScheduleOptions, make_rule
from backburner.scheduler.schedules import BACKFILL_LIMIT
from backburner.scheduler.views import Backfilled, Forecast, schedule_of, tick_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import datetime

    from backburner.model.clock import Clock
    from backburner.scheduler.records import Orderer
    from backburner.scheduler.schedules import Schedules
    from backburner.scheduler.triggers import Trigger
    from backburner.scheduler.views import Schedule, Tick

__all__ = ["SchedulesFace"]

#: Schedules, or lines of the ledger, a page.
_PAGE = 200
#: Moments of a preview, at most.
_PREVIEW = 10_000


class SchedulesFace:
    """Schedules: put, changed, read and foreseen, from any process; nodes know within a second, a beat at worst.

    All methods that name a schedule raise `ScheduleNotFound`, and all raise `StoreError`; those that change one raise
    `TransactionOpen` in a task that has jobs in a transaction of its own. Moments are aware.
    """

    def __init__(
        self, schedules: Schedules, order: Orderer, *, may_write: Callable[[], None], tz: str, clock: Clock
    ) -> None:
        self._schedules = schedules
        #: Raises where a write would wait for a transaction of this very task.
        self._may_write = may_write
        self._order = order
        self._tz = tz
        self._clock = clock

    async def put(
        self,
        name: str,
        trigger: Trigger,
        call: Awaitable[object],
        *,
        by: str | None = None,
        reason: str | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> bool:
        """Have a call stored as a job at each tick: ``await bb.schedules.put("daily", Cron("0 6 * * *"), report("all"))``.

        In place of the one that was put under this name before; True if there was none. A rule that changed counts from
        now on. Options are those of `ScheduleOptions`. Raises `InvalidSchedule` for what never fires and for a name that
        stands in code, `InvalidOption`, and whatever `create_task` raises for the call; then nothing was changed.
        """
        said = {name: value for name, value in options.items() if name in SAID}
        kind, job = self._order(call, said)
        rule = make_rule(trigger, options, tz=self._tz, now=self._clock.now())
        self._may_write()
        return await self._schedules.put(name, rule, kind, job, by=by, reason=reason)

    async def remove(self, name: str, *, by: str | None = None, reason: str | None = None) -> None:
        """Remove a schedule; its jobs, and what the ledger says of it, stay.

        Raises `InvalidSchedule` for one that stands in code, where it would come back from: remove it there.
        """
        self._may_write()
        await self._schedules.remove(name, by=by, reason=reason)

    async def pause(
        self, name: str, *, until: datetime | None = None, reason: str | None = None, by: str | None = None
    ) -> Schedule:
        """Have it not fire, for good or until a moment. Ticks that come meanwhile are skipped, and the ledger says so."""
        ends = None if until is None else moment(until, "until")
        self._may_write()
        await self._schedules.pause(name, until=ends, reason=reason, by=by)
        return await self.get(name)

    async def resume(self, name: str, *, by: str | None = None, reason: str | None = None) -> Schedule:
        """Have it fire again, from its next tick on; nothing is made good.

        Also one whose next tick is a far day, since the store's clock was ahead for a while: what was decided then stands.
        """
        self._may_write()
        await self._schedules.resume(name, by=by, reason=reason)
        return await self.get(name)

    async def trigger(self, name: str, *, by: str | None = None, reason: str | None = None) -> str:
        """Store one of its jobs now, beside its ticks; return the job's id: ``await bb.handle(job_id, report)``.

        If another job holds its unique key, nothing is stored and that one's id is returned, as `create_task` does.
        """
        self._may_write()
        return (await self._schedules.trigger(name, by=by, note=reason)).job_id

    async def get(self, name: str) -> Schedule:
        """Return a schedule."""
        record, now = await self._schedules.get(name)
        return schedule_of(record, now)

    async def list(self, *, kind: str | None = None, declared: bool | None = None) -> AsyncIterator[Schedule]:
        """Go through the schedules, by name: ``async for schedule in bb.schedules.list()``."""
        after: str | None = None
        while True:
            page = await self._schedules.find(kind=kind, declared=declared, limit=_PAGE, after=after)
            for record in page.schedules:
                yield schedule_of(record, page.now)
            after = page.after
            if after is None:
                return

    async def preview(self, name: str, *, count: int = 10, since: datetime | None = None) -> tuple[Forecast, ...]:
        """Return the next moments of a schedule: those that a change of the clocks touches say what will happen then."""
        if not 0 < count <= _PREVIEW:
            raise InvalidOption(f"count is between 1 and {_PREVIEW:,}, not {count}", option="count")
        start = None if since is None else moment(since, "since")
        record, _ = await self._schedules.get(name)
        days = agenda(name, record.rule)
        return tuple(
            Forecast(
                tick=None if each.tick is None else from_micros(each.tick),
                local=each.local,
                zone=each.zone,
                fires=None if each.tick is None else from_micros(days.due(each.tick)),
                note=each.note,
            )
            for each in await self._schedules.preview(name, count=count, since=start)
        )

    async def ticks(
        self,
        name: str | None = None,
        *,
        outcome: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Tick]:
        """Go through what was decided of ticks, the last first: ``async for tick in bb.schedules.ticks("daily")``.

        ``outcome`` is ``fired``, ``skipped``, ``triggered`` or ``backfilled``; ``since`` and ``until`` choose ticks from the
        one moment to before the other. The ledger is kept for 30 days unless ``keep=`` says otherwise.
        """
        if outcome is not None and outcome not in tuple(Outcome):
            raise InvalidOption(f"outcome={outcome!r} is none of {', '.join(Outcome)}", option="outcome")
        left = limit
        after: str | None = None
        while left is None or left > 0:
            page = await self._schedules.ticks(
                name=name,
                outcomes=() if outcome is None else (Outcome(outcome),),
                since=None if since is None else moment(since, "since"),
                until=None if until is None else moment(until, "until"),
                limit=_PAGE if left is None else min(left, _PAGE),
                after=after,
            )
            for tick in page.ticks:
                yield tick_of(tick)
            after = page.after
            left = None if left is None else left - len(page.ticks)
            if after is None:
                return

    async def backfill(
        self,
        name: str,
        *,
        since: datetime,
        until: datetime,
        limit: int = BACKFILL_LIMIT,
        dry_run: bool = False,
        by: str | None = None,
        reason: str | None = None,
    ) -> Backfilled:
        """Store jobs for the ticks from ``since`` to before ``until`` that had none, as the ledger has it.

        They are due at once and run by the schedule's overlap: one after another unless that is ``allow``. A job learns
        from ``current_job().tick`` which one it is for. Raises `InvalidOption` for more ticks than ``limit``, saying how many.
        """
        self._may_write()
        done = await self._schedules.backfill(
            name,
            since=moment(since, "since"),
            until=moment(until, "until"),
            limit=limit,
            dry_run=dry_run,
            by=by,
            note=reason,
        )
        return Backfilled(ticks=done.ticks, known=done.known, jobs=done.jobs)
