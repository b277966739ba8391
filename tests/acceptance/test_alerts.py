"""Alerts on every store, over two engines where a store is shared: told once, and handed to whoever is to hear of them."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backburner import Backburner, Budget, Event, Every, LockLost, Registry, RetryPolicy, constant
from backburner.errors import DuplicateSubscription, InvalidAlert, InvalidArguments, InvalidOption
from backburner.model.event import NewSubscription
from backburner.sinks import callback
from backburner.testing import FakeClock
from tests.acceptance.crews import crew, finished
from tests.acceptance.gauge import turn
from tests.acceptance.ticking import LEAPING, PATIENCE, Heard, leap, seen
from tests.stores import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "alerts.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


class Shop:
    """Jobs that fail until they do not, and one that hears of alerts."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - of the job that fails
        self.failing = True
        self.heard: list[tuple[str, str]] = []
        self.jobs = Registry()
        given: dict[str, Any] = {"retry": "none", **options}

        @self.jobs.job(**given)
        async def charge() -> None:
            if self.failing:
                raise ConnectionError("503")

        @self.jobs.job
        async def page(event: Event) -> None:
            self.heard.append((event.name, event.subject))

        self.charge, self.page = charge, page

    async def fails(self, bb: Backburner, times: int) -> None:
        """Have jobs fail, and wait until they have."""
        await finished(await bb.create_tasks([self.charge() for _ in range(times)]))


async def look(*engines: Backburner) -> None:
    """Have engines look, as they do every few seconds."""
    await asyncio.gather(*(engine._running()._watch() for engine in engines))


async def told(bb: Backburner, *names: str) -> list[tuple[str, str]]:
    """Return the names and subjects of the events that were stored."""
    page = await bb._running()._backend.event_reader.read(patterns=names, limit=1_000)
    return [(event.name, event.subject) for event in page.events]


async def ask(bb: Backburner, *patterns: str) -> None:
    """Have events be kept."""
    await bb._running()._backend.events.subscribe(NewSubscription(name="test", patterns=patterns, ttl=10**12))


async def eventually(met: Callable[[], object]) -> None:
    """Wait until something has come about."""
    async with asyncio.timeout(PATIENCE):
        while not met():
            await turn()


async def purge(bb: Backburner) -> None:
    """Delete the dead letters."""
    await (await bb.dlq.purge(all=True))


FIRED, RESOLVED = "alert.fired", "alert.resolved"


# ---- what is told, and to whom ----------------------------------------------------------------------------------------


async def test_one_is_told_once_and_handed_to_everybody(make: Callable[..., Backburner]) -> None:
    """However many engines look: one event, one job for each that is to hear, and the same once it is over."""
    shop, sent, ear = Shop(), list[tuple[str, str]](), Heard()

    async def send(event: Event) -> None:
        sent.append((event.name, event.subject))

    def declaring(**options: Any) -> Backburner:  # noqa: ANN401 - an engine's
        engine = make(listener=ear, **options)
        engine.alert(
            when="dlq.count > 2", to=[shop.page, callback(send, name="pager")], name="letters", at_most_every="1h"
        )
        return engine

    declaring.args = make.args  # type: ignore[attr-defined]
    async with crew(declaring, shop.jobs) as engines:
        await shop.fails(engines[0], 2)
        await look(*engines)
        await shop.fails(engines[-1], 1)
        for _ in range(3):
            await look(*engines)
        await eventually(lambda: shop.heard and sent)
        await purge(engines[0])
        for _ in range(3):
            await look(*engines)
        await eventually(lambda: len(shop.heard) == len(sent) == 2)
        both = [(FIRED, "letters"), (RESOLVED, "letters")]
        assert await told(engines[0], "alert.*") == both
    assert shop.heard == sent == both
    (fired,), (resolved,) = ear.of(FIRED), ear.of(RESOLVED)
    assert (fired["alert"], fired["when"], fired["value"]) == ("letters", "dlq.count > 2", 3)
    assert (resolved["alert"], resolved["value"], resolved["since"]) == ("letters", 0, fired["since"])


async def test_one_that_comes_back_is_not_told_too_often(make: Callable[..., Backburner]) -> None:
    """It holds again within the hour, and is held back."""
    shop = Shop()
    bb = make(jobs=[shop.jobs])
    bb.alert("dlq.count > 0", at_most_every="1h")
    async with bb:
        await ask(bb, "alert.*")
        for _ in range(3):
            await shop.fails(bb, 1)
            await look(bb)
            await purge(bb)
            await look(bb)
        assert [name for name, _ in await told(bb, "alert.*")] == [FIRED, RESOLVED]


async def test_it_holds_for_as_long_as_it_says(make: Callable[..., Backburner]) -> None:
    """By the store's clock: not at the first look, but at one that is late enough."""
    shop = Shop()
    bb = make(jobs=[shop.jobs])
    bb.alert("dlq.count > 0 for 300ms")
    async with bb:
        await ask(bb, "alert.*")
        await shop.fails(bb, 1)
        await look(bb)
        assert await told(bb) == []

        async def fired() -> list[tuple[str, str]]:
            await look(bb)
            return await told(bb)

        assert await seen(fired) == [(FIRED, "dlq.count > 0 for 300ms")]


async def test_who_hears_only_of_the_beginning(make: Callable[..., Backburner]) -> None:
    """`resolved=False`; and of two alerts each is heard by its own."""
    shop = Shop()
    bb = make(jobs=[shop.jobs])
    bb.alert("dlq.count > 0", shop.page, resolved=False)
    bb.alert("dlq.count >= 0", name="always")
    async with bb:
        await shop.fails(bb, 1)
        await look(bb)
        await purge(bb)
        await look(bb)
        assert sorted(await told(bb, "alert.*")) == [(FIRED, "always"), (FIRED, "dlq.count > 0")]
        reader = bb._running()._backend.event_reader
        last = (await reader.read(patterns=["alert.*"], limit=10)).events[-1].number

        async def handed_over() -> bool:
            return all(each.cursor >= last for each in (await reader.subscriptions()).subscriptions)

        await seen(handed_over)
        await eventually(lambda: shop.heard)
    assert shop.heard == [(FIRED, "dlq.count > 0")]


async def test_one_that_is_declared_while_the_engine_runs(make: Callable[..., Backburner]) -> None:
    """It is looked at soon, and whoever is to hear of it does."""
    shop = Shop()
    bb = make(jobs=[shop.jobs])
    async with bb:
        await shop.fails(bb, 1)
        bb.alert("dlq.count > 0", shop.page)
        await eventually(lambda: shop.heard)


async def test_a_listener_hears_it_in_its_process(make: Callable[..., Backburner]) -> None:
    """Without a subscription, and without `to`."""
    shop, heard = Shop(), list[Event]()
    bb = make(jobs=[shop.jobs])
    bb.listen(FIRED)(heard.append)
    bb.alert("dlq.count > 0", name="letters")
    async with bb:
        await shop.fails(bb, 1)
        await look(bb)
        (event,) = heard
        assert (event.subject, event.data["value"]) == ("letters", 1)
        assert "alert" not in event.data


# ---- what is measured --------------------------------------------------------------------------------------------------


async def test_an_engine_that_only_stores_sees_that_nobody_runs(url: str) -> None:
    """Who waits in line is told of, also where no node is left to run anything; a node that comes ends that."""
    ear, shop = Heard(), Shop()
    shop.failing = False
    web = Backburner(url, run=False, jobs=[shop.jobs], listener=ear)
    for text in ("kinds.unserved", "kinds.unserved[charge]", "queue.depth > 0", "queue.oldest > 1us"):
        web.alert(text)
    async with web:
        handle = await web.create_task(shop.charge())
        await look(web)
        fired = {fields["alert"]: fields["value"] for fields in ear.of(FIRED)}
        assert fired.keys() == {"kinds.unserved", "kinds.unserved[charge]", "queue.depth > 0", "queue.oldest > 1us"}
        assert [fired[name] for name in ("kinds.unserved", "kinds.unserved[charge]", "queue.depth > 0")] == [1, 1, 1]
        if url != "memory://":
            async with Backburner(url, jobs=[shop.jobs]):
                await finished([handle])
                await look(web)
            assert len(ear.of(RESOLVED)) == 4


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_a_kind_that_no_node_knows(url: str) -> None:
    """Its jobs stand at the gate of unknown kinds, though a node works on their queue."""
    shop, ear = Shop(), Heard()
    bb = Backburner(url, listener=ear)
    bb.alert("kinds.unserved[charge]")
    async with bb, Backburner(url, run=False, jobs=[shop.jobs]) as web:
        await web.create_task(shop.charge())

        async def fired() -> list[dict[str, Any]]:
            await look(bb)
            return ear.of(FIRED)

        assert [fields["value"] for fields in await seen(fired)] == [1]


async def test_the_failure_ratio_of_all_engines(make: Callable[..., Backburner]) -> None:
    """What each of them ran is counted together; of ten runs or more."""
    shop, ear = Shop(), Heard()

    def declaring(**options: Any) -> Backburner:  # noqa: ANN401 - an engine's
        engine = make(listener=ear, **options)
        engine.alert("jobs.failure_ratio[charge] over 1h > 49%", name="charges")
        engine.alert("jobs.failure_ratio[page] > 1%", name="pages")
        return engine

    declaring.args = make.args  # type: ignore[attr-defined]
    async with crew(declaring, shop.jobs) as engines:
        await shop.fails(engines[0], 5)
        await look(*engines)
        assert ear.of(FIRED) == []
        shop.failing = False
        await shop.fails(engines[-1], 5)

        async def fired() -> list[dict[str, Any]]:
            # One that was outrun adds what it counted at its next look.
            await look(*engines)
            return ear.of(FIRED)

        (told_of,) = await seen(fired)
        assert (told_of["alert"], told_of["value"]) == ("charges", 50.0)


async def test_a_breaker(make: Callable[..., Backburner]) -> None:
    """Opened by a person, or by itself; resolved once it is closed."""
    shop, ear = Shop(breaker="stripe"), Heard()
    bb = make(jobs=[shop.jobs], listener=ear)
    bb.alert("breaker.open[stripe]")
    async with bb:
        await look(bb)
        await bb.breakers.open("stripe", reason="maintenance")
        await look(bb)
        assert len(ear.of(FIRED)) == 1
        await bb.breakers.auto("stripe")
        await look(bb)
        assert len(ear.of(RESOLVED)) == 1


async def test_missed_ticks(make_local: Callable[..., Backburner]) -> None:
    """An engine that slept through the ticks of a schedule tells of that."""
    clock, ear, shop = FakeClock(), Heard(), Shop()
    bb = make_local(jobs=[shop.jobs], clock=clock, listener=ear, **LEAPING)
    bb.alert("schedules.missed[hourly] > 1")
    async with bb:
        await bb.schedules.put("hourly", Every(hours=1), shop.charge())
        await leap(bb, clock, 3 * 3600 + 600)

        async def fired() -> list[dict[str, Any]]:
            await look(bb)
            return ear.of(FIRED)

        (told_of,) = await seen(fired)
        assert ear.of("schedule.missed")
        assert told_of["value"] >= 2


# ---- budgets and locks -------------------------------------------------------------------------------------------------


async def test_a_retry_budget_that_runs_dry(make: Callable[..., Backburner]) -> None:
    """Told once when retries wait for it, and once when none does any more; without any alert."""
    budget = Budget("stripe", ratio=0, reserve="1/hour", capacity=1)
    shop, ear = Shop(budget=budget, retry=RetryPolicy(attempts=100, backoff=constant(0.001))), Heard()
    async with crew(make, shop.jobs, listener=ear) as engines:
        await ask(engines[0], "budget.*")
        handles = await engines[0].create_tasks([shop.charge() for _ in range(10)])

        async def turned(name: str) -> list[dict[str, Any]]:
            await look(*engines)
            return ear.of(name)

        assert await seen(lambda: turned("budget.dry")) == [{"budget": "stripe"}]
        shop.failing = False
        await engines[-1].limits.set("budget:stripe", rate="1000/s burst 100")
        assert await seen(lambda: turned("budget.refilled")) == [{"budget": "stripe"}]
        await finished(handles)
        await look(*engines)
        assert await told(engines[0], "budget.*") == [("budget.dry", "stripe"), ("budget.refilled", "stripe")]


async def test_a_lock_that_is_lost(make: Callable[..., Backburner]) -> None:
    """Its loss is told to the log and published; its holder is told as ever."""
    ear = Heard()
    bb = make(listener=ear)
    async with bb:
        await ask(bb, "lock.*")

        async def hold() -> None:
            async with bb.lock("import") as lock:
                lock._lose()  # as where its lease cannot be renewed in time
                await asyncio.Event().wait()

        with pytest.raises(LockLost):
            await hold()
        await seen(lambda: told(bb, "lock.lost"))
        assert await told(bb) == [("lock.lost", "import")]
        assert ear.of("lock.lost") == [{"lock": "import", "node": bb._running()._node.id}]


# ---- what is refused ---------------------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_shown() -> None:
    """Where, and what may be written instead; nothing is declared then."""
    bb, shop = Backburner("memory://"), Shop()
    with pytest.raises(InvalidAlert, match=r"did you mean dlq.count\?") as refused:
        bb.alert(when="dlq.cuont > 100 for 5m", to=shop.page)
    assert refused.value.position == 0
    assert "\n  dlq.cuont > 100 for 5m\n  ^\n" in str(refused.value)
    assert len(bb._subscribers) == 0


def test_what_is_no_place_to_tell() -> None:
    """A plain function, a text, a job that takes no event, one that is named twice; two alerts of one name."""
    shop = Shop()
    bb = Backburner("memory://", jobs=[shop.jobs])

    async def plain(event: Event) -> None: ...

    for to, says in ((plain, "decorate it with @bb.job"), ("https://x.example", "is no sink")):
        with pytest.raises(InvalidOption, match=says):
            bb.alert("dlq.count > 1", to)  # type: ignore[arg-type]  # bad input
    with pytest.raises(InvalidArguments, match="charge cannot handle events"):
        bb.alert("dlq.count > 1", shop.charge)
    bb.alert("dlq.count > 1", shop.page)
    with pytest.raises(InvalidOption, match=r"alert 'dlq.count > 1' is declared twice"):
        bb.alert("dlq.count  >  1")
    with pytest.raises(DuplicateSubscription):
        bb.alert("dlq.count > 2", [shop.page, shop.page])


# ---- the page ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(BLOCKS)))
async def test_the_page(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What docs/how-to/alerts.md shows is declared, and looked at, as it stands."""
    monkeypatch.setenv("BACKBURNER_URL", "memory://")
    names: dict[str, Any] = {"__name__": "how_to"}
    exec(compile(BLOCKS[number], "how-to", "exec"), names)  # noqa: S102 - the page's own code
    bb = names["bb"]
    assert len(bb._alerts)
    async with bb:
        await look(bb)
