"""What may be done with schedules: put, paused, triggered, backfilled, removed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec import structs

from backburner.errors import InvalidOption, InvalidSchedule, PayloadNotReadable, ScheduleNotFound, StoreBusy
from backburner.model.clock import SECOND
from backburner.model.schedule import Outcome, ScheduleChange
from backburner.ports.backend import Hint
from backburner.scheduler.rule import ScheduleOptions, decode, encode, make_rule
from backburner.scheduler.triggers import At, Cron, Every
from tests.unit.scheduler.office import MINUTE, Node, Office, rewrite

# ---- put -----------------------------------------------------------------------------------------------------------


async def test_a_schedule_is_put_and_all_are_told(office: Office) -> None:
    """A new one is armed from now on, and the nodes hear of it."""
    assert await office.put()
    record = await office.get()
    assert (record.declared, record.version, record.next_tick) == (False, 1, office.clock.now() + MINUTE)
    assert office.told == [Hint.CONTROL]


async def test_put_again_as_it_is_changes_nothing(office: Office) -> None:
    """The same put again writes nothing, and nobody is told."""
    await office.put()
    before = await office.get()
    assert not await office.put()
    assert await office.get() == before
    assert len(office.told) == 1


async def test_put_with_another_rule_counts_from_now_on(office: Office) -> None:
    """What was overdue by the old rule is a line of the ledger."""
    await office.put()
    office.clock.move(150)
    assert not await office.put(trigger=Every(hours=1))
    assert await office.lines() == [("skipped", 60, 2, "changed")]
    assert (await office.get()).next_tick == office.clock.now() + 3600 * SECOND - 150 * SECOND


async def test_what_never_fires_is_refused(office: Office) -> None:
    """A moment that has passed, and an end before the first tick, can never fire."""
    passed = At(datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(InvalidSchedule, match=r"schedule 's' would never fire: at 2020-01-01"):
        await office.put(trigger=passed)
    with pytest.raises(InvalidSchedule, match="would never fire"):
        await office.put(trigger=Cron("0 9 * * *"), end=datetime(2026, 3, 2, 9, tzinfo=UTC))
    with pytest.raises(ScheduleNotFound):
        await office.get()


async def test_a_name_that_stands_in_code_is_refused(office: Office, node: Node) -> None:
    """Code's schedules are changed in code; also removed there."""
    node.declare("s")
    await node.scheduler.start()
    with pytest.raises(InvalidSchedule, match=r"schedule 's' stands in code: change it there"):
        await office.put()
    with pytest.raises(InvalidSchedule, match="would be back with the next start: remove it there"):
        await office.schedules.remove("s")


@pytest.mark.parametrize(("name", "why"), [("", "empty"), ("a\0b", "contains"), ("x" * 101, "at most 100 characters")])
async def test_a_bad_name_is_refused(office: Office, name: str, why: str) -> None:
    """A name is what any name is, and not too long to stand in a lane's."""
    with pytest.raises(InvalidOption, match=why):
        await office.put(name)


# ---- removed -------------------------------------------------------------------------------------------------------


async def test_a_removed_schedule_is_gone_and_its_ledger_is_not(office: Office, node: Node) -> None:
    """Nothing fires any more; what it did can still be read."""
    await office.put()
    office.clock.move(60)
    await node.work()
    await office.schedules.remove("s")
    office.clock.move(60)
    assert await node.work() is None
    assert await office.lines() == [("fired", 60, 1, None)]
    with pytest.raises(ScheduleNotFound, match="there is no schedule 's'"):
        await office.schedules.remove("s")


async def test_a_retired_schedule_may_be_removed(office: Office, node: Node) -> None:
    """Once no node declares it, an operator may tidy it away."""
    node.declare("s")
    await node.scheduler.start()
    record = await office.get()
    retired = ScheduleChange(schedule=structs.replace(record, retired=True, due_at=None))
    await office.backend.schedules.change([retired])
    await office.schedules.remove("s")
    with pytest.raises(ScheduleNotFound):
        await office.get()


# ---- paused --------------------------------------------------------------------------------------------------------


async def test_a_paused_schedule_does_not_fire(office: Office, node: Node) -> None:
    """Who paused it, and why, stays with it; resumed it fires from its next tick on, and the ledger tells of the others."""
    await office.put()
    await office.schedules.pause("s", reason="provider down", by="ada")
    office.clock.move(150)
    assert await node.work() is None
    record = await office.get()
    assert (record.paused, record.reason, record.by) == (True, "provider down", "ada")
    await office.schedules.resume("s")
    assert await office.lines() == [("skipped", 60, 2, "paused")]
    assert await node.work() == 30
    office.clock.move(30)
    await node.work()
    assert (await office.lines())[1:] == [("fired", 180, 1, None)]
    record = await office.get()
    assert (record.paused, record.reason, record.by) == (False, None, None)


async def test_a_pause_ends_by_itself(office: Office, node: Node) -> None:
    """A pause until a moment ends then, without a burst."""
    await office.put()
    await office.schedules.pause("s", until=office.clock.now() + 130 * SECOND)
    assert await node.work() == 130
    office.clock.move(130)
    assert await node.work() == 50
    assert await office.lines() == [("skipped", 60, 2, "paused")]
    assert not (await office.get()).paused


async def test_a_pause_into_the_past_is_refused(office: Office) -> None:
    """A pause ends in the future, or not at all."""
    await office.put()
    with pytest.raises(InvalidOption, match="until has passed"):
        await office.schedules.pause("s", until=office.clock.now())


async def test_resumed_without_a_pause_nothing_changes(office: Office) -> None:
    """A schedule that is not paused is left as it is."""
    await office.put()
    before = await office.get()
    await office.schedules.resume("s")
    assert await office.get() == before


async def test_resumed_after_a_clock_that_was_ahead(office: Office, node: Node) -> None:
    """Ticks of a year to come were decided upon: nothing fires again until then, but a person's word has it go on from now."""
    await office.put()
    office.clock.move(365 * 86_400)
    await node.work()
    office.clock.move(-365 * 86_400)
    assert await node.work() == 365 * 86_400 + 60
    await office.schedules.resume("s")
    assert await node.work() == 60
    office.clock.move(60)
    await node.work()
    assert (await office.lines())[-1][1:] == (60, 1, "overlap")


async def test_a_very_long_pause_is_not_counted_through(office: Office) -> None:
    """After a month of ticks each 10 ms, the ledger says that they were very many."""
    await office.put(trigger=Every(seconds=0.01))
    await office.schedules.pause("s")
    office.clock.move(30 * 86_400)
    await office.schedules.resume("s")
    (tick,) = await office.ticks()
    assert (tick.count, tick.last) == (0, office.clock.now())


# ---- triggered -----------------------------------------------------------------------------------------------------


async def test_a_job_is_triggered_beside_the_ticks(office: Office, node: Node) -> None:
    """It is stored now, with who asked for it; the next tick is where it was, and skipped while that job has not ended."""
    await office.put()
    before = await office.get()
    office.clock.move(10)
    job_id, existed = await office.schedules.trigger("s", by="ada", note="see if it works")
    assert not existed
    (tick,) = await office.ticks()
    assert (tick.outcome, tick.job, tick.tick) == (Outcome.TRIGGERED, job_id, office.clock.now())
    assert (tick.by, tick.note) == ("ada", "see if it works")
    record = await office.get()
    assert (record.next_tick, record.last_tick, record.last_job) == (before.next_tick, None, job_id)
    assert [job.id for jobs, _ in office.stored for job in jobs] == [job_id]
    office.clock.move(50)
    await node.work()
    assert (await office.lines())[-1] == ("skipped", 60, 1, "overlap")


async def test_a_paused_or_ended_schedule_may_be_triggered(office: Office) -> None:
    """A person's word counts, whatever the rule says."""
    await office.put()
    await office.schedules.pause("s")
    assert await office.schedules.trigger("s")
    assert (await office.get()).paused


async def test_changed_by_others_all_the_time_it_gives_up(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that others always come before is refused in the end, and says that nothing was stored."""
    await office.put()

    async def outrun(change: ScheduleChange) -> None:
        del change

    monkeypatch.setattr(office.schedules, "_write", outrun)
    with pytest.raises(StoreBusy, match="changed by others all the time"):
        await office.schedules.trigger("s")


# ---- backfilled ----------------------------------------------------------------------------------------------------


async def test_ticks_without_a_job_are_backfilled(office: Office, node: Node) -> None:
    """Those that fired are left out; the others get a job each, that knows its tick."""
    start = office.clock.now()
    await office.put(overlap="allow")
    office.clock.move(60)
    await node.work()
    office.clock.move(240)
    await node.work()
    assert await office.lines() == [("fired", 60, 1, None), ("skipped", 120, 3, "merged"), ("fired", 300, 1, None)]
    dry = await office.schedules.backfill("s", since=start, until=office.clock.now(), dry_run=True)
    assert dry == (4, 1, ())
    done = await office.schedules.backfill("s", since=start, until=office.clock.now(), by="ada", note="outage")
    assert (done.ticks, done.known, len(done.jobs)) == (4, 1, 4)
    assert [line for line in await office.lines() if line[0] == "backfilled"] == [
        ("backfilled", seconds, 1, None) for seconds in (0, 120, 180, 240)
    ]
    again = await office.schedules.backfill("s", since=start, until=office.clock.now())
    assert again == (0, 5, ())


async def test_more_than_the_limit_is_refused_with_the_count(office: Office) -> None:
    """Nothing is stored, and the error says how many there are."""
    await office.put()
    now = office.clock.now()
    with pytest.raises(InvalidOption, match=r"60 ticks of 's' lie in that range without a job, 59 are allowed"):
        await office.schedules.backfill("s", since=now - 60 * MINUTE, until=now, limit=59)
    with pytest.raises(InvalidOption, match=r"more than 259 ticks of 's' lie in that range without a job"):
        await office.schedules.backfill("s", since=now - 6000 * MINUTE, until=now, limit=59)
    assert await office.ticks() == []
    done = await office.schedules.backfill("s", since=now - 600 * MINUTE, until=now, limit=600)
    assert len(done.jobs) == len(await office.jobs()) == 600


async def test_ticks_that_have_a_job_hide_no_others(office: Office, node: Node) -> None:
    """However many there are of them, all others in the range are backfilled, or refused for their number."""
    await office.put(overlap="allow", misfire="all(1000)")
    start = office.clock.now()
    office.clock.move(60 * 300)
    await node.work()
    office.clock.move(86_400)
    await node.work()
    until = office.clock.now() - 999 * MINUTE
    done = await office.schedules.backfill("s", since=start, until=until, dry_run=True)
    assert done == (441, 300, ())
    with pytest.raises(InvalidOption, match="441 ticks of 's' lie in that range without a job, 300 are allowed"):
        await office.schedules.backfill("s", since=start, until=until, limit=300)


async def test_a_backfill_is_of_one_tick_at_least(office: Office) -> None:
    """A limit below one is a slip."""
    await office.put()
    with pytest.raises(InvalidOption, match="limit is at least one tick, not 0"):
        await office.schedules.backfill("s", since=0, until=MINUTE, limit=0)


async def test_what_is_not_decided_yet_is_not_backfilled(office: Office, node: Node) -> None:
    """Why nothing can be is said, and what helps; what was decided before is."""
    await office.put(overlap="allow")
    start = office.clock.now()
    office.clock.move(60)
    await node.work()
    office.clock.move(180)
    for fields, why in (
        ({}, "they are with the next look of a node"),
        ({"paused": True, "due_at": None}, "it is paused: resume it first"),
        ({"retired": True, "due_at": None}, "no living node declares it"),
    ):
        await rewrite(office, "s", **fields)
        with pytest.raises(InvalidOption, match=f"in that range are not decided upon yet, since {why}"):
            await office.schedules.backfill("s", since=start + 2 * MINUTE, until=office.clock.now())
    assert await office.schedules.backfill("s", since=start, until=office.clock.now(), dry_run=True) == (1, 1, ())
    await rewrite(office, "s", paused=True, retired=False)
    await office.schedules.resume("s")
    done = await office.schedules.backfill("s", since=start + 2 * MINUTE, until=office.clock.now())
    assert len(done.jobs) == 2


@pytest.mark.parametrize(("since", "until"), [(-60, 1), (0, 0), (-60, -61)])
async def test_a_backfill_is_of_the_past(office: Office, since: int, until: int) -> None:
    """What is to come fires by itself."""
    await office.put()
    now = office.clock.now()
    with pytest.raises(InvalidOption, match="a backfill is of the past"):
        await office.schedules.backfill("s", since=now + since * SECOND, until=now + until * SECOND)


# ---- foreseen ------------------------------------------------------------------------------------------------------


async def test_the_next_ticks_are_foreseen(office: Office) -> None:
    """From now on, or from a moment, with days that are excluded."""
    await office.put(trigger=Cron("0 9 * * *"), exclude=[datetime(2026, 3, 3, tzinfo=UTC).date()])
    found = await office.schedules.preview("s", count=3)
    assert [(each.local.day, each.tick is not None, each.note) for each in found] == [
        (2, True, ""),
        (3, False, "excluded"),
        (4, True, ""),
    ]
    (later,) = await office.schedules.preview("s", count=1, since=office.clock.now() + 86_400 * 7 * SECOND)
    assert later.local.day == 9


async def test_a_preview_ends_with_the_schedule(office: Office) -> None:
    """Where there are fewer than asked for, these are all."""
    await office.put(trigger=Every(hours=1), end=datetime(2026, 3, 2, 3, tzinfo=UTC))
    assert len(await office.schedules.preview("s", count=10)) == 2


# ---- rules ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"overlap": "maybe"}, "overlap='maybe' is none of allow, skip, queue, replace"),
        ({"misfire": "two"}, 'misfire=\'two\' is none of "skip", "one"'),
        ({"misfire": "all(1)"}, "between 2 and 1,000 ticks can be caught up with"),
        ({"misfire": 5}, "misfire=5 is none of"),
        ({"exclude": "2026-12-25"}, "exclude takes dates, or a function"),
        ({"exclude": ["2026-12-25"]}, "exclude takes whole days, not '2026-12-25'"),
        ({"exclude": [datetime(2026, 12, 25, tzinfo=UTC)]}, "exclude takes whole days"),
        ({"start": datetime(2026, 1, 1)}, "has no time zone"),  # noqa: DTZ001 - what is refused
        ({"jitter": -1}, "must not be negative"),
        ({"catch_up": "long"}, "catch_up takes a timedelta or a number of seconds"),
    ],
)
def test_what_is_wrong_with_an_option_is_said(options: ScheduleOptions, why: str) -> None:
    """Each refusal names what was given and what may be."""
    with pytest.raises(InvalidOption) as refused:
        make_rule(Every(minutes=1), options, tz="UTC", now=0)
    assert why in str(refused.value)


def test_a_schedule_starts_before_it_ends() -> None:
    """A range that is none is refused."""
    start, end = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(InvalidSchedule, match=r"ends .* before it starts"):
        make_rule(Every(minutes=1), ScheduleOptions(start=start, end=end), tz="UTC", now=0)


def test_what_is_no_trigger_is_refused() -> None:
    """A bare expression is not taken for a cron: it says what to write."""
    with pytest.raises(InvalidSchedule, match=r"'0 9 \* \* \*' does not say when: write Cron"):
        make_rule("0 9 * * *", {}, tz="UTC", now=0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_a_rule_is_stored_alike_and_read_back() -> None:
    """The same rule is the same text, so that a start without a change writes nothing."""
    options = ScheduleOptions(misfire="all(7)", overlap="queue", jitter=3, exclude=lambda day: day.month == 12)
    rule = make_rule(Cron("0 9 * * *", tz="Asia/Tokyo") | Every(hours=5), options, tz="Europe/Berlin", now=0)
    assert rule.tz == "Asia/Tokyo"
    assert (rule.misfire, len(rule.exclude)) == ("all(7)", 93)
    assert decode(encode(rule)) == rule
    assert encode(decode(encode(rule))) == encode(rule)


def test_days_are_those_of_the_times() -> None:
    """Days are in the zone of the times; where some name none, all that name none, and the days, are in the engine's."""
    both = Cron("0 9 * * *", tz="Asia/Tokyo") | Cron("0 9 * * *")
    for trigger, tz in ((both, "UTC"), (both.triggers[0], "Asia/Tokyo"), (Every(hours=1), "UTC")):
        assert make_rule(trigger, {}, tz="UTC", now=0).tz == tz


def test_a_rule_of_other_code_is_told_of() -> None:
    """What cannot be read is an error that says so."""
    with pytest.raises(PayloadNotReadable, match="this rule of a schedule cannot be read here"):
        decode('{"trigger":{"type":"moon"},"tz":"UTC"}')
