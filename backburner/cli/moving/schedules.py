"""Schedules and their ledgers, carried from one store into another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from backburner.model.schedule import ScheduleChange
from backburner.scheduler.records import LIMIT, ONE_AT_A_TIME

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from backburner.cli.moving.carrying import Outcome
    from backburner.model.schedule import ScheduleRecord, TickRecord
    from backburner.ports.backend import Backend
    from backburner.ports.schedules import ScheduleReader

__all__ = ["carry_schedules", "foresee_schedules", "verify_schedules"]

#: Schedules, or lines of a ledger, in one step.
_PAGE = 500
#: How often lines are brought to a schedule that others change at the same time; then they are missing.
_TRIES = 20


async def carry_schedules(source: Backend, target: Backend, outcome: Outcome) -> None:
    """Store schedules as they are, pauses and all, then their ledgers; one of a name that is there is left as it is.

    Lines that are there already are not written again, so that what was interrupted goes on.
    """
    async for page in _schedules(source):
        fresh = await _fresh(target, page, outcome)
        if fresh:
            # Nodes find them stored as they declare them, and have no reason to declare what keeps their jobs apart.
            await target.limits.declare({LIMIT: ONE_AT_A_TIME})
        changed = await target.schedules.change(
            [ScheduleChange(schedule=structs.replace(record, version=0)) for record in fresh]
        )
        for record, answer in zip(fresh, changed.changes, strict=True):
            if answer.outrun:
                outcome.left.append(record.name)
            elif answer.refused is not None:
                outcome.refused[record.name] = answer.refused
            else:
                outcome.schedules += 1
    async for ticks in _absent(source, target):
        outcome.ticks += await _add(target, ticks)


async def verify_schedules(source: Backend, target: Backend, outcome: Outcome) -> None:
    """Look for every schedule, and every line of their ledgers, in the target; write down what is missing."""
    async for page in _schedules(source):
        there = await _get(target, [record.name for record in page])
        outcome.lost += [each.name for each in page if each.name not in there and each.name not in outcome.refused]
    async for ticks in _absent(source, target):
        outcome.lost_ticks += sum(tick.schedule not in outcome.refused for tick in ticks)


async def foresee_schedules(source: Backend, target: Backend | None, outcome: Outcome) -> None:
    """Count what would be carried into a store, None for one that is empty."""
    async for page in _schedules(source):
        outcome.schedules += len(page if target is None else await _fresh(target, page, outcome))
    async for ticks in _absent(source, target):
        outcome.ticks += len(ticks)


async def _fresh(target: Backend, page: Sequence[ScheduleRecord], outcome: Outcome) -> list[ScheduleRecord]:
    """Return those of names that the target has not; write down the others."""
    there = await _get(target, [record.name for record in page])
    for record in page:
        known = there.get(record.name)
        if known is not None and (known.kind, known.rule, known.job) == (record.kind, record.rule, record.job):
            outcome.known_schedules += 1
        elif known is not None:
            outcome.left.append(record.name)
    return [record for record in page if record.name not in there]


async def _schedules(source: Backend) -> AsyncIterator[tuple[ScheduleRecord, ...]]:
    after: str | None = None
    while True:
        page = await source.schedule_reader.find(limit=_PAGE, after=after)
        if page.schedules:
            yield page.schedules
        after = page.after
        if after is None:
            return


async def _get(backend: Backend, names: Collection[str]) -> dict[str, ScheduleRecord]:
    return {record.name: record for record in (await backend.schedule_reader.get(names)).schedules}


async def _add(target: Backend, ticks: Sequence[TickRecord]) -> int:
    """Write lines to the ledgers of schedules, which stay as they are; return how many were written."""
    waiting: dict[str, list[TickRecord]] = {}
    for tick in ticks:
        waiting.setdefault(tick.schedule, []).append(tick)
    written = 0
    for _ in range(_TRIES):
        there = await _get(target, waiting)
        changes = [ScheduleChange(schedule=record, ticks=tuple(waiting[name])) for name, record in there.items()]
        waiting = {}
        for change, answer in zip(changes, (await target.schedules.change(changes)).changes, strict=True):
            # Another may have changed the schedule in between; what is refused is missing in the end.
            if answer.outrun:
                waiting[change.schedule.name] = list(change.ticks)
            elif answer.refused is None:
                written += len(change.ticks)
        if not waiting:
            break
    return written


# ---- lines that one ledger has and another has not -----------------------------------------------------------------


async def _absent(source: Backend, target: Backend | None) -> AsyncIterator[Sequence[TickRecord]]:
    """Go through the lines of schedules which the source still has that the target has not, the last decided first."""
    there = None if target is None else _Ledger(target.schedule_reader)
    async for page in _ticks(source.schedule_reader):
        known = set[str]() if there is None else await there.down_to(page[-1].id)
        schedules = await _get(source, {tick.schedule for tick in page})
        lines = [tick for tick in page if tick.id not in known and tick.schedule in schedules]
        if lines:
            yield lines


class _Ledger:
    """The ids of a ledger, read alongside another: both go from the greatest down."""

    def __init__(self, reader: ScheduleReader) -> None:
        self._pages = _ticks(reader)
        self._read: list[str] = []
        self._whole = False

    async def down_to(self, last: str) -> set[str]:
        """Return the ids from that one up which were not returned before."""
        while not self._whole and (not self._read or self._read[-1] >= last):
            page = await anext(self._pages, None)
            if page is None:
                self._whole = True
            else:
                self._read += [tick.id for tick in page]
        known = {each for each in self._read if each >= last}
        self._read = [each for each in self._read if each < last]
        return known


async def _ticks(reader: ScheduleReader) -> AsyncIterator[tuple[TickRecord, ...]]:
    after: str | None = None
    while True:
        page = await reader.ticks(limit=_PAGE, after=after)
        if page.ticks:
            yield page.ticks
        after = page.after
        if after is None:
            return
