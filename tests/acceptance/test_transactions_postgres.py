"""Jobs stored in the caller's own transaction, through every driver: on PostgreSQL, and by SQLAlchemy on SQLite."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from backburner import Backburner, Job, Unique, current_job
from backburner.backends.postgres import watch
from backburner.errors import JobNotFound, StoreBusy, TransactionOpen, TransactionRefused
from tests.acceptance.callers import POSTGRES, SQLITE, Shop
from tests.stores import empty_store

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg


@pytest.fixture(params=["asyncpg"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """Return an app that connects by asyncpg, or as the test's parameter says."""
    return Shop(request.param, request, tmp_path)


everywhere = pytest.mark.parametrize("shop", [*POSTGRES, *SQLITE], indirect=True)
on_postgres = pytest.mark.parametrize("shop", POSTGRES, indirect=True)


def declare(bb: Backburner) -> Job[[int], int]:
    """Declare a job."""

    @bb.job
    async def ship(number: int) -> int:
        return number

    return ship


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nodes nothing but hints: they never look for work by themselves."""
    for name in ("_LOOK", "_POLL"):
        assert getattr(watch, name) <= 5
        monkeypatch.setattr(watch, name, 3600.0)


# ---- storing -------------------------------------------------------------------------------------------------------


@everywhere
async def test_committed_the_job_is_there(shop: Shop) -> None:
    """`create_task(…, tx=conn)` stores the job with the caller's own rows; it runs once they are committed."""
    bb = shop.make()
    ship = declare(bb)
    async with bb, shop.connected() as app:
        await app.insert(1)
        handle = await bb.create_task(ship(1), tx=app.tx)
        with pytest.raises(JobNotFound):
            await handle.status()
        await app.commit()
        assert await handle == 1
    assert shop.orders() == [1]


@everywhere
async def test_rolled_back_the_job_never_was(shop: Shop) -> None:
    """A rollback takes the job along with the rows; the connection may be used on."""
    bb = shop.make()
    ship = declare(bb)
    async with bb, shop.connected() as app:
        await app.insert(1)
        handle = await bb.create_task(ship(1), tx=app.tx)
        await app.rollback()
        with pytest.raises(JobNotFound):
            await handle
        await app.begin()
        await app.insert(2)
        second = await bb.create_task(ship(2), tx=app.tx)
        await app.commit()
        assert await second == 2
    assert shop.orders() == [2]


@everywhere
async def test_many_in_one_transaction(shop: Shop) -> None:
    """`create_tasks(…, tx=)`, groups and single jobs share the transaction, and its end."""
    bb = shop.make()
    ship = declare(bb)
    async with bb, shop.connected() as app:
        await app.insert(1)
        handles = await bb.create_tasks([ship(n) for n in range(20)], tx=app.tx)
        async with bb.TaskGroup(tx=app.tx) as group:
            handles += [group.create_task(ship(n)) for n in range(20, 23)]
        handles.append(await bb.create_task(ship(23), tx=app.tx, delay=0.01))
        await app.commit()
        assert [await handle for handle in handles] == list(range(24))
        await app.begin()
        await app.insert(2)
        gone = await bb.create_tasks([ship(n) for n in range(20)], tx=app.tx)
        await app.rollback()
        for handle in gone:
            with pytest.raises(JobNotFound):
                await handle.status()


@everywhere
async def test_ids_and_unique_keys_hold_in_a_transaction(shop: Shop) -> None:
    """What exists already is answered by its handle, also what the same transaction stored."""
    bb = shop.make()
    ship = declare(bb)
    async with bb, shop.connected() as app:
        first = await bb.create_task(ship(1), delay=3600, unique=Unique(by=[]))
        await app.insert(1)
        again = await bb.create_task(ship(2), tx=app.tx, unique=Unique(by=[]))
        named = await bb.create_task(ship(3), tx=app.tx, id="three")
        twice = await bb.create_task(ship(3), tx=app.tx, id="three")
        await app.commit()
        assert (again.existed, again.id) == (True, first.id)
        assert (named.existed, twice.existed) == (False, True)
        assert await twice == 3


@on_postgres
@pytest.mark.usefixtures("deaf")
async def test_the_commit_is_heard_by_another_node(shop: Shop) -> None:
    """No hint rides in the caller's transaction; once that is over one is sent, and no node has to look."""
    here, there = shop.make(run=False), shop.make()
    ran: asyncio.Event = asyncio.Event()

    @there.job
    async def ship(number: int) -> None:
        assert number == 1
        ran.set()

    @here.job(name=ship.kind)
    async def theirs(number: int) -> None:
        raise AssertionError(number)

    async with there, here, shop.connected() as app:
        await app.insert(1)
        await here.create_task(theirs(1), tx=app.tx)
        await app.commit()
        await ran.wait()


@on_postgres
@pytest.mark.usefixtures("deaf")
async def test_the_commit_is_seen_by_its_own_node(shop: Shop) -> None:
    """The node that stored it asks for it once the connection has left the transaction."""
    bb = shop.make()
    ran: asyncio.Event = asyncio.Event()

    @bb.job
    async def ship() -> None:
        ran.set()

    async with bb, shop.connected() as app:
        await app.insert(1)
        await bb.create_task(ship(), tx=app.tx)
        await app.commit()
        await ran.wait()


async def test_a_child_in_a_transaction_is_found_again(shop: Shop) -> None:
    """A job stores children with ``tx=`` too; its next run finds them."""
    bb = shop.make()
    ship = declare(bb)
    existed: list[bool] = []

    @bb.job
    async def order() -> int:
        async with shop.connected() as app:
            await app.insert(1)
            handle = await bb.create_task(ship(1), tx=app.tx)
            existed.append(handle.existed)
            await app.commit()
        if current_job().attempt == 1:
            raise ConnectionError
        return await handle

    async with bb:
        assert await (await bb.create_task(order())) == 1
    assert existed == [False, True]


# ---- beside an open transaction ------------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("how", ["await", "wait"])
async def test_awaiting_what_ones_open_transaction_stored_raises_at_once(shop: Shop, how: str) -> None:
    """The job is seen by nobody before the commit, so waiting for it would last for ever: `TransactionOpen`."""
    bb = shop.make()
    ship = declare(bb)
    async with bb, shop.connected() as app:
        await app.insert(1)
        handle = await bb.create_task(ship(1), tx=app.tx)
        with pytest.raises(TransactionOpen, match="commit it, then await the handle"):
            await (handle if how == "await" else handle.wait(30))
        await app.commit()
        assert await handle == 1


@everywhere
async def test_a_write_beside_ones_open_transaction_is_refused(shop: Shop) -> None:
    """A job that was stored without ``tx=`` in the midst of a transaction was meant to be in it: `TransactionOpen`."""
    bb = shop.make()
    ship = declare(bb)
    async with bb, shop.connected() as app:
        other = await bb.create_task(ship(0), delay=3600)
        await app.insert(1)
        await bb.create_task(ship(1), tx=app.tx)
        with pytest.raises(TransactionOpen, match="pass tx= here too"):
            await bb.create_task(ship(2))
        with pytest.raises(TransactionOpen):
            await other.cancel()
        await app.commit()
        assert await (await bb.create_task(ship(2))) == 2


async def test_everybody_else_goes_on(shop: Shop) -> None:
    """A transaction left open holds up nobody: other tasks store, jobs run and end."""
    bb = shop.make()
    ship = declare(bb)

    async def elsewhere(number: int) -> int:
        return await (await bb.create_task(ship(number)))

    async with bb, shop.connected() as app:
        await app.insert(1)
        handle = await bb.create_task(ship(0), tx=app.tx)
        assert await asyncio.gather(*[asyncio.create_task(elsewhere(number)) for number in range(1, 20)]) == [
            *range(1, 20)
        ]
        await app.commit()
        assert await handle == 0


@on_postgres
async def test_a_key_held_in_a_strangers_open_transaction(shop: Shop) -> None:
    """Nobody knows yet whether the key will be held: `StoreBusy`, nothing stored, and one's transaction stays usable."""
    bb = shop.make()
    ship = declare(bb)
    key = Unique(by=[])
    async with bb, shop.connected() as stranger, shop.connected() as app:
        await stranger.insert(1)
        theirs = await bb.create_task(ship(1), tx=stranger.tx, unique=key)
        await app.insert(2)
        with pytest.raises(StoreBusy) as caught:
            await bb.create_task(ship(2), tx=app.tx, unique=key)
        assert caught.value.stored == "no"
        other = await bb.create_task(ship(3), tx=app.tx)
        await app.commit()
        await stranger.rollback()
        assert await other == 3
        with pytest.raises(JobNotFound):
            await theirs
        await app.begin()
        assert not (await bb.create_task(ship(2), tx=app.tx, unique=key)).existed
        await app.commit()
    assert shop.orders() == [2]


# ---- parts and phases of a transaction -----------------------------------------------------------------------------


@everywhere
async def test_a_savepoint_takes_its_jobs_along(shop: Shop) -> None:
    """Rolled back to before a job, the job is gone; those stored before and after are not."""
    bb = shop.make()
    ship = declare(bb)
    async with bb, shop.connected() as app:
        await app.insert(1)
        before = await bb.create_task(ship(1), tx=app.tx)
        await app.execute("SAVEPOINT part")
        gone = await bb.create_task(ship(2), tx=app.tx)
        await app.execute("ROLLBACK TO SAVEPOINT part")
        after = await bb.create_task(ship(3), tx=app.tx)
        await app.commit()
        assert [await before, await after] == [1, 3]
        with pytest.raises(JobNotFound):
            await gone


@pytest.mark.parametrize("commit", [True, False])
async def test_a_prepared_transaction(shop: Shop, *, commit: bool) -> None:
    """What was stored is in a transaction that is prepared, and ended by whoever, whenever: no NOTIFY forbids that."""
    bb = shop.make()
    ship = declare(bb)
    async with bb, shop.connected("psycopg") as app:
        connection: psycopg.AsyncConnection[Any] = app.tx
        xid = connection.xid(1, shop.jobs, f"{commit}")
        await connection.tpc_begin(xid)
        await app.insert(1)
        handle = await bb.create_task(ship(1), tx=connection)
        await connection.tpc_prepare()
        with pytest.raises(JobNotFound):
            await handle.status()
        await (connection.tpc_commit() if commit else connection.tpc_rollback())
        if commit:
            assert await handle == 1
        else:
            with pytest.raises(JobNotFound):
                await handle
    assert shop.orders() == [1] * commit


# ---- what cannot be joined -----------------------------------------------------------------------------------------


async def test_what_is_no_transaction_is_refused(shop: Shop) -> None:
    """A connection in none, and what is no connection at all, are refused before anything is written."""
    bb = shop.make()
    ship = declare(bb)
    async with bb, shop.connected() as app:
        await app.rollback()
        with pytest.raises(TransactionRefused, match=r"async with tx.transaction\(\)"):
            await bb.create_task(ship(1), tx=app.tx, id="refused")
        with pytest.raises(TransactionRefused, match="not object"):
            await bb.create_tasks([ship(1)], tx=object())
        with pytest.raises(JobNotFound):
            await bb.handle("refused", ship).status()


@pytest.mark.parametrize("how", ["create_task", "create_tasks", "complete"])
async def test_redis_joins_nothing(how: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A store in Redis refuses before it writes anything, saying what to use instead."""
    bb = Backburner(empty_store("redis", request, tmp_path))
    ship = declare(bb)

    @bb.job(retry="none")
    async def completing() -> str:
        with pytest.raises(TransactionRefused, match="or use a postgresql:// store in the same database"):
            await current_job().complete("by the transaction", tx=object())
        return "by the return"

    async def stored_in(tx: object) -> None:
        if how == "create_task":
            await bb.create_task(ship(1), tx=tx, id="refused")
        else:
            await bb.create_tasks([ship(1)], tx=tx)

    async with bb:
        if how == "complete":
            assert await (await bb.create_task(completing())) == "by the return"
            return
        with pytest.raises(TransactionRefused, match="store the job once the transaction has committed"):
            await stored_in(object())
        with pytest.raises(JobNotFound):
            await bb.handle("refused", ship).status()
        assert await (await bb.create_task(ship(2))) == 2
