"""Callers whose jobs leave in one write: what befalls one of them delays and fails nobody else."""

from __future__ import annotations

import asyncio
from functools import wraps
from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]  # it brings no types
import msgspec
import pytest
from anyio.lowlevel import checkpoint

from backburner import Backburner, JobNotFound, StoreBusy, Unique
from backburner.backends.memory.jobs import MemoryJobStore
from backburner.backends.postgres.jobs import PostgresJobStore
from backburner.backends.redis.jobs import RedisJobStore
from backburner.backends.sqlite.jobs import SqliteJobStore
from backburner.errors import StoreRefused
from tests.stores import postgres_url

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backburner import JobHandle
    from backburner.model.job import NewJob
    from tests.servers.postgres import Schema

#: Callers at once.
CROWD = 50
#: Seconds that a caller may wait for the store; nobody who is not concerned comes near it.
WRITE_TIMEOUT = 10.0
#: Seconds in which everybody else is served, on a machine that does much else besides.
SOON = 5.0


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a tag: a job that has it comes to the store with arguments that no store can keep.

    The engine refuses all of that at the call; this is what slips through.
    """
    tag = "poisoned"

    def spoil(job: NewJob) -> NewJob:
        return msgspec.structs.replace(job, args='{"number":"\ud800"}') if tag in job.tags else job

    def watch(store: type[Any]) -> None:
        enqueue = store.enqueue

        @wraps(enqueue)
        async def spoilt(self: object, groups: Sequence[Sequence[NewJob]], *rest: object) -> object:
            return await enqueue(self, [[spoil(job) for job in group] for group in groups], *rest)

        monkeypatch.setattr(store, "enqueue", spoilt)

    for store in (MemoryJobStore, SqliteJobStore, PostgresJobStore, RedisJobStore):
        watch(store)
    return tag


async def test_one_poisoned_job_is_refused_alone(make: Callable[..., Backburner], poison: str) -> None:
    """A job that the store cannot keep fails its own caller, and whoever stored it in one group; all others are stored."""
    bb = make(write_timeout=WRITE_TIMEOUT)

    @bb.job
    async def work(number: int) -> int:
        return number

    async with bb, asyncio.timeout(SOON):
        single = [bb.create_task(work(number), tags=[poison] if number == 7 else []) for number in range(CROWD)]
        group = bb.create_tasks([work(-1), work(-2)], tags=[poison])
        whole = bb.create_tasks([work(-3), work(-4)])
        *came, refused, stored = await asyncio.gather(*single, group, whole, return_exceptions=True)
        guilty = came.pop(7)
        for error in (guilty, refused):
            assert isinstance(error, StoreRefused)
            assert error.stored == "no"
            with pytest.raises(JobNotFound):
                await bb.handle(error.job_id or "", work).status()
        assert await results(came) == [number for number in range(CROWD) if number != 7]
        assert isinstance(stored, list)
        assert await results(stored) == [-3, -4]


async def results(handles: Sequence[object]) -> list[int]:
    """Wait for what was stored; raises what is no handle."""
    ended: list[int] = []
    for handle in handles:
        if isinstance(handle, BaseException):
            raise handle
        ended.append(await handle)  # type: ignore[misc]  # else it is a handle
    return ended


async def test_a_caller_that_is_cancelled_takes_nobody_along(bb: Backburner) -> None:
    """Cancelled before, within or after the write, a caller's job is whole or is not there, and all others are stored."""

    @bb.job
    async def work(number: int) -> int:
        return number

    async with bb, asyncio.timeout(SOON):
        callers = [asyncio.create_task(bb.create_task(work(number), id=str(number))) for number in range(CROWD)]
        await checkpoint()
        given_up = range(3, CROWD, 7)
        for number in given_up:
            callers[number].cancel()
            # The next one is cancelled some turns later, wherever the write has come by then.
            for _ in range(number):
                await checkpoint()
        ended = await asyncio.gather(*callers, return_exceptions=True)
        others = [number for number in range(CROWD) if number not in given_up]
        assert await results([ended[number] for number in others]) == others
        gone = [number for number in given_up if isinstance(ended[number], asyncio.CancelledError)]
        assert 3 in gone
        for number in gone:
            handle: JobHandle[int] = bb.handle(str(number), work)
            try:
                assert await handle == number
            except JobNotFound:
                continue


# ---- a stranger's open transaction ---------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["commits", "rolls back"])
async def test_a_key_in_a_strangers_transaction_delays_who_wants_it(postgres_schema: Schema, end: str) -> None:
    """Who wants a key that an open transaction may hold waits for its end; whoever does not is stored and run meanwhile."""
    bb = Backburner(postgres_url(postgres_schema), write_timeout=WRITE_TIMEOUT)
    once = Unique(by=[])

    @bb.job
    async def work(number: int) -> int:
        return number

    stranger: Any = await asyncpg.connect(postgres_schema.url)
    try:
        async with bb:
            transaction = stranger.transaction()
            await transaction.start()
            # A stranger is another task.
            theirs = await asyncio.create_task(bb.create_task(work(-1), tx=stranger, unique=once))
            wanted = asyncio.create_task(bb.create_task(work(-2), unique=once))
            async with asyncio.timeout(SOON):
                for _ in range(3):
                    crowd = await asyncio.gather(*(bb.create_task(work(number)) for number in range(CROWD)))
                    assert await results(crowd) == [*range(CROWD)]
            assert not wanted.done()
            await (transaction.commit() if end == "commits" else transaction.rollback())
            async with asyncio.timeout(SOON):
                ours = await wanted
            if end == "commits":
                assert await theirs == -1
                # Held by theirs for as long as that had not ended.
                assert ours.id == theirs.id or await ours == -2
            else:
                assert (ours.existed, await ours) == (False, -2)
    finally:
        await stranger.close()


async def test_a_key_that_stays_held_fails_who_wants_it_alone(postgres_schema: Schema) -> None:
    """A transaction that outlasts ``write_timeout`` is `StoreBusy` for who wants its key, and nothing of it is stored."""
    bb = Backburner(postgres_url(postgres_schema), write_timeout=1)
    once = Unique(by=[])

    @bb.job
    async def work(number: int) -> int:
        return number

    stranger: Any = await asyncpg.connect(postgres_schema.url)
    try:
        async with bb:
            transaction = stranger.transaction()
            await transaction.start()
            await asyncio.create_task(bb.create_task(work(-1), tx=stranger, unique=once))
            wanted = asyncio.create_task(bb.create_task(work(-2), unique=once))
            async with asyncio.timeout(SOON):
                while not wanted.done():
                    assert await (await bb.create_task(work(1))) == 1
            with pytest.raises(StoreBusy) as caught:
                await wanted
            assert caught.value.stored == "no"
            await transaction.rollback()
            assert not (await bb.create_task(work(-2), unique=once)).existed
    finally:
        await stranger.close()
