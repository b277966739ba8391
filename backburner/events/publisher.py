"""Publishing: many callers to a write, or in a caller's own transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, cast

import msgspec

from backburner.codec.payloads import UNFIT, decoder, has_nul, write
from backburner.codec.plain import encode_plain
from backburner.codec.secrecy import hidden
from backburner.codec.values import same
from backburner.errors import ArgumentNotStorable, InvalidEvent, NotRunning, StoreError, StoreRefused
from backburner.events.carrying import CARRIED, is_laden, laden
from backburner.events.naming import check_published
from backburner.model.event import NewEvent
from backburner.model.names import check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from backburner.model.ids import Ids
    from backburner.ports.events import EventStore

__all__ = ["Publisher", "published"]

#: Bytes of an event's data: an event tells what happened, and says where to read more.
DATA_LIMIT = 64 * 1024
#: Events in one write.
BATCH = 1_000


class Publisher:
    """Group commit of events: while a write is out others wait, and all leave together in the next.

    ``wake`` has `step` called, by a loop of the engine's. A caller that is cancelled while its event waits withdraws it;
    cancelled later, it may be stored.
    """

    def __init__(self, store: EventStore, *, ids: Ids, wake: Callable[[], None], stored: Callable[[], None]) -> None:
        self._store = store
        self._ids = ids
        self._wake = wake
        #: Told of every write that stored something.
        self._stored = stored
        self._waiting: dict[asyncio.Future[None], NewEvent] = {}
        self._closed = False

    async def publish(self, event: NewEvent) -> str:
        """Write one; returns its id. Raises `StoreError`, and `NotRunning` once it is closed."""
        if self._closed:
            raise NotRunning("the engine is stopping: the event is not stored")
        event_id = event.id or self._ids.new()
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[written] = msgspec.structs.replace(event, id=event_id)
        self._wake()
        try:
            await written
        finally:
            self._waiting.pop(written, None)
        return event_id

    async def publish_in(self, tx: object, event: NewEvent) -> str:
        """Write one in a caller's transaction; returns its id. Raises `TransactionRefused`, `StoreError`."""
        event_id = event.id or self._ids.new()
        await self._store.append((msgspec.structs.replace(event, id=event_id),), tx)
        return event_id

    async def step(self) -> float | None:
        """Write what waits, once."""
        batch = {written: self._waiting[written] for written in list(self._waiting)[:BATCH]}
        for written in batch:
            del self._waiting[written]
        try:
            await self._write(batch)
        except asyncio.CancelledError:
            _fail(batch, NotRunning("the engine stopped while this event was written: it may be stored"))
            raise
        except Exception as error:
            # Nobody foresaw it. The loop tells of it and goes on; whoever waits must not do so for ever.
            _fail(batch, error)
            raise
        return 0 if self._waiting else None

    def close(self) -> None:
        """Refuse whoever still waits, and whoever comes."""
        self._closed = True
        waiting, self._waiting = self._waiting, {}
        _fail(waiting, NotRunning("the engine stopped before this event was stored"))

    async def _write(self, batch: Mapping[asyncio.Future[None], NewEvent]) -> None:
        if not batch:
            return
        try:
            answer = await self._store.append(list(batch.values()))
        except StoreRefused as error:
            if len(batch) == 1:
                _fail(batch, error)
                return
            # One of them is refused for its content: each stands for itself, as long as somebody waits for it.
            for written, event in batch.items():
                if not written.done():
                    await self._write({written: event})
        except StoreError as error:
            _fail(batch, error)
        else:
            _succeed(batch)
            if answer.stored:
                self._stored()


def published(
    name: object,
    data: object,
    subject: object,
    event_id: object,
    *,
    secrets: Iterable[str] = (),
    carried: Mapping[str, str] | None = None,
) -> NewEvent:
    """Return what is published, checked, its secrets hidden for good: those that its type says, and those named.

    ``carried`` is what travels with it.

    Raises `InvalidEvent` or `InvalidOption`.
    """
    checked = check_published(name)
    if subject != "":
        check_name(subject, "subject")
    if event_id is not None:
        check_name(event_id, "id")
    try:
        text = hidden(_written({} if data is None else data), secrets, _kind(data))
    except ArgumentNotStorable as error:
        raise InvalidEvent(f"{checked} cannot be published: {error}") from None
    if not text.startswith("{"):
        raise InvalidEvent(
            f"{checked} cannot be published: its data is an object, values by name, such as "
            f'{{"total": 12}}, not {type(data).__name__}'
        )
    if is_laden(text):
        raise InvalidEvent(f"{checked} cannot be published: {CARRIED} is the engine's own name; call it otherwise")
    text = laden(text, carried or {})
    return NewEvent(name=checked, subject=str(subject), data=text, id=None if event_id is None else str(event_id))


def _kind(data: object) -> object:
    """Return the type that says of data what is secret."""
    return Any if isinstance(data, Mapping) else type(data)


def _written(data: object) -> str:
    """Return data as JSON text; raises `ArgumentNotStorable` for what would not come back equal."""
    if isinstance(data, Mapping):
        return encode_plain(cast("Mapping[str, object]", data), "data", DATA_LIMIT)
    try:
        raw = write(data)
        # What has a type comes back as that: a dataclass, a struct, a model.
        fits = same(data, decoder(type(data)).decode(raw))
    except UNFIT:
        fits, raw = False, b""
    text = raw.decode()
    if not fits or has_nul(text) or len(raw) > DATA_LIMIT:
        # Says what is wrong with it, and where.
        return encode_plain(data, "data", DATA_LIMIT)
    return text


def _succeed(waiting: Iterable[asyncio.Future[None]]) -> None:
    for written in waiting:
        if not written.done():
            written.set_result(None)


def _fail(waiting: Iterable[asyncio.Future[None]], error: Exception) -> None:
    """Raise an error at each of those who wait, each its own."""
    for written in waiting:
        if not written.done():
            written.set_exception(copy(error))
