"""Names of events."""

from __future__ import annotations

import re

import pytest

from backburner.errors import UnknownEvent
from backburner.events.naming import check_patterns, check_published
from backburner.model.catalogue import BUILT_IN
from backburner.model.event import matches, patterns_of


def test_what_may_be_asked_for() -> None:
    """Every name there is, the front of each, all; the same twice is one, and none is all."""
    for name in BUILT_IN:
        assert check_patterns((name, name)) == (name,)
        assert check_patterns(f"{name.partition('.')[0]}.*")
    assert check_patterns(()) == ("*",)
    assert check_patterns(("order.*", "*", "order-2.paid_twice")) == ("order.*", "*", "order-2.paid_twice")


@pytest.mark.parametrize("name", ["order", "order.paid", "order.item.added"])
def test_both_ways_to_match_agree(name: str) -> None:
    """A pattern that matches a name is among those that ask for it, and no other."""
    assert check_published(name) == name
    for pattern in ("*", "order", "order.*", "order.paid", "order.item.*", "order.item", "orde.*", "order.paid.*"):
        assert matches(pattern, name) == (pattern in patterns_of(name))


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("node.dead", "node.joined or node.left or node.lost"),
        ("node.lots", "node.lost"),
        ("job.ded", "job.dead"),
        ("job.complete", "job.completed"),
        ("operator.queue.pause", "operator.queue.paused"),
        ("node.l.*", "node.joined or node.left or node.lost"),
    ],
)
def test_what_was_meant(name: str, near: str) -> None:
    """Names are near by what follows the family; where none is, all of it are told."""
    with pytest.raises(UnknownEvent, match=rf"did you mean {re.escape(near)}( or [a-z.]+)*\?"):
        check_patterns(name)


def test_nearest_names() -> None:
    """Where nothing is near, the family is shown."""
    with pytest.raises(UnknownEvent, match=r"did you mean node\.joined or node\.left or node\.lost"):
        check_patterns("node.zzzzzzzz")
