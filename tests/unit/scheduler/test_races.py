"""Races between nodes, and between nodes and people."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from backburner.errors import StoreBusy, StoreUnavailable
from backburner.ports.schedules import ChangeAnswer, Changed
from backburner.ports.telemetry import Signal
from backburner.scheduler.triggers import Every
from tests.unit.scheduler.office import Node, Office

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.schedule import ScheduleChange


async def twice(office: Office) -> list[int]:
    """Return the ticks that have more than one job."""
    count = Counter(line.tick for line in await office.ticks() if line.job and line.outcome != "skipped")
    return [tick for tick, jobs in count.items() if jobs > 1]


async def test_a_step_stores_a_bounded_number_of_jobs(office: Office, node: Node) -> None:
    """However much is to be caught up with, a step is some thousand jobs: more takes longer than a store allows a write."""
    for number in range(20):
        await office.put(f"s{number}", Every(seconds=1), misfire="all(1000)")
    office.clock.move(2_000)
    await node.scheduler.step()
    assert len(node.fired) <= 2_000
    await node.work()
    assert len(node.fired) == 20_000


async def test_of_many_nodes_one_goes_ahead(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were slower than it leave it the rest of what is due: they do not plan and send all of it as well."""
    for number in range(2_000):
        await office.put(f"s{number}", overlap="allow")
    nodes = [Node(office, f"n{number}") for number in range(5)]
    for node in nodes:
        await node.work()
    store: Any = office.backend.schedules
    change = store.change
    sent: list[int] = []

    async def slowly(_: object, changes: Sequence[ScheduleChange]) -> Changed:
        sent.append(len(changes))
        await office.clock.settle()
        done: Changed = await change(changes)
        return done

    monkeypatch.setattr(type(store), "change", slowly)
    office.clock.move(60)
    await asyncio.gather(*(node.work() for node in nodes))
    assert sum(len(node.fired) for node in nodes) == 2_000
    assert sum(sent) <= 2_000 + 4 * 500


async def test_what_was_backfilled_is_not_fired(office: Office, node: Node) -> None:
    """Ticks that are overdue, with no node alive, and backfilled by a person, have a job: a node that comes fires the others."""
    await office.put(overlap="allow", misfire="all")
    start = office.clock.now()
    office.clock.move(305)
    await office.schedules.backfill("s", since=start, until=office.clock.now())
    await node.work()
    assert await twice(office) == []


async def test_two_backfills_of_one_range_store_one_job_a_tick(
    office: Office, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second to write looks at the ledger again."""
    await office.put(overlap="allow")
    start = office.clock.now()
    office.clock.move(305)
    await node.work()
    reader: Any = office.backend.schedule_reader
    ticks = reader.ticks

    async def slowly(**where: object) -> object:
        found = await ticks(**where)
        await office.clock.settle()
        return found

    monkeypatch.setattr(type(reader), "ticks", lambda _, **where: slowly(**where))
    until = office.clock.now()
    await asyncio.gather(*(office.schedules.backfill("s", since=start, until=until) for _ in range(2)))
    monkeypatch.undo()
    assert await twice(office) == []


@pytest.mark.parametrize("jitter", [60, 120, 300])
async def test_no_tick_is_lost_to_its_jitter(office: Office, node: Node, jitter: int) -> None:
    """Two ticks may come to be due at once by a jitter longer than the interval: neither is late, and both fire."""
    await office.put("s", Every(minutes=1), jitter=jitter, overlap="allow")
    for _ in range(1_800):
        office.clock.move(2)
        await node.work()
    assert {(line.outcome.value, line.reason) for line in await office.ticks()} == {("fired", None)}


async def test_a_tick_whose_key_is_held_delays_no_other(
    office: Office, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody's open transaction holds one key, all others fire on time."""
    await office.put("held")
    await office.put("fast", Every(seconds=0.01), overlap="allow")
    store: Any = office.backend.schedules
    change = store.change

    async def busy(_: object, changes: Sequence[ScheduleChange]) -> Changed:
        done = await change([each for each in changes if each.schedule.name != "held"])
        rest = iter(done.changes)
        answers = [ChangeAnswer(busy=True) if each.schedule.name == "held" else next(rest) for each in changes]
        return Changed(done.now, tuple(answers))

    monkeypatch.setattr(type(store), "change", busy)
    monkeypatch.setattr(store.__class__, "change", busy)
    office.clock.move(60)
    wait = await node.scheduler.step()
    assert wait is not None
    assert wait <= 0.01


async def test_a_job_is_cancelled_before_its_successor_is_stored(
    office: Office, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that dies between the two leaves the tick due: whoever fires it finds nobody in the way."""
    await office.put(overlap="replace")
    office.clock.move(61)
    await node.work()
    (first,) = node.fired
    store: Any = office.backend.schedules

    async def dies(_: object, changes: Sequence[ScheduleChange]) -> Changed:
        raise StoreUnavailable(str(len(changes)))

    office.clock.move(60)
    with monkeypatch.context() as patched:
        patched.setattr(type(store), "change", dies)
        with pytest.raises(StoreUnavailable):
            await node.work()
    assert node.replaced == [first.id]
    other = Node(office, "n2")
    await other.work()
    assert other.replaced == []
    assert [line[1] for line in await office.lines()] == [60, 120]


async def test_a_predecessor_that_is_locked_is_waited_for(
    office: Office, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody's open transaction holds the job that is to be replaced, its tick waits; all others fire."""
    await office.put("held", overlap="replace")
    await office.put("free", overlap="allow")
    office.clock.move(60)
    await node.work()
    replace = node.scheduler._replace

    async def locked(ids: Sequence[str], reason: str) -> None:
        raise StoreBusy(f"{ids} {reason}")

    monkeypatch.setattr(node.scheduler, "_replace", locked)
    office.clock.move(60)
    wait = await node.work()
    assert wait is not None
    assert wait == pytest.approx(0.2)
    assert [len(await office.lines(name)) for name in ("held", "free")] == [1, 2]
    monkeypatch.setattr(node.scheduler, "_replace", replace)
    office.clock.move(0.2)
    await node.work()
    assert len(await office.lines("held")) == 2


async def test_the_fault_of_one_schedule_stops_no_other(
    office: Office, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is raised where one is planned, the others fire, and it is told."""
    await office.put("bad")
    await office.put("good")
    build = node.scheduler._build

    def built(text: str, **how: Any) -> object:  # noqa: ANN401 - as `build` takes them
        if how["schedule"] == "bad":
            raise ZeroDivisionError("by zero")
        return build(text, **how)

    monkeypatch.setattr(node.scheduler, "_build", built)
    office.clock.move(60)
    assert await node.work() == 60
    assert node.tells(Signal.SCHEDULE_FAILED) == [{"schedule": "bad", "why": "by zero"}]
    assert len(node.fired) == 1
    monkeypatch.setattr(node.scheduler, "_build", build)
    office.clock.move(59)
    await node.work()
    assert await office.lines("bad") == []
    # What was wrong may have passed.
    office.clock.move(1)
    await node.work()
    assert await office.lines("bad") == [("skipped", 60, 1, "merged"), ("fired", 120, 1, None)]
