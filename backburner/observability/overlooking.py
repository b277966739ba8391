"""Reads what goes on in a store: a handful of reads, one after the other, of which none walks over what has ended."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from backburner.errors import BackburnerError, SchemaTooNew, SchemaTooOld, StoreMissing, StoreUnavailable
from backburner.model.clock import SECOND
from backburner.model.job import JobState
from backburner.model.lane import name_of
from backburner.model.node import QueueRecord
from backburner.model.query import JobFilter, Shown
from backburner.model.schedule import Outcome
from backburner.observability.overview import (
    LATE,
    BreakerSeen,
    BudgetSeen,
    Letters,
    Lost,
    Missed,
    Overdue,
    Overview,
    Part,
    QueueSeen,
    Slow,
)
from backburner.ports.events import LOOKED_AT
from backburner.ports.jobs import QueueBacklog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from backburner.model.clock import Clock
    from backburner.model.node import NodeRecord
    from backburner.model.operation import OperationRecord
    from backburner.ports.backend import Backend
    from backburner.ports.jobs import Backlog

__all__ = ["Overseer"]

T = TypeVar("T")

_MINUTE: Final = 60 * SECOND
_DAY: Final = 24 * 60 * _MINUTE
#: Completed jobs that are counted one by one, causes, nodes lost, lines of ledgers, schedules a page, operations.
_COUNTED, _CAUSES, _LOST, _TICKS, _SCHEDULES, _OPERATIONS = 10_000, 100, 10, 1_000, 1_000, 20
#: The reason of a tick that was passed over, since it was overdue.
_MISSED: Final = "missed"


class Overseer:
    """Needs an open store alone, for reading only; ``breakers`` answers them all."""

    def __init__(
        self, backend: Backend, *, breakers: Callable[[], Awaitable[Sequence[BreakerSeen]]], clock: Clock
    ) -> None:
        self._backend = backend
        self._breakers = breakers
        self._clock = clock

    async def look(self) -> Overview:
        """Return what goes on now; what cannot be read is told in `unread`.

        Raises `StoreMissing`, and `StoreUnavailable` if two reads in a row fail so, or the first.
        """
        backend = self._backend
        unread: dict[Part, str] = {}
        timed_out = False

        async def part(which: Part, read: Awaitable[T], otherwise: T) -> T:
            nonlocal timed_out
            before, timed_out = timed_out, False
            try:
                return await read
            except StoreMissing:
                raise
            except StoreUnavailable as error:
                # One read may have taken too long by itself; of a second, the store is away, and each would wait for it.
                if before:
                    raise
                timed_out = True
                unread[which] = str(error)
            except (BackburnerError, msgspec.ValidationError) as error:
                unread[which] = str(error)
            return otherwise

        asked = self._clock.now()
        now = (await backend.reader.get([])).now
        offset = now - (asked + self._clock.now()) // 2
        nodes = await part(Part.NODES, backend.nodes.find(), ())
        backlog = await part(Part.QUEUES, backend.reader.backlog(), None)
        records = await part(Part.SETTINGS, backend.queues.list(), ())
        done = await part(Part.DONE, self._done(), None)
        return Overview(
            address=backend.address,
            now=now,
            offset=offset,
            schema=await part(Part.SCHEMA, self._schema(), None),
            nodes=nodes,
            lost=await part(Part.LOST, self._lost(now), ()),
            queues=_queues(backlog, nodes, {record.name: record for record in records}, done),
            letters=await part(Part.LETTERS, self._letters(backlog, now), None),
            kinds=await part(Part.KINDS, backend.kinds.list(), ()),
            unknown={} if Part.NODES in unread else _unknown(backlog, nodes),
            breakers=await part(Part.BREAKERS, self._turned(), ()),
            budgets=await part(Part.BUDGETS, self._dry(), ()),
            overdue=await part(Part.SCHEDULES, self._overdue(), ()),
            missed=await part(Part.TICKS, self._missed(now), None),
            slow=await part(Part.SUBSCRIPTIONS, self._slow(), ()),
            operations=await part(Part.OPERATIONS, self._operations(), ()),
            unread=unread,
        )

    async def _schema(self) -> tuple[int, int] | None:
        try:
            state = await self._backend.schema.state()
        except (SchemaTooNew, SchemaTooOld):
            # Whoever opened the store has said so, and by how much.
            return None
        return state.current, state.wanted

    async def _lost(self, now: int) -> tuple[Lost, ...]:
        page = await self._backend.event_reader.read(
            patterns=("node.lost",), since=now - _DAY, newest=True, limit=_LOST
        )
        return tuple(
            Lost(event.subject, msgspec.json.decode(event.data, type=dict[str, str]).get("host", ""), event.time)
            for event in page.events
        )

    async def _done(self) -> Mapping[str, int]:
        """Count what was completed in a minute, by queue; of very much, as much as can be told from the newest."""
        page = await self._backend.reader.timings(JobState.COMPLETED, JobFilter(), within=_MINUTE, limit=_COUNTED)
        counted = Counter(job.queue for job in page.jobs)
        if page.after is None:
            return counted
        # They fell in a part of the minute: it is taken to be like the rest.
        span = max(page.now - page.jobs[-1].ended_at, 1)
        return {queue: round(count * _MINUTE / span) for queue, count in counted.items()}

    async def _letters(self, backlog: Backlog | None, now: int) -> Letters | None:
        total = 0 if backlog is None else sum(queue.dead for queue in backlog.queues)
        if not total:
            return None
        reader = self._backend.reader
        older = await reader.count(JobFilter(states=(Shown.DEAD,), ended_before=now - _DAY))
        causes = (await reader.groups(JobFilter(), limit=_CAUSES)).groups
        # Some may have been brought back between the reads.
        recent = max(0, total - older.get(Shown.DEAD, 0))
        return Letters(total=total, recent=recent, causes=causes, more=len(causes) == _CAUSES)

    async def _turned(self) -> tuple[BreakerSeen, ...]:
        return tuple(seen for seen in await self._breakers() if seen.forced or seen.phase != "closed")

    async def _dry(self) -> tuple[BudgetSeen, ...]:
        limits = self._backend.limits
        names = [record.name for record in await limits.list() if record.limit.deposit is not None]
        if not names:
            return ()
        found = await limits.lanes(names)
        return tuple(
            BudgetSeen(name_of(lane.name), lane.free_at)
            for lane in found.lanes
            if lane.parked and (lane.free_at or 0) > found.now
        )

    async def _overdue(self) -> tuple[Overdue, ...]:
        late: list[Overdue] = []
        after: str | None = None
        while True:
            page = await self._backend.schedule_reader.find(limit=_SCHEDULES, after=after)
            late += [
                Overdue(record.name, record.kind, record.due_at)
                for record in page.schedules
                if record.due_at is not None and record.due_at < page.now - LATE
            ]
            after = page.after
            if after is None:
                return tuple(sorted(late, key=lambda each: each.due_at))

    async def _missed(self, now: int) -> Missed:
        page = await self._backend.schedule_reader.ticks(outcomes=(Outcome.SKIPPED,), since=now - _DAY, limit=_TICKS)
        ticks = Counter[str]()
        for tick in page.ticks:
            if tick.reason == _MISSED:
                ticks[tick.schedule] += tick.count
        return Missed(ticks=dict(ticks.most_common()), more=page.after is not None)

    async def _slow(self) -> tuple[Slow, ...]:
        known = await self._backend.event_reader.subscriptions()
        behind = [
            Slow(name=each.name, kind=each.kind, events=known.last - each.cursor)
            for each in known.subscriptions
            if known.last - each.cursor > LOOKED_AT
        ]
        return tuple(sorted(behind, key=lambda each: -each.events))

    async def _operations(self) -> tuple[OperationRecord, ...]:
        return (await self._backend.operations.find(active=True, limit=_OPERATIONS)).operations


def _queues(
    backlog: Backlog | None,
    nodes: Sequence[NodeRecord],
    records: Mapping[str, QueueRecord],
    done: Mapping[str, int] | None,
) -> tuple[QueueSeen, ...]:
    """Return the queues that hold something, that working nodes have, or that something is set for."""
    working = [node for node in nodes if node.alive and not node.draining]
    holds = {} if backlog is None else {queue.queue: queue for queue in backlog.queues}
    is_set = {name for name, record in records.items() if record != QueueRecord(name=name)}
    found: list[QueueSeen] = []
    for name in sorted({*holds, *is_set, *(queue for node in working for queue in node.queues)}):
        record = records.get(name, QueueRecord(name=name))
        serving = [node.queues[name] for node in working if name in node.queues]
        found.append(
            QueueSeen(
                holds=holds.get(name, QueueBacklog(queue=name)),
                nodes=len(serving),
                slots=sum(serving) if record.slots is None else record.slots * len(serving),
                done=None if done is None else done.get(name, 0),
                record=record,
            )
        )
    return tuple(found)


def _unknown(backlog: Backlog | None, nodes: Sequence[NodeRecord]) -> dict[str, int]:
    if backlog is None:
        return {}
    known = {kind for node in nodes if node.alive and not node.draining for kind in node.kinds}
    return {kind: count for kind, count in backlog.unknown.items() if kind not in known}
