"""Jobs completed in the caller's own transaction, through every driver: on PostgreSQL, and by SQLAlchemy on SQLite."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from backburner import ClaimLost, JobDead, current_job
from backburner.backends.postgres.keeper import PostgresKeeper
from backburner.errors import AlreadyEnded, JobNotFound
from tests.acceptance.callers import POSTGRES, SQLITE, App, Shop

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from backburner.ports.nodes import Beat


@pytest.fixture(params=["asyncpg"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """Return an app that connects by asyncpg, or as the test's parameter says."""
    return Shop(request.param, request, tmp_path)


everywhere = pytest.mark.parametrize("shop", [*POSTGRES, *SQLITE], indirect=True)
on_postgres = pytest.mark.parametrize("shop", POSTGRES, indirect=True)


@everywhere
async def test_committed_the_job_is_completed_once_with_its_effects(shop: Shop) -> None:
    """`ctx.complete(result, tx=conn)`: the commit completes the job; what the function returns is not looked at."""
    bb = shop.make()

    @bb.job
    async def ship() -> str:
        async with shop.connected() as app:
            await app.insert(current_job().attempt)
            await current_job().complete("by the transaction", tx=app.tx)
            await app.commit()
        return "by the return"

    async with bb:
        handle = await bb.create_task(ship())
        assert await handle == "by the transaction"
        status = await handle.status()
        assert (status.state, status.attempt, status.failures) == ("completed", 1, 0)
    assert shop.orders() == [1]


@everywhere
async def test_rolled_back_the_run_failed_and_is_tried_again(shop: Shop) -> None:
    """After a rollback neither the effects nor the completion are there, and the retry policy decides."""
    bb = shop.make()

    @bb.job
    async def ship() -> str:
        async with shop.connected() as app:
            await app.insert(current_job().attempt)
            await current_job().complete("done", tx=app.tx)
            await (app.rollback() if current_job().attempt == 1 else app.commit())
        return "whatever"

    async with bb:
        handle = await bb.create_task(ship())
        assert await handle == "done"
        assert (await handle.status()).failures == 1
    assert shop.orders() == [2]


@on_postgres
async def test_an_exception_inside_the_transaction_is_that_jobs_failure(shop: Shop) -> None:
    """An error that rolled the transaction back is what the job failed with."""
    bb = shop.make()

    @bb.job(retry="none")
    async def ship() -> None:
        async with shop.connected() as app:
            await app.insert(1)
            await current_job().complete(None, tx=app.tx)
            raise ValueError("before the commit")

    async with bb:
        with pytest.raises(JobDead, match="ValueError: before the commit"):
            await (await bb.create_task(ship()))
    assert shop.orders() == []


@on_postgres
async def test_a_lost_claim_raises_and_its_effects_roll_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose job is another's by now gets `ClaimLost` from `complete`, so its effects are not committed."""
    bb = shop.make()
    beat = PostgresKeeper.beat
    beaten = threading.Event()

    async def first(self: PostgresKeeper, node: str, ttl: int) -> Beat:
        try:
            return await beat(self, node, ttl)
        finally:
            beaten.set()

    # A beat would find the claim lost too, and end the run: the first comes with the start, the second ten seconds later.
    monkeypatch.setattr(PostgresKeeper, "beat", first)
    caught: list[ClaimLost] = []
    told: asyncio.Event = asyncio.Event()

    @bb.job(timeout=None)
    async def ship() -> None:
        shop.steal(current_job().id)
        try:
            async with shop.connected() as app:
                await app.insert(1)
                await current_job().complete(None, tx=app.tx)
                await app.commit()
        except ClaimLost as error:
            caught.append(error)
            raise
        finally:
            told.set()

    async with bb:
        assert await asyncio.to_thread(beaten.wait, 10)
        handle = await bb.create_task(ship())
        await told.wait()
        assert (await handle.status()).state == "running"  # whoever stole it has it yet
    assert len(caught) == 1
    assert shop.orders() == []


async def test_it_is_completed_once(shop: Shop) -> None:
    """The second `complete` of a run is refused: `AlreadyEnded`."""
    bb = shop.make()
    said: list[str] = []

    @bb.job
    async def ship() -> None:
        async with shop.connected() as app:
            await current_job().complete(None, tx=app.tx)
            with pytest.raises(AlreadyEnded, match="completed itself already: complete comes too late"):
                await current_job().complete(None, tx=app.tx)
            said.append("refused")
            await app.commit()

    async with bb:
        await (await bb.create_task(ship()))
    assert said == ["refused"]


@everywhere
@pytest.mark.parametrize("commit", [True, False])
async def test_follow_ups_noted_before_are_inside_the_transaction(shop: Shop, *, commit: bool) -> None:
    """`then` before `complete` is stored with it: committed with it, or rolled back with it."""
    bb = shop.make()
    said: list[str] = []

    @bb.job
    async def after() -> str:
        return "after"

    @bb.job(retry="none")
    async def ship() -> None:
        async with shop.connected() as app:
            await app.insert(1)
            said.append(current_job().then(after()))
            await current_job().complete(None, tx=app.tx)
            await (app.commit() if commit else app.rollback())

    async with bb:
        await (await bb.create_task(ship())).wait()
        follow_up = bb.handle(said[0], after)
        if commit:
            assert await follow_up == "after"
        else:
            with pytest.raises(JobNotFound):
                await follow_up.status()


@on_postgres
async def test_a_transaction_left_open_is_waited_for(shop: Shop) -> None:
    """A run may return with its transaction open, as one that a dependency commits: its end decides."""
    bb = shop.make()
    opened: list[App] = []
    completed: asyncio.Event = asyncio.Event()

    @bb.job
    async def ship() -> None:
        await opened[0].insert(current_job().attempt)
        await current_job().complete(None, tx=opened[0].tx)
        completed.set()

    async with bb, shop.connected() as app:
        opened.append(app)
        handle = await bb.create_task(ship())
        await completed.wait()
        assert not await handle.wait(0.05)
        await app.commit()
        assert await handle.wait(30)
        assert (await handle.status()).attempt == 1
    assert shop.orders() == [1]


@pytest.mark.parametrize("commit", [True, False])
async def test_left_open_and_out_of_time_its_end_decides_yet(shop: Shop, *, commit: bool) -> None:
    """Told to end, the run is over; committed late its job is completed all the same, rolled back it is tried again."""
    bb = shop.make()
    opened: list[App] = []

    @bb.job(timeout=0.1)
    async def ship() -> int:
        if current_job().attempt == 1:
            await opened[0].insert(1)
            await current_job().complete(1, tx=opened[0].tx)
        return current_job().attempt

    async with bb, shop.connected() as app:
        opened.append(app)
        handle = await bb.create_task(ship())
        assert not await handle.wait(0.5)
        await (app.commit() if commit else app.rollback())
        assert await handle == (1 if commit else 2)
    assert shop.orders() == [1] * commit


async def test_open_for_longer_than_the_lease_it_disturbs_nobody(shop: Shop) -> None:
    """While its row is locked two nodes beat, judge each other, and run and end the jobs of everybody else."""
    lease = 3
    here, there = shop.make(lease=lease), shop.make(lease=lease)
    opened: list[App] = []
    completed: asyncio.Event = asyncio.Event()

    @here.job
    async def ship() -> None:
        await opened[0].insert(current_job().attempt)
        await current_job().complete(None, tx=opened[0].tx)
        completed.set()

    @here.job
    async def small(number: int) -> int:
        return number

    @there.job(name=small.kind)
    async def small_there(number: int) -> int:
        return number

    async with here, there, shop.connected() as app:
        opened.append(app)
        shipped = await here.create_task(ship())
        await completed.wait()
        # The jobs of others are the clock of this test, by the store's time.
        began = now = (await shipped.status()).created
        number = 0
        while (now - began).total_seconds() < 2 * lease + 1:
            number += 1
            handles = [await here.create_task(small(number)), await there.create_task(small_there(-number))]
            assert [await handle for handle in handles] == [number, -number]
            for handle in handles:
                status = await handle.status()
                assert (status.attempt, status.crashes, status.interruptions) == (1, 0, 0)
                now = status.created
        assert not shipped.done()
        assert shop.orders() == []
        await app.commit()
        assert await shipped.wait(30)
        status = await shipped.status()
        assert (status.state, status.attempt, status.crashes) == ("completed", 1, 0)
    assert shop.orders() == [1]


@pytest.mark.parametrize("commit", [True, False])
async def test_a_prepared_transaction(shop: Shop, *, commit: bool) -> None:
    """Prepared, a completion is nobody's to overrule: whoever ends that transaction decides."""
    bb = shop.make()
    prepared: asyncio.Event = asyncio.Event()

    @bb.job
    async def ship() -> int:
        async with shop.connected("psycopg") as app:
            connection: psycopg.AsyncConnection[Any] = app.tx
            await connection.tpc_begin(connection.xid(1, shop.jobs, f"{current_job().attempt}"))
            await app.insert(current_job().attempt)
            await current_job().complete(current_job().attempt, tx=connection)
            if current_job().attempt == 1:
                await connection.tpc_prepare()
            else:
                await connection.tpc_commit()
        prepared.set()
        return -1

    async with bb:
        handle = await bb.create_task(ship())
        await prepared.wait()
        assert not await handle.wait(0.2)
        assert (await handle.status()).state == "running"
        async with shop.connected("psycopg") as app:
            (xid,) = [each for each in await app.tx.tpc_recover() if each.gtrid == shop.jobs]
            await (app.tx.tpc_commit(xid) if commit else app.tx.tpc_rollback(xid))
        attempt = 1 if commit else 2
        assert await handle == attempt
        assert (await handle.status()).attempt == attempt
    assert shop.orders() == [attempt]
