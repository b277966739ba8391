"""Tells when retry budgets have run dry, and when they are refilled: once over all nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from backburner.model.lane import name_of
from backburner.model.telling import tell
from backburner.ports.telemetry import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from backburner.model.lane import Cell, LaneRecord
    from backburner.ports.limits import CellStore, LimitStore
    from backburner.ports.telemetry import Listener

__all__ = ["BUDGETS", "Budgets"]

#: What the names of their cells begin with.
BUDGETS: Final = "alert.budget/"
#: What stands in them: JSON text, by whether the budget is dry.
_TEXTS: Final = {True: '"dry"', False: '"refilled"'}


class Budgets:
    """Watches the budgets that jobs here name, ``named`` by the names of their limits, and those that are dry already.

    A budget is dry once a retry waits for it and it has none to give, until no retry waits for it any more. ``told`` is
    called when an event was stored.
    """

    def __init__(
        self,
        named: Callable[[], Collection[str]],
        limits: LimitStore,
        cells: CellStore,
        *,
        told: Callable[[], None],
        listener: Listener,
    ) -> None:
        self._named = named
        self._limits = limits
        self._cells = cells
        self._told = told
        self._listener = listener

    def __len__(self) -> int:
        return len(self._named())

    async def step(self, found: Mapping[str, Cell]) -> bool:
        """Look at them all, and tell what has turned; ``found`` are the cells, by name. Return whether any is dry."""
        names = {name.removeprefix(BUDGETS) for name, cell in found.items() if name.startswith(BUDGETS) and _dry(cell)}
        names.update(self._named())
        if not names:
            return False
        lanes = await self._limits.lanes(sorted(names))
        return any([await self._turn(lane, found.get(f"{BUDGETS}{lane.name}"), lanes.now) for lane in lanes.lanes])

    async def _turn(self, lane: LaneRecord, cell: Cell | None, now: int) -> bool:
        was = cell is not None and _dry(cell)
        # While it is dry permits come one by one, and are taken by who waits for them.
        dry = lane.parked and (was or (lane.free_at or now) > now)
        if dry is not was:
            name = name_of(lane.name)
            signal = Signal.BUDGET_DRY if dry else Signal.BUDGET_REFILLED
            version = 0 if cell is None else cell.version
            told = (tell(signal.value, name),)
            if (await self._cells.swap(f"{BUDGETS}{lane.name}", _TEXTS[dry], version, events=told)).swapped:
                self._listener(signal, budget=name)
                self._told()
        return dry


def _dry(cell: Cell) -> bool:
    return cell.value == _TEXTS[True]
