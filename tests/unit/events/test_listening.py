"""Listeners of this process."""

from __future__ import annotations

import pytest

from backburner import Backburner, Event
from backburner.errors import UnknownEvent
from backburner.events.listening import HEARD
from backburner.model.catalogue import BUILT_IN


@pytest.mark.parametrize("name", ["operator.*", "operator.queue.paused", "node.lost", "schedule.fired", "job.purged"])
def test_what_a_listener_would_never_hear(name: str) -> None:
    """Events of which the store alone knows are refused, naming who is told of them."""
    bb = Backburner("memory://")
    with pytest.raises(UnknownEvent, match=r"is not told there: handle it by @bb\.on"):
        bb.listen(name)(print)


@pytest.mark.parametrize("name", ["*", "job.*", "schedule.*", "breaker.opened", "lock.lost", "order.*"])
def test_what_a_listener_may_hear(name: str) -> None:
    """Whatever has a part that is told here, and all that apps publish."""
    heard: list[Event] = []
    Backburner("memory://").listen(name)(heard.append)


def test_what_is_heard_has_a_name() -> None:
    """All of it stands in the table."""
    assert BUILT_IN.keys() > HEARD
