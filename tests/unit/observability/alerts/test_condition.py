"""What a condition comes to, by the values of what it measures."""

from __future__ import annotations

import pytest

from backburner.model.clock import SECOND
from backburner.observability.alerts.condition import Verdict
from backburner.observability.alerts.grammar import parse


@pytest.mark.parametrize(
    ("operator", "held"),
    [(">", [3]), (">=", [2, 3]), ("<", [1]), ("<=", [1, 2]), ("==", [2]), ("!=", [1, 3])],
)
def test_comparisons(operator: str, held: list[int]) -> None:
    """Each operator holds of what one would think."""
    condition = parse(f"dlq.count {operator} 2")
    measured = dict.fromkeys((each.measure for each in condition.comparisons), 0)
    found = [value for value in (1, 2, 3) if condition.judge(dict.fromkeys(measured, value).get).holds]
    assert found == held


@pytest.mark.parametrize(
    ("join", "dead", "depth", "verdict"),
    [
        ("and", 5, 9, Verdict(holds=True, value=5)),
        ("and", 5, 0, Verdict(holds=False, value=0)),
        ("and", 0, 0, Verdict(holds=False, value=0)),
        ("or", 5, 0, Verdict(holds=True, value=5)),
        ("or", 0, 9, Verdict(holds=True, value=9)),
        ("or", 1, 0, Verdict(holds=False, value=1)),
    ],
)
def test_joined(join: str, dead: int, depth: int, verdict: Verdict) -> None:
    """The value is that of a comparison which decides."""
    values = {"dlq.count": dead, "queue.depth": depth}
    assert parse(f"dlq.count > 3 {join} queue.depth > 3").judge(lambda each: values[each.metric.name]) == verdict


def test_nothing_holds_of_what_could_not_be_measured() -> None:
    """Neither that it is much, nor that it is little."""
    for operator in "<>":
        verdict = parse(f"jobs.failure_ratio {operator} 50%").judge(lambda _: None)
        assert verdict == Verdict(holds=False, value=None)


def test_values_are_shown_in_seconds_and_percent() -> None:
    """Durations as seconds, shares rounded."""
    assert parse("queue.oldest > 1m").judge(lambda _: 90 * SECOND).value == 90
    assert parse("jobs.failure_ratio > 1%").judge(lambda _: 100 / 3).value == 33.3
