"""Where a look for due schedules begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.postgres.due_floor import DueFloor
from backburner.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterable

SLOW, QUICK = 50_000, 500


def learned(floor: DueFloor, looks: Iterable[int | None]) -> DueFloor:
    """Let it learn of looks, each of which found the first schedule due a little later."""
    for first, looked in enumerate(looks, 1):
        floor.learn(first, looked)
    return floor


def test_quick_looks_are_from_the_head() -> None:
    """As long as looks from the head are quick, or only some are slow, all are from there: nothing is seen late."""
    for looks in ([QUICK] * 5, [SLOW, SLOW], [SLOW, SLOW, QUICK, SLOW, SLOW]):
        assert learned(DueFloor(FakeClock(), steady=True), looks).ask() is None


def test_slow_ones_begin_where_the_last_one_did() -> None:
    """After three slow looks in a row the next begins at the first moment that the last one found."""
    floor = learned(DueFloor(FakeClock(), steady=True), [SLOW] * 3)
    assert floor.ask() == 3
    floor.learn(7, None)
    assert floor.ask() == 7


def test_each_second_one_begins_at_the_head() -> None:
    """A second after a look from the head there is another; quick again, all are from there."""
    clock = FakeClock()
    floor = learned(DueFloor(clock, steady=True), [SLOW] * 3)
    clock.move(0.999)
    assert floor.ask() == 3
    clock.move(0.001)
    assert floor.ask() is None
    floor.learn(4, SLOW)
    assert floor.ask() == 4
    clock.move(1)
    floor.learn(5, QUICK)
    assert floor.ask() is None


def test_what_this_node_makes_due_is_seen() -> None:
    """What the node itself makes due before the floor lowers it; what comes later does not raise it."""
    floor = DueFloor(FakeClock(), steady=True)
    floor.lower(1)
    learned(floor, [SLOW] * 5)
    floor.lower(9)
    assert floor.ask() == 5
    floor.lower(2)
    assert floor.ask() == 2


def test_by_a_clock_that_stands_still_all_begin_at_the_head() -> None:
    """By a test's clock, which may be set back, every look is from the head."""
    assert learned(DueFloor(FakeClock(), steady=False), [SLOW] * 5).ask() is None
