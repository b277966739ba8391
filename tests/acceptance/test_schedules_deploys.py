"""Schedules of code that changes: deploys, roll-backs, two versions side by side, nodes without the code."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from backburner import Cron, Every, Registry, RetryPolicy, Unique, constant, current_job
from backburner.errors import InvalidSchedule
from backburner.model.clock import instant
from backburner.model.query import JobFilter
from backburner.testing import FakeClock
from tests.acceptance.crews import records
from tests.acceptance.gauge import turn
from tests.acceptance.ticking import Heard, ledger, lines, seen, shown
from tests.stores import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner import Backburner

pytestmark = pytest.mark.parametrize("url", SHARED, indirect=True)
HOUR = 3_600
NOON = datetime(2026, 5, 4, 12, 1, tzinfo=UTC)


class Version:
    """The code of a deploy: its job ``report``, on a schedule or not any more."""

    def __init__(self, expression: str | None = None, **said: Any) -> None:  # noqa: ANN401 - options
        self.jobs = Registry()

        @self.jobs.job
        async def report() -> str | None:
            return current_job().schedule

        self.report = report
        if expression is not None:
            self.jobs.cron(expression, **said)(report)


async def test_changed_on_a_deploy(make: Callable[..., Backburner]) -> None:
    """What is declared otherwise holds from the start of the new version on, and the log says so; unchanged, nothing is said."""
    heard = Heard()
    async with make(jobs=[Version("0 6 * * *").jobs], listener=heard) as bb:
        first = await bb.schedules.get("report")
    async with make(jobs=[Version("0 6 * * *").jobs], listener=heard) as bb:
        assert await bb.schedules.get("report") == first
    async with make(jobs=[Version("0 7 * * *", overlap="queue").jobs], listener=heard) as bb:
        (schedule,) = await shown(bb)
        assert schedule.next is not None
        assert (schedule.when, schedule.overlap, schedule.next.hour) == ("0 7 * * *", "queue", 7)
    assert [(each["schedule"], each["was"]) for each in heard.of("schedule.declared")] == [
        ("report", "new"),
        ("report", "another"),
    ]


async def test_a_tick_that_was_due_when_its_schedule_changed(make: Callable[..., Backburner]) -> None:
    """It is not forgotten in silence: the ledger says why it did not fire."""
    clock = FakeClock(instant(NOON))
    async with make(jobs=[Version("0 * * * *").jobs], clock=clock):
        pass
    clock.move(HOUR)
    async with make(jobs=[Version("30 * * * *").jobs], clock=clock) as bb:
        (line,) = await ledger(bb)
        schedule = await bb.schedules.get("report")
    assert (line.outcome, line.reason, line.tick) == ("skipped", "changed", NOON.replace(hour=13, minute=0))
    assert schedule.next == NOON.replace(hour=13, minute=30)


async def test_ticks_that_a_pause_held_back_when_its_schedule_changed(make: Callable[..., Backburner]) -> None:
    """They are in the ledger as any that a pause skipped, though they are none of the new rule's."""
    clock, version = FakeClock(instant(NOON)), Version()
    async with make(jobs=[version.jobs], clock=clock, run=False) as bb:
        await bb.schedules.put("daily", Cron("0 * * * *"), version.report())
        await bb.schedules.pause("daily")
        clock.move(5 * HOUR)
        await bb.schedules.put("daily", Cron("30 * * * *"), version.report())
        resumed = await bb.schedules.resume("daily")
        (line,) = await ledger(bb)
    assert (line.outcome, line.reason, line.count) == ("skipped", "paused", 5)
    assert resumed.next == NOON.replace(hour=17, minute=30)


async def test_removed_from_code_it_is_retired(make: Callable[..., Backburner]) -> None:
    """A minute after no node declares it any more, it stops, and a warning says so; back in code it is revived."""
    clock, heard = FakeClock(instant(NOON)), Heard()
    async with make(jobs=[Version("0 * * * *").jobs], clock=clock):
        pass
    async with make(jobs=[Version().jobs], clock=clock, listener=heard) as bb:
        await pass_time(clock, 50)
        assert (await bb.schedules.get("report")).state == "active"
        await pass_time(clock, 60)
        assert (await bb.schedules.get("report")).state == "retired"
        assert [each["schedule"] for each in heard.of("schedule.retired")] == ["report"]
        await pass_time(clock, 30)
        assert len(heard.of("schedule.retired")) == 1
    clock.move(3 * HOUR)
    async with make(jobs=[Version("0 * * * *").jobs], clock=clock, listener=heard) as bb:
        assert (await bb.schedules.get("report")).state == "active"
        fired, *_ = await lines(bb, "report", 1, outcome="fired")
    assert [each["was"] for each in heard.of("schedule.declared")] == ["retired"]
    assert fired.tick == NOON.replace(hour=15, minute=0)


async def test_a_retired_one_may_be_removed(make: Callable[..., Backburner]) -> None:
    """One that stands in code may not: it would be back with the next start."""
    clock = FakeClock(instant(NOON))
    async with make(jobs=[Version("0 * * * *").jobs], clock=clock) as bb:
        with pytest.raises(InvalidSchedule, match="'report' stands in code and would be back with the next start"):
            await bb.schedules.remove("report")
    async with make(jobs=[Version().jobs], clock=clock) as bb:
        for _ in range(5):
            await pass_time(clock, 25)
        assert (await bb.schedules.get("report")).state == "retired"
        await bb.schedules.remove("report")
        assert await shown(bb) == []


async def pass_time(clock: FakeClock, seconds: float) -> None:
    """Let time pass, second by second, at the pace of a real store."""
    for _ in range(round(seconds / 5)):
        await clock.advance(5)
        await turn()


async def test_two_versions_side_by_side_do_not_fight(make: Callable[..., Backburner]) -> None:
    """During a rolling deploy the last that started holds, neither takes it back, and nothing that both have is retired."""
    heard = Heard()
    before, after = Version("0 6 * * *"), Version("0 7 * * *")
    async with make(jobs=[before.jobs], listener=heard) as old:
        async with make(jobs=[after.jobs], listener=heard) as new:
            stored = await new.schedules.get("report")
            assert stored.when == "0 7 * * *"
            # Both go on looking after what is theirs.
            for bb, version in ((old, before), (new, after)):
                name = "old" if bb is old else "new"
                await bb.schedules.put(name, Every(seconds=0.05), version.report())
                await lines(bb, name, 3, outcome="fired")
            assert await old.schedules.get("report") == stored
        assert await old.schedules.get("report") == stored
    assert len(heard.of("schedule.declared")) == 2


async def test_its_job_is_built_from_the_current_declaration(make: Callable[..., Backburner]) -> None:
    """Queue, priority, retry policy, limits and unique key are those of the code that runs when it fires, not of the past."""
    before, after = Registry(), Registry()

    @before.job(name="sync", queue="old", priority=1, retry="none", tags=["old"])
    async def first(shop: str = "a") -> None: ...

    retry = RetryPolicy(attempts=3, backoff=constant(0.001))

    @after.job(
        name="sync", queue="default", priority=7, retry=retry, tags=["new"], unique=Unique(by=["shop"]), concurrency=2
    )
    async def second(shop: str = "a") -> None:
        if current_job().attempt < 3:
            raise ConnectionError(shop)

    async with make(jobs=[before], run=False) as bb:
        await bb.schedules.put("sync", Every(seconds=0.3), first("b"), priority=2)
    async with make(jobs=[after]) as bb:
        (line, *_) = await lines(bb, "sync", 1, outcome="fired")
        assert line.job is not None
        handle = bb.handle(line.job, second)
        await handle
        status = await handle.status()
        (record,) = [each for each in await records(bb, JobFilter()) if each.id == line.job]
    assert (status.queue, status.priority, status.tags, status.attempt) == ("default", 2, ("new",), 3)
    assert record.unique is not None
    assert set(record.lanes) == {"concurrency:sync", "schedule/sync"}


async def test_a_node_that_does_not_know_the_kind_fires_all_the_same(make: Callable[..., Backburner]) -> None:
    """As it was once stored, and says so once; the job waits for a node that knows it, and `why` tells."""
    heard, known = Heard(), Version()
    async with make(jobs=[known.jobs], run=False) as web:
        await web.schedules.put("often", Every(seconds=0.1), known.report(), overlap="queue")
    async with make(listener=heard) as stranger:
        (line, *_) = await lines(stranger, "often", 3, outcome="fired")
        assert line.job is not None

        async def why() -> list[str]:
            return [reason.code for reason in await stranger.why(str(line.job))]

        await seen(why)
        told = heard.of("schedule.unknown")
        codes = await seen(why)
    assert [(each["schedule"], each["kind"], each["why"]) for each in told] == [
        ("often", "report", "this node does not know report")
    ]
    assert "kind-unknown" in codes
    async with make(jobs=[known.jobs]) as bb:
        assert await bb.handle(line.job, known.report) == "often"


async def test_a_name_that_a_person_has_put_before(make: Callable[..., Backburner]) -> None:
    """Code does not take it over: the error names the schedule and both ways out, and the person's goes on."""
    heard, version = Heard(), Version()
    async with make(jobs=[version.jobs]) as bb:
        await bb.schedules.put("report", Every(hours=1), version.report())
    async with make(jobs=[Version("0 6 * * *").jobs], listener=heard) as bb:
        schedule = await bb.schedules.get("report")
    assert (schedule.declared, schedule.when) == (False, "every 1h")
    (failed,) = heard.of("schedule.failed")
    assert failed["schedule"] == "report"
    assert "a person has put a schedule of that name" in failed["why"]
    assert "backburner schedules remove report" in failed["why"]


async def test_a_name_that_stands_in_code(make: Callable[..., Backburner]) -> None:
    """A person does not take it over either; pausing it is theirs, and outlives a deploy."""
    version = Version("0 6 * * *")
    async with make(jobs=[version.jobs]) as bb:
        with pytest.raises(InvalidSchedule, match="schedule 'report' stands in code"):
            await bb.schedules.put("report", Every(hours=1), version.report())
        await bb.schedules.pause("report", reason="INC-7")
    async with make(jobs=[Version("0 7 * * *").jobs]) as bb:
        schedule = await bb.schedules.get("report")
    assert (schedule.state, schedule.reason, schedule.when) == ("paused", "INC-7", "0 7 * * *")


async def test_what_was_declared_before_still_fires_for_an_old_node(make: Callable[..., Backburner]) -> None:
    """A schedule that only the new version has is fired by whichever node comes first; only the new one runs its job."""
    new = Registry()

    @new.every(seconds=0.05)
    async def fresh() -> int:
        return 1

    async with make(jobs=[Version().jobs]), make(jobs=[new]) as bb:
        (line, *_) = await lines(bb, "fresh", 2, outcome="fired")
        assert line.job is not None
        assert await bb.handle(line.job, fresh) == 1
