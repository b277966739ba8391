"""What a job is provided with: opened for each attempt, where the job runs, and closed after it, whatever happens."""

# ruff: noqa: B008 - a dependency is declared by a default

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from backburner import Backburner, JobCancelled, JobDead, Provide, current_job
from backburner.errors import ArgumentNotStorable, InvalidArguments, InvalidDependency

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator


class Session:
    """A database session, which tells what became of it."""

    def __init__(self) -> None:
        self.log = ["begin"]


#: Every session that was opened, in order.
sessions: list[Session] = []


async def session() -> AsyncGenerator[Session]:
    """Open a session, and end its transaction as the job ended."""
    opened = Session()
    sessions.append(opened)
    try:
        yield opened
    except BaseException as error:
        opened.log.append(f"roll back for {type(error).__name__}")
        raise
    opened.log.append("commit")


@pytest.fixture(autouse=True)
def _no_sessions() -> None:
    sessions.clear()


async def test_a_job_takes_its_dependencies_by_default_value(bb: Backburner) -> None:
    """``db: Session = Provide(session)`` is opened for the run; callers and the store know nothing of it."""

    @bb.job
    async def report(day: str, db: Session = Provide(session), limit: int = 3) -> str:
        db.log.append(f"read {limit} of {day}")
        return day

    async with bb:
        assert await (await bb.create_task(report("monday", limit=5))) == "monday"
        assert await (await bb.create_task(report("tuesday"))) == "tuesday"
    assert [one.log for one in sessions] == [
        ["begin", "read 5 of monday", "commit"],
        ["begin", "read 3 of tuesday", "commit"],
    ]


async def test_each_attempt_has_its_own(bb: Backburner) -> None:
    """An attempt that fails has the error thrown into its generators; the next begins anew."""

    @bb.job
    async def report(db: Session = Provide(session)) -> int:
        assert db is sessions[-1]
        if current_job().attempt < 3:
            raise ConnectionError
        return current_job().attempt

    async with bb:
        assert await (await bb.create_task(report())) == 3
    failed = ["begin", "roll back for ConnectionError"]
    assert [one.log for one in sessions] == [failed, failed, ["begin", "commit"]]


async def test_factories_need_factories(bb: Backburner) -> None:
    """A factory's parameters may be provided too; within an attempt all share one instance of each."""
    order: list[str] = []

    @asynccontextmanager
    async def orders(db: Session = Provide(session)) -> AsyncGenerator[Session]:
        order.append("open orders")
        yield db
        order.append("close orders")
        assert db.log == ["begin"], "what it needs is closed after it"

    @bb.job
    async def report(orders: Session = Provide(orders), db: Session = Provide(session)) -> bool:
        order.append("run")
        return orders is db

    async with bb:
        assert await (await bb.create_task(report()))
    assert order == ["open orders", "run", "close orders"]
    assert [one.log for one in sessions] == [["begin", "commit"]]


async def test_a_factory_runs_in_the_job(bb: Backburner) -> None:
    """A factory knows the job it is opened for, and runs in the very task, so a scope may span the job."""

    async def tagged() -> AsyncGenerator[tuple[str, object]]:
        async with asyncio.timeout(30):
            yield current_job().id, asyncio.current_task()

    @bb.job
    async def report(tag: tuple[str, object] = Provide(tagged)) -> bool:
        return tag == (current_job().id, asyncio.current_task())

    async with bb:
        assert await (await bb.create_task(report()))


async def test_a_factory_uses_the_engines_resources(url: str) -> None:
    """What ``lifespan=`` opened once is there for factories, as ``bb.state``, for as long as jobs run."""

    @dataclass
    class Resources:
        open: bool = True

    @asynccontextmanager
    async def resources() -> AsyncGenerator[Resources]:
        made = Resources()
        yield made
        made.open = False

    bb = Backburner(url, lifespan=resources)

    async def pool() -> Resources:
        assert current_job().state == bb.state
        return bb.state

    @bb.job
    async def report(pool: Resources = Provide(pool)) -> bool:
        return pool.open

    async with bb:
        assert await (await bb.create_task(report()))


async def test_a_def_jobs_factories_are_opened_in_its_thread(bb: Backburner) -> None:
    """A `def` job may be provided with what is bound to its thread; what is asynchronous is opened on the loop."""
    where: dict[str, int] = {}

    def connection() -> Generator[sqlite3.Connection]:
        opened = sqlite3.connect(":memory:")  # refuses to be used, or closed, in another thread
        where["opened"] = threading.get_ident()
        yield opened
        opened.close()
        where["closed"] = threading.get_ident()

    async def path() -> AsyncGenerator[str]:
        where["path"] = threading.get_ident()
        yield current_job().kind

    @bb.job
    def report(number: int, db: sqlite3.Connection = Provide(connection), path: str = Provide(path)) -> str:
        where["run"] = threading.get_ident()
        (doubled,) = db.execute("SELECT 2 * ?", (number,)).fetchone()
        return f"{path} {doubled}"

    async with bb:
        assert await (await bb.create_task(report(21))) == "report 42"
        assert where["opened"] == where["run"] == where["closed"]
        assert where["path"] == threading.get_ident() != where["run"]
        assert await report(4) == "report 8"


async def test_a_def_jobs_error_reaches_what_was_opened_on_the_loop(bb: Backburner) -> None:
    """How a `def` job failed is thrown into async generators too."""

    @bb.job(retry="none")
    def report(db: Session = Provide(session)) -> None:
        raise KeyError(type(db))

    async with bb:
        with pytest.raises(JobDead, match="KeyError"):
            await (await bb.create_task(report()))
    assert [one.log for one in sessions] == [["begin", "roll back for KeyError"]]


# ---- the caller's own ----------------------------------------------------------------------------------------------


async def test_a_caller_may_bring_their_own(bb: Backburner) -> None:
    """Awaited directly, a call takes what it is given by name; then the factory is not opened. Else it is."""

    @bb.job
    async def report(day: str, db: Session = Provide(session)) -> list[str]:
        db.log.append(day)
        return db.log

    mine = Session()
    assert await report("monday", db=mine) == ["begin", "monday"]
    assert sessions == []
    assert await report("tuesday") == ["begin", "tuesday", "commit"]
    assert len(sessions) == 1


async def test_what_a_caller_brings_cannot_be_stored(bb: Backburner) -> None:
    """A call with a session of one's own is refused when it is to be stored; so is one that passes it by position."""

    @bb.job
    async def report(day: str, db: Session = Provide(session)) -> None: ...

    async with bb:
        with pytest.raises(ArgumentNotStorable, match=r"report\(\): argument db is provided where the job runs"):
            await bb.create_task(report("monday", db=Session()))
        with pytest.raises(InvalidArguments, match="report"):
            report("monday", Session())


async def test_a_test_replaces_a_factory(bb: Backburner) -> None:
    """``bb.override(factory, other)`` opens another in its place, for nested needs too, as long as the block lasts."""

    def orders(db: Session = Provide(session)) -> Session:
        return db

    @bb.job
    async def report(orders: Session = Provide(orders)) -> list[str]:
        return orders.log

    def fake() -> Session:
        made = Session()
        made.log = ["fake"]
        return made

    async with bb:
        with bb.override(session, fake):
            assert await (await bb.create_task(report())) == ["fake"]
            assert await report() == ["fake"]
        assert await (await bb.create_task(report())) == ["begin"]


# ---- how it may fail -----------------------------------------------------------------------------------------------


async def test_a_factory_that_fails_to_open_fails_the_run(bb: Backburner) -> None:
    """It counts like any error of the job: tried again by the policy; what was opened before it is closed."""
    ran: list[int] = []

    async def flaky(db: Session = Provide(session)) -> Session:
        if current_job().attempt < 3:
            raise ConnectionError("database is away")
        return db

    @bb.job
    async def report(_: Session = Provide(flaky)) -> None:
        ran.append(current_job().attempt)

    async with bb:
        handle = await bb.create_task(report())
        await handle
        assert (await handle.status()).failures == 2
    assert ran == [3]
    assert [one.log[-1] for one in sessions] == [*["roll back for ConnectionError"] * 2, "commit"]


@pytest.mark.parametrize("threaded", [False, True], ids=["async", "def"])
async def test_an_exception_while_closing_fails_the_run(bb: Backburner, threaded: bool) -> None:  # noqa: FBT001
    """A job is completed only when all it used has closed: a commit that fails is the job's failure."""

    def committing() -> Generator[None]:
        yield
        raise ConnectionError("the commit was lost")

    @bb.job(retry="none", name="report")
    async def report(_: None = Provide(committing)) -> None: ...

    @bb.job(retry="none", name="report in a thread")
    def report_in_a_thread(_: None = Provide(committing)) -> None: ...

    async with bb:
        with pytest.raises(JobDead, match="ConnectionError: the commit was lost"):
            await (await bb.create_task(report_in_a_thread() if threaded else report()))


async def test_a_factory_cannot_make_a_failure_a_success(bb: Backburner) -> None:
    """A generator that catches the job's exception and returns has not saved the job."""

    async def forgiving() -> AsyncGenerator[None]:
        try:
            yield
        except KeyError:
            return

    @bb.job(retry="none")
    async def report(_: None = Provide(forgiving)) -> None:
        raise KeyError("lost")

    async with bb:
        with pytest.raises(JobDead, match="KeyError: 'lost'"):
            await (await bb.create_task(report()))


async def test_a_generator_yields_once(bb: Backburner) -> None:
    """One that never yields, or twice, is named in the job's error."""

    async def never() -> AsyncGenerator[None]:
        for _ in ():
            yield

    async def twice() -> AsyncGenerator[None]:
        yield
        yield

    @bb.job(retry="none")
    async def nothing(_: None = Provide(never)) -> None: ...

    @bb.job(retry="none")
    async def too_much(_: None = Provide(twice)) -> None: ...

    async with bb:
        with pytest.raises(JobDead, match="never ended without a yield"):
            await (await bb.create_task(nothing()))
        with pytest.raises(JobDead, match="twice yielded more than once"):
            await (await bb.create_task(too_much()))


async def test_a_cancelled_job_closes_what_it_used(bb: Backburner) -> None:
    """A person's cancel, or a timeout, is thrown into the generators like any other end."""
    running = asyncio.Event()

    @bb.job(retry="none")
    async def forever(db: Session = Provide(session)) -> None:
        db.log.append("working")
        running.set()
        await asyncio.Event().wait()

    async with bb:
        handle = await bb.create_task(forever())
        await running.wait()
        assert await handle.cancel()
        with pytest.raises(JobCancelled):
            await handle
        with pytest.raises(JobDead, match="TimeoutError"):
            await (await bb.create_task(forever(), timeout=0.02))
    assert [one.log for one in sessions] == [["begin", "working", "roll back for CancelledError"]] * 2


# ---- refused where it is declared ----------------------------------------------------------------------------------


def test_what_can_never_be_provided_is_refused_at_the_declaration(bb: Backburner) -> None:
    """A session in place of its factory, a value, a factory that misses an argument: each says what to write."""

    async def called(db: Session = Provide(session())) -> None: ...  # type: ignore[call-overload]

    async def value(url: str = Provide("sqlite://")) -> None: ...  # type: ignore[call-overload]

    def connect(url: str) -> str:
        return url

    async def unfilled(connection: str = Provide(connect)) -> None: ...

    with pytest.raises(InvalidDependency, match=r"called \(.*: parameter 'db' .* write Provide\(session\), not called"):
        bb.job(called)
    with pytest.raises(InvalidDependency, match=r"value \(.*: parameter 'url' .*'sqlite://', which cannot be called"):
        bb.job(value)
    with pytest.raises(
        InvalidDependency, match=r"unfilled: the factory .*connect \(.*\) takes 'url', which nobody gives"
    ):
        bb.job(unfilled)


def test_a_cycle_is_refused_at_the_declaration(bb: Backburner) -> None:
    """Factories that need one another are refused, with the chain."""

    def egg(hen: object = None) -> object:
        return hen

    def hen(egg: object = Provide(egg)) -> object:
        return egg

    egg.__defaults__ = (Provide(hen),)

    async def farm(_: object = Provide(hen)) -> None: ...

    with pytest.raises(InvalidDependency, match=r"farm: .*hen -> .*egg -> .*hen"):
        bb.job(farm)


def test_a_def_jobs_async_factory_cannot_need_a_sync_one(bb: Backburner) -> None:
    """The one is opened before the thread, the other in it: refused, with the two ways out."""

    def path() -> str:
        return "path"

    async def file(path: str = Provide(path)) -> str:
        return path

    def report(file: str = Provide(file)) -> None: ...

    with pytest.raises(InvalidDependency, match=r"make .*path async, or the job"):
        bb.job(report)
