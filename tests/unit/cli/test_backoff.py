"""`backburner backoff`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from backburner.model.clock import SECOND
from backburner.model.duration import parse
from backburner.resilience.retry import POLICIES

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run


def test_a_policy_is_a_table_and_a_plot(run: Run) -> None:
    """Each further attempt: the delay before it, what was waited so far, and both as bars."""
    answer = run("backoff", "conservative", terminal=True)
    assert answer.code == 0
    lines = [line.rstrip() for line in answer.out.splitlines()]
    assert lines[0].split() == [
        "ATTEMPT",
        "LEAST",
        "MOST",
        "TYPICAL",
        "SO",
        "FAR",
        "LEAST",
        "TO",
        "MOST",
        "(LOGARITHMIC)",
    ]
    assert [line.split() for line in lines[1:]] == [
        ["2", "30s", "1m", "45s", "45s", "█" * 14 + "░" * 3],
        ["3", "2m30s", "5m", "3m45s", "4m30s", "█" * 21 + "░" * 2],
        ["4", "12m30s", "25m", "18m45s", "23m15s", "█" * 27 + "░" * 3],
    ]
    assert answer.err == "conservative: 4 attempts; 1m, times 5 after each failure, up to 1h, equal jitter\n"


@pytest.mark.parametrize("name", list(POLICIES))
def test_its_numbers_are_the_calculators(run: Run, name: str) -> None:
    """Piped and as JSON, the same numbers that retries go by."""
    attempts = POLICIES[name].attempts
    assert attempts is not None
    bounds = [POLICIES[name].backoff.bounds(failures) for failures in range(1, attempts)]
    lines = [line.split("\t") for line in run("backoff", name).out.splitlines()]
    assert [(int(number), parse(least), parse(most)) for number, least, most, _, _ in lines] == [
        (failures + 1, *pair) for failures, pair in enumerate(bounds, 1)
    ]
    objects = [json.loads(line) for line in run("backoff", name, "--json").out.splitlines()]
    assert [(each["least"] * SECOND, each["most"] * SECOND) for each in objects] == bounds
    total = 0
    for line, each, (least, most) in zip(lines, objects, bounds, strict=True):
        total += (least + most) // 2
        assert parse(line[3]) == each["typical"] * SECOND == (least + most) // 2
        assert parse(line[4]) == each["total"] * SECOND == total


def test_a_policy_that_never_tries_again_says_so(run: Run) -> None:
    """No table, no plot, no error."""
    answer = run("backoff", "none", terminal=True)
    assert (answer.code, answer.out, answer.err) == (0, "", "none: the first failure is the last\n")


def test_without_a_name_it_lists_the_policies(run: Run) -> None:
    """With how many attempts they have, how they wait, and what that comes to."""
    answer = run("backoff")
    assert (answer.code, answer.err) == (0, "")
    assert [line.split("\t") for line in answer.out.splitlines()] == [
        ["standard", "10", "10s, times 3 after each failure, up to 6h, equal jitter", "7h31m5s", "15h2m10s"],
        ["conservative", "4", "1m, times 5 after each failure, up to 1h, equal jitter", "15m30s", "31m"],
        ["aggressive", "25", "1s, times 2 after each failure, up to 1h, equal jitter", "6h34m7s500ms", "13h8m15s"],
        ["none", "1", "", "0s", "0s"],
    ]
    objects = [json.loads(line) for line in run("backoff", "--json").out.splitlines()]
    assert [each["policy"] for each in objects] == list(POLICIES)
    assert objects[0] == {
        "policy": "standard",
        "attempts": 10,
        "strategy": "exponential",
        "base": 10,
        "factor": 3,
        "cap": 21600,
        "jitter": "equal",
        "least": 27065,
        "most": 54130,
    }
    assert run("backoff", terminal=True).out.splitlines()[0].split()[0] == "POLICY"


def test_an_unknown_policy_is_refused_with_the_nearest_name(run: Run) -> None:
    """A slip of the pen is answered with the name that was meant, and exit code 2."""
    answer = run("backoff", "standart")
    assert (answer.code, answer.out) == (2, "")
    assert 'did you mean "standard"; there are standard, conservative' in answer.err
