"""What becomes of ticks: held against going through all of them one by one."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from backburner.model.clock import SECOND
from backburner.model.schedule import ScheduleRecord
from backburner.scheduler.agenda import Agenda
from backburner.scheduler.planner import MERGED, MISSED, OVERLAP, PAUSED, Plan, Skip, plan
from backburner.scheduler.rule import Rule, encode
from backburner.scheduler.triggers import Cron, Every

if TYPE_CHECKING:
    from backburner.scheduler.rule import Overlap

#: 2026-03-02T00:00Z.
START = 1_772_409_600 * SECOND
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
EVERY_MINUTE = Rule(trigger=Every(minutes=1), tz="UTC")


def record_of(rule: Rule, next_tick: int | None = START, **fields: object) -> ScheduleRecord:
    """Make a stored schedule."""
    base = ScheduleRecord(
        name="s", version=1, kind="k", rule=encode(rule), job="{}", next_tick=next_tick, due_at=next_tick
    )
    return structs.replace(base, **fields)


def planned(rule: Rule, now: int, *, next_tick: int | None = START, unended: bool = False, **fields: object) -> Plan:
    """Plan a schedule whose next tick is at the start."""
    return plan(record_of(rule, next_tick, **fields), Agenda("s", rule), now=now, unended=unended)


def every_tick(rule: Rule, first: int, now: int) -> list[int]:
    """Return the ticks whose time has come, one by one."""
    days = Agenda("s", rule)
    found: list[int] = []
    tick: int | None = first
    while tick is not None and days.due(tick) <= now:
        found.append(tick)
        tick = days.after(tick)
    return found


def test_a_tick_in_time_fires() -> None:
    """A tick whose time has come fires, and the next is armed."""
    assert planned(EVERY_MINUTE, START) == Plan(
        fires=(START,), last_tick=START, next_tick=START + MINUTE, due_at=START + MINUTE
    )


def test_before_its_time_nothing_is_decided() -> None:
    """Whoever looks too early, such as after the clock was put back, decides nothing."""
    found = planned(EVERY_MINUTE, START - 1, last_tick=START - MINUTE)
    assert found == Plan(last_tick=START - MINUTE, next_tick=START, due_at=START)


@pytest.mark.parametrize(
    ("most", "late", "fires", "skips"),
    [
        (1, 10 * MINUTE, [10], [Skip(START, START + 9 * MINUTE, 10, MERGED)]),
        (3, 10 * MINUTE, [8, 9, 10], [Skip(START, START + 7 * MINUTE, 8, MERGED)]),
        (100, 10 * MINUTE, [*range(11)], []),
        (0, 10 * MINUTE, [10], [Skip(START, START + 9 * MINUTE, 10, MERGED)]),
        (0, 10 * MINUTE + 59 * SECOND, [10], [Skip(START, START + 9 * MINUTE, 10, MERGED)]),
    ],
)
def test_missed_ticks_go_by_the_policy(most: int, late: int, fires: list[int], skips: list[Skip]) -> None:
    """One: the last fires for all. All: each does, the newest. Skip: only one that is not missed."""
    found = planned(structs.replace(EVERY_MINUTE, catch_most=most), START + late)
    assert found.fires == tuple(START + minute * MINUTE for minute in fires)
    assert found.skips == tuple(skips)


def test_a_single_missed_tick_is_skipped_if_so_asked() -> None:
    """With ``misfire="skip"`` a tick that is overdue by more than the tolerance does not fire."""
    daily = Rule(trigger=Cron("0 0 * * *"), tz="UTC", catch_most=0)
    assert planned(daily, START + MINUTE).fires == (START,)
    found = planned(daily, START + MINUTE + 1)
    assert (found.fires, found.skips) == ((), (Skip(START, START, 1, MISSED),))


def test_nothing_older_than_the_window_is_made_good() -> None:
    """Ticks from before ``catch_up`` are missed for good."""
    daily = Rule(trigger=Cron("0 0 * * *"), tz="UTC", catch_up=6 * HOUR)
    assert planned(daily, START + 6 * HOUR).fires == (START,)
    found = planned(daily, START + 6 * HOUR + 1)
    assert (found.fires, found.skips) == ((), (Skip(START, START, 1, MISSED),))
    assert found.next_tick == START + 24 * HOUR


@pytest.mark.parametrize(
    ("overlap", "fires", "skips", "replaces"),
    [
        ("allow", (START,), (), False),
        ("skip", (), (Skip(START, START, 1, OVERLAP),), False),
        ("queue", (START,), (), False),
        ("replace", (START,), (), True),
    ],
)
def test_a_predecessor_that_has_not_ended_goes_by_the_overlap(
    overlap: Overlap, fires: tuple[int, ...], skips: tuple[Skip, ...], *, replaces: bool
) -> None:
    """Skip: the tick is skipped. Replace: the predecessor is to be cancelled. Else it fires as ever."""
    found = planned(structs.replace(EVERY_MINUTE, overlap=overlap), START, unended=True)
    assert (found.fires, found.skips, found.replaces) == (fires, skips, replaces)


def test_ticks_made_good_together_replace_each_other() -> None:
    """Of several that fire at once, each takes the place of the one before: only the last is stored."""
    rule = structs.replace(EVERY_MINUTE, overlap="replace", catch_most=5)
    found = planned(rule, START + 2 * MINUTE)
    assert found.fires == (START + 2 * MINUTE,)
    assert found.skips == (Skip(START, START + MINUTE, 2, MERGED),)
    assert not found.replaces


def test_a_pause_that_ends_skips_what_came_meanwhile() -> None:
    """Ticks of the pause are skipped, those after it are decided as ever."""
    found = planned(EVERY_MINUTE, START + 5 * MINUTE, paused=True, paused_until=START + 4 * MINUTE)
    assert found.resumes
    assert found.skips == (Skip(START, START + 4 * MINUTE, 5, PAUSED),)
    assert found.fires == (START + 5 * MINUTE,)


def test_a_pause_that_goes_on_decides_nothing() -> None:
    """A paused schedule is looked at again when its pause is to end."""
    found = planned(EVERY_MINUTE, START + 3 * MINUTE, paused=True, paused_until=START + 4 * MINUTE)
    assert found == Plan(last_tick=None, next_tick=START, due_at=START + 4 * MINUTE)


def test_a_pause_of_a_schedule_that_has_ended_just_ends() -> None:
    """Where there is no tick any more, there is nothing to look at again."""
    found = planned(EVERY_MINUTE, START, next_tick=None, paused=True, paused_until=START)
    assert found == Plan(resumes=True, last_tick=None, next_tick=None, due_at=None)


def test_after_the_last_there_is_none() -> None:
    """A schedule that has ended is never due again."""
    found = planned(structs.replace(EVERY_MINUTE, end=START + 1), START)
    assert (found.fires, found.next_tick, found.due_at) == ((START,), None, None)


def test_jitter_is_part_of_when_a_tick_fires() -> None:
    """A tick fires up to its jitter later: by always the same, and overdue only from then on."""
    rule = Rule(trigger=Every(hours=1), tz="UTC", jitter=10 * MINUTE)
    due = Agenda("s", rule).due(START)
    assert START < due <= START + 10 * MINUTE
    assert Agenda("s", rule).due(START) == due != Agenda("another", rule).due(START)
    assert planned(rule, due - 1).fires == ()
    found = planned(rule, due)
    assert found.fires == (START,)
    assert found.due_at == Agenda("s", rule).due(START + HOUR)


@pytest.mark.parametrize("most", [1, 3, 249, 250, 251])
@pytest.mark.parametrize("count", range(247, 256))
def test_however_many_there_are_the_newest_fire(count: int, most: int) -> None:
    """About where ticks are no more gone through one by one, the same ones fire, and each is in one line."""
    rule = structs.replace(EVERY_MINUTE, catch_most=most, overlap="allow")
    found = planned(rule, START + (count - 1) * MINUTE)
    every = [START + number * MINUTE for number in range(count)]
    assert found.fires == tuple(every[-most:])
    left = every[:-most]
    assert [(skip.first, skip.last) for skip in found.skips] == ([(left[0], left[-1])] if left else [])
    assert all(skip.count in {0, len(left)} for skip in found.skips)


def test_very_many_are_found_without_being_gone_through() -> None:
    """After a month, of ticks each 10 ms, the newest are found; the others are told of, not counted."""
    rule = Rule(trigger=Every(seconds=0.01), tz="UTC", catch_most=3)
    now = START + 30 * 24 * HOUR + 4_000
    found = planned(rule, now)
    assert found.fires == tuple(now - 4_000 - back for back in (20_000, 10_000, 0))
    assert found.skips == (Skip(START, now - 34_000, 0, MERGED),)
    assert found.next_tick == now + 6_000


@settings(deadline=None)
@given(
    interval=st.integers(10_000, 4_000_000),
    late=st.integers(0, 60_000_000),
    most=st.integers(0, 8),
    catch_up=st.sampled_from([0, SECOND, 50 * SECOND, 24 * HOUR]),
    tolerance=st.sampled_from([0, SECOND, MINUTE]),
    jitter=st.sampled_from([0, 5_000, 3_000_000]),
    overlap=st.sampled_from(["allow", "skip", "queue", "replace"]),
    unended=st.booleans(),
)
def test_each_tick_is_decided_upon_once(  # noqa: PLR0917 - one a dimension of the space
    interval: int,
    late: int,
    most: int,
    catch_up: int,
    tolerance: int,
    jitter: int,
    overlap: Overlap,
    unended: bool,  # noqa: FBT001
) -> None:
    """Whatever the policy, what fires and what is skipped are all the ticks whose time has come, each in one of them."""
    rule = Rule(
        trigger=Every(seconds=interval / SECOND),
        tz="UTC",
        catch_most=most,
        catch_up=catch_up,
        tolerance=tolerance,
        jitter=jitter,
        overlap=overlap,
    )
    first = Agenda("s", rule).after(START - 1)
    assert first is not None
    now = first + late
    days = Agenda("s", rule)
    every = every_tick(rule, first, now)
    found = planned(rule, now, next_tick=first, unended=unended)
    if not every:
        assert found == Plan(last_tick=None, next_tick=first, due_at=days.due(first))
        return
    last = every[-1]
    assert found.last_tick == last
    assert found.next_tick == days.after(last)
    spans = sorted(
        [(skip.first, skip.last, skip.count) for skip in found.skips] + [(tick, tick, 1) for tick in found.fires]
    )
    assert spans[0][0] == first
    assert spans[-1][1] == last
    told = 0
    for (_, end, _), (begin, _, _) in pairwise(spans):
        assert begin == days.after(end)
    for begin, end, count in spans:
        exact = len([tick for tick in every if begin <= tick <= end])
        assert count in ({exact} if exact < 240 else {0, exact})
        told += exact
    assert told == len(every)
    assert len(found.fires) <= max(1, most)
    for tick in found.fires:
        assert tick in every[-max(1, most) :]
        assert now - days.due(tick) <= max(tolerance, catch_up if most else tolerance)
    if overlap == "skip" and unended:
        assert not found.fires
