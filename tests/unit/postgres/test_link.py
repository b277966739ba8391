"""One connection: its turn, its deadline, and what becomes of it when something goes wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest

from backburner.backends.postgres.link import Link
from backburner.backends.postgres.place import PostgresPlace
from backburner.errors import StoreBusy, StoreError, StoreUnavailable
from tests.servers.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backburner.backends.postgres.link import Wire

#: Seconds that a unit may take here.
TIMEOUT = 0.4


@pytest.fixture
async def link(place: PostgresPlace) -> AsyncIterator[Link]:
    """Bring a connection."""
    made = Link(place, timeout=5)
    yield made
    await made.close()


async def pid(link: Link) -> int:
    """Return the server process behind a connection: another one is another connection."""
    found: int = await link.value("SELECT pg_backend_pid()")
    return found


async def test_it_is_made_once(link: Link) -> None:
    """A connection is kept, and its session set up: in time, impatient for locks, without compiling."""
    assert await pid(link) == await pid(link)
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "jit", "application_name")
    shown = [await link.value(f"SHOW {name}") for name in names]
    assert shown == ["5500ms", "1s", "5500ms", "off", "backburner"]


async def test_behind_a_pooler_nothing_is_kept_in_a_session(place: PostgresPlace) -> None:
    """With LISTEN off neither settings nor prepared statements are kept: they may be another connection's."""
    link = Link(PostgresPlace(dsn=place.dsn, listen=False, address="there"), timeout=5)
    for _ in range(3):
        assert await link.value("SELECT $1::text", "x") == "x"
    assert await link.value("SELECT count(*) FROM pg_prepared_statements") == 0
    assert await link.value("SHOW statement_timeout") == "0"
    await link.close()


async def test_units_go_one_after_the_other(link: Link) -> None:
    """Callers at the same time share one connection, in turns."""
    answers = await asyncio.gather(*[link.value("SELECT $1::bigint", number) for number in range(20)])
    assert answers == [*range(20)]


async def test_a_caller_who_is_cancelled_leaves_a_whole_unit(link: Link) -> None:
    """What is under way when its caller is cancelled is done to its end; what had to wait is not begun."""
    begun, go_on, done = asyncio.Event(), asyncio.Event(), []

    async def work(wire: Wire) -> None:
        begun.set()
        await go_on.wait()
        done.append(await wire.fetchval("SELECT 1"))

    first = asyncio.ensure_future(link.run(work))
    await begun.wait()
    second = asyncio.ensure_future(link.run(work))
    await asyncio.wait([second], timeout=0)
    for task in (first, second):
        task.cancel()
    await asyncio.wait([second])
    go_on.set()
    await asyncio.wait([first])
    assert first.cancelled()
    assert second.cancelled()
    assert done == [1]
    assert await link.value("SELECT 2") == 2


async def test_out_of_time(place: PostgresPlace) -> None:
    """What takes too long is given up: nobody knows what became of it; the next unit has a new connection."""
    link = Link(place, timeout=TIMEOUT)
    before = await pid(link)
    with pytest.raises(StoreUnavailable, match=r"has not answered within write_timeout, 0\.4 s") as caught:
        await link.value("SELECT pg_sleep(60)")
    assert caught.value.stored == "unknown"
    assert await pid(link) != before
    await link.close()


async def test_nobody_waits_for_ever_for_a_turn(place: PostgresPlace) -> None:
    """Who does not get its turn in time is told that it was not begun."""
    link, begun, slow = Link(place, timeout=TIMEOUT), asyncio.Event(), asyncio.Event()

    async def work(_wire: Wire) -> None:
        begun.set()
        await slow.wait()

    first = asyncio.ensure_future(link.run(work, limited=False))
    await begun.wait()
    with pytest.raises(StoreBusy, match="not begun") as caught:
        await link.value("SELECT 1")
    assert caught.value.stored == "no"
    slow.set()
    await first
    await link.close()


async def test_a_connection_that_was_ended_is_replaced(link: Link, place: PostgresPlace) -> None:
    """A connection that the server ended while it stood idle is replaced without a word."""
    before = await pid(link)
    with psycopg.connect(place.dsn, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (before,))
    answers: list[object] = []
    while not answers or isinstance(answers[-1], StoreUnavailable):
        answers += await asyncio.gather(pid(link), return_exceptions=True)
    assert answers[-1] != before


async def test_ended_in_the_middle(place: PostgresPlace) -> None:
    """A connection that breaks while an answer is waited for leaves the outcome unknown, and the next one works."""
    parts = urlsplit(place.dsn)
    async with Proxy(str(parts.hostname), parts.port or 5432) as proxy:
        link = Link(PostgresPlace(dsn=proxy.url(place.dsn), address="there"), timeout=5)
        assert await link.value("SELECT 1") == 1
        proxy.freeze(requests=False)
        asked = asyncio.ensure_future(link.value("SELECT 2"))
        await proxy.answer_held()
        await proxy.sever()
        with pytest.raises(StoreUnavailable) as caught:
            await asked
        assert caught.value.stored == "unknown"
        proxy.thaw()
        assert await link.value("SELECT 3") == 3
        await link.close()


async def test_nothing_is_left_half_done(link: Link, place: PostgresPlace) -> None:
    """A unit that fails inside a transaction takes its connection along, and so leaves no lock."""
    table = f"{place.schema}.things"
    await link.value(f"CREATE TABLE {table} (id int)")

    async def work(wire: Wire) -> None:
        await wire.execute("BEGIN")
        await wire.execute(f"LOCK TABLE {table}")
        raise KeyError(table)

    with pytest.raises(KeyError):
        await link.run(work)
    assert await link.value(f"SELECT count(*) FROM {table}") == 0  # noqa: S608 - our own names


async def test_a_deadlock_is_tried_again(place: PostgresPlace) -> None:
    """Of two that wait for each other the server ends one, which is tried again and succeeds."""
    links = [Link(place, timeout=20) for _ in range(2)]
    # The server's own look for deadlocks comes after a second, when these have given up waiting.
    for link in links:
        await link.value("SELECT set_config('lock_timeout', '0', false)")
    met = asyncio.Barrier(2)
    tries = 0

    async def take(link: Link, first: int, second: int) -> None:
        waited = False

        async def work(wire: Wire) -> None:
            nonlocal tries, waited
            tries += 1
            await wire.execute(f"SELECT pg_advisory_lock({first})")
            if not waited:
                waited = True
                await met.wait()
            try:
                await wire.execute(f"SELECT pg_advisory_lock({second})")
            finally:
                await wire.execute("SELECT pg_advisory_unlock_all()")

        await link.run(work)

    await asyncio.gather(take(links[0], 1, 2), take(links[1], 2, 1))
    assert tries == 3
    for link in links:
        await link.close()


async def test_closed_it_is_refused(link: Link) -> None:
    """Closed, nothing is begun; closing twice is fine."""
    await link.value("SELECT 1")
    await link.close()
    await link.close()
    with pytest.raises(StoreUnavailable, match="is closed") as caught:
        await link.value("SELECT 1")
    assert caught.value.stored == "no"


async def test_a_greeting_that_fails(place: PostgresPlace) -> None:
    """A connection that could not say what it is for is not used."""
    greeted: list[Wire] = []

    class Rude(Link):
        async def greet(self, wire: Wire) -> None:
            greeted.append(wire)
            if len(greeted) == 1:
                await wire.execute("SET ROLE nobody_of_this_name")

    link = Rude(place, timeout=5)
    with pytest.raises(StoreError, match="SQLSTATE 22023"):
        await link.value("SELECT 1")
    assert await link.value("SELECT 1") == 1
    assert [wire.is_closed() for wire in greeted] == [True, False]
    await link.close()
