"""A store in memory with schedules, nodes that fire them, and a clock that moves when told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from msgspec import structs

from backburner.backends.memory import MemoryBackend
from backburner.jobs.standing import build, order_unseen
from backburner.model.clock import SECOND
from backburner.model.ids import Ids
from backburner.model.node import NodeRecord
from backburner.model.schedule import ScheduleChange, ScheduleRecord
from backburner.scheduler.declared import Declaration, Declarations
from backburner.scheduler.declaring import Declarer
from backburner.scheduler.records import BuiltJob, Ordered
from backburner.scheduler.rule import make_rule
from backburner.scheduler.scheduler import Scheduler
from backburner.scheduler.schedules import Schedules
from backburner.scheduler.triggers import Every
from backburner.scheduler.zone_watch import ZoneWatch
from backburner.testing.clock import FakeClock
from tests.unit.jobs.told import Ear

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.jobs.definition import Definition
    from backburner.model.job import JobRecord, NewJob
    from backburner.model.schedule import TickRecord
    from backburner.ports.backend import Hint
    from backburner.ports.telemetry import Signal
    from backburner.scheduler.rule import ScheduleOptions
    from backburner.scheduler.triggers import Trigger

__all__ = ["MINUTE", "Node", "Office", "rewrite"]

MINUTE = 60 * SECOND


class Office:
    """Where schedules are kept."""

    def __init__(self) -> None:
        self.clock = FakeClock(1_772_409_600 * SECOND)  # 2026-03-02T00:00Z
        self.backend = MemoryBackend(self.clock)
        self.ids = Ids(self.clock)
        self.told: list[Hint] = []
        self.stored: list[tuple[Sequence[NewJob], int]] = []
        self.schedules = Schedules(
            self.backend.schedules,
            self.backend.schedule_reader,
            self.backend.limits,
            build=self.build,
            fired=lambda *stored: self.stored.append(stored),
            tell=self.told.append,
            ids=self.ids,
        )
        self.known: dict[str, Definition] = {}

    def build(self, text: str, *, job_id: str, schedule: str, tick: int, lane: str | None) -> BuiltJob:
        return BuiltJob(*build(text, self.known, job_id=job_id, schedule=schedule, tick=tick, lane=lane))

    async def put(self, name: str = "s", trigger: Trigger | None = None, **options: Any) -> bool:  # noqa: ANN401 - `ScheduleOptions`
        rule = make_rule(trigger or Every(minutes=1), cast("ScheduleOptions", options), tz="UTC", now=self.clock.now())
        return await self.schedules.put(name, rule, "work", order_unseen("work", "{}"))

    async def get(self, name: str = "s") -> ScheduleRecord:
        return (await self.schedules.get(name)).record

    async def ticks(self, name: str = "s") -> list[TickRecord]:
        """The ledger, first decided first."""
        return list(reversed((await self.schedules.ticks(name=name, limit=1000)).ticks))

    async def lines(self, name: str = "s") -> list[tuple[str, int, int, str | None]]:
        """The ledger in short: what, from which second on, how many, why."""
        start = 1_772_409_600
        return [
            (tick.outcome.value, tick.tick // SECOND - start, tick.count, tick.reason)
            for tick in await self.ticks(name)
        ]

    async def jobs(self) -> tuple[JobRecord, ...]:
        ids = [tick.job for tick in (await self.schedules.ticks(limit=1000)).ticks if tick.job is not None]
        return (await self.backend.reader.get(ids)).jobs


class Node:
    """One node's scheduler."""

    def __init__(self, office: Office, name: str = "n1") -> None:
        self.office = office
        self.name = name
        self.ear = Ear()
        self.fired: list[NewJob] = []
        self.replaced: list[str] = []
        self.declarations = Declarations()
        backend = office.backend
        self.declarer = Declarer(
            self.declarations,
            backend.schedules,
            backend.schedule_reader,
            backend.nodes,
            backend.limits,
            order=self._order,
            ids=office.ids,
            tz="UTC",
            clock=office.clock,
            listener=self.ear,
        )
        self.zones = ZoneWatch(backend.schedules, backend.schedule_reader, backend.cells)
        self.scheduler = Scheduler(
            backend.schedules,
            backend.schedule_reader,
            self.declarer,
            self.zones,
            build=office.build,
            fired=self._fired,
            replace=self._replace,
            ids=office.ids,
            clock=office.clock,
            listener=self.ear,
        )

    def declare(self, name: str, trigger: Trigger | None = None, **options: Any) -> None:  # noqa: ANN401 - `ScheduleOptions`
        """Have it stand in this node's code."""
        self.declarations.add(
            Declaration(
                name=name,
                kind="work",
                place="here:1",
                trigger=trigger or Every(minutes=1),
                call="{}",
                said={},
                options=cast("ScheduleOptions", options),
            )
        )

    async def publish(self, ttl: int = 30 * SECOND) -> None:
        node = NodeRecord(
            id=self.name,
            host="here",
            pid=1,
            started_at=0,
            queues={},
            kinds=("work",),
            schedules=self.declarations.names,
        )
        await self.office.backend.nodes.publish(node, ttl)

    async def work(self) -> float | None:
        """Take steps until there is nothing to do at once; answer the seconds to the next."""
        for _ in range(100):
            wait = await self.scheduler.step()
            if wait != 0:
                return wait
        raise AssertionError("there is always more to do at once")

    def tells(self, signal: Signal) -> list[Mapping[str, object]]:
        return [fields for told, fields in self.ear.heard if told is signal]

    def _order(self, call: object, said: Mapping[str, object], /) -> Ordered:
        del said
        return Ordered("work", order_unseen("work", str(call)))

    def _fired(self, jobs: Sequence[NewJob], now: int) -> None:
        del now
        self.fired += jobs

    async def _replace(self, ids: Sequence[str], reason: str) -> None:
        await self.office.backend.admin.cancel(ids, reason)
        self.replaced += ids


async def rewrite(office: Office, name: str, **fields: object) -> None:
    """Write fields of a stored schedule, as other code would have."""
    record = structs.replace(await office.get(name), **fields)
    await office.backend.schedules.change([ScheduleChange(schedule=record)])
