"""Named leases, in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.ports.leases import LeaseAnswer, Leases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.postgres.session import Session

__all__ = ["PostgresLeaseStore"]

_encode = msgspec.json.Encoder().encode
_decode_answer = msgspec.json.Decoder(LeaseAnswer).decode
_decode_leases = msgspec.json.Decoder(dict[str, Leases]).decode


class PostgresLeaseStore:
    """A `LeaseStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def acquire(self, name: str, holder: str, ttl: int, *, shared: bool) -> LeaseAnswer:
        """Take a lease, unless another holds it and either of them does not share."""
        session = self._session
        given = {"now": session.now, "name": name, "holder": holder, "ttl": ttl, "shared": shared}
        return _decode_answer(await session.call(session.intake, "acquire", _encode(given)))

    async def renew(self, name: str, holder: str, token: int, ttl: int) -> bool:
        """Hold on for ``ttl`` microseconds from now; False when the lease is over or another's."""
        session = self._session
        given = {"now": session.now, "name": name, "holder": holder, "token": token, "ttl": ttl}
        return await session.call(session.intake, "renew", _encode(given)) == "true"

    async def release(self, name: str, holder: str, token: int) -> bool:
        """Let go; False when it was over or another's."""
        return await self.renew(name, holder, token, 0)

    async def holders(self, names: Sequence[str] = ()) -> dict[str, Leases]:
        """Return who holds these, or without names whatever is held, by name."""
        session = self._session
        return _decode_leases(await session.reads.value(session.statement("leases"), session.now, [*names]))
