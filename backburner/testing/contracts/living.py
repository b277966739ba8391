"""What `Backend` and `Schema` promise of a store's life."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest

from backburner.errors import StoreError
from backburner.model.job import JobState
from backburner.model.node import QueueRecord
from backburner.model.query import JobFilter
from backburner.ports.jobs import Keep
from backburner.testing.contracts.making import add, add_claimed, ask, new, publish, read, settle
from backburner.testing.contracts.scheduling import change, fire, ledger, stored

if TYPE_CHECKING:
    from backburner.testing.harness import Harness

__all__ = ["LifeContract"]


@pytest.mark.anyio
class LifeContract:
    """Opening, closing, the schema, and what the start line says."""

    async def test_closing_twice_is_fine(self, harness: Harness) -> None:
        """Closing twice is fine, and the store opens again with everything in it."""
        backend = await harness.second()
        job = await add(backend)
        await backend.close()
        await backend.close()
        await backend.open(create=False)
        assert (await read(backend, job.id)).state is JobState.PENDING
        await add(backend)

    async def test_one_connection_outlives_the_other(self, harness: Harness) -> None:
        """Closing one connection leaves the others as usable as before."""
        second = await harness.second()
        job = await add(second)
        await second.close()
        assert (await read(harness.backend, job.id)).state is JobState.PENDING
        await publish(harness.backend)
        assert len((await harness.backend.jobs.claim(ask())).claims) == 1

    async def test_it_opens_on_another_loop(self, harness: Harness) -> None:
        """Closed here, it may be opened on another loop, in another thread, and used there."""
        backend = await harness.second()
        await backend.close()
        job = await add(harness.backend)

        async def elsewhere() -> JobState:
            await backend.open(create=False)
            try:
                return (await read(backend, job.id)).state
            finally:
                await backend.close()

        assert await asyncio.to_thread(asyncio.run, elsewhere()) is JobState.PENDING

    async def test_opened_for_reading_it_reads(self, harness: Harness) -> None:
        """Opened without ``write`` it answers every read, and refuses every write with a typed error."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        await settle(harness.backend, claimed)
        job = await add(harness.backend)
        await harness.backend.queues.set(QueueRecord(name="default", slots=3))
        fired = fire(new())
        await change(harness.backend, fired)
        backend = await harness.second()
        await backend.close()
        await backend.open(create=False, write=False)
        assert len((await backend.reader.find(JobFilter(), limit=5)).jobs) == len((claimed, job, fired))
        assert await backend.reader.count(JobFilter()) == await harness.backend.reader.count(JobFilter())
        assert await backend.reader.history(job.id) == ()
        assert await backend.nodes.find() == await harness.backend.nodes.find()
        assert await backend.queues.list() == await harness.backend.queues.list()
        assert (await backend.schema.state()).pending == ()
        before, planned = await read(backend, job.id), await stored(backend)
        assert (await backend.schedule_reader.find(limit=5)).schedules == (planned,)
        assert [line.id for line in await ledger(backend)] == [line.id for line in fired.ticks]
        writes = (
            lambda: add(backend),
            lambda: backend.jobs.claim(ask()),
            lambda: backend.admin.cancel([job.id]),
            lambda: backend.admin.prune(Keep(completed=0, cancelled=0, dead=0), 10),
            lambda: backend.admin.release(10),
            lambda: backend.nodes.drain("node"),
            lambda: backend.queues.set(QueueRecord(name="default", paused=True)),
            lambda: change(backend, fire(new(), planned)),
            lambda: backend.schedules.remove("daily", 1),
        )
        for write in writes:
            with pytest.raises(StoreError) as caught:
                await write()
            assert caught.value.stored == "no"
        assert (await read(harness.backend, job.id), await stored(harness.backend)) == (before, planned)
        assert len(await ledger(harness.backend)) == 1
        assert (await read(harness.backend, claimed.id)).state is JobState.COMPLETED

    async def test_roles_see_each_other_s_writes(self, harness: Harness) -> None:
        """What one role wrote, every other role of the backend sees at once."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        assert (await harness.backend.admin.cancel([claimed.id])).asked == (claimed.id,)
        async with harness.backend.keeper() as keeper:
            assert (await keeper.beat("node", 10**9)).claims[0].cancel
        await settle(harness.backend, claimed, JobState.PENDING)
        assert (await read(harness.backend, claimed.id)).state is JobState.CANCELLED

    async def test_the_start_line_has_its_words(self, harness: Harness) -> None:
        """Address and durability are told in words, and every connection tells the same."""
        second = await harness.second()
        for backend in (harness.backend, second):
            assert backend.address
            assert backend.durability
            assert isinstance(backend.own_thread, bool)
        assert second.address == harness.backend.address

    async def test_the_schema_is_in_place(self, harness: Harness) -> None:
        """An upgraded store has the version this code wants, and nothing pending."""
        state = await harness.backend.schema.state()
        assert (state.current, state.pending) == (state.wanted, ())
        versions = [step.version for step in harness.backend.schema.steps]
        assert versions == list(range(1, state.wanted + 1))

    async def test_the_steps_are_known_without_a_store(self, harness: Harness) -> None:
        """The steps are known while the store is closed too: the same ones, in order, each with its checksum."""
        backend = await harness.second()
        await backend.close()
        steps = backend.schema.steps
        assert steps == harness.backend.schema.steps
        assert all(step.checksum == hashlib.sha256(step.sql.encode()).hexdigest() for step in steps)

    async def test_upgrading_again_does_nothing(self, harness: Harness) -> None:
        """Upgrading what is up to date, from two connections at once, changes nothing and loses nothing."""
        job = await add(harness.backend)
        second = await harness.second()
        before = await harness.backend.schema.state()
        states = await asyncio.gather(harness.backend.schema.upgrade(), second.schema.upgrade())
        assert list(states) == [before, before]
        assert await harness.backend.schema.state() == before
        assert (await read(harness.backend, job.id)).state is JobState.PENDING
