"""Finding the guilty item of a batch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backburner.backends.halving import Halving


def _go(count: int, guilty: frozenset[int]) -> tuple[list[int], list[int], int]:
    stored: list[int] = []
    refused: list[int] = []
    tries = 0
    plan = Halving(count)
    for part in plan:
        tries += 1
        if guilty.isdisjoint(part):
            stored += part
        elif not plan.split(part):
            refused += part
    return stored, refused, tries


@given(st.integers(0, 300), st.frozensets(st.integers(0, 299)))
def test_exactly_the_guilty_are_refused(count: int, guilty: frozenset[int]) -> None:
    """Every innocent item is stored once, in order; every guilty one is refused once."""
    stored, refused, _ = _go(count, guilty)
    assert refused == sorted(each for each in guilty if each < count)
    assert stored == [each for each in range(count) if each not in guilty]


def test_without_a_guilty_one_the_whole_is_tried_once() -> None:
    """The common case costs nothing: one try."""
    assert _go(1000, frozenset())[2] == 1


def test_one_guilty_item_costs_two_tries_a_level() -> None:
    """Among 1024 items one guilty item is found in 21 tries."""
    assert _go(1024, frozenset({512}))[2] == 21
