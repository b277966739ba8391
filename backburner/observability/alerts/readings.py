"""What alerts measure: the store is read once for all of them, and only what they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from backburner.model.clock import SECOND
from backburner.model.query import JobFilter, Shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from backburner.model.node import NodeRecord
    from backburner.observability.alerts.condition import Measure
    from backburner.observability.alerts.counts import Shared
    from backburner.observability.sampling import BreakerSeen
    from backburner.ports.events import EventReader
    from backburner.ports.jobs import Backlog, JobReader, QueueBacklog
    from backburner.ports.nodes import NodeStore
    from backburner.ports.schedules import ScheduleStore

    Values = dict[Measure, float | None]

__all__ = ["Readings"]

#: Phases in which a breaker's dependency is taken to fail: it is tried now and then, which mostly fails again.
_BROKEN: Final = frozenset({"open", "half_open"})
#: Microseconds after which a schedule that is due, and was not decided upon, counts as missed, and how many are looked at.
_OVERDUE: Final = 60 * SECOND
_SCHEDULES: Final = 100
#: The queue of a kind whose code names none.
_DEFAULT: Final = "default"


class Readings:
    """Reads a store for alerts; raises what the store raises. ``breakers`` answers them all."""

    def __init__(
        self,
        *,
        reader: JobReader,
        nodes: NodeStore,
        schedules: ScheduleStore,
        events: EventReader,
        breakers: Callable[[], Awaitable[Sequence[BreakerSeen]]],
    ) -> None:
        self._reader = reader
        self._nodes = nodes
        self._schedules = schedules
        self._events = events
        self._breakers = breakers

    async def take(self, measures: Iterable[Measure], shared: Shared, now: int) -> Values:
        """Return the value of each measure: a number, microseconds, percent; None where nothing can be said."""
        asked: dict[str, list[Measure]] = {}
        for measure in dict.fromkeys(measures):
            asked.setdefault(measure.metric.name, []).append(measure)
        values: Values = {}
        backlog: Backlog | None = None
        for name, same in asked.items():
            match name:
                case "jobs.failure_ratio":
                    values |= {each: shared.failure_ratio(each.argument, each.window or 0, now) for each in same}
                case "schedules.missed":
                    values |= await self._missed(same, shared, now)
                case "breaker.open":
                    values |= await self._open(same)
                case "events.lag":
                    values |= await self._lags(same)
                case _:
                    backlog = await self._reader.backlog() if backlog is None else backlog
                    if name == "kinds.unserved":
                        values |= await self._unserved(same, backlog)
                    else:
                        values |= {each: _of_queues(name, each.argument, backlog) for each in same}
        return values

    async def _missed(self, measures: Sequence[Measure], shared: Shared, now: int) -> Values:
        due = await self._schedules.due(_SCHEDULES)
        overdue = {each.name: 1 for each in due.schedules if due.now - (each.due_at or due.now) > _OVERDUE}
        return {
            each: shared.missed(each.argument, each.window or 0, now) + _chosen(overdue, each.argument)
            for each in measures
        }

    async def _open(self, measures: Sequence[Measure]) -> Values:
        broken = {each.name: 1 for each in await self._breakers() if each.forced or each.phase in _BROKEN}
        return {each: _chosen(broken, each.argument) for each in measures}

    async def _lags(self, measures: Sequence[Measure]) -> Values:
        heard = await self._events.subscriptions()
        lags = {each.name: max(0, heard.last - each.cursor) for each in heard.subscriptions}
        return {
            each: max(lags.values(), default=0) if each.argument is None else lags.get(each.argument, 0)
            for each in measures
        }

    async def _unserved(self, measures: Sequence[Measure], backlog: Backlog) -> Values:
        """Count due jobs that no living node takes: of kinds none of them knows, or in queues that none works on."""
        nodes = [node for node in await self._nodes.find() if node.alive and not node.draining]
        unknown = {kind: count for kind, count in backlog.unknown.items() if not _served(kind, nodes)}
        served = {queue for node in nodes for queue in node.queues}
        left = {each.queue: each.waiting for each in backlog.queues if each.waiting and each.queue not in served}
        values: Values = {}
        for each in measures:
            if each.argument is None:
                values[each] = sum(unknown.values()) + sum(left.values())
                continue
            counts = [unknown.get(each.argument, 0)]
            if left:
                where = JobFilter(kinds=(each.argument,), queues=tuple(left), states=(Shown.WAITING, Shown.RETRYING))
                counts.append(sum((await self._reader.count(where)).values()))
            # Some may stand at the gate of unknown kinds, in a queue that nobody works on any more.
            values[each] = max(counts)
        return values


def _served(kind: str, nodes: Iterable[NodeRecord]) -> bool:
    return any(kind in node.kinds and node.kind_queues.get(kind, _DEFAULT) in node.queues for node in nodes)


def _of_queues(metric: str, queue: str | None, backlog: Backlog) -> float:
    chosen = [each for each in backlog.queues if queue in {None, each.queue}]
    match metric:
        case "queue.depth":
            return sum(each.waiting for each in chosen)
        case "queue.oldest":
            return max((_age(each, backlog.now) for each in chosen), default=0)
        case _:
            return sum(each.dead for each in chosen)


def _age(queue: QueueBacklog, now: int) -> int:
    return 0 if queue.oldest is None else max(0, now - queue.oldest)


def _chosen(counts: Mapping[str, int], name: str | None) -> int:
    return sum(counts.values()) if name is None else counts.get(name, 0)
