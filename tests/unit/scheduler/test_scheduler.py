"""One node's scheduler, and several that know nothing of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner.model.job import JobState
from backburner.ports.telemetry import Signal
from backburner.scheduler.triggers import Every
from backburner.testing.contracts.making import claim, publish, to_settle
from tests.unit.scheduler.office import MINUTE, Node, Office, rewrite

if TYPE_CHECKING:
    from backburner.scheduler.rule import Overlap


async def test_it_sleeps_until_the_next_tick(office: Office, node: Node) -> None:
    """A step answers the seconds to the next tick; at it, a job is stored and told of, with its line in the ledger."""
    await office.put()
    assert await node.work() == 60
    assert await office.lines() == []
    office.clock.move(60)
    assert await node.work() == 60
    (tick,) = await office.ticks()
    (job,) = await office.jobs()
    assert (tick.outcome, tick.tick, tick.job) == ("fired", office.clock.now(), job.id)
    assert [each.id for each in node.fired] == [job.id]
    assert (job.kind, job.lanes) == ("work", ("schedule/s",))


async def test_with_nothing_due_ever_it_waits_for_a_hint(node: Node) -> None:
    """Without a schedule there is nothing to wait for."""
    assert await node.work() is None


async def test_of_many_nodes_one_fires(office: Office) -> None:
    """Nodes that plan the same tick at the same time store one job for it."""
    nodes = [Node(office, f"n{number}") for number in range(5)]
    await office.put(overlap="allow")
    for _ in range(20):
        office.clock.move(60)
        # What each found due before any of them wrote.
        dues = [await office.backend.schedules.due(100) for _ in nodes]
        for node, due in zip(nodes, dues, strict=True):
            await node.scheduler._fire(node.scheduler._firings(due))
    assert [line[1] for line in await office.lines()] == [60 * (number + 1) for number in range(20)]
    assert len(await office.jobs()) == sum(len(node.fired) for node in nodes) == 20


async def test_a_clock_put_back_fires_nothing_again(office: Office, node: Node) -> None:
    """What was decided stays decided, whatever the store's clock says next."""
    await office.put(overlap="allow")
    for _ in range(3):
        office.clock.move(60)
        await node.work()
    office.clock.move(-600)
    assert await node.work() == 600 + 60
    assert len(await office.jobs()) == 3
    office.clock.move(660)
    await node.work()
    assert [line[1] for line in await office.lines()] == [60, 120, 180, 240]


async def test_a_clock_put_forward_is_a_miss(office: Office, node: Node) -> None:
    """Ticks that were jumped over go by the misfire policy, and are told of."""
    await office.put()
    office.clock.move(3600)
    await node.work()
    assert await office.lines() == [("skipped", 60, 59, "merged"), ("fired", 3600, 1, None)]
    (told,) = node.tells(Signal.SCHEDULE_MISSED)
    assert told == {
        "schedule": "s",
        "tick": "2026-03-02T00:01:00+00:00",
        "late": "59m",
        "ticks": 60,
        "fired": 1,
    }


async def test_a_miss_is_told_of_though_the_job_before_has_not_ended(office: Office, node: Node) -> None:
    """A node that died in a job's midst leaves it unended: the ticks that nobody was there for are missed all the same."""
    await office.put(trigger=Every(hours=1))
    office.clock.move(3600)
    await node.work()
    office.clock.move(3 * 3600)
    await node.work()
    assert (await office.lines())[1:] == [("skipped", 7200, 3, "overlap")]
    (told,) = node.tells(Signal.SCHEDULE_MISSED)
    assert (told["late"], told["ticks"], told["fired"]) == ("2h", 3, 0)


async def test_late_within_the_tolerance_is_no_miss(office: Office, node: Node) -> None:
    """A tick that fires a minute late is told of by nobody but the ledger."""
    await office.put(trigger=Every(hours=1))
    office.clock.move(3660)
    await node.work()
    (tick,) = await office.ticks()
    assert tick.at - tick.due_at == MINUTE
    assert not node.tells(Signal.SCHEDULE_MISSED)


async def test_a_tick_is_skipped_while_the_job_before_has_not_ended(office: Office, node: Node) -> None:
    """Until it has, each tick is a line that names it; then they fire again."""
    await office.put()
    for _ in range(3):
        office.clock.move(60)
        await node.work()
    first, second, third = await office.ticks()
    assert [tick.reason for tick in (first, second, third)] == [None, "overlap", "overlap"]
    assert first.job == second.job == third.job
    assert node.tells(Signal.SCHEDULE_SKIPPED)[0] == {"schedule": "s", "why": "overlap", "job": first.job}
    await publish(office.backend)
    (running,) = await claim(office.backend, queues=("default",), kinds=("work",))
    await office.backend.jobs.settle("node", [to_settle(running, JobState.COMPLETED, result="1")])
    office.clock.move(60)
    await node.work()
    assert (await office.lines())[-1] == ("fired", 240, 1, None)


async def test_a_replaced_job_is_cancelled_once_its_successor_is_stored(office: Office, node: Node) -> None:
    """With ``replace`` the job before is cancelled, for that reason."""
    await office.put(overlap="replace")
    for _ in range(2):
        office.clock.move(60)
        await node.work()
    first, second = await office.ticks()
    assert node.replaced == [first.job]
    jobs = {job.id: job for job in await office.jobs()}
    assert (jobs[str(first.job)].state, jobs[str(first.job)].reason) == (JobState.CANCELLED, "replaced")
    assert jobs[str(second.job)].state is JobState.PENDING


@pytest.mark.parametrize(("overlap", "lanes"), [("allow", ()), ("queue", ("schedule/s",)), ("skip", ("schedule/s",))])
async def test_only_allowed_overlaps_run_at_once(
    office: Office, node: Node, overlap: Overlap, lanes: tuple[str, ...]
) -> None:
    """Unless it is allowed, jobs of a schedule stand in a lane of their own with room for one."""
    await office.put(overlap=overlap)
    office.clock.move(60)
    await node.work()
    (job,) = await office.jobs()
    assert job.lanes == lanes


async def test_a_kind_nobody_knows_is_fired_as_it_was_stored(office: Office, node: Node) -> None:
    """The node says so once, and the job waits for one that knows it."""
    await office.put(overlap="allow")
    for _ in range(2):
        office.clock.move(60)
        await node.work()
    assert [told["kind"] for told in node.tells(Signal.SCHEDULE_UNKNOWN)] == ["work"]
    assert len(await office.jobs()) == 2


async def test_what_cannot_be_made_out_harms_nobody(office: Office, node: Node) -> None:
    """A rule that other code wrote is told of once and stays due for others; the rest fires."""
    await office.put("bad")
    await office.put("good", overlap="allow")
    await rewrite(office, "bad", rule='{"trigger":{"type":"moon"},"tz":"UTC"}')
    for _ in range(2):
        office.clock.move(60)
        assert await node.work() == 60
    assert len(await office.lines("good")) == 2
    (told,) = node.tells(Signal.SCHEDULE_FAILED)
    assert told["schedule"] == "bad"
    assert await office.lines("bad") == []
    await rewrite(office, "bad", rule=(await office.get("good")).rule)
    assert await node.work() == 60
    assert len(await office.lines("bad")) == 2


async def test_more_than_a_step_holds_are_fired_in_several(office: Office, node: Node) -> None:
    """Each step is bounded; all that is due is fired in the end."""
    for number in range(620):
        await office.put(f"s{number:03}")
    office.clock.move(60)
    assert await node.scheduler.step() == 0
    assert len(node.fired) == 500
    assert await node.work() == 60
    assert len({job.id for job in node.fired}) == 620
