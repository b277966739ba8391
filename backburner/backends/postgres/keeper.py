"""The keeper, in PostgreSQL: a beat is one statement on a connection that nothing else can hold up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.errors import LeaseLost, StoreUnavailable
from backburner.ports.nodes import Beat

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from backburner.backends.postgres.link import Link
    from backburner.backends.postgres.session import Session

__all__ = ["PostgresKeeper"]

_decode_beat = msgspec.json.Decoder(Beat).decode


class PostgresKeeper:
    """A `Keeper`. Its connection is made by the first beat, on the loop that this is awaited on."""

    __slots__ = ("_link", "_session")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._link: Link | None = None

    async def __aenter__(self) -> Self:
        self._link = self._session.another()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def beat(self, node: str, ttl: int) -> Beat:
        """Renew the node's lease and answer what it holds; raises `LeaseLost` when it was over."""
        session = self._session
        answer = await self._open().value(session.statement("beat"), session.now, node, ttl)
        if answer is None:
            raise LeaseLost(f"The lease of node {node} is over: publish it under a new id", stored="no")
        return _decode_beat(answer)

    async def abandon(self, node: str) -> None:
        """Let the lease be over at once."""
        session = self._session
        await self._open().value(session.statement("abandon"), session.now, node)

    def _open(self) -> Link:
        if self._link is None:
            raise StoreUnavailable("The keeper is not open: enter it first", stored="no")
        return self._link
