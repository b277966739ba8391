"""Watches what alerts and retry budgets tell of, beside any number of other nodes that do the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from backburner.errors import StoreError
from backburner.model.clock import from_micros
from backburner.model.telling import tell
from backburner.observability.alerts import alarm
from backburner.observability.alerts.alarm import Alarm, Turn
from backburner.observability.alerts.counts import Shared
from backburner.ports.telemetry import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.model.clock import Clock
    from backburner.model.lane import Cell
    from backburner.observability.alerts.budgets import Budgets
    from backburner.observability.alerts.counts import Bucket, Counts
    from backburner.observability.alerts.readings import Readings
    from backburner.observability.alerts.rule import Rules
    from backburner.observability.alerts.untold import Untold
    from backburner.ports.limits import CellStore
    from backburner.ports.telemetry import Listener

__all__ = ["Watcher"]

#: What the names of all cells of this begin with, those of alerts, and that of what nodes have counted.
_CELLS: Final = "alert"
_ALERTS: Final = "alert/"
_COUNTED: Final = "alert.counted"
#: How often what was counted is tried to be written at once, where other nodes write too.
_TRIES: Final = 5
#: Seconds between two looks: looking takes no more than so much of the time, unless that were too seldom for conditions
#: that are to hold for a while.
_INTERVAL: Final = 10.0
_SHARE: Final = 0.1
_LONGEST: Final = 60.0
_SIGNALS: Final = {Turn.FIRED: Signal.ALERT_FIRED, Turn.RESOLVED: Signal.ALERT_RESOLVED}


class Watcher:
    """Looks every ten seconds, as long as there is anything to look at.

    Each alert is a cell that nodes change by comparing; the event is stored in the very step of the change. So whichever
    node sees first that a condition holds begins its time, whichever sees first that this is over tells, and no two do.
    A node that cannot ask the store knows nothing, and changes nothing. What fired and is declared by no node any more,
    any other node ends: ``tidy`` says that this is to look for such once, also if it has no alerts of its own. ``told`` is
    called when an event was stored.
    """

    def __init__(
        self,
        rules: Rules,
        counts: Counts,
        *,
        readings: Readings,
        budgets: Budgets,
        untold: Untold,
        cells: CellStore,
        tidy: bool,
        told: Callable[[], None],
        clock: Clock,
        listener: Listener,
    ) -> None:
        self._rules = rules
        self._counts = counts
        self._readings = readings
        self._budgets = budgets
        self._untold = untold
        self._cells = cells
        #: There may be something to end that is not of this node.
        self._left_over = tidy
        self._told = told
        self._clock = clock
        self._listener = listener

    async def step(self) -> float | None:
        """Look once; return the seconds to the next look (None: there is nothing to look at). Raises `StoreError`."""
        began = self._clock.monotonic()
        await self._untold.step()
        if self._idle():
            return None
        cells = await self._cells.load(_CELLS)
        found = {cell.name: cell for cell in cells.cells}
        await self._watch(found, cells.now)
        firing = await self._end_abandoned(found, cells.now)
        dry = await self._budgets.step(found)
        self._left_over = firing or dry
        took = self._clock.monotonic() - began
        return None if self._idle() else min(max(_INTERVAL, took / _SHARE), _LONGEST)

    def _idle(self) -> bool:
        """Whether there is nothing to look at."""
        return not (self._rules or self._budgets or self._left_over)

    async def _watch(self, found: dict[str, Cell], now: int) -> None:
        if not self._rules:
            return
        shared = await self._share(found.get(_COUNTED), now)
        measures = (each.measure for rule in self._rules for each in rule.condition.comparisons)
        values = await self._readings.take(measures, shared, now)
        for rule in self._rules:
            cell = found.get(f"{_ALERTS}{rule.name}")
            before = Alarm() if cell is None else alarm.decode(cell.value)
            verdict = rule.condition.judge(values.get)
            after, turn = alarm.advance(rule, before, now, holds=verdict.holds)
            if after is not before:
                await self._write(rule.name, cell, after, turn, value=verdict.value, since=after.since or before.since)

    async def _write(
        self, name: str, cell: Cell | None, after: Alarm, turn: Turn | None, *, value: float | None, since: int | None
    ) -> None:
        """Write where an alert stands, and what is to be told of it, unless another node was quicker."""
        version = 0 if cell is None else cell.version
        moment = None if since is None else from_micros(since)
        told = () if turn is None else (tell(_SIGNALS[turn].value, name, when=after.when, value=value, since=moment),)
        swap = await self._cells.swap(f"{_ALERTS}{name}", alarm.encode(after), version, events=told)
        if swap.swapped and turn is not None:
            self._listener(_SIGNALS[turn], alert=name, when=after.when, value=value, since=moment)
            self._told()

    async def _end_abandoned(self, found: dict[str, Cell], now: int) -> bool:
        """End what fires and nobody watches; return whether some may come to that."""
        firing = False
        for cell in found.values():
            name = cell.name.removeprefix(_ALERTS)
            if name == cell.name or name in self._rules:
                continue
            before = alarm.decode(cell.value)
            if alarm.abandoned(before, now):
                after = Alarm(when=before.when, told=before.told)
                await self._write(name, cell, after, Turn.RESOLVED, value=None, since=before.since)
            firing = firing or before.firing
        return firing

    # ---- what nodes count ------------------------------------------------------------------------------------------

    async def _share(self, cell: Cell | None, now: int) -> Shared:
        """Add what was counted here to what all nodes have; return that. What cannot be added now waits for the next look."""
        counted = self._counts.take()
        for _ in range(_TRIES):
            shared = Shared() if cell is None else Shared.decode(cell.value)
            if counted is None:
                return shared
            after = shared.add(counted, now)
            if await self._add(after, counted, 0 if cell is None else cell.version):
                return after
            # Another node has written: on what that wrote.
            cells = await self._load(counted)
            cell = next((each for each in cells if each.name == _COUNTED), None)
        if counted is not None:
            self._counts.give_back(counted)
        return Shared() if cell is None else Shared.decode(cell.value)

    async def _add(self, shared: Shared, counted: Bucket, version: int) -> bool:
        try:
            return (await self._cells.swap(_COUNTED, shared.encode(), version)).swapped
        except (StoreError, asyncio.CancelledError) as error:
            if isinstance(error, StoreError) and error.stored == "no":
                self._counts.give_back(counted)
            # Else it may be written: told again, few failures would look like many.
            raise

    async def _load(self, counted: Bucket) -> tuple[Cell, ...]:
        try:
            return (await self._cells.load(_COUNTED)).cells
        except (StoreError, asyncio.CancelledError):
            self._counts.give_back(counted)
            raise
