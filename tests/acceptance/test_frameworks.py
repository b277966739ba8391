"""Jobs, and what is read of them, where asyncio, anyio, Starlette, FastAPI and Litestar expect functions and values."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import msgspec
import pydantic
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from litestar import Litestar, Response, get
from litestar.background_tasks import BackgroundTask as LitestarTask
from litestar.background_tasks import BackgroundTasks as LitestarTasks
from litestar.di import NamedDependency
from litestar.di import Provide as LitestarProvide
from litestar.params import FromQuery  # noqa: TC002 - Litestar reads the annotation
from quart import Quart
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from backburner import Event, JobHandle, JobStatus, Provide, Reason, current_job
from backburner.dlq.handle import OperationStatus
from backburner.dlq.views import Cause, DeadLetter, WholeLetter
from backburner.dlq.views import Forecast as OperationForecast
from backburner.jobs.breakers import BreakerStatus
from backburner.observability.health import Report
from backburner.scheduler.views import Backfilled, Forecast, Schedule, Tick

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request

    from backburner import Backburner, Job


@pytest.fixture
def ran() -> list[str]:
    """Note what ran, in order."""
    return []


@pytest.fixture
def greet(bb: Backburner, ran: list[str]) -> Job[..., str]:
    """Return a job on the loop."""

    @bb.job
    async def greet(name: str) -> str:
        """Say hello."""
        ran.append(name)
        return f"hello {name}"

    return greet


@pytest.fixture
def shout(bb: Backburner, ran: list[str]) -> Job[..., str]:
    """Return a job in a thread."""

    @bb.job
    def shout(name: str) -> str:
        """Say hello, loudly."""
        ran.append(name)
        return f"HELLO {name}"

    return shout


@asynccontextmanager
async def browsing(app: Any) -> AsyncIterator[httpx.AsyncClient]:  # noqa: ANN401 - an ASGI app
    """Ask an app, in this very loop."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


# ---- asyncio and anyio -------------------------------------------------------------------------------------------------


async def test_asyncio_makes_no_task_of_a_call(greet: Job[..., str], ran: list[str]) -> None:
    """`asyncio.create_task(call)` and the like are refused by asyncio itself, in words that show the call."""
    call: Any = greet("ada")
    for start in (asyncio.create_task, asyncio.get_running_loop().create_task):
        with pytest.raises(TypeError, match=r"a coroutine was expected, got greet\(name='ada'\)"):
            start(call)
    with pytest.raises(ExceptionGroup) as group:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(call)
    assert group.group_contains(TypeError, match=r"got greet\(name='ada'\)", depth=1)
    assert ran == []
    assert await call == "hello ada"


async def test_whatever_awaits_runs_a_call_here(greet: Job[..., str], shout: Job[..., str], ran: list[str]) -> None:
    """A call is awaitable: `gather`, `wait_for`, `shield` and `ensure_future` run it right here, with no store."""
    assert [*await asyncio.gather(greet("ada"), shout("bob"))] == ["hello ada", "HELLO bob"]
    assert await asyncio.wait_for(greet("cem"), 60) == "hello cem"
    assert await asyncio.shield(greet("dan")) == "hello dan"
    assert await asyncio.ensure_future(greet("eve")) == "hello eve"
    assert sorted(ran) == ["ada", "bob", "cem", "dan", "eve"]


async def test_a_task_group_of_anyio_takes_no_call(greet: Job[..., str]) -> None:
    """`start_soon(job, …)` is refused by anyio, in words that show the call: it is not stored behind one's back."""

    async def wrapped() -> None:
        await greet("bob")

    calls: list[Any] = []

    def kept(name: str) -> object:
        calls.append(greet(name))
        return calls[-1]

    with pytest.raises(ExceptionGroup) as group:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kept, "ada")  # type: ignore[arg-type]
    assert group.group_contains(TypeError, match=r"greet\(name='ada'\)")
    assert await calls[0] == "hello ada"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wrapped)


def test_a_job_is_a_coroutine_function_to_those_who_ask(greet: Job[..., str], shout: Job[..., str]) -> None:
    """Frameworks ask this to tell what to await from what to send to a thread; a call of either job is to be awaited."""
    for job in (greet, shout):
        asked: Any = job
        assert inspect.iscoroutinefunction(asked)
        assert inspect.signature(job) == inspect.signature(job.fn)
        assert not inspect.isfunction(job)


# ---- Starlette ---------------------------------------------------------------------------------------------------------


async def test_a_background_task_of_starlette_runs_the_job(
    greet: Job[..., str], shout: Job[..., str], ran: list[str]
) -> None:
    """`BackgroundTask(job, …)` runs it in this process after the response; to keep it over a crash, store it."""

    async def page(request: Request) -> PlainTextResponse:
        job = {"greet": greet, "shout": shout}[request.query_params["job"]]
        return PlainTextResponse("ok", background=BackgroundTask(job, request.query_params["job"]))

    async with browsing(Starlette(routes=[Route("/", page)])) as client:
        for name in ("greet", "shout"):
            assert (await client.get("/", params={"job": name})).text == "ok"
    assert ran == ["greet", "shout"]


async def test_a_thread_pool_is_not_for_jobs(greet: Job[..., str], shout: Job[..., str], ran: list[str]) -> None:
    """`run_in_threadpool(job)` makes a call in the thread and hands it back: awaited, it runs; `.fn` runs there."""
    texts: dict[Any, str] = {greet: "hello ada", shout: "HELLO ada"}
    for job, text in texts.items():
        call: Any = await run_in_threadpool(job, "ada")
        assert await call == text
    assert await run_in_threadpool(shout.fn, "bob") == "HELLO bob"
    assert ran == ["ada", "ada", "bob"]


# ---- FastAPI -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", ["async", "def"])
async def test_background_tasks_of_fastapi_run_the_job(
    greet: Job[..., str], shout: Job[..., str], ran: list[str], endpoint: str
) -> None:
    """`BackgroundTasks.add_task(job, …)` runs jobs of both kinds in their order, from endpoints of both kinds."""
    app = FastAPI()

    def add(tasks: BackgroundTasks) -> str:
        tasks.add_task(greet, "ada")
        tasks.add_task(shout, name="bob")
        return "ok"

    async def add_on_the_loop(tasks: BackgroundTasks) -> str:
        return add(tasks)

    app.get("/")(add if endpoint == "def" else add_on_the_loop)
    async with browsing(app) as client:
        assert (await client.get("/")).json() == "ok"
    assert ran == ["ada", "bob"]


async def test_a_job_is_an_endpoint_and_a_dependency(greet: Job[..., str], shout: Job[..., str]) -> None:
    """FastAPI reads a job's parameters, return type and docstring, and runs it there and then."""
    app = FastAPI()

    def depending(job: Job[..., str]) -> Callable[..., str]:
        def endpoint(text: str = Depends(job)) -> str:
            return text

        return endpoint

    for job in (greet, shout):
        app.get(f"/{job.kind}")(job)
        app.get(f"/depends/{job.kind}")(depending(job))
    async with browsing(app) as client:
        for path in ("/greet", "/depends/greet"):
            assert (await client.get(path, params={"name": "ada"})).json() == "hello ada"
            assert (await client.get(path)).status_code == 422
        for path in ("/shout", "/depends/shout"):
            assert (await client.get(path, params={"name": "bob"})).json() == "HELLO bob"
        (described,) = (await client.get("/openapi.json")).json()["paths"]["/greet"].values()
    assert described["description"] == "Say hello."
    assert described["responses"]["200"]["content"]["application/json"]["schema"]["type"] == "string"
    assert [parameter["name"] for parameter in described["parameters"]] == ["name"]


async def test_what_is_provided_is_nobodys_to_send(bb: Backburner) -> None:
    """FastAPI asks its callers for a job's arguments alone: what the job depends on is opened, whatever a query says."""

    async def secret() -> AsyncIterator[str]:
        yield "provided"

    @bb.job
    async def show(name: str, key: str = Provide(secret)) -> str:
        return f"{name}: {key}"

    app = FastAPI()
    app.get("/")(show)
    async with browsing(app) as client:
        assert (await client.get("/", params={"name": "ada", "key": "sent"})).json() == "ada: provided"
        (described,) = (await client.get("/openapi.json")).json()["paths"]["/"].values()
    assert [parameter["name"] for parameter in described["parameters"]] == ["name"]
    assert await show("bob", key="given") == "bob: given"


async def test_an_app_that_lives_with_the_engine_stores_jobs(bb: Backburner, greet: Job[..., str]) -> None:
    """With ``FastAPI(lifespan=bb.lifespan)`` an endpoint stores a job and, if it likes, waits for it."""
    app = FastAPI(lifespan=bb.lifespan)

    @app.get("/")
    async def store(name: str) -> str:
        return await (await bb.create_task(greet(name)))

    async with bb.lifespan(app), browsing(app) as client:
        assert (await client.get("/", params={"name": "ada"})).json() == "hello ada"


# ---- Litestar, Quart -------------------------------------------------------------------------------------------------


async def test_background_tasks_of_litestar_run_the_job(
    greet: Job[..., str], shout: Job[..., str], ran: list[str]
) -> None:
    """`BackgroundTask(job, …)` runs jobs of both kinds after the response."""

    @get("/")
    async def page() -> Response[str]:
        return Response("ok", background=LitestarTasks([LitestarTask(greet, "ada"), LitestarTask(shout, name="bob")]))

    async with browsing(Litestar([page])) as client:
        assert (await client.get("/")).text == "ok"
    assert ran == ["ada", "bob"]


async def test_the_plain_function_of_a_job_is_a_handler_of_litestar(bb: Backburner) -> None:
    """Litestar reads `job.fn` as any function, as a handler and as what it provides."""

    @bb.job
    async def five() -> int:
        return 5

    @get("/provided", dependencies={"number": LitestarProvide(five.fn)})
    async def provided(number: NamedDependency[int]) -> int:
        return number

    async with browsing(Litestar([provided, get("/handler")(five.fn)])) as client:
        assert [(await client.get(path)).json() for path in ("/provided", "/handler")] == [5, 5]


async def test_litestar_waits_for_the_handle_that_a_handler_returns(bb: Backburner, greet: Job[..., str]) -> None:
    """A handle is awaited there, as all that can be: the answer is the job's result."""

    @get("/")
    async def page(name: FromQuery[str]) -> JobHandle[str]:
        return await bb.create_task(greet(name))

    async with bb, browsing(Litestar([page], openapi_config=None)) as client:
        assert (await client.get("/", params={"name": "ada"})).text == "hello ada"


async def test_a_background_task_of_quart_runs_the_job(
    greet: Job[..., str], shout: Job[..., str], ran: list[str]
) -> None:
    """`add_background_task(job, …)` runs jobs of both kinds, and the app waits for them when it stops."""
    app = Quart("app")

    @app.get("/")
    async def page() -> str:
        for job, name in ((greet, "ada"), (shout, "bob")):
            app.add_background_task(job, name)
        return "ok"

    async with app.test_app() as running:
        assert (await running.test_client().get("/")).status_code == 200
    assert sorted(ran) == ["ada", "bob"]


# ---- what is read of jobs, as answers --------------------------------------------------------------------------------

SHOWN = (
    Backfilled,
    BreakerStatus,
    Cause,
    DeadLetter,
    Event,
    Forecast,
    JobStatus,
    OperationForecast,
    OperationStatus,
    Reason,
    Report,
    Schedule,
    Tick,
    WholeLetter,
)


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: f"{shown.__module__}.{shown.__name__}")
def test_what_is_shown_can_be_described(shown: type) -> None:
    """What an app is shown can stand in the signature of a handler: msgspec reads all of it, pydantic nearly all."""
    assert msgspec.json.schema(shown)["$defs"]
    # A trigger is of msgspec's making, and a filter is a TypedDict, which pydantic reads from Python 3.12 on.
    if dataclasses.is_dataclass(shown) and shown not in {OperationStatus, Schedule}:
        assert pydantic.TypeAdapter(shown).json_schema()["properties"]


@pytest.mark.parametrize("framework", ["fastapi", "litestar"])
async def test_a_status_is_an_answer(bb: Backburner, framework: str) -> None:
    """A handler returns a `JobStatus`, and says so: it is JSON, with its progress, and stands in the OpenAPI document."""

    @bb.job
    async def render(pages: int) -> int:
        await current_job().progress(pages, pages)
        return pages

    async def status() -> JobStatus:
        handle = await bb.create_task(render(3), tags=["book"])
        await handle
        return await handle.status()

    app: Any
    if framework == "fastapi":
        app, described = FastAPI(lifespan=bb.lifespan), "/openapi.json"
        app.get("/status")(status)
    else:
        app, described = Litestar([get("/status")(status)], lifespan=[bb.lifespan]), "/schema/openapi.json"
    async with bb, browsing(app) as client:
        answer = (await client.get("/status")).json()
        document = (await client.get(described)).json()
    assert answer["state"] == "completed"
    assert (answer["progress"], answer["tags"]) == ([3, 3], ["book"])
    assert answer["created"].endswith("Z")
    assert "JobStatus" in document["components"]["schemas"]
