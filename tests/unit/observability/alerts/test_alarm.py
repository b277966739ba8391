"""What becomes of an alert from look to look: for how long it holds, when it is told, and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner.model.clock import SECOND
from backburner.observability.alerts import alarm
from backburner.observability.alerts.alarm import FORGOTTEN, Alarm, Turn, abandoned, advance
from backburner.observability.alerts.rule import Rule, make_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTE = 60 * SECOND
START = 1_750_000_000 * SECOND
RULE = make_rule("dlq.count > 100 for 5m", None, "1h")


def turns(rule: Rule, looks: Sequence[tuple[float, bool]], state: Alarm | None = None) -> list[tuple[float, Turn]]:
    """Return what is told at which minute, of looks at these minutes, and whether the condition held there."""
    state, told = state or Alarm(), []
    for minute, holds in looks:
        state, turn = advance(rule, state, START + round(minute * MINUTE), holds=holds)
        state = alarm.decode(alarm.encode(state))
        if turn is not None:
            told.append((minute, turn))
    return told


def test_it_fires_once_it_has_held_long_enough_and_is_resolved_once() -> None:
    """Not before, not again while it holds on; and nothing is told of what never fired."""
    looks = [(minute, 2 <= minute < 12) for minute in range(20)]
    assert turns(RULE, looks) == [(7, Turn.FIRED), (12, Turn.RESOLVED)]


def test_one_that_stops_holding_begins_anew() -> None:
    """Four minutes, a gap, four minutes: not five."""
    assert turns(RULE, [(minute, minute != 4) for minute in range(9)]) == []


def test_without_a_duration_it_fires_at_once() -> None:
    """The first look decides."""
    assert turns(make_rule("dlq.count > 0", None, "1h"), [(0, True), (1, False)]) == [
        (0, Turn.FIRED),
        (1, Turn.RESOLVED),
    ]


def test_a_flapping_one_is_told_at_most_so_often() -> None:
    """Held back, it fires as soon as it may, if it still holds; only what fired is resolved."""
    rule = make_rule("dlq.count > 0", None, "10m")
    flapping = [(minute, minute % 2 == 0) for minute in range(30)]
    assert turns(rule, flapping) == [
        (0, Turn.FIRED),
        (1, Turn.RESOLVED),
        (10, Turn.FIRED),
        (11, Turn.RESOLVED),
        (20, Turn.FIRED),
        (21, Turn.RESOLVED),
    ]
    assert turns(rule, [(0, True), (1, False), (2, True), (9, True), (10, True), (30, True)]) == [
        (0, Turn.FIRED),
        (1, Turn.RESOLVED),
        (10, Turn.FIRED),
    ]


def test_an_outage_of_all_nodes_is_not_taken_for_holding() -> None:
    """Seen to hold before and after, it begins anew, since nobody looked; a short gap, such as a deploy, is none."""
    gap = FORGOTTEN / MINUTE
    assert turns(RULE, [(0, True), (gap + 1, True), (gap + 5, True), (gap + 6, True)]) == [(gap + 6, Turn.FIRED)]
    assert turns(RULE, [(0, True), (6, True)]) == [(6, Turn.FIRED)]


def test_another_condition_under_its_name_begins_anew_but_ends_what_fires() -> None:
    """A deploy that changes it: what is to hold for five minutes is the new one; what fired is resolved by the new one."""
    renamed = make_rule("queue.depth > 100 for 5m", RULE.condition.text, "1h")
    pending, _ = advance(RULE, Alarm(), START, holds=True)
    assert turns(renamed, [(4, True), (6, True), (9, True)], pending) == [(9, Turn.FIRED)]
    firing, turn = advance(RULE, pending, START + 5 * MINUTE, holds=True)
    assert turn is Turn.FIRED
    assert turns(renamed, [(6, True), (7, False)], firing) == [(7, Turn.RESOLVED)]


def test_a_look_that_changes_nothing_is_no_write() -> None:
    """What does not hold stays as it is; what holds is marked once a minute."""
    quiet = Alarm()
    assert advance(RULE, quiet, START, holds=False)[0] is quiet
    seen, _ = advance(RULE, quiet, START, holds=True)
    assert advance(RULE, seen, START + 59 * SECOND, holds=True)[0] is seen
    assert advance(RULE, seen, START + 60 * SECOND, holds=True)[0] != seen


def test_who_is_abandoned() -> None:
    """One that fires, and that nobody has seen for ten minutes."""
    firing = Alarm(since=START, firing=True, told=START, seen=START)
    assert not abandoned(firing, START + FORGOTTEN)
    assert abandoned(firing, START + FORGOTTEN + 1)
    assert not abandoned(Alarm(since=START, seen=START), START + 2 * FORGOTTEN)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"since": "today"}'])
def test_what_cannot_be_read_is_as_good_as_nothing(text: str) -> None:
    """Another version's cell begins anew, and harms nobody."""
    assert alarm.decode(text) == Alarm()
