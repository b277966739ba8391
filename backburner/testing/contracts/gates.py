"""What `JobStore.claim` promises of jobs out of the line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner.model.clock import SECOND
from backburner.model.job import MISFIT_GATE, SUSPECT_GATE, UNKNOWN_GATE, Ending, JobState
from backburner.testing.contracts.making import add, add_claimed, add_each, ask, claim, ids, new, publish, read, settle

if TYPE_CHECKING:
    from backburner.testing.harness import Harness

__all__ = ["GateContract"]


@pytest.mark.anyio
class GateContract:
    """What stands at a gate is let through by what the gate waits for, and by nothing else."""

    async def test_an_unknown_kind_is_parked(self, harness: Harness) -> None:
        """A due job whose kind the node does not know is parked, still pending and as it was."""
        await publish(harness.backend)
        job = await add(harness.backend, kind="rare")
        before = await read(harness.backend, job.id)
        assert await claim(harness.backend) == ()
        record = await read(harness.backend, job.id)
        assert (record.state, record.gate) == (JobState.PENDING, f"{UNKNOWN_GATE}rare")
        assert (record.attempt, record.token, record.due_at) == (before.attempt, before.token, before.due_at)

    async def test_a_claim_tells_what_it_parked(self, harness: Harness) -> None:
        """The claim that parks jobs counts them by kind; the next, which finds them parked, does not."""
        await publish(harness.backend)
        for kind in ("rare", "odd", "rare"):
            await add(harness.backend, kind=kind)
        assert (await harness.backend.jobs.claim(ask("node"))).parked == {"rare": 2, "odd": 1}
        assert (await harness.backend.jobs.claim(ask("node"))).parked == {}

    async def test_a_node_that_knows_takes_what_was_parked(self, harness: Harness) -> None:
        """Jobs parked for their kind are handed to a node that knows it, their gate cleared."""
        await publish(harness.backend)
        jobs = [await add(harness.backend, kind=kind) for kind in ("rare", "odd", "rare")]
        assert await claim(harness.backend) == ()
        assert ids(await claim(harness.backend, kinds=("rare",))) == ids([jobs[0], jobs[2]])
        assert (await read(harness.backend, jobs[0].id)).gate == ""
        assert (await read(harness.backend, jobs[1].id)).gate == f"{UNKNOWN_GATE}odd"

    async def test_the_parked_come_in_the_order_of_the_line(self, harness: Harness) -> None:
        """Parked jobs and those of the line are handed out together by priority, due time, id."""
        await publish(harness.backend)
        parked = [await add(harness.backend, kind="rare", priority=priority) for priority in (5, 1)]
        await claim(harness.backend)
        lined = [
            await add(harness.backend, kind=kind, priority=p) for kind, p in (("note", 1), ("rare", 5), ("rare", 0))
        ]
        got = await claim(harness.backend, kinds=("rare", "note"))
        assert ids(got) == ids([lined[2], parked[1], lined[0], parked[0], lined[1]])

    async def test_the_unknown_do_not_starve_those_behind(self, harness: Harness) -> None:
        """However many unknown jobs stand in front, a known one behind them is reached."""
        await publish(harness.backend)
        await harness.backend.jobs.enqueue([[new(kind="rare", priority=0) for _ in range(500)]])
        job = await add(harness.backend)
        # A store may park some at a time, as long as it says that it is worth asking again.
        batch = await harness.backend.jobs.claim(ask(limit=1))
        while not batch.claims:
            assert batch.wait == 0
            batch = await harness.backend.jobs.claim(ask(limit=1))
        assert ids(batch.claims) == [job.id]

    async def test_a_parked_job_is_not_worth_waiting_for(self, harness: Harness) -> None:
        """A job parked for its kind does not call the node that does not know it."""
        await publish(harness.backend)
        await add(harness.backend, kind="rare")
        await harness.backend.jobs.claim(ask())
        assert (await harness.backend.jobs.claim(ask())).wait is None

    async def test_a_misfit_waits_for_another_signature(self, harness: Harness) -> None:
        """A misfit is handed to a node whose signature of its kind is not among those it did not fit, and no other."""
        await publish(harness.backend)
        gate = f"{MISFIT_GATE}note:aa,bb"
        job = await add(harness.backend, gate=gate)
        for signatures in ({}, {"note": "aa"}, {"note": "bb"}, {"other": "cc"}):
            batch = await harness.backend.jobs.claim(ask(kinds=("note", "other"), signatures=signatures))
            assert (batch.claims, batch.wait, batch.parked) == ((), None, {})
        assert (await read(harness.backend, job.id)).gate == gate
        (claimed,) = await claim(harness.backend, signatures={"note": "a"})
        assert (claimed.id, claimed.gate) == (job.id, gate)
        assert (await read(harness.backend, job.id)).gate == ""

    async def test_misfits_of_every_kind(self, harness: Harness) -> None:
        """Kinds may contain colons and commas; misfits come with the line by priority, due time, id."""
        await publish(harness.backend)
        kinds = ("note", "a:b", "a:b:cc", "a,b")
        misfits = [await add(harness.backend, kind=kind, gate=f"{MISFIT_GATE}{kind}:aa") for kind in kinds]
        lined = await add(harness.backend, priority=9)
        first = await add(harness.backend, gate=f"{MISFIT_GATE}note:bb", priority=0)
        await add(harness.backend, gate=f"{MISFIT_GATE}note:cc")
        got = await claim(harness.backend, kinds=kinds, signatures=dict.fromkeys(kinds, "cc"))
        assert ids(got) == ids([first, *misfits, lined])

    async def test_a_misfit_is_settled_to_its_gate(self, harness: Harness) -> None:
        """A run whose arguments do not fit goes to its gate and counts as nothing; ``wait`` tells when it is due."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        gate = f"{MISFIT_GATE}note:aa"
        await settle(harness.backend, claimed, JobState.PENDING, gate=gate, delay=5 * SECOND, ending=Ending.MISFIT)
        (attempt,) = await harness.backend.reader.history(claimed.id)
        assert attempt.ending is Ending.MISFIT
        assert (await harness.backend.jobs.claim(ask(signatures={"note": "aa"}))).wait is None
        assert (await harness.backend.jobs.claim(ask(signatures={"note": "bb"}))).wait == 5 * SECOND
        harness.clock.move(5)
        (again,) = await claim(harness.backend, signatures={"note": "bb"})
        assert (again.id, again.failures) == (claimed.id, 0)

    async def test_a_claim_tells_the_gate_it_came_from(self, harness: Harness) -> None:
        """A claim names the gate its job stood at until then; empty is the line."""
        await publish(harness.backend)
        await add(harness.backend)
        assert [claimed.gate for claimed in await claim(harness.backend)] == [""]
        await add(harness.backend, gate=SUSPECT_GATE)
        assert [claimed.gate for claimed in await claim(harness.backend)] == [SUSPECT_GATE]
        await add(harness.backend, kind="rare")
        await claim(harness.backend)
        assert [claimed.gate for claimed in await claim(harness.backend, kinds=("rare",))] == [f"{UNKNOWN_GATE}rare"]

    async def test_other_gates_give_nothing(self, harness: Harness) -> None:
        """A job at any other gate is not handed out, born there or settled to it."""
        await publish(harness.backend)
        born = await add(harness.backend, gate="lane:tenant:7")
        sent = await add_claimed(harness.backend)
        await settle(harness.backend, sent, JobState.PENDING, gate="lane:tenant:7")
        batch = await harness.backend.jobs.claim(ask())
        assert (batch.claims, batch.wait) == ((), None)
        for job_id in (born.id, sent.id):
            assert (await read(harness.backend, job_id)).gate == "lane:tenant:7"

    async def test_suspects_go_one_at_a_time(self, harness: Harness) -> None:
        """Of the jobs at the gate ``suspect`` a claim hands out at most one, the first, beside those of the line."""
        await publish(harness.backend)
        suspects = [await add(harness.backend, gate=SUSPECT_GATE, priority=priority) for priority in (5, 1, 5)]
        other = await add(harness.backend, gate=SUSPECT_GATE, queue="other")
        plain = await add(harness.backend, priority=3)
        got = await claim(harness.backend, queues=("default", "other"))
        assert ids(got) == [suspects[1].id, plain.id]
        rest = [ids(await claim(harness.backend, queues=("default", "other"))) for _ in range(4)]
        assert rest == [[suspects[0].id], [suspects[2].id], [other.id], []]

    async def test_no_suspect_beside_another(self, harness: Harness) -> None:
        """No suspect is handed out unless the request says that the node runs none, nor is one waited for."""
        await publish(harness.backend)
        await add(harness.backend, gate=SUSPECT_GATE)
        batch = await harness.backend.jobs.claim(ask(suspect=False))
        assert (batch.claims, batch.wait) == ((), None)

    async def test_a_suspect_waits_until_it_is_due(self, harness: Harness) -> None:
        """A suspect settled with a delay is handed out when that has passed, its gate cleared; ``wait`` tells it."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        await settle(harness.backend, claimed, JobState.PENDING, gate=SUSPECT_GATE, delay=5 * SECOND, crashed=2)
        batch = await harness.backend.jobs.claim(ask())
        assert (batch.claims, batch.wait) == ((), 5 * SECOND)
        harness.clock.move(5)
        (again,) = await claim(harness.backend)
        assert (again.id, again.crashes) == (claimed.id, 2)
        assert (await read(harness.backend, claimed.id)).gate == ""

    async def test_a_suspect_goes_to_a_node_that_knows_it(self, harness: Harness) -> None:
        """A suspect of an unknown kind is not handed out, hides no other suspect, and stays one."""
        await publish(harness.backend)
        rare = await add(harness.backend, gate=SUSPECT_GATE, kind="rare", priority=0)
        known = await add(harness.backend, gate=SUSPECT_GATE)
        assert ids(await claim(harness.backend)) == [known.id]
        assert (await read(harness.backend, rare.id)).gate == SUSPECT_GATE
        assert await claim(harness.backend, kinds=("rare",), suspect=False) == ()
        assert ids(await claim(harness.backend, kinds=("rare",))) == [rare.id]

    async def test_gates_are_of_their_queue(self, harness: Harness) -> None:
        """Parked jobs and suspects of queues that were not asked stay where they are."""
        await publish(harness.backend)
        await add_each(harness.backend, [new(kind="rare", queue="other"), new(gate=SUSPECT_GATE, queue="other")])
        await claim(harness.backend, queues=("other",), suspect=False)
        assert await claim(harness.backend, kinds=("rare", "note")) == ()
