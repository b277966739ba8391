"""Probes: what they judge, and how they answer over HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from backburner.errors import StoreUnavailable
from backburner.observability.health import Health
from backburner.observability.vitals import LoopVitals, Vitals
from backburner.testing.clock import FakeClock
from tests.unit.observability.measuring import BUSY

if TYPE_CHECKING:
    from backburner.observability.health import Probe

LEASE = 30.0
STALL = 300.0


class Engine:
    """Answers what a test puts here."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.now = BUSY
        self.error: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.pings = 0
        self.health = Health(lambda: self.now, self.ping, lease=LEASE, stall_limit=STALL, clock=self.clock)

    async def ping(self) -> None:
        self.pings += 1
        await self.open.wait()
        if self.error is not None:
            raise self.error

    async def failing(self, probe: Probe) -> dict[str, str]:
        """Return why a probe's checks fail, by name."""
        report = await probe()
        failing = {name: check.why for name, check in report.checks.items() if not check.ok}
        assert report.ok is not bool(failing)
        return failing


@pytest.fixture
def engine() -> Engine:
    """Bring one that is well."""
    return Engine()


def keeper(failures: int = 0, *, alive: bool = True) -> tuple[LoopVitals, ...]:
    """Return the loops of an engine whose keeper failed so often."""
    return (LoopVitals("keeper", failures, away=False, alive=alive),)


async def test_an_engine_that_is_well_lives_and_is_ready(engine: Engine) -> None:
    """Every check is good, and those that measure say how long."""
    live, ready = await engine.health.live(), await engine.health.ready()
    assert (live.ok, set(live.checks)) == (True, {"loops", "beat", "lag"})
    assert (ready.ok, set(ready.checks)) == (True, {"started", "draining", "store", "lease", "loops", "lag"})
    assert not [check for check in (*live.checks.values(), *ready.checks.values()) if check.why]
    assert ready.checks["lease"].seconds == 2.5
    assert ready.checks["store"].seconds == 0


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"started": False}, "started"),
        ({"draining": True}, "draining"),
        ({"store_away": True}, "store"),
        ({"lease_lost": True}, "lease"),
        ({"last_beat": LEASE + 1}, "lease"),
    ],
)
async def test_what_makes_an_engine_unready_kills_it_not(engine: Engine, change: dict[str, Any], check: str) -> None:
    """A restart would mend none of these."""
    engine.now = replace(BUSY, **change)
    assert check in await engine.failing(engine.health.ready)
    assert await engine.failing(engine.health.live) == {}


async def test_an_engine_that_has_not_started_asks_no_store(engine: Engine) -> None:
    """It lives, is not ready, and its store is not open."""
    engine.now = Vitals()
    assert set(await engine.failing(engine.health.ready)) == {"started", "store"}
    assert await engine.failing(engine.health.live) == {}
    assert engine.pings == 0


async def test_a_loop_that_has_ended_is_mended_by_a_restart(engine: Engine) -> None:
    """It neither lives nor is ready, and says which loop it is."""
    engine.now = replace(BUSY, loops=(LoopVitals("claimer", 0, away=False, alive=False), *keeper()))
    assert await engine.failing(engine.health.live) == {"loops": "ended unexpectedly: claimer"}
    assert await engine.failing(engine.health.ready) == {"loops": "ended unexpectedly: claimer"}


async def test_a_loop_that_fails_tries_again(engine: Engine) -> None:
    """That is told, and nothing is restarted for it."""
    engine.now = replace(BUSY, loops=(LoopVitals("claimer", 7, away=False, alive=True), *keeper()))
    report = await engine.health.live()
    assert report.ok
    assert report.checks["loops"].why == "failing, and trying again: claimer (7 times)"


async def test_a_node_that_stopped_beating_is_restarted(engine: Engine) -> None:
    """Silent for longer than the stall limit, and nothing says that it tries."""
    engine.now = replace(BUSY, last_beat=STALL + 1)
    assert set(await engine.failing(engine.health.live)) == {"beat"}


@pytest.mark.parametrize("change", [{"store_away": True}, {"lease_lost": True}, {"loops": keeper(40)}])
async def test_an_outage_of_the_store_restarts_nobody(engine: Engine, change: dict[str, Any]) -> None:
    """A node whose beats fail, or which tries to come back, for however long: another process would fail alike."""
    engine.now = replace(BUSY, last_beat=100 * STALL, **change)
    assert await engine.failing(engine.health.live) == {}


async def test_an_engine_that_only_stores_has_no_lease(engine: Engine) -> None:
    """No beat is expected of it."""
    engine.now = Vitals(started=True)
    assert (await engine.health.ready()).ok
    assert (await engine.health.live()).ok


async def test_why_the_store_fails_gives_nothing_away(engine: Engine) -> None:
    """The type of the error, and no address: anybody may read a probe."""
    engine.error = StoreUnavailable("no answer from db.internal:5432", stored="no")
    assert await engine.failing(engine.health.ready) == {"store": "it did not answer: StoreUnavailable"}


async def test_a_store_that_hangs_is_not_waited_for(engine: Engine) -> None:
    """After a second the probe answers without it."""
    engine.open.clear()
    asking = asyncio.ensure_future(engine.health.ready())
    await engine.clock.settle()
    await engine.clock.advance(1)
    report = await asking
    assert not report.ok
    assert report.checks["store"].why == "it did not answer: TimeoutError"
    assert report.checks["store"].seconds == 1


async def test_however_many_probe_the_store_is_asked_once_a_second(engine: Engine) -> None:
    """Probes are cheap to ask for, so the store must not pay for each."""
    for _ in range(5):
        await engine.health.ready()
    assert engine.pings == 1
    await engine.clock.advance(1)
    await engine.health.ready()
    assert engine.pings == 2


async def test_a_slow_turn_of_the_loop_is_told(engine: Engine) -> None:
    """What blocks the loop shows, and takes nobody out of service."""
    asking = asyncio.ensure_future(engine.health.live())
    # Runs once the probe has begun, and before its next turn.
    asyncio.get_running_loop().call_soon(engine.clock.move, 0.5)
    report = await asking
    assert report.ok
    assert (report.checks["lag"].seconds, report.checks["lag"].why) == (0.5, "something blocks the event loop")


# ---- over HTTP -----------------------------------------------------------------------------------------------------


def client(app: Any) -> httpx.AsyncClient:  # noqa: ANN401 - whatever speaks ASGI
    """Ask an app."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", follow_redirects=True)


@pytest.fixture
def mounted(engine: Engine) -> Starlette:
    """Mount both probes in an app."""
    return Starlette(
        routes=[Mount("/health/live", engine.health.live), Mount("/health/ready", engine.health.ready)],
    )


@pytest.mark.parametrize("path", ["/health/ready", "/health/ready/"])
async def test_a_ready_engine_answers_200(mounted: Starlette, path: str) -> None:
    """With the report as JSON, with and without a slash at the end."""
    async with client(mounted) as http:
        answer = await http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["ok"] is True
    assert answer.json()["checks"]["started"] == {"ok": True}


async def test_one_that_is_not_answers_503(engine: Engine, mounted: Starlette) -> None:
    """The report says why."""
    engine.now = replace(BUSY, draining=True)
    async with client(mounted) as http:
        answer = await http.get("/health/ready/")
        living = await http.get("/health/live/")
    assert (answer.status_code, living.status_code) == (503, 200)
    assert answer.json()["checks"]["draining"] == {"ok": False, "why": "it takes no more work"}


async def test_head_answers_without_a_body(engine: Engine, mounted: Starlette) -> None:
    """As GET would, with the length of what it would say."""
    engine.now = replace(BUSY, draining=True)
    async with client(mounted) as http:
        answer = await http.head("/health/ready/")
    assert (answer.status_code, answer.content) == (503, b"")
    assert int(answer.headers["content-length"]) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_it_can_be_read_only(mounted: Starlette, method: str) -> None:
    """Other methods are refused, and the engine is not looked at."""
    async with client(mounted) as http:
        answer = await http.request(method, "/health/ready/")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_nothing_is_below_it(mounted: Starlette) -> None:
    """A path below the mount is not found."""
    async with client(mounted) as http:
        assert (await http.get("/health/ready/more")).status_code == 404


async def test_it_serves_as_a_route_too(engine: Engine) -> None:
    """Without a slash at the end, and so without a redirect."""
    async with client(Starlette(routes=[Route("/readyz", engine.health.ready)])) as http:
        answer = await http.get("/readyz", follow_redirects=False)
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/health/ready/", "/api/health/ready/", "/readyz"])
async def test_it_is_found_behind_a_proxy(engine: Engine, path: str) -> None:
    """Mounted or routed, and whether the proxy takes its own path off or leaves it."""
    app = Starlette(routes=[Mount("/health/ready", engine.health.ready), Route("/readyz", engine.health.ready)])
    transport = httpx.ASGITransport(app, root_path="/api")
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        assert (await http.get(path)).status_code == 200
        assert (await http.get(f"{path}/more")).status_code == 404


async def test_it_is_an_app_by_itself(engine: Engine) -> None:
    """Below no mount its path is the root; what is no HTTP is closed, or left alone."""
    async with client(engine.health.ready) as http:
        assert (await http.get("/")).status_code == 200
        assert (await http.get("/elsewhere")).status_code == 404
    sent: list[Any] = []

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI's
        sent.append(message)

    async def receive() -> Any:  # noqa: ANN401 - ASGI's
        raise AssertionError

    await engine.health.ready({"type": "lifespan"}, receive, send)
    assert sent == []
    await engine.health.ready({"type": "websocket", "path": "/"}, receive, send)
    assert sent == [{"type": "websocket.close"}]
