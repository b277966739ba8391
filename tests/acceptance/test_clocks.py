"""Nodes whose clocks are wrong, on stores that many machines share: the store's own decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner import Backburner, JobExpired, RetryPolicy, constant, current_job
from backburner.model.clock import SystemClock, from_micros
from tests.clocks import OFF, WrongClock
from tests.stores import SERVED, empty_store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=SERVED)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty store on a server."""
    return empty_store(request.param, request, tmp_path)


@pytest.mark.parametrize(("storing", "running"), [(-OFF, OFF), (OFF, -OFF)], ids=["behind", "ahead"])
async def test_clocks_that_are_ten_minutes_off_change_nothing(url: str, storing: int, running: int) -> None:
    """Neither what is due, retried, expired or kept, nor whether a node lives, is decided by a node's own clock."""
    here = Backburner(url, run=False, clock=WrongClock(storing))
    there = Backburner(url, clock=WrongClock(running), retry=RetryPolicy(attempts=3, backoff=constant(0.001)))

    async def work() -> int:
        if current_job().attempt == 1:
            raise ConnectionError
        return current_job().attempt

    ours, theirs = here.job(name="work")(work), there.job(name="work")(work)
    began = from_micros(SystemClock().now())
    async with here, there:
        now = await here.create_task(ours(), expires=300)
        soon = await here.create_task(ours(), delay=0.1)
        later = await here.create_task(ours(), delay=300)
        own = await there.create_task(theirs(), expires=300)
        over = await here.create_task(ours(), delay=0.2, expires=0.1)
        assert [await handle for handle in (now, soon, own)] == [2, 2, 2]
        with pytest.raises(JobExpired):
            await over
        waiting = await later.status()
        assert waiting.state == "scheduled"
        assert (waiting.due - waiting.created).total_seconds() == 300
        for handle in (now, soon, own):
            status = await handle.status()
            assert (status.failures, status.crashes, status.interruptions) == (1, 0, 0)
            # The test's server has the test's clock.
            assert abs((status.created - began).total_seconds()) < 120
