"""The page on sinks: how it says that receivers verify is how they can."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backburner.model.clock import SECOND, SystemClock
from backburner.testing.clock import FakeClock
from tests.unit.events.sinks.examples import SECRET, example, hook
from tests.unit.events.sinks.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parents[4] / "docs" / "how-to" / "sinks.md"
PLAIN = "q8Zr2LxW0vTnB5yKjH7sDf3gPm9cEa1u"


@pytest.fixture(scope="module")
def verified() -> Callable[..., bool]:
    """Return the page's function."""
    [code] = re.findall(r"```python\n(import base64\n.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, PAGE, "exec"), names)  # noqa: S102 - it is our own page
    found: Callable[..., bool] = names["verified"]
    return found


async def test_what_is_sent_is_verified(verified: Callable[..., bool]) -> None:
    """By either secret while there are two, by no other, and only as it was sent."""
    async with Receiver() as receiver:
        sink = hook(receiver.url, secret=[PLAIN, SECRET])
        await sink.send(example())
        await sink.close()
    [request] = receiver.requests
    assert verified(request.headers, request.body, [PLAIN])
    assert verified(request.headers, request.body, [SECRET])
    assert verified(request.headers, request.body, ["whsec_" + PLAIN, SECRET])
    assert not verified(request.headers, request.body, ["whsec_" + PLAIN])
    assert not verified(request.headers, request.body + b" ", [SECRET])
    assert not verified({**request.headers, "webhook-id": "other"}, request.body, [SECRET])
    assert not verified({}, request.body, [SECRET])


@pytest.mark.parametrize("seconds", [-400, 400])
async def test_what_is_old_is_not(verified: Callable[..., bool], seconds: int) -> None:
    """Nor what is ahead of its time."""
    async with Receiver() as receiver:
        sink = hook(receiver.url, clock=FakeClock(SystemClock().now() + seconds * SECOND))
        await sink.send(example())
        await sink.close()
    [request] = receiver.requests
    assert not verified(request.headers, request.body, [SECRET])
    assert verified(request.headers, request.body, [SECRET], tolerance=500)
