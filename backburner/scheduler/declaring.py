"""Has the store know what code declares, and retire what no code declares any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from backburner.errors import CallRefused, InvalidSchedule
from backburner.model.schedule import ScheduleChange, ScheduleRecord
from backburner.model.telling import tell
from backburner.ports.telemetry import Signal
from backburner.scheduler.agenda import agenda
from backburner.scheduler.records import LIMIT, ONE_AT_A_TIME, lane_of, rearmed, recast
from backburner.scheduler.rule import decode, encode, make_rule
from backburner.scheduler.telling import told
from backburner.scheduler.timetable import timetable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.clock import Clock
    from backburner.model.ids import Ids
    from backburner.ports.limits import LimitStore
    from backburner.ports.nodes import NodeStore
    from backburner.ports.schedules import ScheduleReader, ScheduleStore
    from backburner.ports.telemetry import Listener
    from backburner.scheduler.declared import Declaration, Declarations
    from backburner.scheduler.records import Orderer

__all__ = ["Declarer"]

#: A schedule that no living node has declared for so many seconds is retired: longer than a node takes to start anew.
ORPHANED = 60.0
#: Schedules in one write, or one read.
_MANY = 200


class Declarer:
    """Stores the schedules of this node's code, and retires those that were in code and are in no living node's.

    A schedule that is stored as it is declared costs no write. The last deploy's declaration holds: versions of an app
    that run side by side do not take turns, since each declares at its start alone.
    """

    def __init__(
        self,
        declarations: Declarations,
        store: ScheduleStore,
        reader: ScheduleReader,
        nodes: NodeStore,
        limits: LimitStore,
        *,
        order: Orderer,
        ids: Ids,
        tz: str,
        clock: Clock,
        listener: Listener,
    ) -> None:
        self._declarations = declarations
        self._store = store
        self._reader = reader
        self._nodes = nodes
        self._limits = limits
        self._order = order
        self._ids = ids
        self._tz = tz
        self._clock = clock
        self._listener = listener
        self._declared: set[str] = set()
        #: Of those the names that are wrong as they stand in code.
        self._failed: set[str] = set()
        #: The names of those in code, as far as is known; None before the first look.
        self._seen: set[str] | None = None
        #: Those that nobody declares, by name: since when, on the monotonic clock.
        self._orphans: dict[str, float] = {}

    @property
    def behind(self) -> bool:
        """Whether something is declared that has not been stored yet."""
        return any(each.name not in self._declared for each in self._declarations)

    async def start(self) -> None:
        """Store what code declares; raises `CallRefused` for what is wrong with it, so that an app does not start so."""
        for each in self._declarations:
            try:
                # A calendar is asked for the days that it will be asked for again, and for no others.
                asked = self._asked(each, self._clock.now())
            except CallRefused as error:
                # The same error, saying which of many schedules it is about.
                error.args = (f"schedule {each.name!r} ({each.place}): {error}",)
                raise
            except Exception as error:
                raise InvalidSchedule(
                    f"schedule {each.name!r} ({each.place}): its calendar failed: {type(error).__name__}: {error}"
                ) from error
            if not timetable(each.trigger, each.name, self._tz).ever(0):
                raise InvalidSchedule(
                    f"schedule {each.name!r} ({each.place}) can never fire: {each.trigger.describe()} names no moment"
                )
            if "end" in each.options and agenda(asked.name, asked.rule).after(0) is None:
                raise InvalidSchedule(
                    f"schedule {each.name!r} ({each.place}) can never fire: {each.trigger.describe()} names no moment "
                    "before its end that is after its start and on no excluded day"
                )
        await self.declare()

    async def declare(self) -> None:
        """Store what is not stored as it is declared. What cannot be is told, and is left.

        Until the next start; where a person's schedule is in its way, until that is removed.
        """
        waiting = [each for each in self._declarations if each.name not in self._declared]
        while waiting:
            some, waiting = waiting[:_MANY], waiting[_MANY:]
            # Another node may have changed one in between: it is looked at again.
            waiting += await self._declare(some)

    def _asked(self, declared: Declaration, now: int) -> ScheduleRecord:
        rule = encode(make_rule(declared.trigger, declared.options, tz=self._tz, now=now))
        kind, job = self._order(declared.call, declared.said)
        return ScheduleRecord(name=declared.name, version=0, kind=kind, rule=rule, job=job, declared=True)

    async def _declare(self, some: list[Declaration]) -> list[Declaration]:
        found = await self._reader.get([each.name for each in some])
        known = {record.name: record for record in found.schedules}
        changes: list[ScheduleChange] = []
        about: list[Declaration] = []
        for each in some:
            try:
                change = self._change(each, known.get(each.name), found.now)
            except Exception as error:  # noqa: BLE001 - whatever its calendar raises, the others are declared, and fire
                self._fail(each, str(error) or type(error).__name__)
                continue
            if change is None:
                self._declared.add(each.name)
            else:
                changes.append(change)
                about.append(each)
        if not changes:
            return []
        if any(lane_of(change.schedule.name, decode(change.schedule.rule)) is not None for change in changes):
            await self._limits.declare({LIMIT: ONE_AT_A_TIME})
        again: list[Declaration] = []
        answers = await self._store.change(changes)
        for each, change, answer in zip(about, changes, answers.changes, strict=True):
            if answer.outrun or answer.busy:
                again.append(each)
            elif answer.refused is not None:
                self._fail(each, answer.refused)
            else:
                self._declared.add(each.name)
                before = known.get(each.name)
                if _differs(change, before):
                    self._listener(
                        Signal.SCHEDULE_DECLARED,
                        schedule=each.name,
                        was="new" if before is None else "retired" if before.retired else "another",
                        kind=each.kind,
                    )
        return again

    def _change(self, declared: Declaration, known: ScheduleRecord | None, now: int) -> ScheduleChange | None:
        """Return what makes the stored schedule the declared one; None if it is."""
        fresh = self._asked(declared, now)
        days = agenda(fresh.name, fresh.rule)
        if known is None:
            return self._told(ScheduleChange(schedule=rearmed(fresh, days, now)), None, now)
        if not known.declared:
            self._leave(
                declared,
                f"a person has put a schedule of that name: remove it (backburner schedules remove {declared.name}), "
                f"or give the one at {declared.place} another name",
            )
            return None
        change = recast(known, fresh, days, self._ids, now)
        return None if change is None else self._told(change, known, now)

    def _told(self, change: ScheduleChange, known: ScheduleRecord | None, now: int) -> ScheduleChange:
        if not _differs(change, known):
            return told(change, now)
        return told(change, now, tell("schedule.declared", change.schedule.name, kind=change.schedule.kind))

    def _fail(self, declared: Declaration, why: str) -> None:
        self._failed.add(declared.name)
        self._leave(declared, why)

    def _leave(self, declared: Declaration, why: str) -> None:
        self._declared.add(declared.name)
        self._listener(Signal.SCHEDULE_FAILED, schedule=declared.name, why=why)

    # ---- what no code declares any more ----------------------------------------------------------------------------

    async def retire(self) -> None:
        """Retire the schedules of code that no living node has declared for a minute, and have back one of this node's."""
        living = set(self._declarations.names)
        for node in await self._nodes.find():
            if node.alive:
                living.update(node.schedules)
        if self._seen is None:
            self._seen = await self._all_declared()
        self._seen |= living
        now = self._clock.monotonic()
        self._orphans = {name: self._orphans.get(name, now) for name in self._seen - living}
        over = [name for name, since in self._orphans.items() if now - since >= ORPHANED]
        mine = self._declarations.names
        for start in range(0, len(mine), _MANY):
            some = mine[start : start + _MANY]
            found = (await self._reader.get(some)).schedules
            # Somebody retired one who did not see this node yet, or removed one: also a person's that was in its way.
            self._declared -= {record.name for record in found if record.retired and record.declared}
            self._declared -= {*some} - {record.name for record in found} - self._failed
        for start in range(0, len(over), _MANY):
            self._seen -= await self._retire(over[start : start + _MANY])

    async def _all_declared(self) -> set[str]:
        """Go through all schedules, once in a node's life; from then on it hears of those in code from their nodes."""
        names: set[str] = set()
        after: str | None = None
        while True:
            page = await self._reader.find(declared=True, limit=_MANY, after=after)
            names.update(record.name for record in page.schedules if not record.retired)
            after = page.after
            if after is None:
                return names

    async def _retire(self, names: Sequence[str]) -> set[str]:
        """Retire those of these names that are in the store and in code; return which need no further look."""
        found = (await self._reader.get(names)).schedules
        over = [record for record in found if record.declared and not record.retired]
        changes = [
            ScheduleChange(
                schedule=structs.replace(record, retired=True, due_at=None),
                events=(tell("schedule.retired", record.name, kind=record.kind),),
            )
            for record in over
        ]
        answers = await self._store.change(changes)
        done = {*names}
        for record, answer in zip(over, answers.changes, strict=True):
            if answer.outrun or answer.busy or answer.refused:
                # It has just fired, or is back.
                done.discard(record.name)
            else:
                self._listener(Signal.SCHEDULE_RETIRED, schedule=record.name, kind=record.kind)
        return done


def _differs(change: ScheduleChange, known: ScheduleRecord | None) -> bool:
    """Tell whether a declaration says when it is due otherwise than what was stored, or has it back."""
    return known is None or known.rule != change.schedule.rule or known.retired
