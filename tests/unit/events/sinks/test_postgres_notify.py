"""PostgreSQL's channels as sinks."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]  # it brings no types
import pytest

from backburner.errors import CallRefused, DeliveryFailed, DeliveryRefused, InvalidOption, InvalidUrl
from backburner.events.sinks import extras
from backburner.events.sinks.cloudevent import attributes, encode
from backburner.events.sinks.postgres_notify import postgres_notify
from tests.servers.launch import free_port
from tests.unit.events.sinks.examples import example

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from tests.servers.postgres import Postgres

CHANNEL = "Orders of 2025"


class Listening:
    """Whoever listens."""

    def __init__(self, server: Postgres) -> None:
        self._url = server.url
        self._heard: asyncio.Queue[str] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._connection: Any = await asyncpg.connect(self._url)
        await self._connection.add_listener(CHANNEL, lambda *heard: self._heard.put_nowait(heard[3]))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.close()

    async def next(self) -> str:
        """Return the next payload."""
        return await self._heard.get()


async def test_who_listens_hears_a_cloudevent(postgres_server: Postgres) -> None:
    """As JSON."""
    sink = postgres_notify(postgres_server.url, CHANNEL)
    async with Listening(postgres_server) as heard:
        await sink.send(example())
        assert (await heard.next()).encode() == encode(example())
    await sink.close()


@pytest.mark.parametrize("letters", ["x", "ü", '"'])
async def test_of_a_large_event_all_but_the_data_is_sent(postgres_server: Postgres, letters: str) -> None:
    """From the first byte on that the server would not take."""
    sink = postgres_notify(postgres_server.url, CHANNEL)
    # However they are encoded.
    size = len(json.dumps(letters, ensure_ascii=False).encode()) - 2
    room = (7999 - len(encode(example(data={"text": ""})))) // size
    fits, large = (example(data={"text": letters * count}) for count in (room, room + 1))
    async with Listening(postgres_server) as heard:
        await sink.send(fits)
        assert json.loads(await heard.next())["data"] == fits.data
        await sink.send(large)
        assert json.loads(await heard.next()) == {**attributes(large), "truncated": True}
    await sink.close()


async def test_what_is_too_large_without_its_data_is_refused(postgres_server: Postgres) -> None:
    """It would be the next time."""
    sink = postgres_notify(postgres_server.url, CHANNEL)
    with pytest.raises(DeliveryRefused, match="longer than 7999 bytes"):
        await sink.send(example(subject="x" * 8000))
    await sink.close()


async def test_nobody_there_is_a_failure() -> None:
    """Tried again, by its job alone."""
    sink = postgres_notify(f"postgresql://me:hushhush@127.0.0.1:{free_port()}/app", CHANNEL)
    with pytest.raises(
        DeliveryFailed, match=r"postgres:127\.0\.0\.1:\d+/app/Orders of 2025: ConnectionRefusedError"
    ) as failed:
        await sink.send(example())
    await sink.close()
    assert "hushhush" not in str(failed.value)


async def test_one_that_refuses_us_is_a_failure(postgres_server: Postgres) -> None:
    """Somebody may mend it."""
    sink = postgres_notify(f"{postgres_server.url.rpartition('/')[0]}/no_such_database", CHANNEL)
    with pytest.raises(DeliveryFailed, match="InvalidCatalogNameError"):
        await sink.send(example())
    await sink.close()


async def test_one_that_does_not_answer_is_a_failure() -> None:
    """In time."""
    talks: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: talks.append(writer), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        sink = postgres_notify(f"postgresql://me@127.0.0.1:{port}/app", CHANNEL, timeout=0.1)
        with pytest.raises(DeliveryFailed, match=r"took longer than 100ms|TimeoutError"):
            await sink.send(example())
        await sink.close()
        for writer in talks:
            writer.transport.abort()


def test_it_can_be_closed_and_used_again(postgres_server: Postgres) -> None:
    """On another loop too, and by many at once."""
    sink = postgres_notify(postgres_server.url, CHANNEL)

    async def once() -> None:
        await sink.close()
        async with Listening(postgres_server) as heard:
            await asyncio.gather(*(sink.send(example(id=str(number))) for number in range(5)))
            assert {json.loads(await heard.next())["id"] for _ in range(5)} == set("01234")
        await sink.close()
        await sink.close()

    asyncio.run(once())
    asyncio.run(once())


@pytest.mark.parametrize(
    "url",
    [
        "https://host/",
        "host",
        "postgresql://[::1/app",
        "postgresql+psycopg://host/app",
        None,
        "postgresql://me:hush/hushhush@host/app",
        "postgresql://me:hush#hushhush@host/app",
        "postgresql://me:hushhush?@host/app",
    ],
)
def test_urls_are_checked(url: str) -> None:
    """At the call."""
    with pytest.raises(InvalidUrl, match="postgresql://HOST:5432/DATABASE") as refused:
        postgres_notify(url, "orders")
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("channel", ["", "x" * 64, "ü" * 32, "a\0b"])
def test_channels_are_checked(channel: str) -> None:
    """The server would cut, or refuse them."""
    with pytest.raises(InvalidOption, match="63 bytes"):
        postgres_notify("postgresql://host/app", channel)


def test_what_it_goes_by() -> None:
    """Where it sends, without its password; one breaker a server."""
    one = postgres_notify("postgres://me:hushhush@db.example.com/app?password=hushhush", "orders")
    other = postgres_notify("postgresql+asyncpg://me@[::1]:6000", "orders", name="other")
    assert one.name == "postgres:db.example.com:5432/app/orders"
    assert repr(one) == "<sink postgres:db.example.com:5432/app/orders>"
    assert (one.breaker, other.breaker) == ("postgres:db.example.com:5432", "postgres:[::1]:6000")
    assert other.name == "other"
    several = postgres_notify("postgresql://one:1,two/app", "orders")
    assert several.name == "postgres:one:1,two:5432/app/orders"


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the call."""
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(CallRefused, match=r"pip install 'backburner\[postgres\]'"):
        postgres_notify("postgresql://host/app", "orders")
