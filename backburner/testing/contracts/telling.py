"""Short ways to make events and subscriptions, and to see what is stored, for tests that care about one field of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from backburner.model.event import NewEvent, NewSubscription
from backburner.ports.events import Confirmation
from backburner.testing.contracts.making import LEASE

if TYPE_CHECKING:
    from backburner.model.event import EventRecord
    from backburner.model.job import NewJob
    from backburner.ports.backend import Backend
    from backburner.ports.events import Received, Subscribed
    from backburner.ports.jobs import GroupAnswer

__all__ = ["append", "confirm", "event", "kept", "last", "listening", "log", "names", "pull", "subscribe", "told"]


def event(name: str = "order.paid", **fields: Any) -> NewEvent:  # noqa: ANN401 - any field of it
    """Make an event."""
    return NewEvent(name=name, **fields)


def kept(name: str = "order.paid", **fields: Any) -> NewEvent:  # noqa: ANN401 - any field of it
    """Make an event that is stored whether or not anybody asks."""
    return NewEvent(name=name, kept=True, **fields)


def listening(*patterns: str, name: str = "sub", **fields: Any) -> NewSubscription:  # noqa: ANN401 - any field of it
    """Make a subscription; without a pattern it asks for everything."""
    given: dict[str, Any] = {"patterns": patterns or ("*",), "ttl": LEASE}
    return NewSubscription(name=name, **given | fields)


async def subscribe(backend: Backend, *patterns: str, name: str = "sub", **fields: Any) -> Subscribed:  # noqa: ANN401
    """Subscribe; return the answer."""
    return await backend.events.subscribe(listening(*patterns, name=name, **fields))


async def append(backend: Backend, *events: NewEvent) -> int:
    """Append events; return how many were stored."""
    return (await backend.events.append(events)).stored


async def last(backend: Backend) -> int:
    """Return the number of the newest event."""
    return (await backend.event_reader.read(limit=1)).last


async def log(backend: Backend, **where: Any) -> list[EventRecord]:  # noqa: ANN401 - as `EventReader.read`
    """Read all events that match, by number."""
    page = await backend.event_reader.read(limit=5_000, **where)
    assert page.end
    return [*page.events]


async def names(backend: Backend, **where: Any) -> list[str]:  # noqa: ANN401 - as `EventReader.read`
    """Return the names of the events that match, by number."""
    return [record.name for record in await log(backend, **where)]


async def told(backend: Backend, subject: str | None = None, **where: Any) -> list[tuple[str, dict[str, Any]]]:  # noqa: ANN401
    """Return the names and data of the events about a subject, by number."""
    return [(record.name, json.loads(record.data)) for record in await log(backend, subject=subject, **where)]


async def pull(backend: Backend, name: str = "sub", *, limit: int = 100) -> Received:
    """Return what one subscription, which exists, has before it."""
    (received,) = (await backend.events.pull([name], limit=limit)).received
    assert received.name == name
    return received


async def confirm(backend: Backend, received: Received, *jobs: NewJob, **fields: Any) -> GroupAnswer | None:  # noqa: ANN401
    """Confirm what a subscription was handed, with these jobs; return the answer."""
    given = Confirmation(name=received.name, cursor=received.cursor, upto=received.upto, jobs=jobs)
    (answer,) = (await backend.events.confirm([msgspec.structs.replace(given, **fields)])).groups
    return answer
