"""Breakers on every store, over two engines where a store is shared: open, probing, a ramp, closed; no attempt is spent."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from backburner import Backburner, Breaker, Registry, RetryPolicy, constant, current_job
from backburner.ports.telemetry import Signal
from tests.acceptance.crews import crew, empty, finished, lane, store
from tests.acceptance.gauge import Gauge, turn
from tests.servers.proxy import Proxy
from tests.stores import SERVED

if TYPE_CHECKING:
    from collections.abc import Callable

#: Jobs whose dependency fails are tried again soon; the breaker, and nothing else, is to hold them back.
SOON = RetryPolicy(attempts=20, backoff=constant(0.001))
SHORT = 0.2


class Provider:
    """A dependency that is down until it is up, and notes its calls."""

    def __init__(self) -> None:
        self.up = False
        self.calls: Counter[str] = Counter()
        self.gauge = Gauge()

    async def call(self) -> None:
        """Succeed, or fail."""
        with self.gauge.run():
            self.calls[current_job().id] += 1
            await turn(0)
            if not self.up:
                raise ConnectionError("503")


class Ear:
    """Hears what engines tell of breakers."""

    def __init__(self) -> None:
        self.heard: list[Signal] = []
        self._changed = asyncio.Event()

    def __call__(self, signal: Signal, /, *, error: BaseException | None = None, **fields: object) -> None:
        del error, fields
        if signal.value.startswith("breaker."):
            self.heard.append(signal)
            self._changed.set()

    async def hears(self, signal: Signal, times: int = 1) -> None:
        """Wait until it was told so often."""
        while self.heard.count(signal) < times:
            self._changed.clear()
            await self._changed.wait()


class Shop:
    """Jobs of two kinds that share a breaker."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - a breaker's
        self.provider = Provider()
        self.jobs = Registry()
        given: dict[str, Any] = {"calls": 5, "probes": 1, "open": constant(SHORT), **options}

        @self.jobs.job(breaker=Breaker("payments", **given), retry=SOON)
        async def charge() -> None:
            await self.provider.call()

        @self.jobs.job(breaker="payments", retry=SOON)
        async def refund() -> None:
            await self.provider.call()

        self.charge, self.refund = charge, refund


async def test_an_outage_from_its_beginning_to_its_end(make: Callable[..., Backburner]) -> None:
    """It opens for all engines and kinds, probes by one job at a time, and closes in a ramp; every attempt was a call."""
    shop, ear = Shop(), Ear()
    provider = shop.provider
    async with crew(make, shop.jobs, listener=ear) as engines:
        handles = await store(engines, [call for _ in range(75) for call in (shop.charge(), shop.refund())])
        # It opened, and three probes in a row found the provider down.
        await ear.hears(Signal.BREAKER_OPENED, 4)
        made = provider.calls.total()
        (status,) = await engines[0].breakers.list()
        assert status.name == "payments"
        provider.up = True
        await ear.hears(Signal.BREAKER_CLOSED)
        ended = await finished(handles)
        await empty(engines[0], "breaker:payments")
        left = (await lane(engines[0], "breaker:payments")).limit
    # What ran beside each other when it opened, once more on each engine until it had heard, and three probes.
    assert made <= 2 * 10 * len(engines) + 3
    assert ear.heard[:3] == [Signal.BREAKER_OPENED, Signal.BREAKER_PROBING, Signal.BREAKER_OPENED]
    assert ear.heard[-1] is Signal.BREAKER_CLOSED
    assert left.slots is None
    assert {each.state for each in ended} == {"completed"}
    assert {each.id: each.attempt for each in ended} == dict(provider.calls)
    assert {each.interruptions for each in ended} == {0}


async def test_an_operator_opens_it_and_gives_it_back(make: Callable[..., Backburner]) -> None:
    """`breakers.open` holds its jobs back on all engines, however well the dependency is; `auto` lets them go."""
    shop = Shop()
    provider = shop.provider
    provider.up = True
    async with crew(make, shop.jobs) as engines:
        first, last = engines[0], engines[-1]
        await finished([await last.create_task(shop.charge())])
        await first.breakers.open("payments", reason="maintenance", by="ops")
        (status,) = await last.breakers.list()
        assert (status.slots, status.forced, status.by, status.reason) == (0, True, "ops", "maintenance")
        handles = await store(engines, [call for _ in range(5) for call in (shop.charge(), shop.refund())])
        while not (await lane(first, "breaker:payments")).parked:
            await turn()
        (reason, *_) = await last.why(handles[0].id)
        assert reason.code == "breaker"
        assert reason.text.startswith("breaker payments was opened by ops (maintenance)")
        assert provider.calls.total() == 1
        await last.breakers.auto("payments")
        ended = await finished(handles)
        await empty(first, "breaker:payments")
    assert {(each.state, each.attempt) for each in ended} == {("completed", 1)}


async def test_what_was_claimed_before_it_opened_is_given_back(make: Callable[..., Backburner]) -> None:
    """Also from the line for a thread: of forty claimed at once few are called, and no attempt is spent on the others."""
    jobs, calls, up = Registry(), list[str](), threading.Event()

    @jobs.job(breaker=Breaker("payments", calls=4, probes=1, open=constant(SHORT)), retry=SOON)
    def charge() -> None:
        calls.append(current_job().id)
        if not up.wait(0.05):
            raise ConnectionError("503")

    ear, made = Ear(), list[int]()

    def listen(signal: Signal, /, **fields: Any) -> None:  # noqa: ANN401 - of any signal
        ear(signal, **fields)
        if signal is Signal.BREAKER_OPENED and ear.heard.count(signal) == 2:
            # At once: until this test has its turn more are called.
            made.append(len(calls))
            up.set()

    async with crew(make, jobs, threads=2, queues={"default": 40}, listener=listen) as engines:
        # Claimed all at once; two at a time have a thread.
        handles = await store(engines, [charge() for _ in range(40)])
        await ear.hears(Signal.BREAKER_OPENED, 2)
        ended = await finished(handles)
        await empty(engines[0], "breaker:payments")
    assert {each.state for each in ended} == {"completed"}
    # On each engine those that opened it, and those that had a thread by then; and a probe that failed, perhaps another.
    assert made[0] <= len(engines) * (4 + 2) + 2
    assert {each.id: each.attempt for each in ended} == Counter(calls)


@pytest.mark.parametrize("url", SERVED, indirect=True)
async def test_while_the_store_is_away_an_engine_goes_by_itself(url: str, make: Callable[..., Backburner]) -> None:
    """Its runs fail while nobody can be told: it says that it opened alone, and tells the others when the store is back."""
    shop, ear = Shop(), Ear()
    provider, go = shop.provider, asyncio.Event()
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None

    @shop.jobs.job(breaker="payments", retry=SOON)
    async def settle() -> None:
        with provider.gauge.run("settle"):
            await go.wait()
        await provider.call()

    async with Proxy(parts.hostname, parts.port) as proxy:
        away = Backburner(proxy.url(url), jobs=[shop.jobs], write_timeout=1, listener=ear)
        async with away, make(jobs=[shop.jobs], run=False) as client:
            handles = await client.create_tasks([settle() for _ in range(30)])
            await provider.gauge.until(lambda: provider.gauge.now["settle"] == 10)
            proxy.refuse()
            await proxy.sever()
            go.set()
            await ear.hears(Signal.BREAKER_ALONE)
            assert provider.calls.total() == 10
            assert (await client.breakers.list())[0].phase == "closed"
            await proxy.accept()
            await ear.hears(Signal.BREAKER_OPENED)
            provider.up = True
            ended = await finished(handles)
            await empty(client, "breaker:payments")
    assert {each.state for each in ended} == {"completed"}
    assert {each.id: each.attempt for each in ended} == Counter(provider.calls)
