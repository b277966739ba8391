"""Named leases, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.ports.backend import Hint
from backburner.ports.leases import Holder, LeaseAnswer, Leases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.memory.connection import Connection

__all__ = ["LeaseBook", "MemoryLeaseStore"]


class LeaseBook:
    """Who holds what, and the last token of all."""

    __slots__ = ("_held", "_token")

    def __init__(self) -> None:
        #: By name and holder; some of them may be over.
        self._held: dict[str, dict[str, Holder]] = {}
        self._token = 0

    def names(self) -> list[str]:
        """Return the names that may be held."""
        return sorted(self._held)

    def live(self, name: str, now: int) -> dict[str, Holder]:
        """Return who holds a lease, by holder, first come first."""
        return {holder: lease for holder, lease in self._held.get(name, {}).items() if lease.until > now}

    def draw(self, now: int) -> int:
        """Return a token greater than all before: one row of them for all names, so none has to be remembered by name."""
        self._token = token = max(self._token + 1, now)
        return token

    def write(self, name: str, held: dict[str, Holder]) -> None:
        """Write who holds a lease from now on."""
        if held:
            self._held[name] = held
        else:
            self._held.pop(name, None)

    def tidy(self, now: int) -> None:
        """Forget all that is over."""
        for name in self.names():
            self.write(name, self.live(name, now))


class MemoryLeaseStore:
    """A `LeaseStore`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def acquire(self, name: str, holder: str, ttl: int, *, shared: bool) -> LeaseAnswer:
        """Take a lease, unless another holds it and either does not share."""
        book = self._connection.writing().leases
        now = self._connection.clock.now()
        live = book.live(name, now)
        own = live.get(holder)
        others = [lease for lease in live.values() if not (shared and lease.shared)]
        if own is not None and own.shared == shared:
            token = own.token
        elif others:
            return LeaseAnswer(now=now, token=None, until=max(lease.until for lease in live.values()))
        else:
            token = book.draw(now)
        live[holder] = Holder(holder=holder, token=token, shared=shared, until=now + ttl)
        book.write(name, live)
        return LeaseAnswer(now=now, token=token)

    async def renew(self, name: str, holder: str, token: int, ttl: int) -> bool:
        """Hold on from now."""
        book = self._connection.writing().leases
        now = self._connection.clock.now()
        live = book.live(name, now)
        if holder not in live or live[holder].token != token:
            return False
        live[holder] = msgspec.structs.replace(live[holder], until=now + ttl)
        book.write(name, live)
        return True

    async def release(self, name: str, holder: str, token: int) -> bool:
        """Let go."""
        database = self._connection.writing()
        live = database.leases.live(name, self._connection.clock.now())
        if holder not in live or live[holder].token != token:
            return False
        del live[holder]
        database.leases.write(name, live)
        database.changed(self._connection, Hint.CONTROL)
        return True

    async def holders(self, names: Sequence[str] = ()) -> dict[str, Leases]:
        """Return who holds these, or whatever is held."""
        book = self._connection.reading().leases
        now = self._connection.clock.now()
        live = {name: book.live(name, now) for name in names or book.names()}
        return {name: Leases(now, tuple(held.values())) for name, held in live.items() if held}
