"""What the roles promise of callers' own transactions: joined where the store can, refused where it cannot."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from backburner.errors import TransactionRefused
from backburner.model.clock import SECOND
from backburner.model.job import UNIQUE_GATE, JobState
from backburner.ports.jobs import Birth, GroupAnswer
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    ask,
    claim,
    held,
    ids,
    keyed,
    new,
    publish,
    read,
    settle,
    to_settle,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["TransactionContract"]


class _ChangedMind(Exception):
    """The caller's own reason to roll back."""


def _transaction(harness: Harness) -> AbstractAsyncContextManager[object]:
    """Return a caller's transaction; for a store that joins none, prove that it says so, and end the test there."""
    transaction = harness.transaction()
    if transaction is None:
        with pytest.raises(TransactionRefused):
            harness.backend.transactions.is_open(object())
        pytest.skip("this store joins no transaction, and says so")
    return transaction


@asynccontextmanager
async def _rolled_back(harness: Harness) -> AsyncGenerator[object]:
    """Bring a caller's transaction that is rolled back at the end of the block."""
    with suppress(_ChangedMind):
        async with _transaction(harness) as tx:
            yield tx
            raise _ChangedMind


async def _stored(backend: Backend, *job_ids: str) -> list[str]:
    """Return which of these ids are stored, smallest first."""
    return sorted(ids((await backend.reader.get(job_ids)).jobs))


@pytest.mark.anyio
class TransactionContract:
    """What is stored with ``tx`` is part of the caller's transaction, for better or worse."""

    @pytest.mark.parametrize("tx", [object(), "sqlite:///jobs.db", 7, False], ids=lambda tx: type(tx).__name__)
    async def test_what_cannot_be_joined_is_refused(self, harness: Harness, tx: object) -> None:
        """`TransactionRefused` is raised for anything that is no connection of this store's, before any write."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        job = new()
        refusals: list[str] = []
        with pytest.raises(TransactionRefused) as caught:
            await harness.backend.jobs.enqueue([[job]], tx=tx)
        refusals.append(str(caught.value))
        with pytest.raises(TransactionRefused) as caught:
            await harness.backend.jobs.settle("node", [to_settle(claimed, jobs=(job,))], tx=tx)
        refusals.append(str(caught.value))
        with pytest.raises(TransactionRefused) as caught:
            harness.backend.transactions.is_open(tx)
        refusals.append(str(caught.value))
        assert all(refusals)
        assert await _stored(harness.backend, job.id) == []
        assert await held(harness.backend) == {claimed.id: claimed.token}

    async def test_it_tells_whether_one_is_open(self, harness: Harness) -> None:
        """A connection is seen to stand in a transaction, and to have left it, by commit as by rollback."""
        async with _transaction(harness) as tx:
            assert harness.backend.transactions.is_open(tx)
        assert not harness.backend.transactions.is_open(tx)
        async with _rolled_back(harness) as other:
            assert harness.backend.transactions.is_open(other)
        assert not harness.backend.transactions.is_open(other)

    async def test_seen_once_it_commits(self, harness: Harness) -> None:
        """Jobs stored in a transaction are seen by nobody before it commits, and by all after."""
        second = await harness.second()
        await publish(harness.backend)
        jobs = [new(tags=("a",)), new(delay=SECOND)]
        async with _transaction(harness) as tx:
            answer = await harness.backend.jobs.enqueue([[jobs[0]], [jobs[1]]], tx=tx)
            assert (answer.now, answer.groups) == (harness.clock.now(), (GroupAnswer(), GroupAnswer()))
            for backend in (harness.backend, second):
                assert await _stored(backend, *ids(jobs)) == []
        for backend in (harness.backend, second):
            assert await _stored(backend, *ids(jobs)) == ids(jobs)
        assert (await read(harness.backend, jobs[1].id)).due_at == harness.clock.now() + SECOND
        assert ids(await claim(harness.backend)) == [jobs[0].id]

    async def test_never_was_if_it_rolls_back(self, harness: Harness) -> None:
        """Rolled back, the jobs were never stored: their ids and their keys are free."""
        job = new(unique=keyed())
        async with _rolled_back(harness) as tx:
            await harness.backend.jobs.enqueue([[job, new()]], tx=tx)
        assert await _stored(harness.backend, job.id) == []
        answer = await harness.backend.jobs.enqueue([[new(unique=keyed())]])
        assert answer.groups == (GroupAnswer(),)
        answer = await harness.backend.jobs.enqueue([[new(id=job.id)]])
        assert answer.groups == (GroupAnswer(),)

    async def test_several_writes_of_one_transaction(self, harness: Harness) -> None:
        """Writes of one transaction see each other, and commit together."""
        first, second = new(unique=keyed()), new(unique=keyed())
        async with _transaction(harness) as tx:
            assert (await harness.backend.jobs.enqueue([[first]], tx=tx)).groups == (GroupAnswer(),)
            answer = await harness.backend.jobs.enqueue([[first], [second]], tx=tx)
            assert answer.groups == (GroupAnswer(duplicates=(first.id,)), GroupAnswer(holders={second.id: first.id}))
        assert await _stored(harness.backend, first.id, second.id) == [first.id]

    async def test_conflicts_and_duplicates_are_answered(self, harness: Harness) -> None:
        """What was stored before is a duplicate or a holder there as everywhere, and stays so after a rollback."""
        known = await add(harness.backend, unique=keyed())
        late = new(unique=keyed())
        before = await read(harness.backend, known.id)
        async with _rolled_back(harness) as tx:
            answer = await harness.backend.jobs.enqueue([[known, late, new()]], tx=tx)
            assert answer.groups == (GroupAnswer(duplicates=(known.id,), holders={late.id: known.id}),)
        assert await read(harness.backend, known.id) == before

    async def test_nothing_is_born(self, harness: Harness) -> None:
        """In a transaction nothing is born, whatever is offered: nobody may run what may never have been."""
        await publish(harness.backend)
        job = new()
        async with _transaction(harness) as tx:
            answer = await harness.backend.jobs.enqueue([[job]], Birth("node", {job.id: 1001}), tx)
            assert answer.groups == (GroupAnswer(),)
        assert (await read(harness.backend, job.id)).state is JobState.PENDING
        assert await held(harness.backend) == {}

    async def test_a_refused_group_leaves_it_usable(self, harness: Harness) -> None:
        """A group refused for its content stores nothing of itself; the others, and the transaction, go on."""
        good, mate, bad, after = new(), new(), new(args="\ud800"), new()
        async with _transaction(harness) as tx:
            answer = await harness.backend.jobs.enqueue([[mate, bad], [good]], tx=tx)
            assert [group.refused is None for group in answer.groups] == [False, True]
            assert harness.backend.transactions.is_open(tx)
            assert (await harness.backend.jobs.enqueue([[after]], tx=tx)).groups == (GroupAnswer(),)
        assert await _stored(harness.backend, *ids([good, mate, after])) == ids([good, after])

    async def test_a_run_completes_in_it(self, harness: Harness) -> None:
        """A settlement in a transaction counts once that commits, its follow-ups with it."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend, unique=keyed())
        plain, same_key = new(), new(unique=keyed())
        async with _transaction(harness) as tx:
            write = [to_settle(claimed, result="1", jobs=(plain, same_key))]
            settled = await harness.backend.jobs.settle("node", write, tx=tx)
            assert (settled.now, settled.stale, settled.batch) == (harness.clock.now(), (), None)
            assert (await read(harness.backend, claimed.id)).state is JobState.RUNNING
            assert await _stored(harness.backend, plain.id, same_key.id) == []
        record = await read(harness.backend, claimed.id)
        assert (record.state, record.result, record.ended_at) == (JobState.COMPLETED, "1", harness.clock.now())
        assert ids(await claim(harness.backend)) == ids([plain, same_key])
        assert (await harness.backend.jobs.settle("node", write)).stale == ()

    async def test_rolled_back_the_run_goes_on(self, harness: Harness) -> None:
        """Rolled back, the job runs on under its token, none of its follow-ups was stored, and it may be settled."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        before = await read(harness.backend, claimed.id)
        job = new()
        async with _rolled_back(harness) as tx:
            await harness.backend.jobs.settle("node", [to_settle(claimed, jobs=(job,))], tx=tx)
        assert await read(harness.backend, claimed.id) == before
        assert await _stored(harness.backend, job.id) == []
        await settle(harness.backend, claimed, JobState.PENDING, failed=1)
        assert (await read(harness.backend, claimed.id)).failures == 1

    async def test_a_stale_completion_is_answered(self, harness: Harness) -> None:
        """A claim that is another's by now is answered as stale, and nothing of its settlement is written."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        await settle(harness.backend, claimed, JobState.PENDING)
        (again,) = await claim(harness.backend)
        job = new()
        async with _transaction(harness) as tx:
            settled = await harness.backend.jobs.settle("node", [to_settle(claimed, jobs=(job,))], tx=tx)
            assert settled.stale == (claimed.id,)
        assert await held(harness.backend) == {again.id: again.token}
        assert await _stored(harness.backend, job.id) == []

    async def test_nothing_is_claimed_in_it(self, harness: Harness) -> None:
        """A claim that rides along with a settlement in a transaction is not answered, and nothing is claimed."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        job = await add(harness.backend)
        async with _transaction(harness) as tx:
            settled = await harness.backend.jobs.settle("node", [to_settle(claimed)], ask(), tx)
            assert settled.batch is None
        assert (await read(harness.backend, job.id)).state is JobState.PENDING

    async def test_a_key_that_comes_free_in_it(self, harness: Harness) -> None:
        """Who waits for a key is let through by the commit that ends its holder, and not by a rollback."""
        await publish(harness.backend)
        holder = await add_claimed(harness.backend, unique=keyed())
        waiting = new(unique=keyed())
        await settle(harness.backend, await add_claimed(harness.backend), jobs=(waiting,))
        async with _rolled_back(harness) as tx:
            await harness.backend.jobs.settle("node", [to_settle(holder)], tx=tx)
        assert (await read(harness.backend, waiting.id)).gate == f"{UNIQUE_GATE}key"
        async with _transaction(harness) as tx:
            await harness.backend.jobs.settle("node", [to_settle(holder)], tx=tx)
        assert (await read(harness.backend, waiting.id)).gate == ""

    async def test_the_store_works_on(self, harness: Harness) -> None:
        """After transactions that committed and that rolled back the store writes as before, on every connection."""
        second = await harness.second()
        await publish(harness.backend)
        for begin in (_transaction, _rolled_back):
            async with begin(harness) as tx:
                await second.jobs.enqueue([[new(queue="other")]], tx=tx)
            await settle(harness.backend, await add_claimed(harness.backend))
            await add(second, queue="other")
