"""The apps of docs/how-to/embed, started as the pages say: in real servers, stopped by SIGTERM, started again."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest

from backburner import Backburner, current_job
from tests.acceptance.commands import told
from tests.servers.launch import GRACE, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from contextlib import AbstractAsyncContextManager

    from backburner import JobHandle

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "how-to"
#: Below a page's app: a job that says it runs, and ends when it is told to.
HOLD = """
import asyncio

@bb.job
async def hold(port: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return (await reader.readline()).decode()
    finally:
        writer.close()
"""
#: What Django's own `startproject` writes, as far as it is needed.
SETTINGS = """
ALLOWED_HOSTS = ["127.0.0.1"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
MIGRATION_MODULES = {"auth": None, "contenttypes": None}
ROOT_URLCONF = "shop.urls"
SECRET_KEY = "no secret"
"""
URLS = """
from django.urls import path
from shop import views

urlpatterns = [path("sign-up", views.sign_up), path("greetings/<job>", views.greeting)]
"""


def files(page: str) -> dict[str, str]:
    """Return the Python of a page by the file it says it is; blocks of one file follow each other."""
    found: dict[str, str] = {}
    for block in re.findall(r"```python\n(.*?)```", (PAGES / page).read_text("utf-8"), re.DOTALL):
        (name,) = re.findall(r"\A# ([\w/]+\.py)", block)
        found[name] = found.get(name, "") + block
    return found


def commands(page: str) -> list[list[str]]:
    """Return the commands of a page, each as it is run by this very Python."""
    found = re.findall(r"```sh\n(.*?)```", (PAGES / page).read_text("utf-8"), re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in found for line in block.splitlines()]
    return [[sys.executable, *(line[1:] if line[0] == "python" else ["-m", *line])] for line in lines]


def execute(source: str, **names: object) -> dict[str, Any]:
    """Run a file as the module it is, and return its names."""
    namespace: dict[str, Any] = {"__name__": "embedding", **names}
    exec(compile(source, "embedding", "exec"), namespace)  # noqa: S102 - the page's own code
    return namespace


class Place:
    """A folder with a page's files, and the store that they name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/jobs.db"

    def write(self, sources: Mapping[str, str]) -> None:
        """Write files."""
        for name, text in sources.items():
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_text(text)

    @asynccontextmanager
    async def run(self, command: list[str], ready: str = "unning on", times: int = 1) -> AsyncGenerator[Program]:
        """Run a program that shows so many times that it is ready; end it by SIGTERM."""
        process = await self._start(command)
        program = Program(process)
        try:
            await program.shows(ready, times)
            yield program
        finally:
            await program.end()

    async def finish(self, command: list[str]) -> str:
        """Run a program to its end; return what it says."""
        process = await self._start(command)
        out, _ = await process.communicate()
        assert process.returncode == 0, out
        return out.decode()

    async def _start(self, command: list[str]) -> asyncio.subprocess.Process:
        surroundings = {
            "BACKBURNER_GRACE": "0.1",
            "PYTHONPATH": f"{ROOT}",
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "error",
        }
        return await asyncio.create_subprocess_exec(
            *command, cwd=self.folder, env={**os.environ, **surroundings}, stdout=PIPE, stderr=STDOUT
        )


class Program:
    """A program that was started."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._said = ""

    async def shows(self, text: str, times: int) -> None:
        """Wait until it has shown a text so many times."""
        assert self._process.stdout is not None
        while times:
            line = (await self._process.stdout.readline()).decode()
            assert line, f"it ended, and had said: {self._said}"
            self._said += line
            times -= text in line

    async def end(self) -> None:
        """Tell it to stop, and wait until it has."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(GRACE):
                out, _ = await self._process.communicate()
        except TimeoutError:
            self._process.kill()
            out, _ = await self._process.communicate()
        self._said += out.decode()
        # uvicorn tells by dying of the signal in the end that it was stopped by one.
        assert self._process.returncode in {0, -signal.SIGTERM}, self._said
        assert "Traceback" not in self._said, self._said


class Holding:
    """Jobs that run, wherever, until this test tells them to end."""

    def __init__(self, bb: Backburner) -> None:
        self._bb, self._job = bb, execute(HOLD, bb=bb)["hold"]
        self._running: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        self._port = 0

    @classmethod
    @asynccontextmanager
    async def on(cls, place: Place) -> AsyncGenerator[Self]:
        """Have an engine that only stores, on the store of the page's app."""
        async with Backburner(place.url, run=False) as bb:
            holding = cls(bb)
            async with await asyncio.start_server(holding._hear, "127.0.0.1", 0) as server:
                holding._port = server.sockets[0].getsockname()[1]
                yield holding

    async def store(self) -> JobHandle[str]:
        """Store one."""
        handle: JobHandle[str] = await self._bb.create_task(self._job(self._port))
        return handle

    async def runs(self) -> asyncio.StreamWriter:
        """Wait until one runs; what is written to it is its result."""
        return await self._running.get()

    async def _hear(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._running.put_nowait(writer)


async def given_back_and_completed(
    holding: Holding, once: AbstractAsyncContextManager[object], again: AbstractAsyncContextManager[object]
) -> None:
    """Prove that a job which runs in an app that is stopped costs no attempt, and completes in the next."""
    async with once:
        handle = await holding.store()
        writer = await holding.runs()
    writer.close()
    status = await handle.status()
    assert (status.state, status.interruptions, status.crashes, status.failures) == ("waiting", 1, 0, 0)
    async with again:
        writer = await holding.runs()
        writer.write(b"told")
        writer.close()
        assert await handle == "told"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Bring an empty folder."""
    return Place(tmp_path)


# ---- in web servers ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def browsing(port: int) -> AsyncGenerator[httpx.AsyncClient]:
    """Ask a server."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", follow_redirects=True, timeout=30) as client:
        yield client


def served(place: Place, page: str, port: int) -> list[str]:
    """Write the app of a page with a job below it; return the page's command, for a port."""
    sources = files(page)
    (command,) = commands(page)
    if "aiohttp" in page:  # it is a program, with its port in it
        above, main, below = sources["app.py"].partition("if __name__")
        assert main
        above = f"from ids import identified\n{above}".replace("Application()", "Application(middlewares=[identified])")
        below = below.replace("port=8080", f'host="127.0.0.1", port={port}')
        place.write({**sources, "app.py": f"{above}{HOLD}\n{main}{below}"})
        return command
    place.write({**sources, "app.py": sources["app.py"] + HOLD})
    return [*command, *(["--bind", f"127.0.0.1:{port}"] if "hypercorn" in command else ["--port", f"{port}"])]


@pytest.mark.parametrize("page", ["aiohttp", "fastapi", "litestar", "quart", "starlette"])
async def test_the_app_of_a_page_lives_and_dies_as_it_says(place: Place, page: str) -> None:
    """Its handlers store a job and answer its result; SIGTERM gives back what runs, which the next process completes."""
    port = free_port()
    command = served(place, f"embed/{page}.md", port)
    async with Holding.on(place) as holding, browsing(port) as client:

        @asynccontextmanager
        async def asked() -> AsyncGenerator[None]:
            async with place.run(command):
                answer = await client.post("/books", json={"title": "Emma", "pages": 3})
                assert answer.status_code == 202
                job = answer.json()["job"]
                assert (await client.get(f"/books/{job}/file")).json() == {"file": "Emma.pdf"}
                assert (await client.get("/books/none/file")).status_code == 404
                for probe in ("live", "ready"):
                    assert (await client.get(f"/health/{probe}")).json()["ok"]
                if page in {"fastapi", "litestar", "quart"}:
                    assert (await client.get(f"/books/{job}")).json()["state"] == "completed"
                if page == "aiohttp":
                    assert answer.headers["X-Request-ID"]
                yield

        await given_back_and_completed(holding, asked(), place.run(command))


async def test_workers_of_one_server_share_a_file(place: Place) -> None:
    """With `--workers 2` both processes are nodes on the one SQLite file, and both give back what they run."""
    port = free_port()
    command = [*served(place, "embed/fastapi.md", port), "--workers", "2"]
    async with Holding.on(place) as holding, browsing(port) as client:
        async with place.run(command, ready="Application startup complete", times=2):
            answers = [await client.post("/books", json={"title": f"{n}", "pages": 1}) for n in range(10)]
            for n, answer in enumerate(answers):
                assert (await client.get(f"/books/{answer.json()['job']}/file")).json() == {"file": f"{n}.pdf"}
            nodes = [node for node in await told(place.url, "nodes", "list") if node["state"] == "alive"]
            assert len({node["id"] for node in nodes if node["queues"]}) == 2
            # More than one of them has room for.
            handles = [await holding.store() for _ in range(11)]
            writers = [await holding.runs() for _ in handles]
        for writer in writers:
            writer.close()
        statuses = [await handle.status() for handle in handles]
    assert {(status.state, status.interruptions, status.crashes) for status in statuses} == {("waiting", 1, 0)}
    assert len({status.node for status in statuses}) == 2


async def test_a_browser_is_told_of_progress() -> None:
    """The events of the page tell state and progress until the job has ended; of no job there is a 404."""
    app = execute(files("embed/fastapi.md")["app.py"].replace("sqlite:///jobs.db", "memory://"))
    bb: Backburner = app["bb"]
    go_on = asyncio.Event()

    @bb.job
    async def draw() -> None:
        await current_job().progress(1, 2)
        await go_on.wait()

    async with bb:
        handle = await bb.create_task(draw())
        events = app["told"](bb.handle(handle.id, draw))
        while (event := told_by(await anext(events)))["progress"] is None:
            pass
        assert event == {"state": "running", "progress": [1, 2]}
        go_on.set()
        *_, last = [told_by(each) async for each in events]
        assert last == {"state": "completed", "progress": [1, 2]}
        transport = httpx.ASGITransport(app["app"])
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            job = (await client.post("/books", json={"title": "Emma", "pages": 3})).json()["job"]
            answer = await client.get(f"/books/{job}/events")
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert told_by(f"data: {answer.text.split('data: ')[-1]}") == {"state": "completed", "progress": [3, 3]}
            assert (await client.get("/books/none/events")).status_code == 404


def told_by(event: str) -> Any:  # noqa: ANN401 - what is in it
    """Read one server-sent event."""
    assert event.startswith("data: ")
    assert event.endswith("\n\n")
    return json.loads(event.removeprefix("data: "))


async def test_the_project_of_django(place: Place) -> None:
    """A sync view stores after the commit, an async one waits; jobs run beside the requests, or in a worker."""
    port = free_port()
    sources = files("embed/django.md")
    sources["shop/jobs.py"] += HOLD
    place.write({**sources, "shop/settings.py": SETTINGS, "shop/urls.py": URLS, "shop/__init__.py": ""})
    serve, work = commands("embed/django.md")
    migrate = [sys.executable, "-m", "django", "migrate", "--run-syncdb", "--settings", "shop.settings"]
    await place.finish(migrate)
    async with Holding.on(place) as holding, browsing(port) as client:

        @asynccontextmanager
        async def asked() -> AsyncGenerator[None]:
            async with place.run([*serve, "--port", f"{port}"]):
                answer = await client.get("/sign-up", params={"name": "ada"})
                assert answer.json() == {"job": "greet-1"}
                assert (await client.get("/greetings/greet-1")).json() == {"greeting": "hello, ada"}
                assert (await client.get("/health/ready")).json()["ok"]
                yield

        await given_back_and_completed(holding, asked(), place.run(work, ready="engine.started"))


# ---- without one -------------------------------------------------------------------------------------------------------


async def test_a_service_of_plain_asyncio(place: Place) -> None:
    """The page's service gives back what runs on SIGTERM; `backburner run` completes it."""
    source = files("embed/asyncio.md")["service.py"]
    main = "if __name__"
    place.write({"service.py": source.replace(main, f"{HOLD}\n{main}")})
    serve = commands("embed/asyncio.md")[1]
    work = [sys.executable, "-m", "backburner", "run", "service:bb"]
    async with Holding.on(place) as holding:
        await given_back_and_completed(holding, place.run(serve, times=0), place.run(work, ready="engine.started"))


async def test_a_script_of_plain_asyncio(place: Place) -> None:
    """The page's script prints the results that it waits for."""
    place.write(files("embed/asyncio.md"))
    assert await place.finish(commands("embed/asyncio.md")[0]) == "['Emma.pdf', 'Persuasion.pdf']\n"


async def test_flask_stores_and_a_worker_runs(place: Place) -> None:
    """The page's Flask app stores a job without a loop; the page's worker, on the same module, completes it."""
    port = free_port()
    place.write(files("embed/flask.md"))
    serve, work = commands("embed/flask.md")
    async with Backburner(place.url, run=False) as bb, browsing(port) as client:
        render = bb.job(render_nothing)
        async with place.run([*serve, "--port", f"{port}"]):
            answer = await client.post("/books", json={"title": "Emma"})
            assert answer.status_code == 202
        async with place.run(work, ready="engine.started"):
            assert await bb.handle(answer.json()["job"], render) == "Emma.pdf"


def render_nothing(title: str) -> str:
    """Stand in for the page's job: what reads a result must know its type."""
    raise NotImplementedError(title)


def test_links_lead_somewhere() -> None:
    """What the pages link to is there."""
    for page in (PAGES / "embed").glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+?)\)", page.read_text("utf-8")):
            assert (page.parent / target).is_file(), f"{page.name} leads to {target}"


def test_every_page_is_tried() -> None:
    """A page that is added is started here."""
    tried = {"aiohttp", "asyncio", "django", "fastapi", "flask", "litestar", "quart", "starlette"}
    assert {page.stem for page in (PAGES / "embed").glob("*.md")} == tried
