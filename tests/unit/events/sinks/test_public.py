"""The module that people import sinks from."""

from __future__ import annotations

from tests.fresh import loaded_by


def test_no_driver_is_loaded_for_sinks_that_are_not_used() -> None:
    """They are extras, which need not be installed."""
    loaded = loaded_by("from backburner.sinks import Sink, callback, log, postgres_notify, redis_stream, webhook")
    assert "backburner.events.sinks.webhook" in loaded
    assert not loaded & {"httpx", "httpcore", "redis", "asyncpg"}


def test_drivers_are_loaded_where_a_sink_is_declared() -> None:
    """A loop that runs would stand still for that."""
    loaded = loaded_by(
        "from backburner.sinks import postgres_notify, redis_stream, webhook\n"
        "webhook('https://hooks.test/', secret='q8Zr2LxW0vTnB5yKjH7sDf3gPm9cEa1u')\n"
        "redis_stream('redis://host', 'events')\n"
        "postgres_notify('postgresql://host/app', 'orders')"
    )
    assert loaded >= {"httpx", "redis.asyncio", "asyncpg"}
