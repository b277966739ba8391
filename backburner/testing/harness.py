"""What the contract suite needs of a store under test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from backburner.ports.backend import Backend
    from backburner.testing.clock import FakeClock

__all__ = ["Harness"]


class Harness(Protocol):
    """A fresh, empty store with its schema in place, on a fake clock; a store author writes one and a fixture of it."""

    @property
    def clock(self) -> FakeClock:
        """The clock the store takes its time from."""
        ...

    @property
    def backend(self) -> Backend:
        """The store, open for writing."""
        ...

    async def second(self) -> Backend:
        """Another open connection to the same store, as another process would have; closed with the harness."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[object] | None:
        """Bring a connection of the caller's own to this store, in a transaction: what is given as ``tx``.

        It is committed at the end of the block, rolled back where that raises, and stays open as long as the harness.
        None where the store joins none; the suite then proves that it refuses.
        """
        ...

    async def die(self, node: str) -> None:
        """Let a published node's lease end as if its process had been killed: it is dead to all, at once."""
        ...
