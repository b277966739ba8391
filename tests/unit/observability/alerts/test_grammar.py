"""Conditions of alerts, read from texts; and what is refused of them, where, with what to write instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backburner.errors import InvalidAlert
from backburner.model.clock import SECOND
from backburner.observability.alerts.grammar import GRAMMAR, parse
from backburner.observability.alerts.metrics import METRICS, Unit

MINUTE = 60 * SECOND


@pytest.mark.parametrize(
    ("text", "measure", "operator", "bound", "duration"),
    [
        ("dlq.count > 100 for 5m", ("dlq.count", None, None), ">", 100, 5 * MINUTE),
        ("  dlq.count>=0", ("dlq.count", None, None), ">=", 0, 0),
        ("queue.depth[mail] == 3", ("queue.depth", "mail", None), "==", 3, 0),
        ("queue.depth[ a queue ] != 3", ("queue.depth", "a queue", None), "!=", 3, 0),
        ('queue.depth["a]b"] < 3', ("queue.depth", "a]b", None), "<", 3, 0),
        ("queue.oldest <= 1h30m for 90", ("queue.oldest", None, None), "<=", 90 * MINUTE, 90 * SECOND),
        ("jobs.failure_ratio > 20%", ("jobs.failure_ratio", None, 5 * MINUTE), ">", 20, 0),
        ("jobs.failure_ratio[a] over 15m > 0.5%", ("jobs.failure_ratio", "a", 15 * MINUTE), ">", 0.5, 0),
        ("schedules.missed > 0", ("schedules.missed", None, 60 * MINUTE), ">", 0, 0),
        ("breaker.open", ("breaker.open", None, None), ">", 0, 0),
        ("breaker.open[stripe] for 1m", ("breaker.open", "stripe", None), ">", 0, MINUTE),
        ("kinds.unserved > 10", ("kinds.unserved", None, None), ">", 10, 0),
        ("events.lag[on_paid] > 1000", ("events.lag", "on_paid", None), ">", 1000, 0),
    ],
)
def test_what_one_comparison_says(
    text: str, measure: tuple[str, str | None, int | None], operator: str, bound: float, duration: int
) -> None:
    """A metric, a name in brackets, a while to look back on, a comparison, and for how long it must hold."""
    condition = parse(text)
    (comparison,) = condition.comparisons
    found = comparison.measure
    assert (found.metric.name, found.argument, found.window) == measure
    assert (comparison.operator, comparison.bound) == (operator, bound)
    assert condition.duration == duration


@pytest.mark.parametrize(("join", "any_of"), [("and", False), ("or", True)])
def test_several_are_joined(join: str, any_of: bool) -> None:  # noqa: FBT001 - an example
    """All must hold, or any; what comes after `for` is about the whole, and the text has its spaces put in order."""
    condition = parse(f"dlq.count > 1 {join}\n breaker.open {join} queue.depth > 3   for 2m")
    assert [each.measure.metric.name for each in condition.comparisons] == ["dlq.count", "breaker.open", "queue.depth"]
    assert condition.any is any_of
    assert condition.duration == 2 * MINUTE
    assert condition.text == f"dlq.count > 1 {join} breaker.open {join} queue.depth > 3 for 2m"


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 0, "expected a metric, not the end"),
        ("> 3", 0, "expected a metric, not '>'"),
        ("dlq.cuont > 100", 0, "there is no metric 'dlq.cuont'; did you mean dlq.count?"),
        ("breaker.open and xyzzy > 1", 17, "there is no metric 'xyzzy'"),
        ("dlq.count", 9, "expected a comparison (>= <= == != > <), not the end"),
        ("dlq.count 5", 10, "expected a comparison (>= <= == != > <), not '5'"),
        ("dlq.count => 1", 10, "expected a comparison (>= <= == != > <), not '='"),
        ("dlq.count >", 11, "dlq.count is compared with a whole number, such as 100, not the end"),
        ("dlq.count > -1", 12, "dlq.count is compared with a whole number, such as 100, not '-'"),
        ("dlq.count > 1.5", 12, "dlq.count is compared with a whole number, such as 100, not 1.5"),
        ("dlq.count > 5%", 12, "dlq.count is compared with a whole number, such as 100, not 5%"),
        ("jobs.failure_ratio > 0.2", 21, "is compared with a percentage, such as 20%, not 0.2"),
        ("jobs.failure_ratio > 120%", 21, "no share is above 100%"),
        ("queue.oldest > soon", 15, "'soon' is not a duration; write it like 500ms, 30s, 15m, 2h, 7d or 1h30m"),
        ("queue.oldest > ", 15, "expected a duration, such as 15m, not the end"),
        ("queue.depth[mail > 1", 11, "expected the name of a queue and a ]; one that has a ] is quoted"),
        ("queue.depth[] > 1", 11, "expected the name of a queue and a ]; one that has a ] is quoted"),
        ("queue.depth[\x00] > 1", 11, "queue contains '\\x00' at position 0"),
        (f"queue.depth[{'q' * 129}] > 1", 11, "queue has 129 characters, 128 are allowed"),
        ("dlq.count over 5m > 1", 10, "dlq.count is of one moment, and not over a while"),
        ("jobs.failure_ratio over 2h > 3%", 24, "over takes 1m to 1h"),
        ("jobs.failure_ratio over 5s > 3%", 24, "over takes 1m to 1h"),
        ("dlq.count > 1 for", 17, "expected a duration, such as for 5m, not the end"),
        ("dlq.count > 1 for 5x", 18, "'5x' is not a duration"),
        ("dlq.count > 1 for 5m and breaker.open", 21, "nothing comes after for and its duration"),
        ("dlq.count > 1 until 5m", 14, "expected and, or, for, or the end, not 'until'"),
        ("dlq.count > 1 and breaker.open xor", 31, "expected a comparison"),
        ("dlq.count > 1 and dlq.count < 3 5", 32, "expected and, for, or the end, not '5'"),
        ("dlq.count > 1 or breaker.open and dlq.count > 1", 30, "'or' and 'and' cannot be mixed: make it two alerts"),
    ],
)
def test_what_cannot_be_read_is_shown(text: str, position: int, says: str) -> None:
    """The error says what was expected, shows where, and tells the whole grammar."""
    with pytest.raises(InvalidAlert) as refused:
        parse(text)
    assert refused.value.position == position
    message = str(refused.value)
    assert says in message
    first, *shown, last = message.split("\n")
    assert f"at position {position}: " in first
    assert shown[1] == " " * (2 + position) + "^"
    assert last == f"write {GRAMMAR}"


def test_a_caret_stands_below_what_it_means() -> None:
    """Line ends and other controls take the room of a space."""
    with pytest.raises(InvalidAlert) as refused:
        parse("dlq.count\n\t> many")
    assert "\n  dlq.count  > many\n               ^\n" in str(refused.value)


@pytest.mark.parametrize("given_text", [None, 5, b"dlq.count > 1"], ids=["none", "number", "bytes"])
def test_a_condition_is_a_text(given_text: object) -> None:
    """Anything else is refused, and has no position."""
    with pytest.raises(InvalidAlert, match="an alert's condition is a text") as refused:
        parse(given_text)
    assert refused.value.position is None


def test_the_grammar_names_every_metric() -> None:
    """What may be asked stands in the error."""
    assert all(name in GRAMMAR for name in METRICS)


@given(st.text(alphabet='dlq.count breaker.open[]">=<!0123456789%mhs for and or over\n\x00é', max_size=40))
def test_any_text_is_read_or_refused_in_its_place(text: str) -> None:
    """Nothing but `InvalidAlert` comes out, and its position lies within the text."""
    position: int | None = 0
    try:
        parse(text)
    except InvalidAlert as error:
        position = error.position
    assert position is not None
    assert 0 <= position <= len(text)


_VALUES = {Unit.COUNT: "3", Unit.DURATION: "3m", Unit.PERCENT: "3%"}


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_can_be_asked_of_one_thing_and_of_all(name: str) -> None:
    """Each is compared with its unit; its text is read as the same condition again."""
    value = _VALUES[METRICS[name].unit]
    for text in (f"{name} > {value}", f"{name}[some name] > {value} for 5m"):
        condition = parse(text)
        assert condition.text == text
        assert parse(condition.text) == condition
