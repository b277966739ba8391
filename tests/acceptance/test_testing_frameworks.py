"""`bb.testing()` under the test clients of web frameworks, and wherever else there are loops: one, none, one a request."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import unittest
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from anyio.lowlevel import checkpoint
from fastapi import FastAPI
from flask import Flask

from backburner import Backburner, Event, NotRunning
from backburner.errors import AlreadyRunning

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would like another client than the one that webhooks have
    from fastapi.testclient import TestClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from backburner.testing import Testing
    from backburner.testing.kit import Mode

sent: list[str] = []
opened: list[str] = []
asking = threading.Event()


@asynccontextmanager
async def resources() -> AsyncGenerator[str]:
    """Open what jobs need."""
    opened.append("opened")
    yield "resources"
    opened.append("closed")


bb = Backburner("sqlite:////nowhere/at/all.db", lifespan=resources)


@bb.job
async def send(to: str) -> str:
    """Send a mail."""
    assert bb.state == "resources"
    sent.append(to)
    return f"sent to {to}"


@bb.job
def send_from_a_thread(to: str) -> str:
    """Have a mail sent by another job, and wait for it."""
    return bb.blocking.result(bb.blocking.create_task(send(to)))


async def store(to: str) -> str:
    """Answer a request on the loop."""
    return (await bb.create_task(send(to))).id


def store_blocking(to: str) -> str:
    """Answer a request in a thread."""
    return bb.blocking.create_task(send(to)).id


async def ask(job: str) -> str:
    """Wait for a job."""
    asking.set()
    return await bb.handle(job, send)


def routed(app: FastAPI) -> FastAPI:
    """Give an app its endpoints."""
    app.post("/async/{to}")(store)
    app.post("/def/{to}")(store_blocking)
    app.get("/jobs/{job}")(ask)
    return app


app = routed(FastAPI(lifespan=bb.lifespan))
#: One that nobody enters: as if the engine ran elsewhere.
bare = routed(FastAPI())
#: As a module of tests has it.
client_of_all = TestClient(bare)
flask = Flask("shop")
flask.post("/def/<to>")(store_blocking)

modes = pytest.mark.parametrize("mode", ["manual", "inline"])
twice = pytest.mark.parametrize("again", [1, 2])


@pytest.fixture(autouse=True)
def nothing_sent() -> Iterator[None]:
    """Begin with no mail."""
    sent.clear()
    opened.clear()
    yield
    assert opened.count("opened") == opened.count("closed")


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every loop of a test look from which thread it is called."""
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")


# ---- a client with a loop of its own -----------------------------------------------------------------------------------


@twice
def test_a_client_that_runs_the_lifespan(again: int) -> None:
    """A sync test looks at what requests stored, and runs it on the client's loop, or on one of its own."""
    del again
    with bb.testing() as jobs, TestClient(app) as client:
        job = client.post("/async/ada").json()
        client.post("/def/bob")
        jobs.assert_enqueued(send("ada"))
        jobs.assert_enqueued(send("bob"))
        assert sent == []
        assert client.portal is not None
        assert client.portal.call(jobs.drain).completed == 2
        assert client.get(f"/jobs/{job}").json() == "sent to ada"
        client.post("/async/cid")
        assert asyncio.run(jobs.drain()).completed == 1
        assert opened == ["opened", "opened", "closed"]
    assert sorted(sent) == ["ada", "bob", "cid"]


@twice
def test_a_client_that_runs_the_lifespan_inline(again: int) -> None:
    """Before a request is answered its jobs have run, those that a thread stored too."""
    del again
    with bb.testing(mode="inline"), TestClient(app) as client:
        job = client.post("/async/ada").json()
        assert sent == ["ada"]
        client.post("/def/bob")
        assert sent == ["ada", "bob"]
        assert client.get(f"/jobs/{job}").json() == "sent to ada"


@modes
def test_a_client_without_a_lifespan(mode: Mode) -> None:
    """Each request has a loop of its own, the test has another, and all of them see one store."""
    with bb.testing(mode=mode) as jobs:
        job = TestClient(bare).post("/async/ada").json()
        client_of_all.post("/def/bob")
        client_of_all.post("/async/cid")
        jobs.assert_enqueued(send, count=3)
        if mode == "manual":
            assert sent == []
            assert asyncio.run(jobs.drain()).completed == 3
        assert sorted(sent) == ["ada", "bob", "cid"]
        assert client_of_all.get(f"/jobs/{job}").json() == "sent to ada"


def test_whoever_waits_on_another_loop_is_told() -> None:
    """A request that waits for a job is answered when the test has run that, on its own loop."""
    with bb.testing() as jobs, TestClient(app) as client, ThreadPoolExecutor(1) as pool:
        handle = bb.blocking.create_task(send("ada"))
        asking.clear()
        answer = pool.submit(client.get, f"/jobs/{handle.id}")
        assert asking.wait(10)
        assert client.portal is not None
        for _ in range(20):  # until the request waits
            client.portal.call(checkpoint)
        assert asyncio.run(jobs.drain()).completed == 1
        assert answer.result(10).json() == "sent to ada"


def test_a_thread_that_waits_for_what_nothing_runs_is_told() -> None:
    """`bb.blocking.result` does not hang in a test that runs nothing, with a loop around and without."""
    with bb.testing():
        with pytest.raises(NotRunning, match=r"would be awaited for ever: await jobs.drain\(\)"):
            bb.blocking.result(bb.blocking.create_task(send("ada")))
        with TestClient(app) as client, pytest.raises(NotRunning, match="would be awaited for ever"):
            client.get(f"/jobs/{bb.blocking.create_task(send('ada')).id}")


# ---- no loop at all ----------------------------------------------------------------------------------------------------


@modes
@twice
def test_flask(mode: Mode, again: int) -> None:
    """Where there is no loop, `drain` and `advance` bring one."""
    del again
    with bb.testing(mode=mode) as jobs:
        client = flask.test_client()
        client.post("/def/ada")
        client.post("/def/bob")
        jobs.assert_enqueued(send("ada"))
        if mode == "manual":
            assert sent == []
            assert asyncio.run(jobs.drain()).completed == 2
        handle = bb.blocking.create_task(send("cid"), delay=3600)
        assert asyncio.run(jobs.advance(hours=1, drain=True)).completed == 1
        assert bb.blocking.result(handle) == "sent to cid"
    assert sorted(sent) == ["ada", "bob", "cid"]


# ---- the test's own loop -----------------------------------------------------------------------------------------------


def calling(asgi: FastAPI) -> httpx.AsyncClient:
    """Return a client that calls an app on the loop of the test; lifespans it leaves alone."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(asgi), base_url="http://shop")


@modes
@twice
async def test_asgi_without_a_lifespan(mode: Mode, again: int) -> None:
    """The test enters the engine, the client calls the app."""
    del again
    async with bb.testing(mode=mode) as jobs, calling(app) as client:
        job = (await client.post("/async/ada")).json()
        await client.post("/def/bob")
        if mode == "manual":
            assert sent == []
            assert (await jobs.drain()).completed == 2
        assert sorted(sent) == ["ada", "bob"]
        assert (await client.get(f"/jobs/{job}")).json() == "sent to ada"
    assert opened == ["opened", "closed"]


@modes
async def test_asgi_with_a_lifespan(mode: Mode) -> None:
    """An app whose lifespan is entered on the loop of the test enters the test's own engine."""
    async with bb.testing(mode=mode) as jobs, app.router.lifespan_context(app), calling(app) as client:
        await client.post("/async/ada")
        await client.post("/def/bob")
        await jobs.drain()
        assert sorted(sent) == ["ada", "bob"]
    assert opened == ["opened", "closed"]


@modes
async def test_entered_without_await_on_a_loop(mode: Mode) -> None:
    """Entered by `with` in a coroutine, as the plugin does, all of it works; resources are open while jobs run."""
    with bb.testing(mode=mode) as jobs:
        async with calling(app) as client:
            await client.post("/async/ada")
            await client.post("/def/bob")
        await jobs.drain()
        assert sorted(sent) == ["ada", "bob"]


@modes
async def test_handles_outlive_the_engines_that_run_for_a_while(mode: Mode) -> None:
    """Entered by `with`, each `drain` has an engine of its own; a handle is awaited before, beside and after them."""

    async def store_and_wait() -> str:
        return await (await bb.create_task(send("bob"), delay=60))

    with bb.testing(mode=mode) as jobs:
        handle = await bb.create_task(send("ada"))
        await jobs.drain()
        assert await handle == "sent to ada"
        waiting = asyncio.create_task(store_and_wait())
        delayed = await bb.create_task(send("cid"), delay=60)
        await jobs.advance(61, drain=True)
        assert await waiting == "sent to bob"
        assert await delayed == "sent to cid"


@pytest.mark.parametrize("entered", [True, False])
async def test_inline_runs_groups_and_handlers_too(entered: bool) -> None:  # noqa: FBT001 - an example
    """What a group outside of any job stores, what an event makes, and what many store at once."""
    local: Backburner[None] = Backburner("memory://")
    local.on("order.*")(local.job(name="heard")(_heard))
    work = local.job(name="work")(_doubled)
    testing = local.testing(mode="inline")
    async with AsyncExitStack() as stack:
        if entered:
            await stack.enter_async_context(testing)
        else:
            stack.enter_context(testing)
        await local.publish("order.paid")
        assert sent == ["order.paid"]
        async with local.TaskGroup() as group:
            doubled = [group.create_task(work(number)) for number in range(3)]
        assert [await each for each in doubled] == [0, 2, 4]
        handles = await asyncio.gather(*(local.create_task(work(number)) for number in range(20)))
        assert [await handle for handle in handles] == [2 * number for number in range(20)]


async def _heard(event: Event) -> None:
    sent.append(event.name)


async def _doubled(number: int) -> int:
    return 2 * number


@modes
async def test_jobs_in_threads_store_and_wait(mode: Mode) -> None:
    """A `def` job whose child is run beside it."""
    async with bb.testing(mode=mode) as jobs:
        handle = await bb.create_task(send_from_a_thread("ada"))
        await jobs.drain()
        assert await handle == "sent to ada"


class TestUnittest(unittest.IsolatedAsyncioTestCase):
    """`bb.testing()` in a `TestCase`, each of whose tests has a loop of its own."""

    jobs: Testing

    async def asyncSetUp(self) -> None:
        """Test the app."""
        self.jobs = await self.enterAsyncContext(bb.testing())

    async def test_it_runs(self) -> None:
        """Jobs are stored, and run when they are drained."""
        await bb.create_task(send("ada"))
        assert (await self.jobs.drain()).completed == 1

    async def test_it_begins_with_nothing(self) -> None:
        """Each test has a store of its own."""
        assert self.jobs.all() == ()
        await bb.create_task(send("ada"))
        self.jobs.assert_enqueued(send("ada"))


# ---- leaving -----------------------------------------------------------------------------------------------------------


async def test_what_the_block_raises_is_raised() -> None:
    """An error in the block leaves nothing behind: the next test enters the app."""
    with pytest.raises(ZeroDivisionError):
        await _divide(bb.testing())
    with pytest.raises(ZeroDivisionError), bb.testing():
        await bb.create_task(send(f"{1 / 0}"))
    async with bb.testing() as jobs:
        assert jobs.all() == ()


async def _divide(testing: Testing) -> None:
    async with testing:
        await bb.create_task(send("ada"))
        await bb.create_task(send(f"{1 / 0}"))


def test_the_wrong_order_is_told() -> None:
    """A client that is entered first, or left last, is told so in words."""
    memory: Backburner[Any] = Backburner("memory://")
    with (
        TestClient(FastAPI(lifespan=memory.lifespan)),
        pytest.raises(AlreadyRunning, match=r"enter bb.testing\(\) before"),
    ):
        memory.testing().__enter__()
    testing = memory.testing()
    testing.__enter__()
    client = TestClient(FastAPI(lifespan=memory.lifespan))
    client.__enter__()
    with pytest.raises(AlreadyRunning, match="leave what enters it first"):
        testing.__exit__(None, None, None)
    with pytest.raises(NotRunning):
        client.__exit__(None, None, None)


def test_two_apps_at_once() -> None:
    """Each app has its own store, time and jobs; one stores into the other."""
    shop: Backburner[None] = Backburner("memory://")
    mail: Backburner[None] = Backburner("memory://")

    @mail.job
    async def letter(to: str) -> None:
        sent.append(to)

    @shop.job
    async def order(by: str) -> None:
        await mail.create_task(letter(by))

    async def test() -> None:
        async with shop.testing() as orders, mail.testing() as letters:
            await shop.create_task(order("ada"))
            await orders.drain()
            letters.assert_enqueued(letter("ada"))
            await letters.drain()

    asyncio.run(test())
    assert sent == ["ada"]


SCRIPT = """
import asyncio, tracemalloc, warnings
warnings.simplefilter("ignore")
from fastapi import FastAPI
from fastapi.testclient import TestClient
warnings.simplefilter("error")
from backburner import Backburner

bb = Backburner("memory://")

@bb.job
async def send(): ...

app = FastAPI(lifespan=bb.lifespan)
app.post("/")(lambda: bb.blocking.create_task(send()).id)

async def main():
    async with bb.testing() as jobs:
        await bb.create_task(send())
        await jobs.advance(days=1, drain=True)

for _ in range(2):
    with bb.testing() as jobs, TestClient(app) as client:
        client.post("/")
        client.portal.call(jobs.drain)
    asyncio.run(main())
    with bb.testing(mode="inline") as jobs:
        bb.blocking.create_task(send())
"""


def test_nothing_is_left_in_a_process_that_looks_for_it() -> None:
    """In Python's development mode, with warnings for errors, neither a loop, a task nor a thread is left unclosed."""
    answer = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (answer.returncode, answer.stderr) == (0, "")
