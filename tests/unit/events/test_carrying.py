"""What travels with a published event."""

from __future__ import annotations

import pytest

from backburner.errors import InvalidEvent
from backburner.events.carrying import is_laden, laden, parted
from backburner.events.publisher import published

TRACE = {"traceparent": "00-1-2-01", "correlation_id": "abc"}


@pytest.mark.parametrize("data", ["{}", '{"a":1}', '{"a":{"b":[1,2.50]},"c":"\\u00e9 /"}'])
def test_it_travels_beside_the_data(data: str) -> None:
    """Put in and taken out, both are as they were, to the digit."""
    assert parted(laden(data, TRACE)) == (data, TRACE)
    assert laden(data, {}) == data
    assert parted(data) == (data, {})


@pytest.mark.parametrize("data", ['{"a":{"$carried":1}}', '{"a":"\\"$carried\\":"}'])
def test_what_only_looks_like_it(data: str) -> None:
    """The name deeper inside, or in a text, is the publisher's own."""
    assert not is_laden(data)
    assert parted(data) == (data, {})


def test_the_name_is_not_to_be_used() -> None:
    """It is refused at the call."""
    with pytest.raises(InvalidEvent, match=r"\$carried is the engine's own name"):
        published("order.paid", {"$carried": {"a": "b"}}, "", None)
