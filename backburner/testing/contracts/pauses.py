"""What `KindStore` promises, and `JobStore` of kinds that are paused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner.model.clock import SECOND
from backburner.model.job import MISFIT_GATE, PAUSED_GATE, SUSPECT_GATE
from backburner.model.node import KindRecord
from backburner.ports.jobs import Birth
from backburner.testing.contracts.limiting import GATE, add_in, declare, places
from backburner.testing.contracts.making import add, add_each, ask, claim, ids, new, publish, read, recover

if TYPE_CHECKING:
    from backburner.testing.harness import Harness

__all__ = ["PauseContract"]

PAUSED = f"{PAUSED_GATE}note"


async def _pause(harness: Harness, kind: str = "note", until: int | None = None) -> None:
    await harness.backend.kinds.set(KindRecord(name=kind, paused_until=until))


async def _resume(harness: Harness, kind: str = "note") -> None:
    await harness.backend.kinds.set(KindRecord(name=kind, paused=False))


@pytest.mark.anyio
class PauseContract:
    """A paused kind's jobs step aside, and come back when it is resumed."""

    async def test_pauses_come_back(self, harness: Harness) -> None:
        """Pauses are listed as they were set, by name, on every connection."""
        until = harness.clock.now() + 3600 * SECOND
        records = [
            KindRecord(name="a:b", paused_until=until, reason="dëploy", by="ada"),
            KindRecord(name="note"),
            KindRecord(name="ü"),
        ]
        for record in reversed(records):
            await harness.backend.kinds.set(record)
        assert await harness.backend.kinds.list() == tuple(records)
        assert await (await harness.second()).kinds.list() == tuple(records)

    async def test_a_pause_replaces_that_before(self, harness: Harness) -> None:
        """Set again, a pause stands in place of the one before; one that is not paused is forgotten."""
        assert await harness.backend.kinds.list() == ()
        await harness.backend.kinds.set(KindRecord(name="note", reason="x", by="ada"))
        await harness.backend.kinds.set(KindRecord(name="note", by="bob"))
        assert await harness.backend.kinds.list() == (KindRecord(name="note", by="bob"),)
        for _ in range(2):
            await _resume(harness)
            assert await harness.backend.kinds.list() == ()

    async def test_a_paused_kind_is_parked(self, harness: Harness) -> None:
        """A due job of a paused kind is parked as it was, hinders no other, and is not worth waiting for."""
        await publish(harness.backend)
        await _pause(harness)
        job, other = await add(harness.backend, priority=0), await add(harness.backend, kind="other")
        before = await read(harness.backend, job.id)
        batch = await harness.backend.jobs.claim(ask(limit=1, kinds=("note", "other")))
        assert (ids(batch.claims), batch.parked) == ([other.id], {})
        record = await read(harness.backend, job.id)
        assert record.gate == PAUSED
        assert (record.attempt, record.token, record.due_at) == (before.attempt, before.token, before.due_at)
        assert (await harness.backend.jobs.claim(ask())).wait is None

    async def test_resumed(self, harness: Harness) -> None:
        """Resumed, its jobs are handed out with those of the line by priority, due time, id; the claim says whence."""
        await publish(harness.backend)
        await _pause(harness)
        parked = [await add(harness.backend, priority=priority) for priority in (5, 1)]
        assert await claim(harness.backend) == ()
        await _resume(harness)
        lined = [await add(harness.backend, priority=priority) for priority in (1, 5, 0)]
        claims = await claim(harness.backend)
        assert ids(claims) == ids([lined[2], parked[1], lined[0], parked[0], lined[1]])
        assert [claimed.gate for claimed in claims] == ["", PAUSED, "", PAUSED, ""]
        assert (await read(harness.backend, parked[0].id)).gate == ""

    async def test_resumed_for_those_who_know_it(self, harness: Harness) -> None:
        """Resumed, a kind's jobs go to nodes that know it; those of other kinds stay."""
        await publish(harness.backend)
        for kind in ("note", "other"):
            await _pause(harness, kind)
        jobs = [await add(harness.backend, kind=kind) for kind in ("note", "other")]
        assert await claim(harness.backend, kinds=("note", "other")) == ()
        await _resume(harness, "other")
        assert await claim(harness.backend) == ()
        assert ids(await claim(harness.backend, kinds=("note", "other"))) == [jobs[1].id]
        assert await places(harness.backend, jobs) == [PAUSED, "running"]

    async def test_a_pause_ends_by_itself(self, harness: Harness) -> None:
        """A pause whose end has passed is none: it holds until the very microsecond, and is waited for."""
        await publish(harness.backend)
        await _pause(harness, until=harness.clock.now() + 60 * SECOND)
        job = await add(harness.backend)
        for wait in (60 * SECOND, 60 * SECOND):
            batch = await harness.backend.jobs.claim(ask())
            assert (batch.claims, batch.wait) == ((), wait)
        harness.clock.move(59.999999)
        batch = await harness.backend.jobs.claim(ask())
        assert (batch.claims, batch.wait) == ((), 1)
        assert len(await harness.backend.kinds.list()) == 1
        harness.clock.move(0.000001)
        assert await harness.backend.kinds.list() == ()
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_paused_again_while_parked(self, harness: Harness) -> None:
        """A pause that is set anew holds those who stand there already, until its own end."""
        await publish(harness.backend)
        await _pause(harness, until=harness.clock.now() + SECOND)
        job = await add(harness.backend)
        assert await claim(harness.backend) == ()
        await _pause(harness)
        harness.clock.move(5)
        batch = await harness.backend.jobs.claim(ask())
        assert (batch.claims, batch.wait) == ((), None)
        await _resume(harness)
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_not_before_it_is_due(self, harness: Harness) -> None:
        """A job that is not due stands in the line, and comes when it is due if its kind is not paused then."""
        await publish(harness.backend)
        await _pause(harness)
        job = await add(harness.backend, delay=SECOND)
        await claim(harness.backend)
        assert await places(harness.backend, [job]) == [""]
        await _resume(harness)
        harness.clock.move(1)
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_the_paused_do_not_starve_those_behind(self, harness: Harness) -> None:
        """However many of a paused kind stand in front, one behind them is reached."""
        await publish(harness.backend)
        await _pause(harness)
        await harness.backend.jobs.enqueue([[new(priority=0) for _ in range(2_500)]])
        job = await add(harness.backend, kind="other")
        asked = ask(limit=1, kinds=("note", "other"))
        batch = await harness.backend.jobs.claim(asked)
        while not batch.claims:
            assert batch.wait == 0
            batch = await harness.backend.jobs.claim(asked)
        assert ids(batch.claims) == [job.id]

    @pytest.mark.parametrize("gate", [SUSPECT_GATE, f"{MISFIT_GATE}note:aa"])
    async def test_suspects_and_misfits_are_held_too(self, harness: Harness, gate: str) -> None:
        """A suspect or misfit of a paused kind is not handed out, hides no other, and is one still when it is."""
        await publish(harness.backend)
        await _pause(harness)
        job = await add(harness.backend, gate=gate)
        other = await add(harness.backend, kind="other", gate=SUSPECT_GATE)
        asked = ask(kinds=("note", "other"), signatures={"note": "bb"})
        assert ids((await harness.backend.jobs.claim(asked)).claims) == [other.id]
        assert (await harness.backend.jobs.claim(asked)).claims == ()
        await _resume(harness)
        (claimed,) = (await harness.backend.jobs.claim(asked)).claims
        assert (claimed.id, claimed.gate) == (job.id, gate)

    async def test_a_lane_is_asked_afterwards(self, harness: Harness) -> None:
        """A job of a paused kind stands there first, and where its lane refuses it once that is resumed."""
        await publish(harness.backend)
        await _pause(harness)
        await declare(harness.backend, slots=0)
        (job,) = await add_in(harness.backend, 1)
        assert await claim(harness.backend) == ()
        assert await places(harness.backend, [job]) == [PAUSED]
        await _resume(harness)
        assert await claim(harness.backend) == ()
        assert await places(harness.backend, [job]) == [GATE]

    async def test_let_in_by_a_lane_while_paused(self, harness: Harness) -> None:
        """A job that its lane lets in while its kind is paused stands at the kind's gate from then on."""
        await publish(harness.backend)
        await declare(harness.backend, slots=0)
        (job,) = await add_in(harness.backend, 1)
        assert await claim(harness.backend) == ()
        await _pause(harness)
        await declare(harness.backend, slots=1)
        assert await claim(harness.backend) == ()
        assert await places(harness.backend, [job]) == [PAUSED]
        await _resume(harness)
        assert ids(await claim(harness.backend)) == [job.id]

    async def test_no_births_of_a_paused_kind(self, harness: Harness) -> None:
        """A job of a paused kind is stored pending; once the pause has ended, one is born."""
        await publish(harness.backend)
        await _pause(harness, until=harness.clock.now() + SECOND)
        for move, born in ((0, False), (0.999999, False), (0.000001, True)):
            harness.clock.move(move)
            job, other = new(queue=f"q{move}"), new(kind="other", queue="others")
            birth = Birth("node", dict.fromkeys(ids([job, other]), 7))
            answers = (await harness.backend.jobs.enqueue([[job], [other]], birth)).groups
            assert [answer.born for answer in answers] == [(job.id,) if born else (), (other.id,)]

    async def test_cancelled_and_expired_while_parked(self, harness: Harness) -> None:
        """A parked job is cancelled, and recovered when it expires, like any that waits."""
        await publish(harness.backend)
        await _pause(harness)
        jobs = [new(), new(expires_in=SECOND)]
        await add_each(harness.backend, jobs)
        assert await claim(harness.backend) == ()
        assert (await harness.backend.admin.cancel([jobs[0].id])).cancelled == (jobs[0].id,)
        harness.clock.move(1)
        (found,) = (await recover(harness.backend)).jobs
        assert (found.claim.id, found.claim.gate) == (jobs[1].id, PAUSED)
