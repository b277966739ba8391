"""The checker itself: a history that breaks a promise is found out."""

from __future__ import annotations

import pytest

from tests.chaos.history import Event, check_claims


def event(what: str, claim: int, at: float, pid: int = 1) -> Event:
    """One line of a history."""
    return {"event": what, "job": "a", "claim": claim, "at": at, "pid": pid, "how": "returned"}


def test_claims_one_after_the_other_are_fine() -> None:
    """A claim that ended, or whose process was killed, may be followed by another."""
    check_claims([event("start", 1, 1.0), event("end", 1, 2.0), event("start", 2, 3.0)], {})
    check_claims([event("start", 1, 1.0), event("start", 2, 3.0, pid=2)], {1: 2.0})


@pytest.mark.parametrize(
    ("events", "deaths", "words"),
    [
        ([event("end", 1, 1.0)], {}, "without a start"),
        ([event("start", 1, 1.0), event("start", 1, 2.0)], {}, "started twice"),
        ([event("start", 2, 1.0), event("end", 2, 2.0), event("start", 1, 3.0)], {}, "no greater token"),
        ([event("start", 1, 1.0), event("start", 2, 2.0), event("end", 1, 3.0)], {}, "two claims"),
        ([event("start", 1, 1.0), event("start", 2, 2.0, pid=2)], {1: 3.0}, "two claims"),
        ([event("start", 1, 1.0), event("start", 2, 2.0, pid=2)], {2: 1.5}, "two claims"),
    ],
)
def test_a_broken_history_is_found_out(events: list[Event], deaths: dict[int, float], words: str) -> None:
    """A job that ended unstarted, a claim started twice, tokens that fall, two claims live at a time: each is found."""
    with pytest.raises(AssertionError, match=words):
        check_claims(events, deaths)
