"""What jobs share in one life of an engine, what wraps their runs, and what travels with them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from backburner import (
    Backburner,
    JobCancelled,
    JobContext,
    JobDead,
    Reject,
    RetryPolicy,
    Snooze,
    constant,
    current_job,
)
from backburner.errors import InvalidOption, NotRunning, ResourceFailed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    Run = Callable[[], Awaitable[object]]

QUICK = RetryPolicy(attempts=3, backoff=constant(0.001))


@dataclass
class Pool:
    """A resource: opened and closed by the engine's life."""

    log: list[str] = field(default_factory=list)
    open: bool = False


@asynccontextmanager
async def pools() -> AsyncGenerator[Pool]:
    """Open a pool for the life of an engine."""
    pool = Pool(open=True)
    pool.log.append("opened")
    try:
        yield pool
    finally:
        pool.open = False
        pool.log.append("closed")


# ---- lifespan= -----------------------------------------------------------------------------------------------------


current: ContextVar[str] = ContextVar("current", default="none")


async def test_one_that_is_cancelled_while_it_opens_leaves_nobody_waiting(make: Callable[..., Backburner]) -> None:
    """The start ends by that cancellation, and the engine may be entered again."""

    @asynccontextmanager
    async def resources() -> AsyncGenerator[None]:
        raise asyncio.CancelledError
        yield

    bb = make(lifespan=resources)
    with pytest.raises(asyncio.CancelledError):
        await bb.__aenter__()
    assert not bb.running


async def test_one_that_fails_while_jobs_run_is_told_of(
    make: Callable[..., Backburner], caplog: pytest.LogCaptureFixture
) -> None:
    """At once, in the log, and again as the engine stops."""
    fail, told = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def resources() -> AsyncGenerator[None]:
        async def background() -> None:
            await fail.wait()
            told.set()
            raise ConnectionError("the pool is gone")

        async with anyio.create_task_group() as group:
            group.start_soon(background)
            yield

    bb = make(lifespan=resources)
    await bb.__aenter__()
    fail.set()
    await told.wait()
    for _ in range(10):
        await anyio.lowlevel.checkpoint()
    assert any("loop.failed" in record.getMessage() for record in caplog.records)
    with pytest.raises(ExceptionGroup):
        await bb.__aexit__(None, None, None)
    assert not bb.running


async def test_they_are_closed_by_the_task_that_opened_them(make: Callable[..., Backburner]) -> None:
    """Task groups and context variables in them are left where they were entered, whoever stops the engine."""

    @asynccontextmanager
    async def resources() -> AsyncGenerator[str]:
        token = current.set("open")
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            yield "ready"
            group.cancel_scope.cancel()
        current.reset(token)

    bb = make(lifespan=resources)
    await asyncio.create_task(bb.__aenter__())
    assert bb.state == "ready"
    await asyncio.create_task(bb.__aexit__(None, None, None))
    assert not bb.running


async def test_resources_open_before_jobs_run_and_close_after_the_last(url: str) -> None:
    """`bb.state` and `ctx.state` are what ``lifespan=`` yielded; a run that uses the grace still has it."""
    bb = Backburner(url, lifespan=pools, grace=5)
    started, release = asyncio.Event(), asyncio.Event()

    @bb.job
    async def use() -> bool:
        pool: Pool = current_job().state
        pool.log.append("used")
        started.set()
        await release.wait()
        pool.log.append("used to the end")
        return pool.open

    async with bb:
        pool = bb.state
        handle = await bb.create_task(use())
        await started.wait()
        asyncio.get_running_loop().call_later(0.02, release.set)
    assert await handle is True
    assert pool.log == ["opened", "used", "used to the end", "closed"]


async def test_what_waits_from_an_earlier_life_finds_them_open(tmp_path: Path) -> None:
    """A job that is due when the engine starts does not run before its resources are open."""
    url = f"sqlite:///{tmp_path}/jobs.db"
    opening = asyncio.Event()

    @asynccontextmanager
    async def slow_pools() -> AsyncGenerator[Pool]:
        opening.set()
        await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0.05)
        async with pools() as pool:
            yield pool

    before, bb = Backburner(url, run=False), Backburner(url, lifespan=slow_pools)

    def declare(engine: Backburner[Any]) -> Any:  # noqa: ANN401 - a job of either engine
        @engine.job
        async def use() -> bool:
            state: Pool = current_job().state
            return state.open

        return use

    use_before, use = declare(before), declare(bb)
    async with before:
        job_id = (await before.create_task(use_before())).id
    async with bb:
        assert await bb.handle(job_id, use) is True


async def test_threads_and_follow_ups_have_them_too(url: str) -> None:
    """`def` jobs read ``state`` in their thread; a call awaited directly has that of the engine that runs."""
    bb = Backburner(url, lifespan=pools)

    @bb.job
    def in_a_thread() -> bool:
        state: Pool = current_job().state
        return state.open

    async with bb:
        assert await (await bb.create_task(in_a_thread())) is True
        assert await in_a_thread() is True
    with pytest.raises(NotRunning):
        await in_a_thread()


async def test_each_life_has_its_own(url: str) -> None:
    """Entered again, the engine opens anew; outside of its life there is no state; without a lifespan it is None."""
    bb = Backburner(url, lifespan=pools)
    async with bb:
        first = bb.state
    async with bb:
        assert bb.state is not first
        assert bb.state.open
    assert not first.open
    with pytest.raises(NotRunning):
        _ = bb.state
    plain = Backburner("memory://")
    async with plain:
        assert plain.state is None


async def test_a_resource_that_fails_to_open_fails_the_start(url: str) -> None:
    """The engine does not start, says which resource it was and why, leaves nothing behind, and may be entered again."""
    fail = True

    @asynccontextmanager
    async def flaky() -> AsyncGenerator[Pool]:
        if fail:
            raise ConnectionRefusedError("no database there")
        async with pools() as pool:
            yield pool

    bb = Backburner(url, lifespan=flaky)

    @bb.job
    async def use() -> None: ...

    tasks = asyncio.all_tasks()
    with pytest.raises(
        ResourceFailed, match=r"flaky failed to open.*ConnectionRefusedError: no database there"
    ) as caught:
        await bb.__aenter__()
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert not bb.running
    assert not bb.ready
    assert asyncio.all_tasks() == tasks
    fail = False
    async with bb:
        await (await bb.create_task(use()))


async def test_nothing_ran_where_a_resource_failed(tmp_path: Path) -> None:
    """What waited in the store is left as it was."""
    url = f"sqlite:///{tmp_path}/jobs.db"

    @asynccontextmanager
    async def broken() -> AsyncGenerator[None]:
        raise ValueError("no")
        yield

    before, bb = Backburner(url, run=False), Backburner(url, lifespan=broken)

    @before.job
    async def use() -> None: ...

    @bb.job(name="use")
    async def use_here() -> None:
        raise AssertionError("it must not run")

    async with before:
        handle = await before.create_task(use())
        with pytest.raises(ResourceFailed):
            await bb.__aenter__()
        status = await handle.status()
    assert (status.state, status.attempt) == ("waiting", 0)


async def test_web_apps_and_workers_open_the_same(url: str) -> None:
    """`bb.lifespan`, `async with bb` and `bb.worker()` all open what ``lifespan=`` names; ``run=False`` too."""
    bb = Backburner(url, lifespan=pools)
    for life in (bb.lifespan(), bb.worker(), bb):
        async with life:
            assert bb.state.open
    storing = Backburner(url, lifespan=pools, run=False)
    async with storing:
        assert storing.state.open


PROGRAM = """
import asyncio, os, signal
from contextlib import asynccontextmanager
from backburner import Backburner, current_job

@asynccontextmanager
async def resources():
    print("opened", flush=True)
    yield "the state"
    print("closed", flush=True)

bb = Backburner("sqlite:///jobs.db", lifespan=resources)

@bb.job
async def use() -> None:
    print("used", current_job().state, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

async def main() -> None:
    storing = Backburner("sqlite:///jobs.db", run=False)
    @storing.job(name="use")
    async def stored() -> None: ...
    async with storing:
        await storing.create_task(stored())

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_backburner_run_opens_them(tmp_path: Path) -> None:
    """`backburner run module:bb` opens what the app's lifespan names before jobs run, and closes it at the end."""
    (tmp_path / "shop.py").write_text(PROGRAM)

    def python(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join((str(Path(__file__).parents[2]), str(tmp_path)))},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert python("shop.py").returncode == 0
    done = python("-m", "backburner", "run", "shop:bb")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["opened", "used the state", "closed"]


def test_a_lifespan_is_a_callable() -> None:
    """An opened context manager, or anything that cannot be called, is refused when the engine is made."""
    with pytest.raises(InvalidOption, match=r"lifespan=.* cannot be called"):
        Backburner("memory://", lifespan=Pool())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


# ---- around= -------------------------------------------------------------------------------------------------------


async def test_around_wraps_each_run_the_first_outermost(url: str) -> None:
    """``around=[outer, inner]``: each awaits ``run()``; what the job returns is its result."""
    log: list[str] = []

    def wrapper(name: str) -> Any:  # noqa: ANN401 - a wrapper
        async def wrap(ctx: JobContext[Any], run: Run) -> None:
            log.append(f"{name} of {ctx.kind} {ctx.attempt}")
            await run()
            log.append(f"{name} over")

        return wrap

    bb = Backburner(url, around=[wrapper("outer"), wrapper("inner")])

    @bb.job
    async def work() -> str:
        log.append("work")
        return "result"

    @bb.job
    def in_a_thread() -> str:
        log.append("thread")
        return "from a thread"

    async with bb:
        assert await (await bb.create_task(work())) == "result"
        assert await (await bb.create_task(in_a_thread())) == "from a thread"
        assert await work() == "result"
    each = ["outer of {} 1", "inner of {} 1", "{}", "inner over", "outer over"]
    expected = [line.format("work") for line in each]
    expected += [line.format("in_a_thread") for line in each]
    expected[7] = "thread"
    # Awaited directly, a call has none around it.
    assert log == [*expected, "work"]


async def test_around_sees_what_the_job_raises(url: str) -> None:
    """An error passes through the wrappers; one that raises another decides; `Snooze` and `Reject` are signals there too."""
    seen: list[str] = []

    async def translate(ctx: JobContext[Any], run: Run) -> None:
        if ctx.attempt == 1:
            raise Snooze(0)
        try:
            await run()
        except KeyError as error:
            seen.append(repr(error))
            raise Reject("not there") from error

    bb = Backburner(url, around=[translate], retry=QUICK)

    @bb.job
    async def lookup() -> None:
        raise KeyError("ada")

    async with bb:
        handle = await bb.create_task(lookup())
        with pytest.raises(JobDead, match="rejected: not there"):
            await handle
        status = await handle.status()
    assert seen == ["KeyError('ada')"]
    assert (status.attempt, status.failures) == (2, 1)


async def test_around_that_raises_keeps_the_job_from_running(url: str) -> None:
    """A wrapper that raises before ``run()`` ends the run: a failure like any other, tried again by the policy."""
    runs: list[int] = []

    async def guard(ctx: JobContext[Any], run: Run) -> None:
        if ctx.attempt < 3:
            raise ConnectionError("not yet")
        await run()

    bb = Backburner(url, around=[guard], retry=QUICK)

    @bb.job
    async def work() -> int:
        runs.append(current_job().attempt)
        return 1

    async with bb:
        handle = await bb.create_task(work())
        assert await handle == 1
        assert (await handle.status()).failures == 2
    assert runs == [3]


async def test_around_that_skips_the_run_fails_it(url: str) -> None:
    """A wrapper that forgets to await ``run()`` completes nothing: the job did not run, and says so."""

    async def skip(ctx: JobContext[Any], run: Run) -> str:
        if "skipped" not in ctx.headers:
            await run()
        return "not looked at"

    bb = Backburner(url, around=[skip], headers=lambda: headers)
    headers: dict[str, str] = {}

    @bb.job
    async def work() -> str:
        return "done"

    async with bb:
        assert await (await bb.create_task(work())) == "done"
        headers["skipped"] = "yes"
        with pytest.raises(JobDead, match="without awaiting run"):
            await (await bb.create_task(work(), retry="none"))
        headers.clear()
        assert await (await bb.create_task(work())) == "done"


async def test_around_is_inside_the_runs_timeout_and_cancellation(url: str) -> None:
    """A cancelled run is cancelled through its wrappers, so that they may clean up."""
    log: list[str] = []
    started = asyncio.Event()

    async def cleaning(_ctx: JobContext[Any], run: Run) -> None:
        try:
            await run()
        finally:
            log.append("cleaned up")

    bb = Backburner(url, around=[cleaning])

    @bb.job
    async def work() -> None:
        started.set()
        await asyncio.Event().wait()

    async with bb:
        handle = await bb.create_task(work())
        await started.wait()
        await handle.cancel()
        with pytest.raises(JobCancelled):
            await handle
        with pytest.raises(JobDead, match="TimeoutError"):
            await (await bb.create_task(work(), timeout=0.02, retry="none"))
    assert log == ["cleaned up"] * 2


# ---- headers= ------------------------------------------------------------------------------------------------------

request: ContextVar[str] = ContextVar("request", default="")


def trace() -> dict[str, str]:
    """Take the request's id along, where there is one."""
    return {"request": request.get()} if request.get() else {}


async def test_headers_are_taken_where_the_job_is_stored(url: str) -> None:
    """``headers=`` is called at `create_task`; the run, a retry too, and the status show what it answered then."""
    bb = Backburner(url, headers=trace, retry=QUICK)

    @bb.job
    async def work() -> str:
        assert request.get() == "", "a run has a context of its own"
        if current_job().attempt == 1:
            raise ConnectionError
        return current_job().headers["request"]

    async with bb:
        request.set("r-1")
        first = await bb.create_task(work())
        request.set("r-2")
        second, third = await bb.create_tasks([work(), work()])
        async with bb.TaskGroup() as group:
            request.set("r-3")
            fourth = group.create_task(work())
            request.set("")
        bare = await bb.create_task(work(), delay=3600)
        assert [await handle for handle in (first, second, third, fourth)] == ["r-1", "r-2", "r-2", "r-3"]
        assert (await first.status()).headers == {"request": "r-1"}
        assert (await bare.status()).headers == {}


async def test_children_and_follow_ups_inherit_them(url: str) -> None:
    """What a job stores has that job's headers; what ``headers=`` answers there goes over them."""
    seen: asyncio.Queue[tuple[str, dict[str, str]]] = asyncio.Queue()

    def both() -> dict[str, str]:
        return trace() | ({"by": "the parent"} if request.get() == "inside" else {})

    bb = Backburner(url, headers=both)

    @bb.job
    async def grandchild() -> None:
        seen.put_nowait(("grandchild", dict(current_job().headers)))

    @bb.job
    async def child() -> None:
        seen.put_nowait(("child", dict(current_job().headers)))
        await (await bb.create_task(grandchild()))

    @bb.job
    async def after() -> None:
        seen.put_nowait(("after", dict(current_job().headers)))

    @bb.job
    async def parent() -> None:
        current_job().then(after())
        await (await bb.create_task(child()))
        request.set("inside")
        await (await bb.create_task(grandchild()))

    async with bb:
        request.set("r-1")
        await (await bb.create_task(parent()))
        request.set("")
        heard = [await seen.get() for _ in range(4)]
    assert heard == [
        ("child", {"request": "r-1"}),
        ("grandchild", {"request": "r-1"}),
        ("grandchild", {"request": "inside", "by": "the parent"}),
        ("after", {"request": "r-1"}),
    ]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"a": 1}, "texts by name"),
        ({1: "a"}, "texts by name"),
        ({"a": "\x00"}, "NUL"),
        ({"a": "x" * 9000}, "8,192 are"),
    ],
)
async def test_headers_are_small_texts(url: str, answer: Any, says: str) -> None:  # noqa: ANN401 - anything
    """Whatever else ``headers=`` answers is refused where the job would have been stored."""
    bb = Backburner(url, headers=lambda: answer)

    @bb.job
    async def work() -> None: ...

    async with bb:
        with pytest.raises(InvalidOption, match=says) as caught:
            await bb.create_task(work(), id="refused")
        assert caught.value.option == "headers"
