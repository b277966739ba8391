"""What an operator sets is obeyed by nodes elsewhere, within a second: pauses, slots, rates, limits, breakers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from backburner import Backburner, Registry
from backburner.errors import InvalidOption, UnknownLimit
from backburner.resilience.rates import GRAMMAR
from tests.acceptance.commands import command, told
from tests.acceptance.gauge import Gauge, turn
from tests.stores import SHARED, empty_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

#: Seconds in which other nodes hear of it where hints arrive; and what a busy machine may take beside.
SOON = 1.0
MARGIN = 4.0
#: Beats are further apart than any test waits, so it is hints that are obeyed.
LEASE = 300


@pytest.fixture(params=SHARED)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty store of each kind that processes share."""
    return empty_store(request.param, request, tmp_path)


class Shop:
    """A node that runs jobs, another that only stores and operates, and the command line."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.gauge = Gauge()
        self.over = asyncio.Event()
        jobs = Registry()

        @jobs.job(queue="mail", concurrency=2, breaker="smtp")
        async def send() -> None:
            with self.gauge.run():
                await self.over.wait()

        @jobs.job(queue="media")
        async def scale() -> None:
            with self.gauge.run():
                await self.over.wait()

        self.send, self.scale = send, scale
        self.node = Backburner(url, jobs=[jobs], queues={"mail": 4, "media": 4}, lease=LEASE, grace=0)
        self.desk = Backburner(url, jobs=[jobs], run=False)

    async def cli(self, *arguments: str) -> Any:  # noqa: ANN401 - what JSON there is
        """Run a command that goes well, and return the one object that it writes."""
        (answer,) = await told(self.url, *arguments)
        return answer

    async def begun(self, count: int) -> None:
        """Wait until so many runs have begun."""
        async with asyncio.timeout(SOON + MARGIN):
            await self.gauge.until(lambda: self.gauge.begun[""] >= count)
        assert self.gauge.begun[""] == count

    async def waits(self, job: str, code: str) -> None:
        """Wait until a job waits for one thing alone, and hold that no more runs begin."""
        async with asyncio.timeout(SOON + MARGIN):
            while [reason.code for reason in await self.desk.why(job)] != [code]:
                await turn()


@pytest.fixture
async def shop(url: str) -> AsyncIterator[Shop]:
    """Open the shop."""
    made = Shop(url)
    async with made.desk, made.node:
        yield made
        made.over.set()


@pytest.mark.parametrize("by_command", [False, True], ids=["code", "command"])
async def test_a_queue(shop: Shop, by_command: bool) -> None:  # noqa: FBT001 - a table's column
    """Paused elsewhere, no more of its jobs begin, and others do; resumed, they do at once."""
    if by_command:
        row = await shop.cli("queues", "pause", "media", "--reason", "INC-7", "--by", "ada", "--for", "2h")
        assert (row["state"], row["by"], row["reason"], row["nodes"]) == ("paused", "ada", "INC-7", 1)
    else:
        await shop.desk.queues.pause("media", reason="INC-7", by="ada")
    held = await shop.desk.create_task(shop.scale())
    await shop.desk.create_task(shop.send())
    await shop.begun(1)
    await shop.waits(held.id, "queue-paused")
    if by_command:
        assert (await shop.cli("queues", "resume", "media"))["state"] == "active"
    else:
        await shop.desk.queues.resume("media")
    await shop.begun(2)


@pytest.mark.parametrize("by_command", [False, True], ids=["code", "command"])
async def test_a_kind(shop: Shop, by_command: bool) -> None:  # noqa: FBT001 - a table's column
    """Paused elsewhere, its jobs stand aside in whatever queue; resumed, they begin at once."""
    if by_command:
        row = await shop.cli("kinds", "pause", "scale", "--reason", "INC-7", "--by", "ada")
        assert row == {
            "name": "scale",
            "state": "paused",
            "nodes": 1,
            "paused_until": None,
            "by": "ada",
            "reason": "INC-7",
        }
    else:
        await shop.desk.kinds.pause("scale", reason="INC-7", by="ada")
    held = await shop.desk.create_task(shop.scale())
    await shop.desk.create_task(shop.send(), queue="media")
    await shop.begun(1)
    await shop.waits(held.id, "kind-paused")
    if by_command:
        assert (await shop.cli("kinds", "resume", "scale"))["state"] == "active"
    else:
        await shop.desk.kinds.resume("scale")
    await shop.begun(2)


async def test_slots_of_a_queue(shop: Shop) -> None:
    """Fewer hold from the next start on; the code's number holds again at once."""
    await shop.desk.queues.set("media", slots=1)
    handles = await shop.desk.create_tasks([shop.scale(), shop.scale(), shop.scale()])
    await shop.begun(1)
    (running,) = [row for row in await told(shop.url, "queues", "list") if row["name"] == "media"]
    assert (running["running"], running["slots"], running["slots_each"]) == (1, 1, 1)
    await shop.waits(handles[2].id, "slots-full")
    row = await shop.cli("queues", "set", "media", "--slots", "default", "--by", "ada")
    assert (row["slots"], row["slots_each"], row["by"]) == (4, None, "ada")
    await shop.begun(3)


async def test_the_rate_of_a_queue(shop: Shop) -> None:
    """Of a queue that starts one an hour the second waits, until there is no rate."""
    row = await shop.cli("queues", "set", "media", "--rate", "1/hour")
    assert row["rate"] == "1/hour"
    handles = await shop.desk.create_tasks([shop.scale(), shop.scale()])
    await shop.begun(1)
    await shop.waits(handles[1].id, "queue-rate")
    assert (await shop.cli("queues", "set", "media", "--rate", "none"))["rate"] is None
    await shop.begun(2)


async def test_a_limit(shop: Shop) -> None:
    """Raised, it lets the next in at once; reset, the declared one holds from the next start on."""
    handles = await shop.desk.create_tasks([shop.send() for _ in range(4)])
    await shop.begun(2)
    await shop.waits(handles[3].id, "lane-full")
    row = await shop.cli("limits", "set", "concurrency:send", "--slots", "3", "--by", "ada", "--reason", "room")
    assert (row["declared"]["slots"], row["set"]["slots"], row["by"], row["reason"]) == (2, 3, "ada", "room")
    await shop.begun(3)
    await shop.desk.limits.set("concurrency:send", slots=4)
    await shop.begun(4)
    row = await shop.cli("limits", "reset", "concurrency:send")
    assert (row["set"], row["running"], row["by"]) == (None, 4, None)
    more = await shop.desk.create_task(shop.send())
    await shop.waits(more.id, "lane-full")


@pytest.mark.parametrize("by_command", [False, True], ids=["code", "command"])
async def test_a_breaker(shop: Shop, by_command: bool) -> None:  # noqa: FBT001 - a table's column
    """Opened elsewhere, its jobs wait; set to auto, they begin at once."""
    if by_command:
        row = await shop.cli("breakers", "open", "smtp", "--reason", "INC-7", "--by", "ada")
        assert (row["state"], row["by"], row["reason"], row["slots"]) == ("opened", "ada", "INC-7", 0)
    else:
        await shop.desk.breakers.open("smtp", reason="INC-7", by="ada")
    held = await shop.desk.create_task(shop.send())
    await shop.waits(held.id, "breaker")
    if by_command:
        assert (await shop.cli("breakers", "auto", "smtp"))["state"] == "closed"
    else:
        await shop.desk.breakers.auto("smtp")
    await shop.begun(1)


async def test_bad_input(shop: Shop) -> None:
    """Names that nobody knows are refused with what comes near, rates with the grammar; nothing is changed."""
    desk = shop.desk
    with pytest.raises(UnknownLimit, match=r"no limit 'concurrency:sned': did you mean 'concurrency:send'\?"):
        await desk.limits.set("concurrency:sned", slots=1)
    with pytest.raises(UnknownLimit, match="no limit 'x'; there are budget:smtp, concurrency:send"):
        await desk.limits.reset("x")
    with pytest.raises(UnknownLimit, match=r"no breaker 'stmp': did you mean 'smtp'\?"):
        await desk.breakers.open("stmp")
    with pytest.raises(InvalidOption, match="breaker:smtp goes by how runs end: open that breaker"):
        await desk.limits.set("breaker:smtp", slots=1)
    with pytest.raises(InvalidOption, match="100/fortnight"):
        await desk.queues.set("mail", rate="100/fortnight")
    for arguments, words in (
        (
            ("queues", "pause", "mial"),
            "there is no queue 'mial' (--anyway takes it all the same): did you mean 'mail'?",
        ),
        (
            ("kinds", "pause", "sclae"),
            "there is no kind 'sclae' (--anyway takes it all the same): did you mean 'scale'?",
        ),
        (("limits", "set", "concurrency:sned", "--slots", "1"), "did you mean 'concurrency:send'?"),
        (("breakers", "auto", "stmp"), "did you mean 'smtp'?"),
        (("queues", "set", "mail", "--rate", "100/fortnight"), GRAMMAR),
        (("limits", "set", "concurrency:send", "--rate", "many"), GRAMMAR),
    ):
        code, out, err = await command(shop.url, *arguments)
        assert (code, out) == (2, "")
        assert words in err
    assert await desk.queues.list() == ()
    assert await desk.kinds.list() == ()
    assert not any(record.override for record in await desk.limits.list())
