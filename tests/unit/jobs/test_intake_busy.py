"""The intake beside somebody's open transaction: it delays those alone who want what it holds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from backburner.errors import NotRunning, StoreBusy, StoreUnavailable
from tests.unit.jobs.test_intake import WRITE_TIMEOUT, Line

if TYPE_CHECKING:
    from tests.unit.jobs.told import Stage


@pytest.fixture
async def line(stage: Stage) -> Line:
    """Bring a started intake; the stage's clock moves for it."""
    return Line(stage)


def tries(stage: Stage, job_id: str, verb: str = "enqueue") -> int:
    """Count the writes that a job was in."""
    return sum(job_id in ids for ids in stage.orders.writes(verb))


async def test_a_busy_group_delays_nobody(stage: Stage, line: Line) -> None:
    """One that meets a stranger's open transaction waits; those that left with it, or come later, are stored at once."""
    stage.orders.locked = {"held"}
    first = await line.block()
    held, other = line.put("held"), line.put("other")
    await stage.settle()
    stage.orders.release("enqueue")
    await asyncio.gather(first, other)
    await line.put("later")
    assert not held.done()
    assert stage.clock.monotonic() == 0


async def test_a_busy_group_is_stored_once_that_ends(stage: Stage, line: Line) -> None:
    """It is tried again after a short backoff, with what else leaves then, and its caller never learns of it."""
    stage.orders.locked = {"held"}
    held = line.put("held", "its fellow")
    await stage.wait(0.3)
    assert "its fellow" not in stage.database.jobs
    stage.orders.locked.clear()
    await stage.wait(0.5)
    assert held.done()
    assert (await held).duplicates == ()
    assert {"held", "its fellow"} <= stage.database.jobs.keys()


async def test_a_busy_group_out_of_time(stage: Stage, line: Line) -> None:
    """When the transaction outlasts write_timeout its caller gets StoreBusy, stored: no, and it is tried no more."""
    stage.orders.locked = {"held"}
    held = line.put("held")
    await stage.wait(WRITE_TIMEOUT - 0.1)
    assert not held.done()
    await stage.wait(0.2)
    with pytest.raises(StoreBusy, match="held in somebody's open transaction") as caught:
        await held
    assert (caught.value.stored, caught.value.job_id) == ("no", "held")
    stage.orders.locked.clear()
    await stage.wait(10)
    assert "held" not in stage.database.jobs


async def test_many_busy_groups_are_no_storm(stage: Stage, line: Line) -> None:
    """However many wait for a key, they are tried together, a few times a second."""
    names = [f"held{number}" for number in range(100)]
    stage.orders.locked = set(names)
    for name in names:
        line.put(name)
        await stage.wait(0.001)
    before = len(stage.orders.writes("enqueue"))
    await stage.wait(2)
    assert 3 <= len(stage.orders.writes("enqueue")) - before <= 2 / 0.05
    assert 3 <= tries(stage, "held7") <= 15


async def test_a_busy_group_keeps_no_slot(stage: Stage, line: Line) -> None:
    """What was booked for its birth is given back at once: others run in that slot while it waits."""
    stage.orders.locked = {"held"}
    held = line.put("held", tokens={"held": 7})
    await stage.settle()
    assert line.dropped == [{"held": 7}]
    stage.orders.locked.clear()
    await stage.wait(1)
    assert (await held).born == ()
    assert stage.row("held")[0] == "pending"


async def test_a_busy_group_may_have_been_stored_by_a_lost_write(stage: Stage, line: Line) -> None:
    """The stranger may be our own write whose answer was lost: then nobody knows."""
    stage.orders.fail("enqueue", StoreUnavailable("reset", stored="unknown"))
    stage.orders.locked = {"held"}
    held = line.put("held")
    await stage.wait(WRITE_TIMEOUT + 0.1)
    with pytest.raises(StoreBusy) as caught:
        await held
    assert caught.value.stored == "unknown"


async def test_a_busy_group_that_is_withdrawn(stage: Stage, line: Line) -> None:
    """A caller that gives up while it waits is not stored later."""
    stage.orders.locked = {"held"}
    held = line.put("held")
    await stage.settle()
    held.cancel()
    stage.orders.locked.clear()
    await stage.wait(2)
    assert "held" not in stage.database.jobs
    assert line.intake._line.empty


async def test_no_cancel_overtakes_a_busy_job(stage: Stage, line: Line) -> None:
    """A cancel of a job that waits for a transaction waits with it; others' cancels do not."""
    await line.put("other")
    stage.orders.locked = {"held"}
    held = line.put("held")
    await stage.settle()
    cancelling = line.spawn(line.intake.cancel(["held"]))
    answer = await line.intake.cancel(["other"])
    assert answer.cancelled == ("other",)
    await stage.wait(1)
    assert not cancelling.done()
    assert tries(stage, "held", "cancel") == 0
    stage.orders.locked.clear()
    await stage.wait(2)
    await held
    assert (await cancelling).cancelled == ("held",)
    assert stage.row("held")[0] == "cancelled"


# ---- cancelling what is locked -------------------------------------------------------------------------------------


async def test_a_locked_job_is_cancelled_once_it_may_be(stage: Stage, line: Line) -> None:
    """Of several the others are cancelled at once, the locked ones later; all are answered together."""
    await line.put("a", "b")
    stage.orders.locked = {"b"}
    cancelling = line.spawn(line.intake.cancel(["a", "b", "none"]))
    await stage.wait(0.3)
    assert (stage.row("a")[0], stage.row("b")[0]) == ("cancelled", "pending")
    assert not cancelling.done()
    stage.orders.locked.clear()
    await stage.wait(1)
    answer = await cancelling
    assert (set(answer.cancelled), answer.missing, answer.busy) == ({"a", "b"}, ("none",), ())


async def test_a_locked_job_delays_no_other_cancel(stage: Stage, line: Line) -> None:
    """Who asks for others in the same write is answered at once."""
    await line.put("a", "b", "c")
    stage.orders.locked = {"b"}
    stage.orders.hold("cancel")
    line.spawn(line.intake.cancel(["c"]))
    await stage.settle()
    locked = line.spawn(line.intake.cancel(["b"]))
    other = line.spawn(line.intake.cancel(["a"]))
    stage.orders.release("cancel")
    assert (await other).busy == ()
    assert not locked.done()
    stage.orders.locked.clear()
    await stage.wait(1)
    await locked


async def test_a_locked_job_out_of_time(stage: Stage, line: Line) -> None:
    """What stays locked until the time is up is answered as busy, beside what was done."""
    await line.put("a", "b")
    stage.orders.locked = {"b"}
    cancelling = line.spawn(line.intake.cancel(["a", "b"]))
    await stage.wait(WRITE_TIMEOUT + 0.1)
    answer = await cancelling
    assert (answer.cancelled, answer.busy) == (("a",), ("b",))


# ---- the end -------------------------------------------------------------------------------------------------------


async def test_close_waits_for_what_is_busy(stage: Stage, line: Line) -> None:
    """Within its grace a stop waits for a stranger's transaction too."""
    stage.orders.locked = {"held"}
    held = line.put("held")
    await stage.settle()
    closing = line.spawn(line.intake.close(5))
    await stage.wait(1)
    assert not closing.done()
    stage.orders.locked.clear()
    await stage.wait(2)
    await asyncio.gather(closing, held)


async def test_close_gives_up_what_stays_busy(stage: Stage, line: Line) -> None:
    """After the grace callers learn why it was not stored, and cancellers what became of the rest."""
    await line.put("a")
    stage.orders.locked = {"held", "a"}
    waits: list[asyncio.Task[Any]] = [
        line.put("held"),
        line.spawn(line.intake.cancel(["a"])),
        line.spawn(line.intake.cancel(["held"])),
    ]
    await stage.settle()
    closing = line.spawn(line.intake.close(1))
    await stage.wait(1)
    await closing
    held, locked, early = waits
    with pytest.raises(StoreBusy) as caught:
        await held
    assert caught.value.stored == "no"
    assert (await locked).busy == ("a",)
    with pytest.raises(NotRunning):
        await early
