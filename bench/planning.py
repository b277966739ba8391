"""One node's scheduler on a store, without the rest of an engine: it takes a step when it is told."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from msgspec import structs

from backburner import Backburner
from backburner.backends import urls
from backburner.jobs.standing import build, order_unseen
from backburner.model.clock import SystemClock
from backburner.model.ids import Ids
from backburner.model.schedule import ScheduleChange, ScheduleRecord
from backburner.scheduler.declared import Declarations
from backburner.scheduler.declaring import Declarer
from backburner.scheduler.records import BuiltJob, Ordered
from backburner.scheduler.rule import encode, make_rule
from backburner.scheduler.scheduler import Scheduler
from backburner.scheduler.zone_watch import ZoneWatch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from backburner.model.clock import Clock
    from backburner.ports.backend import Backend
    from backburner.scheduler.rule import ScheduleOptions
    from backburner.scheduler.triggers import Trigger

__all__ = ["CHUNK", "Node", "Tally", "opened", "record"]

#: Schedules in one write.
CHUNK = 1_000


class Tally:
    """Counts the calls of a store."""

    def __init__(self) -> None:
        self.calls = 0

    def over(self, port: Any) -> Any:  # noqa: ANN401 - any of a backend's
        """Return a port whose calls are counted."""
        tally = self

        class Counted:
            def __getattr__(self, name: str) -> object:
                tally.calls += 1
                return getattr(port, name)

        return Counted()


class Node:
    """A scheduler that is wired as an engine wires it, and that knows the job of every schedule here."""

    def __init__(self, backend: Backend, *, clock: Clock | None = None, tally: Tally | None = None) -> None:
        self.backend = backend
        clock = clock or SystemClock()
        ids = Ids(clock)
        bb = Backburner("memory://", run=False)

        @bb.job
        async def noop() -> None: ...

        known = {noop.definition.kind: noop.definition}

        def built(text: str, *, job_id: str, schedule: str, tick: int, lane: str | None) -> BuiltJob:
            return BuiltJob(*build(text, known, job_id=job_id, schedule=schedule, tick=tick, lane=lane))

        def order(call: object, said: Mapping[str, object], /) -> Ordered:
            raise AssertionError((call, said))

        async def replace(jobs: Sequence[str], reason: str) -> None:
            raise AssertionError((jobs, reason))

        count = (tally or Tally()).over
        store, reader = count(backend.schedules), count(backend.schedule_reader)
        self.declarer = Declarer(
            Declarations(),
            store,
            reader,
            count(backend.nodes),
            count(backend.limits),
            order=order,
            ids=ids,
            tz="UTC",
            clock=clock,
            listener=lambda *_, **__: None,
        )
        self.scheduler = Scheduler(
            store,
            reader,
            self.declarer,
            ZoneWatch(store, reader, count(backend.cells)),
            build=built,
            fired=lambda *_: None,
            replace=replace,
            ids=ids,
            clock=clock,
            listener=lambda *_, **__: None,
        )

    async def arm(self, names: Sequence[str]) -> None:
        """Have schedules be due now, on time."""
        for start in range(0, len(names), CHUNK):
            page = await self.backend.schedule_reader.get(names[start : start + CHUNK])
            armed = [structs.replace(each, next_tick=page.now, due_at=page.now) for each in page.schedules]
            await self.put(armed)

    async def put(self, schedules: Sequence[ScheduleRecord]) -> None:
        """Write schedules."""
        for start in range(0, len(schedules), CHUNK):
            some = schedules[start : start + CHUNK]
            changed = await self.backend.schedules.change([ScheduleChange(schedule=each) for each in some])
            assert not any(answer.outrun or answer.refused for answer in changed.changes), changed

    async def fire(self) -> int:
        """Fire what is due, and no more; return in how many steps."""
        steps = 0
        while True:
            wait = await self.scheduler.step()
            if wait != 0:
                return steps
            steps += 1


def record(
    name: str, trigger: Trigger, now: int, options: ScheduleOptions | None = None, *, due_at: int | None = None
) -> ScheduleRecord:
    """Make a schedule of the no-op job that there is none of yet."""
    rule = encode(make_rule(trigger, options or cast("ScheduleOptions", {}), tz="UTC", now=now))
    job = order_unseen("noop", "{}")
    return ScheduleRecord(name=name, version=0, kind="noop", rule=rule, job=job, next_tick=due_at, due_at=due_at)


@asynccontextmanager
async def opened(url: str, *, clock: Clock | None = None) -> AsyncGenerator[Backend]:
    """Open a store; its schema is made if there is none."""
    backend = urls.connect(urls.parse(url, base=Path.cwd()), clock=clock or SystemClock(), write_timeout=60)
    await backend.open(create=True)
    try:
        if (await backend.schema.state()).pending:
            await backend.schema.upgrade()
        yield backend
    finally:
        await backend.close()
