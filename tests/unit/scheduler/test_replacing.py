"""Which jobs a schedule's next tick takes the place of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from backburner.model.clock import SECOND
from backburner.model.job import JobState, NewJob, UniqueKey
from backburner.ports.jobs import Keep
from backburner.scheduler.records import BuiltJob
from backburner.testing.contracts.making import claim, publish, to_settle

if TYPE_CHECKING:
    from tests.unit.scheduler.office import Node, Office

KEY = UniqueKey("work:", (JobState.PENDING, JobState.RUNNING), None)


def unique(office: Office, node: Node) -> None:
    """Have a node make jobs of which one is enough."""

    def build(text: str, **how: Any) -> BuiltJob:  # noqa: ANN401 - as `build` takes them
        job, stale = office.build(text, **how)
        return BuiltJob(structs.replace(job, unique=KEY), stale)

    node.scheduler._build = build


async def test_somebody_else_s_job_is_let_be(office: Office, node: Node) -> None:
    """Who holds the unique key of a tick's job is not its predecessor, unless the schedule has stored it."""
    unique(office, node)
    await office.put(overlap="replace")
    await office.backend.jobs.enqueue([[NewJob(id="foreign", kind="work", queue="default", args="{}", unique=KEY)]])
    for _ in range(3):
        office.clock.move(60)
        await node.work()
    assert node.replaced == []
    assert [(line.reason, line.job) for line in await office.ticks()] == [("unique", "foreign")] * 3


async def test_a_unique_job_is_stored_once_its_predecessor_has_ended(office: Office, node: Node) -> None:
    """While the one that is cancelled runs out, it holds the key: its successor waits, and is not lost."""
    unique(office, node)
    await office.put(overlap="replace")
    office.clock.move(60)
    await node.work()
    await publish(office.backend, ttl=600 * SECOND)
    (running,) = await claim(office.backend, queues=("default",), kinds=("work",))
    office.clock.move(60)
    assert await node.work() == pytest.approx(0.2)
    assert node.replaced == [running.id]
    assert len(await office.lines()) == 1
    await office.backend.jobs.settle("node", [to_settle(running, JobState.CANCELLED)])
    office.clock.move(0.2)
    await node.work()
    assert [line[0] for line in await office.lines()] == ["fired", "fired"]


async def test_what_a_person_triggered_does_not_shield_what_runs(office: Office, node: Node) -> None:
    """The job of a trigger stands behind that of the last tick: the next tick takes the place of both."""
    await office.put(overlap="replace")
    office.clock.move(60)
    await node.work()
    await publish(office.backend, ttl=600 * SECOND)
    (running,) = await claim(office.backend, queues=("default",), kinds=("work",))
    triggered = await office.schedules.trigger("s")
    office.clock.move(60)
    await node.work()
    assert node.replaced == [triggered.job_id, running.id]


async def test_a_job_that_runs_longer_than_its_line_is_kept_is_replaced(office: Office, node: Node) -> None:
    """The ledger may have forgotten it; the schedule has not."""
    await office.put(overlap="replace")
    office.clock.move(60)
    await node.work()
    (first,) = node.fired
    nothing = {"completed": None, "cancelled": None, "dead": None}
    assert await office.backend.admin.prune(Keep(**nothing, ticks=0), 10) == 1
    office.clock.move(60)
    await node.work()
    assert node.replaced == [first.id]
