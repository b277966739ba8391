"""The roles that hold limits, and what nodes share to set them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from backburner.model.lane import Cell, LaneRecord, Limit, LimitRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.model.event import NewEvent

__all__ = ["CellStore", "Cells", "Lanes", "LimitStore", "Swapped"]


class Lanes(msgspec.Struct, frozen=True):
    """The answer to `LimitStore.lanes`."""

    now: int
    lanes: tuple[LaneRecord, ...]


class LimitStore(Protocol):
    """What lanes allow; `JobStore.claim` reads it in its own step.

    Whatever changes a limit opens all its lanes where jobs stand: the next claim lets in whom it has room for.
    """

    async def declare(self, limits: Mapping[str, Limit]) -> None:
        """Write what code declares, by name, in place of what it declared before; other limits and overrides stay.

        One that is declared as it was changes nothing and opens nothing. The use of a rate is kept for as long as the rate
        is, whatever held in between; another rate begins anew, so that a raised one lets jobs in at once.
        """
        ...

    async def override(
        self, name: str, limit: Limit | None, *, by: str | None, reason: str | None, events: Sequence[NewEvent] = ()
    ) -> None:
        """Write what an operator sets in place of what code declares; None takes that back.

        Events are stored in the same step, as by `EventStore.append`.
        """
        ...

    async def list(self) -> tuple[LimitRecord, ...]:
        """Return the limits that are declared or set, by name."""
        ...

    async def lanes(self, names: Sequence[str]) -> Lanes:
        """Return these lanes, in the order asked: one that nobody uses now is answered too. At most ten holders each."""
        ...


class Cells(msgspec.Struct, frozen=True):
    """The answer to `CellStore.load`."""

    now: int
    cells: tuple[Cell, ...]


class Swapped(msgspec.Struct, frozen=True):
    """The answer to `CellStore.swap`."""

    now: int
    swapped: bool


class CellStore(Protocol):
    """Small values that nodes share and change by comparing: a breaker's statistics and state."""

    async def load(self, prefix: str) -> Cells:
        """Return the cells whose names begin so, by name."""
        ...

    async def swap(
        self, name: str, value: str, version: int, limit: Limit | None = None, events: Sequence[NewEvent] = ()
    ) -> Swapped:
        """Write a cell, if its version is the one given (0: there is none), and its version grows by one.

        ``limit``, if given, is declared under the cell's name in the same step, as by `LimitStore.declare`, and events
        are stored in it, as by `EventStore.append`: never one without the other.
        """
        ...
