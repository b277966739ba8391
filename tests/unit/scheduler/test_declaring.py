"""Schedules that stand in code: stored, changed with a deploy, retired, back again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from msgspec import structs

from backburner.errors import DuplicateSchedule, InvalidOption, InvalidSchedule
from backburner.model.clock import SECOND
from backburner.ports.telemetry import Signal
from backburner.scheduler.triggers import At, Cron, Every
from tests.unit.scheduler.office import MINUTE, Node, Office, rewrite


async def test_what_code_declares_is_stored_at_the_start(office: Office, node: Node) -> None:
    """A new schedule is armed for its first tick after now, and told of."""
    node.declare("s")
    await node.scheduler.start()
    record = await office.get()
    assert (record.declared, record.version, record.kind) == (True, 1, "work")
    assert record.next_tick == record.due_at == office.clock.now() + MINUTE
    assert node.tells(Signal.SCHEDULE_DECLARED) == [{"schedule": "s", "was": "new", "kind": "work"}]


async def test_declared_as_it_was_nothing_is_written(office: Office, node: Node) -> None:
    """A start without a change costs no write, and is not told of."""
    node.declare("s", exclude=lambda day: day.weekday() == 6)
    await node.scheduler.start()
    office.clock.move(40 * 86_400)
    again = Node(office)
    again.declare("s", exclude=lambda day: day.weekday() == 6)
    before = await office.get()
    await again.scheduler.start()
    assert await office.get() == before
    assert not again.tells(Signal.SCHEDULE_DECLARED)


async def test_another_rule_counts_from_now_on(office: Office, node: Node) -> None:
    """A tick of the old rule that was due is told of in the ledger; the next is the new rule's first after now."""
    node.declare("s", Cron("0 9 * * *"))
    await node.scheduler.start()
    office.clock.move(10 * 3600)
    after = Node(office)
    after.declare("s", Cron("30 9 * * *"))
    await after.scheduler.start()
    assert await office.lines() == [("skipped", 9 * 3600, 1, "changed")]
    record = await office.get()
    assert record.next_tick == office.clock.now() + int(23.5 * 3600) * SECOND
    assert after.tells(Signal.SCHEDULE_DECLARED)[0]["was"] == "another"


async def test_another_policy_keeps_a_tick_that_is_due(office: Office, node: Node) -> None:
    """Of a rule whose ticks are the same the ticks go on; those that are due are decided by the new policy."""
    node.declare("s", Cron("0 9 * * *"))
    await node.scheduler.start()
    office.clock.move(10 * 3600)
    after = Node(office)
    after.declare("s", Cron("0 9 * * *"), overlap="allow")
    await after.scheduler.start()
    await after.work()
    assert await office.lines() == [("fired", 9 * 3600, 1, None)]


async def test_a_calendar_of_the_next_year_keeps_a_tick_that_is_due(office: Office, node: Node) -> None:
    """A function tells other days in a new year: what was missed while nobody lived is made good all the same."""
    node.declare("s", Cron("0 9 * * *"), exclude=lambda day: day.weekday() == 6)
    await node.scheduler.start()
    office.clock.move(305 * 86_400 + 10 * 3600)
    again = Node(office, "n2")
    again.declare("s", Cron("0 9 * * *"), exclude=lambda day: day.weekday() == 6)
    await again.scheduler.start()
    await again.work()
    assert [line[0::3] for line in await office.lines()] == [("skipped", "merged"), ("fired", None)]


async def test_a_tick_on_a_day_that_is_excluded_now_is_told_of(office: Office, node: Node) -> None:
    """It was due, and is no more."""
    node.declare("s", Cron("0 9 * * *"))
    await node.scheduler.start()
    office.clock.move(10 * 3600)
    again = Node(office, "n2")
    again.declare("s", Cron("0 9 * * *"), exclude=[date(2026, 3, 2)])
    await again.scheduler.start()
    assert await office.lines() == [("skipped", 9 * 3600, 1, "changed")]


@pytest.mark.parametrize(("fields", "reason"), [({"paused": True}, "paused"), ({"retired": True}, "changed")])
async def test_what_did_not_fire_is_told_of_when_the_rule_changes(
    office: Office, node: Node, fields: dict[str, object], reason: str
) -> None:
    """Ticks that a pause, or want of a node, held back are in the ledger, whatever comes after."""
    node.declare("s")
    await node.scheduler.start()
    await rewrite(office, "s", **fields, due_at=None)
    office.clock.move(150)
    again = Node(office, "n2")
    again.declare("s", Every(hours=1))
    await again.scheduler.start()
    assert await office.lines() == [("skipped", 60, 2, reason)]
    assert (await office.get()).paused is ("paused" in fields)
    assert (await office.get()).next_tick == office.clock.now() + 3450 * SECOND


async def test_another_job_is_taken_up_and_no_tick_lost(office: Office, node: Node) -> None:
    """Arguments that changed with a deploy hold for a tick that was due during it."""
    node.declare("s", Cron("0 9 * * *"))
    await node.scheduler.start()
    office.clock.move(10 * 3600)
    after = Node(office)
    after.declare("s", Cron("0 9 * * *"))
    (declared,) = after.declarations
    after.declarations = type(after.declarations)()
    after.declarer._declarations = after.declarations
    after.declarations.add(replace(declared, call='{"x":1}'))
    await after.scheduler.start()
    await after.work()
    (job,) = await office.jobs()
    assert job.args == '{"x":1}'


async def test_a_person_s_schedule_is_not_taken_over(office: Office, node: Node) -> None:
    """Code that declares a name which a person has put is told so, and fires nothing under it."""
    await office.put()
    before = await office.get()
    node.declare("s", Every(hours=1))
    await node.scheduler.start()
    assert await office.get() == before
    (told,) = node.tells(Signal.SCHEDULE_FAILED)
    assert "a person has put a schedule of that name: remove it (backburner schedules remove s)" in str(told["why"])


async def test_once_a_person_s_schedule_is_removed_code_s_is_stored(office: Office, node: Node) -> None:
    """No start is needed for it; nor for one that was removed though this node has it."""
    await office.put("s")
    node.declare("s", Every(hours=1))
    await node.scheduler.start()
    for _ in range(2):
        await office.schedules.remove("s")
        office.clock.move(20)
        await node.work()
        assert await node.work() is not None
        record = await office.get()
        assert (record.declared, record.next_tick) == (True, 1_772_409_600 * SECOND + 3600 * SECOND)
        await rewrite(office, "s", retired=True, due_at=None)
    assert len(node.tells(Signal.SCHEDULE_FAILED)) == 1


async def test_what_is_wrong_is_told_of_once(office: Office, node: Node) -> None:
    """What is declared late and cannot be made out is not looked at again and again."""
    await node.scheduler.start()
    node.declare("bad", exclude=lambda day: bool(1 // (day.year - 2028)))
    for _ in range(5):
        office.clock.move(20)
        await node.work()
    assert len(node.tells(Signal.SCHEDULE_FAILED)) == 1


async def test_two_of_one_name_are_refused(node: Node) -> None:
    """Two declarations of one name are refused where the second stands, naming both places."""
    node.declare("s")
    with pytest.raises(DuplicateSchedule, match=r"schedule 's' is declared twice: here:1 and here:1"):
        node.declare("s")


async def test_what_is_declared_later_is_stored_with_the_next_step(office: Office, node: Node) -> None:
    """A registry may declare while the engine runs."""
    await node.work()
    node.declare("s")
    assert await node.work() == 60
    assert (await office.get()).declared


async def test_a_pause_outlives_a_deploy(office: Office, node: Node) -> None:
    """What an operator set for a schedule in code stays, whatever the code says next."""
    node.declare("s")
    await node.scheduler.start()
    await office.schedules.pause("s", reason="provider", by="ada")
    after = Node(office)
    after.declare("s", Every(hours=1))
    await after.scheduler.start()
    record = await office.get()
    assert (record.paused, record.reason, record.by, record.due_at) == (True, "provider", "ada", None)


async def test_a_deploy_while_versions_run_side_by_side_is_no_fight(office: Office) -> None:
    """The last to start declares; the old version's nodes fire by what is stored, and do not write their own again."""
    old, new = Node(office, "old"), Node(office, "new")
    old.declare("s")
    await old.scheduler.start()
    new.declare("s", Every(minutes=2))
    await new.scheduler.start()
    version = (await office.get()).version
    for _ in range(4):
        office.clock.move(60)
        await old.work()
        await new.work()
    assert [line[1] for line in await office.lines() if line[0] == "fired"] == [120]
    assert (await office.get()).version == version + 2
    assert not old.tells(Signal.SCHEDULE_DECLARED)[1:]


# ---- retired -------------------------------------------------------------------------------------------------------


async def quiet(office: Office, node: Node, seconds: float) -> None:
    """Let time pass in which a node looks at what there is now and then."""
    for _ in range(int(seconds / 20)):
        office.clock.move(20)
        await office.backend.nodes.publish(
            structs.replace((await office.backend.nodes.find())[0], id=node.name, schedules=node.declarations.names),
            30 * SECOND,
        )
        await node.work()


async def test_what_no_living_node_declares_is_retired(office: Office, node: Node) -> None:
    """A schedule that was removed from the code does not fire any more, a minute after its last node has gone."""
    node.declare("s", Cron("0 9 * * *"))
    await node.scheduler.start()
    other = Node(office, "n2")
    await other.publish(10**6 * SECOND)
    await quiet(office, other, 40)
    assert not (await office.get()).retired
    await quiet(office, other, 60)
    record = await office.get()
    assert (record.retired, record.due_at) == (True, None)
    assert other.tells(Signal.SCHEDULE_RETIRED) == [{"schedule": "s", "kind": "work"}]
    await quiet(office, other, 24 * 3600)
    assert await office.lines() == []


async def test_one_retired_by_mistake_is_declared_again(office: Office, node: Node) -> None:
    """Whoever retired it had not seen the node that has just begun; that one finds it, and it fires what it missed."""
    node.declare("s", overlap="allow")
    await node.scheduler.start()
    await rewrite(office, "s", retired=True, due_at=None)
    office.clock.move(90)
    await node.work()
    await node.work()
    assert await office.lines() == [("fired", 60, 1, None)]


async def test_what_is_wrong_in_code_is_said_at_the_start(node: Node) -> None:
    """An app whose schedules cannot be does not start."""
    node.declare("s", exclude="2026-12-25")
    with pytest.raises(InvalidOption, match="exclude takes dates"):
        await node.scheduler.start()


async def test_what_can_never_fire_is_said_at_the_start(node: Node) -> None:
    """Two triggers that never meet are a mistake; a moment that has passed is an old deploy's, and just over."""
    node.declare("gone", At(datetime(2020, 1, 1, tzinfo=UTC)))
    await node.scheduler.start()
    node.declare("never", Cron("0 9 * * *") & Cron("0 10 * * *"))
    with pytest.raises(InvalidSchedule, match=r"schedule 'never' \(here:1\) can never fire: 0 9 \* \* \* and"):
        await node.scheduler.start()


async def test_an_end_before_the_first_tick_is_said_at_the_start(node: Node) -> None:
    """What has an end, and no tick up to it, can never fire either; one whose end has passed is just over."""
    year = datetime(2026, 1, 1, tzinfo=UTC)
    node.declare("over", Every(hours=1), end=year)
    await node.scheduler.start()
    node.declare("never", Cron("0 0 1 1 *"), start=year.replace(month=2), end=year.replace(month=3))
    with pytest.raises(
        InvalidSchedule, match=r"schedule 'never' \(here:1\) can never fire: 0 0 1 1 \* names no moment bef"
    ):
        await node.scheduler.start()


async def test_a_calendar_is_asked_for_no_year_that_has_passed(office: Office, node: Node) -> None:
    """One that knows this year and the two after is enough."""
    holidays = {2026: {date(2026, 3, 3)}, 2027: set[date](), 2028: set[date]()}
    node.declare("s", Cron("0 9 * * *"), exclude=lambda day: day in holidays[day.year])
    await node.scheduler.start()
    office.clock.move(86_400)
    assert await node.work() == 86_400 + 9 * 3600


async def test_a_calendar_that_fails_later_stops_no_other(office: Office, node: Node) -> None:
    """What is declared while the node runs, and cannot be made out, is told of; what is due fires."""
    await office.put("good")
    await node.scheduler.start()
    node.declare("bad", exclude=lambda day: bool(1 // (day.year - 2028)))
    office.clock.move(60)
    await node.work()
    assert len(node.fired) == 1
    assert [told["schedule"] for told in node.tells(Signal.SCHEDULE_FAILED)] == ["bad"]


async def test_what_a_living_node_declares_stays(office: Office, node: Node) -> None:
    """As long as one node of the old version lives, its schedules fire, whoever fires them."""
    node.declare("s", Every(hours=1), overlap="allow")
    await node.scheduler.start()
    await node.publish(10**6 * SECOND)
    other = Node(office, "n2")
    await other.publish(10**6 * SECOND)
    await quiet(office, other, 2 * 3600)
    assert not (await office.get()).retired
    assert [line[0] for line in await office.lines()] == ["fired", "fired"]


async def test_a_schedule_that_a_person_put_is_never_retired(office: Office, node: Node) -> None:
    """It stands in no code, so no code can have removed it."""
    await office.put(trigger=Cron("0 9 * * *"))
    await node.publish(10**6 * SECOND)
    await quiet(office, node, 600)
    assert not (await office.get()).retired


async def test_a_retired_schedule_that_is_declared_again_makes_good(office: Office, node: Node) -> None:
    """Back in the code, it fires what it missed by its policy, and then as ever."""
    node.declare("s", Cron("0 9 * * *"))
    await node.scheduler.start()
    other = Node(office, "n2")
    await other.publish(10**6 * SECOND)
    await quiet(office, other, 120)
    assert (await office.get()).retired
    office.clock.move(10 * 3600)
    back = Node(office)
    back.declare("s", Cron("0 9 * * *"))
    await back.scheduler.start()
    assert back.tells(Signal.SCHEDULE_DECLARED)[0]["was"] == "retired"
    await back.work()
    assert await office.lines() == [("fired", 9 * 3600, 1, None)]
    assert not (await office.get()).retired


# ---- zones ---------------------------------------------------------------------------------------------------------


async def test_zones_that_changed_are_gone_by_at_the_start(office: Office, node: Node) -> None:
    """A next tick that was armed by other rules is armed anew for code's schedules, at their node's start."""
    node.declare("s", Cron("0 9 * * *", tz="Europe/Berlin"))
    await node.scheduler.start()
    right = (await office.get()).next_tick
    assert right is not None
    await rewrite(office, "s", next_tick=right + 60 * MINUTE, due_at=right + 60 * MINUTE)
    await Node(office).scheduler.start()
    after = Node(office)
    after.declare("s", Cron("0 9 * * *", tz="Europe/Berlin"))
    await after.scheduler.start()
    record = await office.get()
    assert record.next_tick == record.due_at == right


async def test_newer_zones_are_gone_by_for_all(office: Office) -> None:
    """The first node whose zones are newer arms all schedules anew, page by page; the next does not again."""
    for number in range(450):
        await office.put(f"s{number:03}", Cron("0 9 * * *", tz="Europe/Berlin"))
    old = Node(office)
    old.zones._version = '"2024a"'
    await old.work()
    right = (await office.get("s449")).next_tick
    assert right is not None
    await rewrite(office, "s449", next_tick=right + 60 * MINUTE, due_at=right + 60 * MINUTE)
    again, new, newest = Node(office), Node(office), Node(office)
    again.zones._version = '"2024a"'
    await again.work()
    assert (await office.get("s449")).next_tick == right + 60 * MINUTE
    new.zones._version = '"2024b"'
    assert await new.scheduler.step() == 0
    assert await new.scheduler.step() == 0
    await new.work()
    assert (await office.get("s449")).next_tick == right
    version = (await office.get("s449")).version
    newest.zones._version = '"2024b"'
    await newest.work()
    old_again = Node(office)
    old_again.zones._version = '"2024a"'
    await old_again.work()
    assert (await office.get("s449")).version == version


async def test_zones_that_changed_fire_no_tick_again(office: Office, node: Node) -> None:
    """Armed anew, the next tick is later than the last that was decided upon, whatever the rules say of the past."""
    await office.put(trigger=Cron("0 9 * * *"))
    office.clock.move(9 * 3600)
    await node.work()
    await rewrite(office, "s", next_tick=office.clock.now() + 1, due_at=office.clock.now() + 1)
    office.clock.move(-1800)
    old = Node(office)
    old.zones._version = '"9999z"'
    await old.work()
    assert (await office.get()).next_tick == office.clock.now() + (1800 + 24 * 3600) * SECOND


async def test_a_day_that_is_excluded_is_passed_over(office: Office, node: Node) -> None:
    """A calendar of dates, in the schedule's zone."""
    await office.put(trigger=Cron("0 9 * * *"), exclude={date(2026, 3, 3), date(2026, 3, 4)})
    office.clock.move(9 * 3600)
    await node.work()
    assert (await office.get()).next_tick == office.clock.now() + 3 * 86_400 * SECOND
