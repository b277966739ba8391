"""Operations, in Redis."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from backburner.backends.redis.sending import events as sent_events
from backburner.backends.redis.sending import operation as sent
from backburner.backends.redis.sending import pack
from backburner.model.operation import OperationRecord
from backburner.ports.backend import Hint
from backburner.ports.operations import Operations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.redis.session import Session
    from backburner.model.event import NewEvent

__all__ = ["RedisOperationStore"]

_decode = msgspec.msgpack.Decoder(OperationRecord).decode


class RedisOperationStore:
    """An `OperationStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put(self, operation: OperationRecord, events: Sequence[NewEvent] = ()) -> bool:
        """Write a new operation as version 1; False when the id exists."""
        keys = self._session.keys
        args = (pack(operation), keys.hints, Hint.CONTROL, sent_events(events))
        return bool(await self._session.scripts.run("operations_put", (*keys.logging, *keys.operating), args))

    async def get(self, ids: Sequence[str]) -> Operations:
        """Return those of these ids that exist, newest id first, in one page."""
        return await self._read((self._session.keys.operations,), tuple(dict.fromkeys(ids)))

    async def find(self, *, active: bool | None = None, limit: int, after: str | None = None) -> Operations:
        """Return operations, newest id first, those below ``after``."""
        keys = self._session.keys
        where = {None: (keys.acting, keys.acted), True: (keys.acting,), False: (keys.acted,)}[active]
        page = await self._read((keys.operations, *where), ("+" if after is None else f"({after}", limit + 1))
        found = page.operations[:limit]
        return Operations(page.now, found, found[-1].id if found and len(page.operations) > limit else None)

    async def swap(self, operation: OperationRecord, events: Sequence[NewEvent] = ()) -> bool:
        """Write ``state`` and ``active`` if the stored version is the operation's, which grows by one."""
        keys = self._session.keys
        args = (sent(operation), sent_events(events))
        return bool(await self._session.scripts.run("operations_swap", (*keys.logging, *keys.operating), args))

    async def _read(self, keys: Sequence[bytes], args: Sequence[str | int]) -> Operations:
        now, *packed = await self._session.scripts.read("read_operations", keys, args)
        found = (_decode(each) for each in packed if each is not None)
        return Operations(now, tuple(sorted(found, key=attrgetter("id"), reverse=True)))
