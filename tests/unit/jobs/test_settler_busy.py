"""The settler beside somebody's open transaction, and with what is held under a former id."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backburner.errors import StoreBusy, StoreUnavailable
from backburner.jobs import outcome
from tests.unit.jobs.test_settler import Desk, note
from tests.unit.jobs.told import job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.unit.jobs.told import Stage


@pytest.fixture
async def desk(stage: Stage) -> AsyncIterator[Desk]:
    """Bring a started settler."""
    made = Desk(stage)
    yield made
    stage.orders.locked.clear()
    closing = asyncio.get_running_loop().create_task(made.settler.close(5))
    await stage.wait(5)
    await closing


async def test_a_locked_job_delays_no_other(stage: Stage, desk: Desk) -> None:
    """The end of a job that is locked waits; those written with it, those that come later and claims do not."""
    one, two, three = await desk.held("a", "b", "c")
    await stage.backend.jobs.enqueue([[job("next")]])
    stage.orders.locked = {"a"}
    request = desk.demand()
    desk.settler.settle(one, outcome.completed(one, "1"))
    desk.settler.settle(two, outcome.completed(two, "2"))
    await stage.settle()
    desk.settler.settle(three, outcome.completed(three, "3"))
    await stage.settle()
    assert desk.witness.told == ["b", "c"]
    assert [claimed.id for batch in desk.asker.batches for claimed in batch.claims] == ["next"]
    assert request not in desk.asker.failures
    assert desk.settler.pending == {"a"}


async def test_a_locked_job_is_settled_once_it_may_be(stage: Stage, desk: Desk) -> None:
    """It is tried again after short backoffs, and nothing spins meanwhile."""
    (one,) = await desk.held("a")
    stage.orders.locked = {"a"}
    desk.settler.settle(one, outcome.completed(one, "1"))
    await stage.wait(60)
    assert 50 <= len(stage.orders.writes("settle")) <= 150
    stage.orders.locked.clear()
    await stage.wait(1)
    assert (stage.row("a")[0], desk.witness.told) == ("completed", ["a"])
    before = len(stage.orders.asked)
    await stage.wait(60)
    assert len(stage.orders.asked) == before


async def test_what_comes_for_a_locked_job_keeps_its_order(stage: Stage, desk: Desk) -> None:
    """Notes and the end of one job are written in the order in which they came, also those that came meanwhile."""
    (one,) = await desk.held("a")
    stage.orders.locked = {"a"}
    desk.settler.note(one, note(one, "[1]"), lambda _: None)
    stage.orders.hold("settle")
    await stage.settle()
    desk.settler.note(one, note(one, "[2]"), lambda _: None)
    stage.orders.release("settle")
    await stage.settle()
    desk.settler.settle(one, outcome.completed(one, "1"))
    await stage.settle()
    stage.orders.locked.clear()
    await stage.wait(1)
    assert stage.orders.writes("settle")[-1] == ("a", "a", "a")
    row = stage.database.jobs["a"]
    assert (row.state.value, row.checkpoint, desk.witness.told) == ("completed", "[2]", ["a"])


async def test_who_waits_for_a_note_is_told_that_its_job_is_locked(stage: Stage, desk: Desk) -> None:
    """Whoever waits may be the one who locks it: each hears StoreBusy, and the note stays in line."""
    (one,) = await desk.held("a")
    stage.orders.locked = {"a"}
    heard: list[Exception | None] = []
    desk.settler.note(one, note(one, "[1]"), heard.append)
    await stage.settle()
    (busy,) = heard
    assert isinstance(busy, StoreBusy)
    assert (busy.stored, busy.job_id) == ("no", "a")
    stage.orders.locked.clear()
    await stage.wait(1)
    assert heard[-1] is None
    assert stage.database.jobs["a"].checkpoint == "[1]"


async def test_close_waits_for_a_locked_job(stage: Stage, desk: Desk) -> None:
    """Within its grace a stop waits for it; after that it counts as unwritten."""
    one, two = await desk.held("a", "b")
    stage.orders.locked = {"a", "b"}
    for claim in (one, two):
        desk.settler.settle(claim, outcome.completed(claim, "1"))
    await stage.settle()
    closing = asyncio.get_running_loop().create_task(desk.settler.close(5))
    await stage.wait(2)
    stage.orders.locked = {"b"}
    await stage.wait(2)
    assert not closing.done()
    assert stage.row("a")[0] == "completed"
    await stage.wait(2)
    assert await closing == 1
    desk.settler.start()


# ---- former ids ----------------------------------------------------------------------------------------------------


async def test_what_was_claimed_under_a_former_id_is_settled_under_it(stage: Stage, desk: Desk) -> None:
    """After a node took a new id the ends of its earlier claims are still written, and new ones under the new id."""
    one, two = await desk.held("a", "b")
    former = stage.node.id
    stage.node.renew([("a", one.token), ("b", two.token)])
    await stage.publish(stage.node.id)
    (three,) = await desk.held("c")
    for claim in (one, three, two):
        desk.settler.settle(claim, outcome.completed(claim, "1"))
    await stage.settle()
    assert dict(stage.store.holders) == {"a": former, "b": former, "c": stage.node.id}
    assert [stage.row(name)[0] for name in "abc"] == ["completed"] * 3
    assert desk.witness.stales == []


async def test_no_claim_travels_under_a_former_id(stage: Stage, desk: Desk) -> None:
    """Demand waits for the next write of the node as it is now."""
    (one,) = await desk.held("a")
    stage.node.renew([("a", one.token)])
    await stage.publish(stage.node.id)
    await stage.backend.jobs.enqueue([[job("next")]])
    desk.demand()
    desk.settler.settle(one, outcome.completed(one, "1"))
    await stage.settle()
    assert [verb for verb, _ in stage.orders.asked] == ["settle", "claim"]
    assert stage.store.requests[-1].node == stage.node.id


async def test_a_retry_cuts_the_backoff_short(stage: Stage, desk: Desk) -> None:
    """Told that the store is back, it writes at once what it could not write for long."""
    (one,) = await desk.held("a")
    stage.orders.fail("settle", *[StoreUnavailable("away")] * 1000)
    desk.settler.settle(one, outcome.completed(one, "1"))
    await stage.wait(120)
    assert desk.settler.away
    stage.orders.mend("settle")
    desk.settler.retry()
    await stage.settle()
    assert (stage.row("a")[0], desk.settler.away) == ("completed", False)
