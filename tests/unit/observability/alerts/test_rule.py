"""How an alert is declared, and what is refused of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backburner.errors import InvalidOption
from backburner.observability.alerts.rule import Rules, make_rule

HOUR = 3_600_000_000


@pytest.mark.parametrize("pause", ["1h", 3600, timedelta(hours=1)], ids=["text", "seconds", "timedelta"])
def test_it_is_named_by_its_condition_and_its_pause_is_a_duration(pause: timedelta | float | str) -> None:
    """Unless it has a name; the pause is written as any duration is."""
    rule = make_rule(" dlq.count  > 3 ", None, pause)
    assert (rule.name, rule.pause) == ("dlq.count > 3", HOUR)
    assert make_rule("dlq.count > 3", "letters", pause).name == "letters"


@pytest.mark.parametrize(
    ("name", "pause", "option", "says"),
    [
        ("", "1h", "name", "must not be empty"),
        (5, "1h", "name", "is a text"),
        (None, "hourly", "at_most_every", "'hourly' is not a duration"),
        (None, -1, "at_most_every", "must not be negative"),
    ],
)
def test_what_is_refused(name: Any, pause: Any, option: str, says: str) -> None:  # noqa: ANN401 - bad input
    """Each option says what is wrong with it."""
    with pytest.raises(InvalidOption, match=says) as refused:
        make_rule("dlq.count > 3", name, pause)
    assert refused.value.option == option


def test_a_long_condition_needs_a_name() -> None:
    """Else it names the alert, and every event of it."""
    text = " or ".join(f"queue.depth[{number:020}] > 3" for number in range(5))
    with pytest.raises(InvalidOption, match="give it a name="):
        make_rule(text, None, 0)
    assert make_rule(text, "five queues", 0).condition.text == text


def test_two_of_one_name_are_refused() -> None:
    """The message names the other."""
    rules = Rules()
    rule = make_rule("dlq.count > 3", "letters", 0)
    rules.check(rule)
    rules.add(rule)
    with pytest.raises(InvalidOption, match=r"'letters' is declared twice, the other time when 'dlq.count > 3'"):
        rules.check(make_rule("dlq.count > 4", "letters", 0))
    assert "letters" in rules
    assert [*rules] == [rule]
