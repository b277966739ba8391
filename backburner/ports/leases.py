"""The role that holds named leases: what `bb.lock` stands on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Holder", "LeaseAnswer", "LeaseStore", "Leases"]


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """One lease that is live."""

    holder: str
    #: Greater than that of every earlier holder of this name: what fences their late writes.
    token: int
    shared: bool
    #: Microseconds since 1970 UTC.
    until: int


class LeaseAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `LeaseStore.acquire`."""

    now: int
    #: None: others hold it.
    token: int | None
    #: When the last of those others' leases ends, unless it is renewed; None with a token.
    until: int | None = None


class Leases(msgspec.Struct, frozen=True):
    """The answer to `LeaseStore.holders`."""

    now: int
    holders: tuple[Holder, ...]


class LeaseStore(Protocol):
    """Named leases: one holder at a time, or several that share."""

    async def acquire(self, name: str, holder: str, ttl: int, *, shared: bool) -> LeaseAnswer:
        """Take a lease for ``ttl`` microseconds, unless another holds it and either of them does not share.

        A lease that is over holds nobody off. Who holds it already is answered the token drawn then, and has it
        renewed, so that a repeated write is safe; asked for otherwise than it is held (shared or not), it is refused
        as if another held it.
        """
        ...

    async def renew(self, name: str, holder: str, token: int, ttl: int) -> bool:
        """Hold on for ``ttl`` microseconds from now; False when the lease is over or another's."""
        ...

    async def release(self, name: str, holder: str, token: int) -> bool:
        """Let go; False when it was over or another's, which changes nothing."""
        ...

    async def holders(self, names: Sequence[str] = ()) -> dict[str, Leases]:
        """Return who holds these, or without names whatever is held, by name; those that nobody holds are left out."""
        ...
