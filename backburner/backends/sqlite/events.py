"""Events and subscriptions, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.appending import append
from backburner.backends.sqlite.confirming import confirm
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.failures import is_content, why_refused
from backburner.backends.sqlite.statements import load
from backburner.backends.sqlite.steps import run
from backburner.errors import StoreRefused
from backburner.model.event import EventRecord, SubscriptionRecord
from backburner.ports.events import LOOKED_AT, Appended, Pulled, Received, Subscribed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from backburner.backends.sqlite.session import Session
    from backburner.backends.sqlite.steps import Steps
    from backburner.backends.sqlite.transactions import SqliteTransactions
    from backburner.model.event import NewEvent, NewSubscription
    from backburner.ports.events import Confirmation, Confirmed

__all__ = ["SqliteEventStore"]

_SUBSCRIBE = load("subscribe")
_SUBSCRIBED = load("subscribed")
_UNSUBSCRIBE = load("unsubscribe")
_PULL = load("pull")


class _Seen(msgspec.Struct):
    """What one subscription has before it, if its page holds all of that."""

    name: str
    cursor: int
    upto: int
    lost: int | None
    events: tuple[EventRecord, ...]


_decode_subscription = msgspec.json.Decoder(SubscriptionRecord).decode
_decode_seen = msgspec.json.Decoder(list[_Seen]).decode


class SqliteEventStore:
    """An `EventStore`. Numbers are given when events are written, so what is pulled is only read."""

    __slots__ = ("_session", "_transactions")

    def __init__(self, session: Session, transactions: SqliteTransactions) -> None:
        self._session = session
        self._transactions = transactions

    async def append(self, events: Sequence[NewEvent], tx: object = None) -> Appended:
        """Store those that are asked for, or kept; one whose id was stored before is left as it is."""
        if tx is not None:
            return await self._transactions.join(tx, lambda now: _append(events, now))
        session = self._session
        return await session.write(lambda connection: run(connection, _append(events, session.clock.now())))

    async def subscribe(self, subscription: NewSubscription) -> Subscribed:
        """Enter a subscription, or take up the one of this name."""
        session = self._session
        row = {
            "name": subscription.name,
            "patterns": _written(subscription),
            "kind": subscription.kind,
            "ttl": subscription.ttl,
            "after": subscription.after,
        }

        def work(connection: sqlite3.Connection) -> Subscribed:
            now = session.clock.now()
            connection.execute(_SUBSCRIBE, row | {"now": now})
            log, last, found = connection.execute(_SUBSCRIBED, {"name": subscription.name}).fetchone()
            return Subscribed(now=now, log=log, last=last, subscription=_decode_subscription(found))

        return await session.write(work)

    async def unsubscribe(self, name: str) -> bool:
        """Forget a subscription; False when there is none."""
        return await self._session.write(
            lambda connection: connection.execute(_UNSUBSCRIBE, {"name": name}).rowcount > 0
        )

    async def pull(self, names: Collection[str], *, limit: int) -> Pulled:
        """Hand subscriptions what they ask for, each from where it stands, at most ``limit`` events each."""
        now = self._session.clock.now()
        given = {"names": to_json([*names]), "limit": limit, "looked": LOOKED_AT}
        ((log, found),) = await self._session.reads.all(_PULL, given)
        return Pulled(now=now, log=log, received=tuple(_received(seen, limit) for seen in _decode_seen(found)))

    async def confirm(self, confirmations: Sequence[Confirmation]) -> Confirmed:
        """Move subscriptions on, each with its jobs, where it stands as its confirmation says."""
        session = self._session
        return await session.write(lambda connection: confirm(connection, confirmations, session.clock.now()))


def _append(events: Sequence[NewEvent], now: int) -> Steps[Appended]:
    return Appended(now, (yield from append(events, now)))


def _written(subscription: NewSubscription) -> str:
    """Return the patterns of a subscription that can be stored; raises `StoreRefused` for any other."""
    try:
        to_json([subscription.name, subscription.kind])
        return to_json(subscription.patterns)
    except Exception as error:
        if not is_content(error):
            raise
        raise StoreRefused(f"The subscription cannot be stored: {why_refused(error)}", stored="no") from error


def _received(seen: _Seen, limit: int) -> Received:
    """Return what is handed over: of a full page nobody knows whether more matches behind it."""
    full = len(seen.events) >= limit
    upto = seen.upto if not full else seen.events[-1].number if seen.events else seen.cursor
    return Received(name=seen.name, cursor=seen.cursor, upto=upto, events=seen.events, lost=seen.lost)
