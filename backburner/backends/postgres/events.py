"""Events and subscriptions, in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.content import refuse_subscription
from backburner.backends.postgres.appending import documents_of
from backburner.backends.postgres.confirming import confirm
from backburner.ports.events import LOOKED_AT, Appended, Pulled, Subscribed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from backburner.backends.postgres.link import Link
    from backburner.backends.postgres.session import Session
    from backburner.backends.postgres.transactions import PostgresTransactions
    from backburner.model.event import NewEvent, NewSubscription
    from backburner.ports.events import Confirmation, Confirmed

__all__ = ["PostgresEventStore"]

_encode = msgspec.json.Encoder().encode
_decode_appended = msgspec.json.Decoder(Appended).decode
_decode_subscribed = msgspec.json.Decoder(Subscribed).decode
_decode_pulled = msgspec.json.Decoder(Pulled).decode


class PostgresEventStore:
    """An `EventStore`. Events are written without a number; whoever pulls gives one to what is committed by then.

    That is done on the connection that reads, so that very many events hold up no job.
    """

    __slots__ = ("_session", "_transactions")

    def __init__(self, session: Session, transactions: PostgresTransactions) -> None:
        self._session = session
        self._transactions = transactions

    async def append(self, events: Sequence[NewEvent], tx: object = None) -> Appended:
        """Store those that are asked for, or kept; one whose id was stored before is left as it is."""
        session = self._session
        document = _encode({"now": session.now, "events": documents_of(events)})
        if tx is None:
            return _decode_appended(await session.call(session.intake, "append", document))
        return _decode_appended(await self._transactions.call(tx, "append", document))

    async def subscribe(self, subscription: NewSubscription) -> Subscribed:
        """Enter a subscription, or take up the one of this name."""
        session = self._session
        refuse_subscription(subscription)
        document = _encode({"now": session.now, **msgspec.structs.asdict(subscription)})
        return _decode_subscribed(await session.call(self._numbering(), "subscribe", document))

    async def unsubscribe(self, name: str) -> bool:
        """Forget a subscription; False when there is none."""
        session = self._session
        return await session.intake.value(session.statement("unsubscribe"), name) is not None

    async def pull(self, names: Collection[str], *, limit: int) -> Pulled:
        """Hand subscriptions what they ask for, each from where it stands, at most ``limit`` events each."""
        session = self._session
        document = _encode({"now": session.now, "names": [*names], "limit": limit, "looked": LOOKED_AT})
        return _decode_pulled(await session.call(self._numbering(), "pull", document))

    async def confirm(self, confirmations: Sequence[Confirmation]) -> Confirmed:
        """Move subscriptions on, each with its jobs, where it stands as its confirmation says."""
        session = self._session
        return await confirm(confirmations, session.now, lambda each: session.call(session.intake, "confirm", each))

    def _numbering(self) -> Link:
        """Return the connection that numbers; raises `StoreReadOnly` where the store was opened for reading."""
        _ = self._session.intake
        return self._session.reads
