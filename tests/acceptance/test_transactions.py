"""Jobs in the caller's own transaction: stored with it, completed with it, or not at all."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiosqlite
import pytest

from backburner import Backburner, ClaimLost, Job, JobDead, RetryPolicy, Unique, constant, current_job
from backburner.errors import (
    AlreadyEnded,
    CallRefused,
    JobNotFound,
    NotInAJob,
    TransactionOpen,
    TransactionRefused,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path


@pytest.fixture
def bb(make_sqlite: Callable[..., Backburner]) -> Backburner:
    """Return an engine on a file, where callers keep their own tables too."""
    return make_sqlite()


@asynccontextmanager
async def connected(folder: Path) -> AsyncGenerator[aiosqlite.Connection]:
    """Open the app's own connection to the file of the jobs, and its own table."""
    async with aiosqlite.connect(folder / "jobs.db") as connection:
        await connection.execute("PRAGMA busy_timeout = 5000")
        await connection.execute("CREATE TABLE IF NOT EXISTS orders (number INTEGER)")
        await connection.commit()
        yield connection


async def orders(connection: aiosqlite.Connection) -> list[int]:
    """Read what the app's own table holds."""
    return [number for (number,) in await connection.execute_fetchall("SELECT number FROM orders ORDER BY number")]


async def insert(connection: aiosqlite.Connection, number: int) -> None:
    """Begin a transaction, as the driver does at the first write."""
    await connection.execute("INSERT INTO orders VALUES (?)", (number,))


def declare(bb: Backburner) -> Job[[int], int]:
    """Declare a job."""

    @bb.job
    async def ship(number: int) -> int:
        return number

    return ship


# ---- storing -------------------------------------------------------------------------------------------------------


async def test_committed_the_job_is_there(bb: Backburner, tmp_path: Path) -> None:
    """`create_task(…, tx=conn)` stores the job with the caller's own rows; it runs once they are committed."""
    ship = declare(bb)
    async with bb, connected(tmp_path) as connection:
        await insert(connection, 1)
        handle = await bb.create_task(ship(1), tx=connection)
        with pytest.raises(JobNotFound):
            await handle.status()
        await connection.commit()
        assert await handle == 1
        assert await orders(connection) == [1]


async def test_rolled_back_the_job_never_was(bb: Backburner, tmp_path: Path) -> None:
    """A rollback takes the job along with the rows."""
    ship = declare(bb)
    async with bb, connected(tmp_path) as connection:
        await insert(connection, 1)
        handle = await bb.create_task(ship(1), tx=connection)
        await connection.rollback()
        with pytest.raises(JobNotFound):
            await handle
        assert await orders(connection) == []


async def test_many_in_one_transaction(bb: Backburner, tmp_path: Path) -> None:
    """`create_tasks(…, tx=)` and further calls share the transaction, and its end."""
    ship = declare(bb)
    async with bb, connected(tmp_path) as connection:
        await insert(connection, 1)
        handles = await bb.create_tasks([ship(n) for n in range(20)], tx=connection)
        handles.append(await bb.create_task(ship(20), tx=connection, delay=0.01))
        await connection.commit()
        assert [await handle for handle in handles] == list(range(21))
        await insert(connection, 2)
        gone = await bb.create_tasks([ship(n) for n in range(20)], tx=connection)
        await connection.rollback()
        for handle in gone:
            with pytest.raises(JobNotFound):
                await handle.status()


async def test_a_group_in_a_transaction_stores_and_does_not_wait(bb: Backburner, tmp_path: Path) -> None:
    """`TaskGroup(tx=)` stores at the end of its block; its jobs run once the transaction has committed."""
    ship = declare(bb)
    async with bb, connected(tmp_path) as connection:
        await insert(connection, 1)
        async with bb.TaskGroup(tx=connection) as group:
            handles = [group.create_task(ship(n)) for n in range(3)]
        assert not any(handle.done() for handle in handles)
        await connection.commit()
        assert [await handle for handle in handles] == [0, 1, 2]


async def test_a_groups_body_that_raises_leaves_the_transaction_alone(bb: Backburner, tmp_path: Path) -> None:
    """Nothing of the group is in the transaction then; the caller decides what becomes of it."""
    ship = declare(bb)

    async def body(connection: aiosqlite.Connection) -> None:
        async with bb.TaskGroup(tx=connection) as group:
            group.create_task(ship(1), id="never")
            raise KeyError("the body's own")

    async with bb, connected(tmp_path) as connection:
        await insert(connection, 1)
        with pytest.raises(ExceptionGroup):
            await body(connection)
        await connection.commit()
        assert await orders(connection) == [1]
        with pytest.raises(JobNotFound):
            await bb.handle("never", ship).status()


async def test_ids_and_unique_keys_hold_in_a_transaction(bb: Backburner, tmp_path: Path) -> None:
    """What exists already is answered by its handle, also what the same transaction stored."""
    ship = declare(bb)
    async with bb, connected(tmp_path) as connection:
        first = await bb.create_task(ship(1), delay=3600, unique=Unique(by=[]))
        await insert(connection, 1)
        again = await bb.create_task(ship(2), tx=connection, unique=Unique(by=[]))
        named = await bb.create_task(ship(3), tx=connection, id="three")
        twice = await bb.create_task(ship(3), tx=connection, id="three")
        await connection.commit()
        assert (again.existed, again.id) == (True, first.id)
        assert (named.existed, twice.existed) == (False, True)
        assert await twice == 3


async def test_a_child_in_a_transaction_is_found_again(bb: Backburner, tmp_path: Path) -> None:
    """A job stores children with ``tx=`` too; its next run finds them."""
    ship = declare(bb)
    existed: list[bool] = []

    @bb.job
    async def order() -> int:
        async with connected(tmp_path) as connection:
            await insert(connection, 1)
            handle = await bb.create_task(ship(1), tx=connection)
            existed.append(handle.existed)
            await connection.commit()
        if current_job().attempt == 1:
            raise ConnectionError
        return await handle

    async with bb:
        assert await (await bb.create_task(order())) == 1
    assert existed == [False, True]


# ---- what would wait for itself ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["await", "wait", "callback"])
async def test_awaiting_what_ones_open_transaction_stored_raises_at_once(
    bb: Backburner, tmp_path: Path, how: str
) -> None:
    """The job is seen by nobody before the commit, so waiting for it would last for ever: `TransactionOpen`."""
    ship = declare(bb)
    async with bb, connected(tmp_path) as connection:
        await insert(connection, 1)
        handle = await bb.create_task(ship(1), tx=connection)

        async def use() -> None:
            match how:
                case "await":
                    await handle
                case "wait":
                    await handle.wait(30)
                case _:
                    handle.add_done_callback(print)

        with pytest.raises(TransactionOpen, match="commit it, then await the handle"):
            await use()
        await connection.commit()
        assert await handle == 1


@pytest.mark.parametrize("how", ["await", "wait"])
async def test_awaiting_what_an_earlier_transaction_stored(bb: Backburner, tmp_path: Path, how: str) -> None:
    """Its connection may stand in a later transaction by now: what the earlier one committed is there to wait for."""
    ship = declare(bb)
    async with bb, connected(tmp_path) as connection:
        await insert(connection, 1)
        committed = await bb.create_task(ship(1), tx=connection)
        await connection.commit()
        # Read, so that the lock stays free for the job's own end.
        await connection.execute("BEGIN")
        await orders(connection)
        assert (await committed if how == "await" else await committed.wait()) == 1
        await connection.rollback()
        await insert(connection, 2)
        hidden = await bb.create_task(ship(2), tx=connection)
        with pytest.raises(TransactionOpen):
            await hidden
        await connection.rollback()


async def test_awaiting_a_group_in_its_open_transaction_raises(bb: Backburner, tmp_path: Path) -> None:
    """A group's handle stores the group in the transaction, and says that it cannot be waited for."""
    ship = declare(bb)

    async def body(connection: aiosqlite.Connection) -> None:
        async with bb.TaskGroup(tx=connection) as group:
            await group.create_task(ship(1))

    async with bb, connected(tmp_path) as connection:
        await insert(connection, 1)
        with pytest.raises(ExceptionGroup) as caught:
            await body(connection)
        assert isinstance(caught.value.exceptions[0], TransactionOpen)
        await connection.rollback()


async def test_a_write_beside_ones_open_transaction_is_refused(bb: Backburner, tmp_path: Path) -> None:
    """Without ``tx=`` it would wait for the transaction of its own task: `TransactionOpen`, at once."""
    ship = declare(bb)
    async with bb, connected(tmp_path) as connection:
        other = await bb.create_task(ship(0), delay=3600)
        await insert(connection, 1)
        await bb.create_task(ship(1), tx=connection)
        with pytest.raises(TransactionOpen, match="pass tx= here too"):
            await bb.create_task(ship(2))
        with pytest.raises(TransactionOpen):
            await bb.create_tasks([ship(2)])
        with pytest.raises(TransactionOpen):
            await other.cancel()
        assert issubclass(TransactionOpen, CallRefused)
        await connection.commit()
        assert await (await bb.create_task(ship(2))) == 2


async def test_another_task_waits_for_the_transaction(bb: Backburner, tmp_path: Path) -> None:
    """A write of another task is no mistake: it is stored once the transaction has ended."""
    ship = declare(bb)
    async with bb, connected(tmp_path) as connection:
        await insert(connection, 1)
        await bb.create_task(ship(1), tx=connection)
        other = asyncio.create_task(bb.create_task(ship(2)))
        await asyncio.wait([other], timeout=0.05)
        assert not other.done()
        await connection.commit()
        assert await (await other) == 2


# ---- what cannot be joined -----------------------------------------------------------------------------------------


async def test_another_file_is_refused(bb: Backburner, tmp_path: Path) -> None:
    """A connection to another database is refused before anything is written, saying what to use."""
    ship = declare(bb)
    async with bb, aiosqlite.connect(tmp_path / "other.db") as connection:
        with pytest.raises(TransactionRefused, match=r"jobs\.db"):
            await bb.create_task(ship(1), tx=connection, id="refused")
        with pytest.raises(JobNotFound):
            await bb.handle("refused", ship).status()


async def test_what_is_no_connection_is_refused(bb: Backburner) -> None:
    """Anything else is refused by its type."""
    ship = declare(bb)
    async with bb:
        with pytest.raises(TransactionRefused, match="aiosqlite"):
            await bb.create_task(ship(1), tx=object())
        with pytest.raises(TransactionRefused):
            await bb.create_tasks([ship(1)], tx="jobs.db")


async def test_memory_joins_nothing() -> None:
    """A store in memory says that it has no transactions, and what does."""
    bb = Backburner("memory://")
    ship = declare(bb)
    async with bb:
        with pytest.raises(TransactionRefused, match="use a file in its place"):
            await bb.create_task(ship(1), tx=object())


# ---- completing ----------------------------------------------------------------------------------------------------


class Shop:
    """A job that ships an order: its effect and its completion are one transaction. What it does beside is a test's."""

    def __init__(self, bb: Backburner, folder: Path) -> None:
        self.folder = folder
        self.attempts: list[int] = []
        self.follow_ups: list[str] = []

        @bb.job
        async def after() -> str:
            return "after"

        self.after = after

    async def effect(self, connection: aiosqlite.Connection) -> None:
        """Note the attempt, and write its effect."""
        self.attempts.append(current_job().attempt)
        await insert(connection, current_job().attempt)

    async def shipped(self) -> list[int]:
        """Read the effects."""
        async with connected(self.folder) as connection:
            return await orders(connection)


@pytest.fixture
def shop(bb: Backburner, tmp_path: Path) -> Shop:
    """Return a shop without its job."""
    return Shop(bb, tmp_path)


async def test_committed_the_job_is_completed_once_with_its_effects(bb: Backburner, shop: Shop) -> None:
    """`ctx.complete(result, tx=conn)`: the commit completes the job; what the function returns is not looked at."""

    @bb.job
    async def ship() -> str:
        async with connected(shop.folder) as connection:
            await shop.effect(connection)
            await current_job().complete("by the transaction", tx=connection)
            await connection.commit()
        return "by the return"

    async with bb:
        handle = await bb.create_task(ship())
        assert await handle == "by the transaction"
        assert (await handle.status()).state == "completed"
        assert await shop.shipped() == [1]


async def test_rolled_back_the_run_failed_and_is_tried_again(bb: Backburner, shop: Shop) -> None:
    """After a rollback neither the effects nor the completion are there, and the retry policy decides."""

    @bb.job
    async def ship() -> str:
        async with connected(shop.folder) as connection:
            await shop.effect(connection)
            await current_job().complete("done", tx=connection)
            if current_job().attempt == 1:
                await connection.rollback()
            else:
                await connection.commit()
        return "whatever"

    async with bb:
        handle = await bb.create_task(ship())
        assert await handle == "done"
        assert (await handle.status()).failures == 1
        assert await shop.shipped() == [2]


async def test_rolled_back_for_good_it_is_a_dead_letter_that_says_so(bb: Backburner, shop: Shop) -> None:
    """Out of attempts, the dead letter's error is `TransactionRolledBack`."""

    @bb.job(retry="none")
    async def ship() -> None:
        async with connected(shop.folder) as connection:
            await shop.effect(connection)
            await current_job().complete(None, tx=connection)
            await connection.rollback()

    async with bb:
        with pytest.raises(JobDead, match="TransactionRolledBack"):
            await (await bb.create_task(ship()))
        assert await shop.shipped() == []


async def test_an_exception_inside_the_transaction_is_that_jobs_failure(bb: Backburner, shop: Shop) -> None:
    """An error that rolled the transaction back is what the job failed with."""

    @bb.job(retry="none")
    async def ship() -> None:
        async with connected(shop.folder) as connection:
            await shop.effect(connection)
            await current_job().complete(None, tx=connection)
            raise ValueError("before the commit")

    async with bb:
        with pytest.raises(JobDead, match="ValueError: before the commit"):
            await (await bb.create_task(ship()))
        assert await shop.shipped() == []


async def test_raised_after_the_commit_the_job_is_completed(
    bb: Backburner, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """The transaction decides: what the run raises after its commit changes nothing, and is told of."""

    @bb.job
    async def ship() -> str:
        async with connected(shop.folder) as connection:
            await shop.effect(connection)
            await current_job().complete("done", tx=connection)
            await connection.commit()
        raise ValueError("too late to matter")

    async with bb:
        handle = await bb.create_task(ship())
        assert await handle == "done"
        status = await handle.status()
        assert (status.state, status.attempt, status.failures) == ("completed", 1, 0)
    assert shop.attempts == [1]
    assert ["job.late_error" in record.getMessage() for record in caplog.records].count(True) == 1


async def test_a_lost_claim_raises_and_its_effects_roll_back(
    make_sqlite: Callable[..., Backburner], shop: Shop, bb: Backburner
) -> None:
    """A run whose job is another's by now gets `ClaimLost` from `complete`, so its effects are not committed."""
    other = make_sqlite(run=False)
    caught: list[BaseException] = []
    began, release = asyncio.Event(), asyncio.Event()

    @bb.job(timeout=None)
    async def ship() -> str:
        async with connected(shop.folder) as connection:
            if current_job().attempt == 1:
                began.set()
                await release.wait()
            await shop.effect(connection)
            try:
                await current_job().complete("done", tx=connection)
            except ClaimLost as error:
                caught.append(error)
                raise
            await connection.commit()
        return ""

    async with bb, other:
        handle = await bb.create_task(ship())
        await began.wait()
        # As a node that took the job for dead would: the claim gets another token.
        async with connected(shop.folder) as connection:
            await connection.execute("UPDATE backburner_jobs SET token = token + 1 WHERE id = ?", (handle.id,))
            await connection.commit()
        release.set()
        while not caught:
            await handle.wait(0.01)
        assert await shop.shipped() == []
        assert str(caught[0])


async def test_it_is_completed_once(bb: Backburner, shop: Shop) -> None:
    """The second `complete` of a run is refused: `AlreadyEnded`; so is `then` after it."""
    said: list[str] = []

    @bb.job
    async def ship() -> None:
        async with connected(shop.folder) as connection:
            await shop.effect(connection)
            job = current_job()
            await job.complete(None, tx=connection)
            with pytest.raises(AlreadyEnded, match="completed itself already: complete comes too late"):
                await job.complete(None, tx=connection)
            with pytest.raises(AlreadyEnded, match="completed itself already: then comes too late"):
                job.then(shop.after())
            said.append("refused")
            await connection.commit()

    async with bb:
        await (await bb.create_task(ship()))
    assert said == ["refused"]


@pytest.mark.parametrize("commit", [True, False])
async def test_follow_ups_noted_before_are_inside_the_transaction(bb: Backburner, shop: Shop, *, commit: bool) -> None:
    """`then` before `complete` is stored with it: committed with it, or rolled back with it."""
    said: list[str] = []

    @bb.job(retry="none")
    async def ship() -> None:
        async with connected(shop.folder) as connection:
            await shop.effect(connection)
            said.append(current_job().then(shop.after()))
            await current_job().complete(None, tx=connection)
            await (connection.commit() if commit else connection.rollback())

    async with bb:
        handle = await bb.create_task(ship())
        await handle.wait()
        follow_up = bb.handle(said[0], shop.after)
        if commit:
            assert await follow_up == "after"
        else:
            with pytest.raises(JobNotFound):
                await follow_up.status()


async def test_a_transaction_left_open_is_waited_for(bb: Backburner, tmp_path: Path, shop: Shop) -> None:
    """A run may return with its transaction open, as one that a dependency commits: its end decides."""
    opened: list[aiosqlite.Connection] = []
    returned = asyncio.Event()

    @bb.job
    async def ship() -> None:
        connection = opened[0]
        await shop.effect(connection)
        await current_job().complete(None, tx=connection)
        returned.set()

    async with bb, connected(tmp_path) as connection:
        opened.append(connection)
        handle = await bb.create_task(ship())
        await returned.wait()
        assert not await handle.wait(0.05)
        await connection.commit()
        assert await handle.wait(30)
        assert (await handle.status()).attempt == 1
        assert await orders(connection) == [1]


async def test_left_open_and_out_of_time_it_is_tried_again(bb: Backburner, tmp_path: Path, shop: Shop) -> None:
    """A transaction that never ends does not hold its job for ever: told to end, the run is over, and a late commit too."""
    opened: list[aiosqlite.Connection] = []

    @bb.job(timeout=0.1, retry=RetryPolicy(attempts=5, backoff=constant(0)))
    async def ship() -> str:
        if current_job().attempt > 1:
            return "by another run"
        connection = opened[0]
        await shop.effect(connection)
        await current_job().complete("never", tx=connection)
        return ""

    async with bb, connected(tmp_path) as connection:
        opened.append(connection)
        handle = await bb.create_task(ship())
        asyncio.get_running_loop().call_later(0.5, lambda: asyncio.ensure_future(connection.rollback()))
        assert await handle == "by another run"
        assert await orders(connection) == []


async def test_complete_needs_a_connection_of_this_file_and_a_stored_job(bb: Backburner, tmp_path: Path) -> None:
    """Another file, or a call that was awaited directly, is refused by a typed error."""

    @bb.job(retry="none")
    async def wrong() -> None:
        async with aiosqlite.connect(tmp_path / "other.db") as connection:
            await current_job().complete(None, tx=connection)

    @bb.job
    async def inline() -> None:
        await current_job().complete(None, tx=object())

    async with bb:
        with pytest.raises(JobDead, match="TransactionRefused"):
            await (await bb.create_task(wrong()))
    with pytest.raises(NotInAJob, match="needs a stored job"):
        await inline()


async def test_other_runs_go_on_beside_it(bb: Backburner, shop: Shop) -> None:
    """Many jobs may each complete in a transaction of their own at the same time: SQLite lets one write at a time."""

    @bb.job
    async def ship(number: int) -> int:
        async with connected(shop.folder) as connection:
            await insert(connection, number)
            await current_job().complete(number, tx=connection)
            await connection.commit()
        return -1

    async with bb:
        handles = await bb.create_tasks([ship(number) for number in range(20)])
        assert [await handle for handle in handles] == list(range(20))
        assert await shop.shipped() == list(range(20))
