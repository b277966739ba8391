"""Named leases, in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.ports.backend import Hint
from backburner.ports.leases import Holder, LeaseAnswer, Leases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.redis.session import Session

__all__ = ["RedisLeaseStore"]


class _Held(msgspec.Struct, array_like=True):
    """A holder as ``locking.lua`` has it."""

    holder: str
    token: int
    shared: bool
    until: int


#: The last token of a name, and its holders.
_decode = msgspec.msgpack.Decoder(tuple[int, tuple[_Held, ...]]).decode


class RedisLeaseStore:
    """A `LeaseStore`, by the server's clock; a failover that loses the last moments may lose a lease with them."""

    __slots__ = ("_keys", "_session")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._keys = session.keys.locking

    async def acquire(self, name: str, holder: str, ttl: int, *, shared: bool) -> LeaseAnswer:
        """Take a lease for ``ttl`` microseconds, unless another holds it and either of them does not share."""
        args = (name, holder, ttl, "1" if shared else "")
        now, token, until = await self._session.scripts.run("locks_acquire", self._keys, args)
        return LeaseAnswer(now=now, token=token) if token else LeaseAnswer(now=now, token=None, until=until)

    async def renew(self, name: str, holder: str, token: int, ttl: int) -> bool:
        """Hold on for ``ttl`` microseconds from now; False when the lease is over or another's."""
        return bool(await self._session.scripts.run("locks_renew", self._keys, (name, holder, token, ttl)))

    async def release(self, name: str, holder: str, token: int) -> bool:
        """Let go; False when it was over or another's."""
        args = (name, holder, token, self._session.keys.hints, Hint.LOCK)
        return bool(await self._session.scripts.run("locks_release", self._keys, args))

    async def holders(self, names: Sequence[str] = ()) -> dict[str, Leases]:
        """Return who holds these, or without names whatever is held, by name."""
        now, *answer = await self._session.scripts.read("read_locks", self._keys[:1], names)
        found: dict[str, Leases] = {}
        for name, kept in zip(answer[::2], answer[1::2], strict=True):
            live = () if kept is None else tuple(_holder(each) for each in _decode(kept)[1] if each.until > now)
            if live:
                found[name.decode()] = Leases(now, live)
        return dict(sorted(found.items()))


def _holder(kept: _Held) -> Holder:
    return Holder(holder=kept.holder, token=kept.token, shared=kept.shared, until=kept.until)
