"""The moments that triggers name: after any moment the next, exactly, and what is said of each."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from threading import Thread
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backburner.errors import InvalidSchedule
from backburner.model.clock import LONGEST, SECOND, instant
from backburner.scheduler.timetable import timetable
from backburner.scheduler.triggers import At, Cron, Every, OnOverlap, Trigger

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

calm = settings(deadline=None)

MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
THEN = instant(NEW_YEAR)


def impatient() -> AbstractContextManager[object]:
    """Let triggers that never meet be told so sooner: what meets within days still does."""
    return patch("backburner.scheduler.timetable._LEAPS", 500)


def moment(text: str) -> int:
    """Return a moment, in UTC unless it says otherwise."""
    read = datetime.fromisoformat(text)
    return instant(read if read.tzinfo else read.replace(tzinfo=UTC))


def following(trigger: Trigger, begin: int, count: int, *, name: str = "a name", tz: str = "UTC") -> list[int]:
    """Return so many ticks after a moment."""
    times, found = timetable(trigger, name, tz), list[int]()
    tick = times.after(begin)
    while tick is not None and len(found) < count:
        found.append(tick)
        tick = times.after(tick)
    return found


def told(trigger: Trigger, begin: str, count: int, *, tz: str = "UTC") -> list[str]:
    """Return so many lines of a preview: the wall time, when it runs, and the note."""
    lines: list[str] = []
    for each in islice(timetable(trigger, "a name", tz).upcoming(moment(begin)), count):
        at = "-" if each.tick is None else (NEW_YEAR + timedelta(microseconds=each.tick - THEN)).strftime("%d %H:%M")
        lines.append(f"{each.local:%d %H:%M} {each.zone} | {at} | {each.note}")
    return lines


crons = st.builds(
    Cron,
    st.sampled_from(
        (
            "30 2 * * *",
            "*/20 * * * *",
            "0 0 1 * *",
            "0 9 * * mon-fri",
            "H H * * *",
            "5 4 15W * *",
            "@hourly",
            "0 2 L * *",
        )
    ),
    tz=st.sampled_from((None, "Europe/Berlin", "Australia/Lord_Howe", "Asia/Beirut")),
    on_gap=st.sampled_from(("run_after", "skip")),
    on_overlap=st.sampled_from(("first", "second", "both")),
)
intervals = st.builds(
    Every,
    hours=st.integers(0, 30),
    seconds=st.integers(600, 9_000) | st.floats(600, 9_000),
    start=st.none() | st.integers(-9_000, 9_000).map(lambda minutes: NEW_YEAR + timedelta(minutes=minutes)),
)
ats = st.integers(-9_000, 9_000).map(lambda minutes: At(NEW_YEAR + timedelta(minutes=minutes)))
plain = crons | intervals | ats
triggers = plain | st.builds(lambda a, b: a | b, plain, plain) | st.builds(lambda a, b: a & b, plain, intervals)
begins = st.integers(THEN - 400 * DAY, THEN + 400 * DAY)


@given(triggers, begins, st.data())
@calm
def test_ticks_increase_and_between_two_of_them_the_answer_is_the_same(
    trigger: Trigger, begin: int, data: st.DataObject
) -> None:
    """Each tick is after the moment asked about, and from one tick up to just before the next, the next is the answer."""
    times = timetable(trigger, "a name", "America/New_York")
    with impatient():
        found = following(trigger, begin, 5, tz="America/New_York")
    assert all(before < after for before, after in pairwise([begin, *found]))
    for before, after in pairwise([begin, *found]):
        assert times.after(data.draw(st.integers(before, after - 1))) == after
        assert times.after(after - 1) == after


@given(triggers, begins)
@calm
def test_what_is_previewed_is_what_runs(trigger: Trigger, begin: int) -> None:
    """The ticks of a preview are those that `after` answers, and what does not run says why."""
    with impatient():
        shown = list(islice(timetable(trigger, "a name", "Asia/Beirut").upcoming(begin), 6))
        ticks = [each.tick for each in shown if each.tick is not None]
        assert ticks == following(trigger, begin, len(ticks), tz="Asia/Beirut")
    assert all(each.note.endswith("not run") for each in shown if each.tick is None)


# ---- intervals -----------------------------------------------------------------------------------------------------


@given(intervals, begins)
@calm
def test_intervals_are_exact(every: Every, begin: int) -> None:
    """Ticks of an interval are whole multiples of it after 1970 or its start, to the microsecond, and none is left out."""
    anchor = 0 if every.start is None else instant(every.start)
    first, second, third = following(every, begin, 3)
    assert second - first == third - second == every.interval
    assert (first - anchor) % every.interval == 0
    if every.start is None or begin >= anchor:
        assert begin < first <= begin + every.interval
    else:
        assert first == anchor


def test_an_interval_begins_with_its_start() -> None:
    """The start is the first tick, and none is before it."""
    every = Every(minutes=7, start=NEW_YEAR)
    assert following(every, THEN - DAY, 2) == [THEN, THEN + 7 * MINUTE]
    assert following(every, THEN - 1, 1) == [THEN]
    assert following(every, THEN, 1) == [THEN + 7 * MINUTE]


def test_intervals_do_not_heed_clocks() -> None:
    """An hour is an hour on the day the clocks are set forward, and the preview shows what they then read."""
    assert told(Every(hours=1), "2026-03-29T00:30", 3, tz="Europe/Berlin") == [
        "29 03:00 Europe/Berlin | 29 01:00 | ",
        "29 04:00 Europe/Berlin | 29 02:00 | ",
        "29 05:00 Europe/Berlin | 29 03:00 | ",
    ]


def test_the_shortest_interval_is_ten_milliseconds() -> None:
    """Ten milliseconds are exact, however long ago 1970 is."""
    assert following(Every(seconds=0.01), THEN + 1, 2) == [THEN + 10_000, THEN + 20_000]


def test_a_moment_comes_once() -> None:
    """A moment is named until it has come, and never again."""
    assert following(At(NEW_YEAR), THEN - 1, 9) == [THEN]
    assert following(At(NEW_YEAR), THEN, 9) == []


# ---- several -------------------------------------------------------------------------------------------------------


def all_ticks(trigger: Trigger, begin: int, end: int) -> set[int]:
    """Return the ticks after one moment up to another."""
    times, found = timetable(trigger, "a name", "UTC"), set[int]()
    tick = times.after(begin)
    while tick is not None and tick <= end:
        found.add(tick)
        tick = times.after(tick)
    return found


@given(plain, plain, plain)
@example(Every(minutes=6), Every(minutes=10, start=NEW_YEAR), Every(minutes=15))
@example(Every(minutes=2), Every(minutes=2, start=NEW_YEAR + timedelta(minutes=1)), Every(minutes=3))
@settings(deadline=None, max_examples=30)
def test_and_and_or_are_those_of_sets(a: Trigger, b: Trigger, c: Trigger) -> None:
    """Both name what is in both sets of ticks, either what is in either, however they are nested."""
    begin, end = THEN - DAY, THEN + DAY
    with impatient():
        of_a, of_b, of_c = (all_ticks(each, begin, end) for each in (a, b, c))
        assert all_ticks(a | b, begin, end) == of_a | of_b
        assert all_ticks(a | b | c, begin, end) == of_a | of_b | of_c
        assert all_ticks(a & b, begin, end) == of_a & of_b
        assert all_ticks(a & (b | c), begin, end) == of_a & (of_b | of_c)
        assert all_ticks((a & b) | c, begin, end) == (of_a & of_b) | of_c
        assert all_ticks((a | b) & (b | c), begin, end) == (of_a | of_b) & (of_b | of_c)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 80) | st.none()), min_size=2, max_size=4))
@calm
def test_intervals_meet_by_arithmetic(drawn: list[tuple[int, int | None]]) -> None:
    """Intervals with and without a start, joined, name exactly the minutes that all of them name."""
    combined: Trigger | None = None
    for length, offset in drawn:
        start = None if offset is None else NEW_YEAR + timedelta(minutes=offset)
        every = Every(minutes=length, start=start)
        combined = every if combined is None else combined & every
    assert combined is not None
    minutes = {
        THEN + minute * MINUTE
        for minute in range(1, 4_000)
        if all(
            (THEN // MINUTE + minute) % length == 0 if offset is None else minute >= offset and not (minute - offset) % length
            for length, offset in drawn
        )
    }  # fmt: skip
    assert all_ticks(combined, THEN, THEN + 3_999 * MINUTE) == minutes


def test_intervals_that_meet_once_in_centuries_are_found_at_once() -> None:
    """A day and a second less than a day meet every 86,399 days: an answer, not a search."""
    both = Every(days=1) & Every(seconds=86_399)
    assert following(both, 0, 9) == [86_399 * DAY]


def test_triggers_that_rarely_meet_are_found() -> None:
    """Friday the thirteenth, a leap day on a Friday, the last day of a month that is a weekday."""
    friday = Cron("0 0 13 * *") & Cron("0 0 * * fri")
    assert following(friday, THEN, 2) == [moment("2026-02-13"), moment("2026-03-13")]
    assert following(Cron("0 0 29 2 *") & Cron("0 0 * * fri"), THEN, 1) == [moment("2036-02-29")]
    assert following(Cron("0 9 L * *") & Cron("0 9 * * mon-fri"), THEN, 2) == [
        moment("2026-03-31T09:00"),
        moment("2026-04-30T09:00"),
    ]
    both = Cron("*/2 * * * * *", seconds=True) & (Cron("1-59/2 * * * * *", seconds=True) | Cron("0 0 1 1 *"))
    assert following(both, THEN, 1) == [moment("2027-01-01")]
    assert following(Cron("0 9 * * *") & Every(minutes=61), THEN, 1) == [moment("2026-02-04T09:00")]


@pytest.mark.parametrize(
    "trigger",
    [
        Cron("0 9 * * *") & Cron("0 10 * * *"),
        Every(minutes=2) & Every(minutes=2, start=NEW_YEAR + timedelta(minutes=1)),
        Cron("* * * * *") & Every(minutes=1, start=NEW_YEAR + timedelta(seconds=1)),
        At(NEW_YEAR) & At(NEW_YEAR + timedelta(microseconds=1)),
        At(NEW_YEAR) & Cron("30 * * * *"),
    ],
    ids=str,
)
def test_triggers_that_never_meet_end(trigger: Trigger) -> None:
    """What both never name has no tick, which is found out in bounded time, and told apart from what is over."""
    times = timetable(trigger, "a name", "UTC")
    assert times.after(THEN - DAY) is None
    assert not times.ever(THEN - DAY)
    assert not times.ever(THEN + DAY)


def test_what_is_over_is_not_what_never_was() -> None:
    """A moment that has passed, alone or in a combination, was one."""
    for trigger in (At(NEW_YEAR), At(NEW_YEAR) & Cron("0 0 * * *"), At(NEW_YEAR) | At(NEW_YEAR)):
        times = timetable(trigger, "a name", "UTC")
        assert times.after(THEN + DAY) is None
        assert times.ever(THEN + DAY)
    assert timetable(Cron("@daily"), "a name", "UTC").ever(THEN)


def test_nothing_is_named_beyond_what_a_store_can_hold() -> None:
    """Ticks end 285 years after 1970, and a moment before 285 years before it is as good as that one."""
    for trigger in (Cron("@daily"), Every(days=1), Cron("@daily") & Every(days=1), Cron("@daily") | Every(days=1)):
        times = timetable(trigger, "a name", "UTC")
        last = times.after(LONGEST - 2 * DAY)
        assert last is not None
        assert times.after(LONGEST) is None
        assert times.after(10**20) is None
        assert times.after(-(10**20)) == times.after(-LONGEST)
        assert len(list(times.upcoming(LONGEST - 3 * DAY))) in (2, 3)


# ---- drawn from the name ---------------------------------------------------------------------------------------------


def test_an_h_is_the_same_in_every_process_and_release() -> None:
    """Where an H falls is drawn from the name alone: these are the numbers it always had."""
    (tick,) = following(Cron("H H * * *"), THEN, 1, name="daily-report")
    assert tick == moment("2026-01-01T05:58")
    assert following(Cron("H(0-29) 3 H(1-28) * *"), THEN, 1, name="daily-report") == [moment("2026-01-15T03:28")]
    assert following(Cron("H/15 * * * *"), THEN, 2, name="daily-report") == [THEN + 13 * MINUTE, THEN + 28 * MINUTE]
    assert following(Cron("H H H * * *", seconds=True), THEN, 1, name="daily-report") == [moment("2026-01-01T05:58:09")]
    other = "from backburner.scheduler.timetable import timetable; from backburner.scheduler.triggers import Cron; "
    other += f"print(timetable(Cron('H H * * *'), 'daily-report', 'UTC').after({THEN}))"
    process = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=True)
    assert int(process.stdout) == tick


def test_an_h_spreads_names() -> None:
    """A thousand names fall on every minute of an hour, none of which has more than its share twice over."""
    cron = Cron("H * * * *")
    minutes = [(following(cron, THEN, 1, name=f"tenant-{each}")[0] // MINUTE) % 60 for each in range(1_000)]
    assert set(minutes) == set(range(60))
    assert max(minutes.count(minute) for minute in range(60)) < 40


def test_without_an_h_the_name_is_no_matter() -> None:
    """Schedules of one trigger share what is kept of it; with an H each has its own."""
    cron, drawn = Cron("0 9 * * *"), Cron("H 9 * * *") | Cron("0 9 * * *")
    assert timetable(cron, "a", "UTC") is timetable(cron, "b", "UTC")
    assert timetable(drawn, "a", "UTC") is not timetable(drawn, "b", "UTC")


# ---- zones and notes -------------------------------------------------------------------------------------------------


def test_the_engines_zone_holds_where_the_trigger_names_none() -> None:
    """A trigger's own zone comes before the engine's."""
    assert following(Cron("0 9 * * *"), THEN, 1, tz="Asia/Tokyo") == [moment("2026-01-02T00:00")]
    assert following(Cron("0 9 * * *", tz="UTC"), THEN, 1, tz="Asia/Tokyo") == [moment("2026-01-01T09:00")]
    with pytest.raises(InvalidSchedule, match="Berlin"):
        timetable(Cron("0 9 * * *"), "a name", "Berlin")


@pytest.mark.parametrize(
    ("cron", "begin", "lines"),
    [
        pytest.param(
            Cron("30 2 * * *", tz="Europe/Berlin"),
            "2026-03-28",
            [
                "28 02:30 Europe/Berlin | 28 01:30 | ",
                "29 02:30 Europe/Berlin | 29 01:00 | 02:30 does not exist on 2026-03-29: runs at 03:00",
                "30 02:30 Europe/Berlin | 30 00:30 | ",
            ],
            id="gap",
        ),
        pytest.param(
            Cron("0 2,3 * * *", tz="Europe/Berlin", on_gap="skip"),
            "2026-03-28T22:00",
            [
                "29 02:00 Europe/Berlin | - | 02:00 does not exist on 2026-03-29: not run",
                "29 03:00 Europe/Berlin | 29 01:00 | ",
            ],
            id="gap skipped",
        ),
        pytest.param(
            Cron("0,20 2,3 * * *", tz="Europe/Berlin"),
            "2026-03-28T22:00",
            [
                (
                    "29 02:00 Europe/Berlin | 29 01:00 | "
                    "02:00 and what follows before 03:00 do not exist on 2026-03-29: run once, at 03:00"
                ),
                "29 03:20 Europe/Berlin | 29 01:20 | ",
            ],
            id="several in a gap, and one at its end, are one",
        ),
        pytest.param(
            Cron("*/30 * * * *", tz="Europe/Berlin"),
            "2026-03-29T00:00",
            [
                "29 01:30 Europe/Berlin | 29 00:30 | ",
                "29 02:00 Europe/Berlin | - | 02:00 and what follows before 03:00 do not exist on 2026-03-29: not run",
                "29 03:00 Europe/Berlin | 29 01:00 | ",
            ],
            id="elapsed time knows no gap",
        ),
        pytest.param(
            Cron("0 9 * * *", tz="Pacific/Apia"),
            "2011-12-29T20:00",
            [
                "30 09:00 Pacific/Apia | 30 10:00 | 09:00 does not exist on 2011-12-30: runs at 2011-12-31 00:00",
                "31 09:00 Pacific/Apia | 30 19:00 | ",
            ],
            id="a day that was skipped",
        ),
        pytest.param(
            Cron("30 1 * * *", tz="America/New_York"),
            "2026-11-01T00:00",
            [
                "01 01:30 America/New_York | 01 05:30 | 01:30 comes twice on 2026-11-01: runs at the first",
                "02 01:30 America/New_York | 02 06:30 | ",
            ],
            id="overlap",
        ),
        pytest.param(
            Cron("30 1 * * *", tz="America/New_York", on_overlap="second"),
            "2026-11-01T00:00",
            [
                "01 01:30 America/New_York | 01 06:30 | 01:30 comes twice on 2026-11-01: runs at the second",
                "02 01:30 America/New_York | 02 06:30 | ",
            ],
            id="overlap, the second",
        ),
        pytest.param(
            Cron("30 1 * * *", tz="America/New_York", on_overlap="both"),
            "2026-11-01T00:00",
            [
                "01 01:30 America/New_York | 01 05:30 | 01:30 comes twice on 2026-11-01: this is the first",
                "01 01:30 America/New_York | 01 06:30 | 01:30 comes twice on 2026-11-01: this is the second",
                "02 01:30 America/New_York | 02 06:30 | ",
            ],
            id="overlap, both",
        ),
        pytest.param(
            Cron("45 */1 * * *", tz="Australia/Lord_Howe"),
            "2026-04-04T13:50",
            [
                "05 01:45 Australia/Lord_Howe | 04 14:45 | 01:45 comes twice on 2026-04-05: this is the first",
                "05 01:45 Australia/Lord_Howe | 04 15:15 | 01:45 comes twice on 2026-04-05: this is the second",
                "05 02:45 Australia/Lord_Howe | 04 16:15 | ",
            ],
            id="half an hour twice",
        ),
        pytest.param(
            Cron("15 30 2 * * *", seconds=True, tz="Europe/Berlin"),
            "2026-03-28T22:00",
            ["29 02:30 Europe/Berlin | 29 01:00 | 02:30:15 does not exist on 2026-03-29: runs at 03:00"],
            id="seconds are said",
        ),
        pytest.param(
            Cron("30 2 * * *", tz="Europe/Berlin") | Every(hours=1),
            "2026-03-29T00:30",
            [
                "29 02:30 Europe/Berlin | 29 01:00 | 02:30 does not exist on 2026-03-29: runs at 03:00",
                "29 02:00 UTC | 29 02:00 | ",
            ],
            id="of two that name one tick, the one with something to say",
        ),
        pytest.param(
            Every(hours=1) & Cron("30 2 * * *", tz="Europe/Berlin"),
            "2026-03-28T22:00",
            ["29 02:30 Europe/Berlin | 29 01:00 | 02:30 does not exist on 2026-03-29: runs at 03:00"],
            id="of both, the one with something to say",
        ),
    ],
)
def test_a_preview_says_what_a_change_of_the_clocks_does(cron: Trigger, begin: str, lines: list[str]) -> None:
    """What a gap leaves out and an overlap brings twice is said where it happens, and nowhere else."""
    assert told(cron, begin, len(lines)) == lines


@pytest.mark.parametrize("policy", ["first", "second", "both"])
def test_asked_in_the_midst_of_an_overlap(policy: OnOverlap) -> None:
    """In the second pass of an overlap, what ran in the first is not run again, and what waits for it still is."""
    cron = Cron("30 1 * * *", tz="America/New_York", on_overlap=policy)
    first, second, next_day = moment("2026-11-01T05:30"), moment("2026-11-01T06:30"), moment("2026-11-02T06:30")
    runs = {"first": {first}, "second": {second}, "both": {first, second}}[policy]
    for minute in range(-90, 150):
        asked = first + minute * MINUTE
        expected = min(tick for tick in (*runs, next_day) if tick > asked)
        assert following(cron, asked, 1) == [expected]


# ---- cost ------------------------------------------------------------------------------------------------------------


def test_croniter_is_loaded_with_the_first_tick_asked_for() -> None:
    """An app that declares schedules does not wait for a calendar it may never read."""
    code = (
        "import sys; from backburner.scheduler.triggers import Cron; Cron('0 9 * * mon-fri', tz='Europe/Berlin'); "
        "assert 'croniter' not in sys.modules; from backburner.scheduler.timetable import timetable; "
        "timetable(Cron('0 9 * * *'), 'a', 'UTC'); assert 'croniter' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_threads_may_ask_at_once() -> None:
    """Threads that ask one timetable about different moments each get their own answer."""
    times = timetable(Cron("0 9 * * thu"), "a name", "UTC")
    wrong: list[int] = []

    def ask(begin: int) -> None:
        # From one Thursday to the next: each time croniter is asked.
        days = range(begin, begin + 700 * DAY, 7 * DAY)
        wrong.extend(day for day in days if times.after(day) != day + 9 * HOUR)

    threads = [Thread(target=ask, args=(THEN + each * 7_000 * DAY,)) for each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_daily_tick_is_found_without_walking_the_day() -> None:
    """A thousand answers about a plain expression take a fraction of a second even on a busy machine."""
    times = timetable(Cron("0 9 * * *", tz="Europe/Berlin"), "a name", "UTC")
    times.after(THEN)
    begin = time.thread_time()
    for day in range(1_000):
        times.after(THEN + day * DAY // 4)
    assert time.thread_time() - begin < 0.5
