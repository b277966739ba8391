"""Redis streams as sinks."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from backburner.errors import CallRefused, DeliveryFailed, DeliveryRefused, InvalidOption, InvalidUrl, UnknownUrlOption
from backburner.events.sinks import extras
from backburner.events.sinks.redis_stream import redis_stream
from tests.servers.launch import free_port
from tests.unit.events.sinks.examples import example

if TYPE_CHECKING:
    from tests.servers.redis import Namespace


async def test_an_event_is_an_entry(redis_namespace: Namespace) -> None:
    """A field for each attribute, and the data as JSON."""
    key = f"{redis_namespace.name}:events"
    sink = redis_stream(redis_namespace.server.url, key)
    await sink.send(example())
    await sink.send(example(id="b", subject=""))
    await sink.close()
    with redis_namespace.server.connect() as client:
        (_, first), (_, second) = client.xrange(key)
    fields = {name.decode(): value.decode() for name, value in first.items()}
    assert json.loads(fields.pop("data")) == {"amount": 12.5, "who": "Ada Łovelace"}
    assert fields == {
        "specversion": "1.0",
        "id": "k3xq90ab-42",
        "source": "/backburner/k3xq90ab",
        "type": "order.paid",
        "subject": "order/42",
        "time": "2025-06-15T15:06:40.250000Z",
        "datacontenttype": "application/json",
        "sequence": "000000000000000042",
        "cursor": "k3xq90ab-42",
    }
    assert second[b"id"] == b"b"
    assert b"subject" not in second


async def test_a_stream_is_kept_about_as_long_as_it_may_be(redis_namespace: Namespace) -> None:
    """The server cuts whole blocks, of a hundred entries as it comes."""
    key = f"{redis_namespace.name}:events"
    sink = redis_stream(redis_namespace.server.url, key, maxlen=10)
    for number in range(300):
        await sink.send(example(id=str(number), data={}))
    await sink.close()
    with redis_namespace.server.connect() as client:
        assert 10 <= client.xlen(key) < 300
        [(_, newest)] = client.xrevrange(key, count=1)
    assert newest[b"id"] == b"299"


async def test_a_key_that_is_no_stream_is_refused(redis_namespace: Namespace) -> None:
    """It would be the next time."""
    key = f"{redis_namespace.name}:text"
    with redis_namespace.server.connect() as client:
        client.set(key, "text")
    sink = redis_stream(redis_namespace.server.url, key)
    with pytest.raises(DeliveryRefused, match=r"WRONGTYPE.*give another"):
        await sink.send(example())
    await sink.close()


async def test_whatever_else_the_server_says_is_a_failure(redis_namespace: Namespace) -> None:
    """Somebody may mend it."""
    key = f"{redis_namespace.name}:events"
    with redis_namespace.server.connect() as client:
        client.xadd(key, {"a": "b"}, id=f"{2**64 - 1}-{2**64 - 1}")
    sink = redis_stream(redis_namespace.server.url, key)
    with pytest.raises(DeliveryFailed, match="exhausted"):
        await sink.send(example())
    await sink.close()


async def test_nobody_there_is_a_failure() -> None:
    """Tried again, by its job alone."""
    sink = redis_stream(f"redis://:hushhush@127.0.0.1:{free_port()}/0", "events")
    with pytest.raises(DeliveryFailed, match=r"redis:127\.0\.0\.1:\d+/0/events: ConnectionError") as failed:
        await sink.send(example())
    await sink.close()
    assert "hushhush" not in str(failed.value)


async def test_one_that_refuses_us_is_a_failure(redis_namespace: Namespace) -> None:
    """Somebody may mend it."""
    url = redis_namespace.server.url.replace("redis://", "redis://nobody:hushhush@", 1)
    if "@" in redis_namespace.server.url:
        url = f"redis://nobody:hushhush@{redis_namespace.server.url.rpartition('@')[2]}"
    sink = redis_stream(url, "events")
    with pytest.raises(DeliveryFailed) as failed:
        await sink.send(example())
    await sink.close()
    assert "hushhush" not in str(failed.value)


async def test_one_that_does_not_answer_is_a_failure() -> None:
    """In time."""
    talks: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: talks.append(writer), "127.0.0.1", 0)
    async with server:
        sink = redis_stream(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", "events", timeout=0.1)
        with pytest.raises(DeliveryFailed, match="took longer than 100ms"):
            await sink.send(example())
        await sink.close()
        for writer in talks:
            writer.transport.abort()


def test_it_can_be_closed_and_used_again(redis_namespace: Namespace) -> None:
    """On another loop too."""
    key = f"{redis_namespace.name}:events"
    sink = redis_stream(redis_namespace.server.url, key)

    async def once() -> None:
        await sink.close()
        await asyncio.gather(sink.send(example()), sink.send(example()))
        await sink.close()
        await sink.close()

    asyncio.run(once())
    asyncio.run(once())
    with redis_namespace.server.connect() as client:
        assert client.xlen(key) == 4


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("https://host/", InvalidUrl),
        ("redis+cluster://host:6379", InvalidUrl),
        ("redis://host:hushhush/0", InvalidUrl),
        ("redis://:hushhush@host/first", InvalidUrl),
        ("redis://:hush/hushhush@host/0", InvalidUrl),
        ("redis://me:123/hushhush@host/0", InvalidUrl),
        ("redis://:hush#hushhush@host/0", InvalidUrl),
        ("redis://one,two/0", InvalidUrl),
        ("redis://[::1/0", InvalidUrl),
        (None, InvalidUrl),
        ("redis://:hushhush@host/0?decode_responses=1", UnknownUrlOption),
        ("host", InvalidUrl),
    ],
)
def test_urls_are_checked(url: str, error: type[Exception]) -> None:
    """At the call; passwords are not shown."""
    with pytest.raises(error) as refused:
        redis_stream(url, "events")
    assert "hushhush" not in str(refused.value)


@pytest.mark.parametrize("options", [{"maxlen": 0}, {"timeout": 0}, {"name": ""}, {"key": ""}], ids=repr)
def test_options_are_checked(options: dict[str, object]) -> None:
    """At the call."""
    with pytest.raises(InvalidOption) as refused:
        redis_stream("redis://host", **{"key": "events", **options})  # type: ignore[arg-type]
    assert refused.value.option == next(iter(options))


def test_what_it_goes_by() -> None:
    """Where it sends, without its password; one breaker a server."""
    one = redis_stream("rediss://me:hushhush@cache.example.com", "events")
    other = redis_stream("redis://[::1]:7000/2", "events", name="other")
    assert one.name == "redis:cache.example.com:6379/0/events"
    assert repr(one) == "<sink redis:cache.example.com:6379/0/events>"
    assert (one.breaker, other.breaker) == ("redis:cache.example.com:6379", "redis:[::1]:7000")
    assert other.name == "other"


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the call."""
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(CallRefused, match=r"pip install 'backburner\[redis\]'"):
        redis_stream("redis://host", "events")
