"""Named leases, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.statements import load
from backburner.ports.leases import Holder, LeaseAnswer, Leases

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from backburner.backends.sqlite.session import Session

__all__ = ["SqliteLeaseStore"]

_LEASES = load("leases")
_TAKE = load("take_lease")
_RENEW = load("renew_lease")
_FORGET = load("forget_leases")


class _Lease(msgspec.Struct, array_like=True):
    """A lease as it is kept: the column order of its statement."""

    name: str
    holder: str
    token: int
    shared: int
    until: int


_decode_leases = msgspec.json.Decoder(list[_Lease]).decode


class SqliteLeaseStore:
    """A `LeaseStore`.

    A token is the moment when its lease was taken, or one above the last of its name. So a lease that is over may be
    forgotten once its token's moment has passed.
    """

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def acquire(self, name: str, holder: str, ttl: int, *, shared: bool) -> LeaseAnswer:
        """Take a lease, unless another holds it and either of them does not share."""
        session = self._session
        return await session.write(
            lambda connection: _acquire(connection, name, holder, ttl, shared=shared, now=session.clock.now())
        )

    async def renew(self, name: str, holder: str, token: int, ttl: int) -> bool:
        """Hold on for so long from now; False when the lease is over or another's."""
        return await self._end_at(name, holder, token, ttl)

    async def release(self, name: str, holder: str, token: int) -> bool:
        """Let go; False when it was over or another's."""
        return await self._end_at(name, holder, token, 0)

    async def holders(self, names: Sequence[str] = ()) -> dict[str, Leases]:
        """Return who holds these, or without names whatever is held, by name."""
        now = self._session.clock.now()
        found = await self._session.reads.one(_LEASES, {"names": to_json(names) if names else None})
        held: dict[str, list[Holder]] = {}
        for lease in _decode_leases(found):
            if lease.until > now:
                holder = Holder(holder=lease.holder, token=lease.token, shared=bool(lease.shared), until=lease.until)
                held.setdefault(lease.name, []).append(holder)
        return {name: Leases(now, tuple(holders)) for name, holders in held.items()}

    async def _end_at(self, name: str, holder: str, token: int, ttl: int) -> bool:
        session = self._session

        def work(connection: sqlite3.Connection) -> bool:
            now = session.clock.now()
            row = {"name": name, "holder": holder, "token": token, "until": now + ttl, "now": now}
            return connection.execute(_RENEW, row).rowcount > 0

        return await session.write(work)


def _acquire(
    connection: sqlite3.Connection, name: str, holder: str, ttl: int, *, shared: bool, now: int
) -> LeaseAnswer:
    (found,) = connection.execute(_LEASES, {"names": to_json([name])}).fetchone()
    kept = _decode_leases(found)
    live = [lease for lease in kept if lease.until > now]
    own = next((lease for lease in live if lease.holder == holder and lease.shared == shared), None)
    if own is None:
        in_the_way = [lease.until for lease in live if not (shared and lease.shared)]
        if in_the_way:
            return LeaseAnswer(now=now, token=None, until=max(in_the_way))
        connection.execute(_FORGET, {"name": name, "now": now})
    token = own.token if own is not None else max([now, *(lease.token + 1 for lease in kept)])
    row = {"name": name, "holder": holder, "token": token, "shared": shared, "until": now + ttl}
    connection.execute(_TAKE, row)
    return LeaseAnswer(now=now, token=token)
